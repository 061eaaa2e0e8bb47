"""A champion as files, and the scorer that other services import; needs the base install only."""

from beautyrec.serving.artifact import Artifact, read_artifact, write_artifact
from beautyrec.serving.index_plan import IndexPlan
from beautyrec.serving.manifest import Manifest, ModelCard
from beautyrec.serving.paths import Context
from beautyrec.serving.scorer import Scorer

__all__ = ["Artifact", "Context", "IndexPlan", "Manifest", "ModelCard", "Scorer", "read_artifact", "write_artifact"]
