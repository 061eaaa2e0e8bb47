"""The scorer as MLflow knows models: saved from code without pickle, loaded by ``mlflow.pyfunc``, found by an alias.

A saved model is a folder with MLflow's own files and, below ``artifacts/``, the artifact as it was. The code in it is
:mod:`beautyrec.serving.flavour_code`, one class that asks a :class:`~beautyrec.serving.scorer.Scorer`. MLflow is imported
when it is first needed.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pandas as pd

import beautyrec
from beautyrec.errors import ArtifactError, MissingExtraError
from beautyrec.models.base import Recommender
from beautyrec.serving.chances import reads
from beautyrec.serving.manifest import MANIFEST
from beautyrec.serving.scorer import Scorer

ARTIFACT = "scorer"
"""The name of the artifact in a saved model."""

PARAMS: Mapping[str, Any] = {"k": 10, "exclude_seen": True, "on_unknown": "fallback"}
"""What a caller may set beside the rows, and what holds where it does not; only for models that rank."""


@contextmanager
def without_telemetry() -> Iterator[None]:
    """The environment in which an import of MLflow starts no telemetry; as it was afterwards."""
    key = "MLFLOW_DISABLE_TELEMETRY"
    if key in os.environ or "mlflow" in sys.modules:
        yield
        return
    os.environ[key] = "true"
    try:
        yield
    finally:
        os.environ.pop(key, None)


def save_model(folder: str | Path, artifact: str | Path) -> None:
    """Write an artifact as an MLflow model, with its signature, an input example and its parameters.

    Args:
        folder: where to; nothing may lie there.
        artifact: a folder that :func:`~beautyrec.serving.artifact.write_artifact` has written.

    Raises:
        ArtifactError: the artifact is not sound.
        MissingExtraError: ``mlflow`` is not installed.
    """
    scorer = Scorer.load(artifact)
    pyfunc = _mlflow().pyfunc
    example = input_example(scorer)
    ranks = isinstance(scorer.artifact.model, Recommender)
    with _quiet():
        pyfunc.save_model(
            str(folder),
            python_model=str(Path(__file__).with_name("flavour_code.py")),
            artifacts={ARTIFACT: str(artifact)},
            signature=_signature(scorer, example),
            input_example=(example, dict(PARAMS)) if ranks else example,
            pip_requirements=[f"beautyrec=={beautyrec.__version__}"],
            metadata={"beautyrec.artifact": scorer.artifact.fingerprint, "beautyrec.kind": scorer.info.kind},
        )


def input_example(scorer: Scorer) -> pd.DataFrame:
    """A row as the model takes it: a user it knows, or features of which each is 0."""
    model = scorer.artifact.model
    if isinstance(model, Recommender):
        return pd.DataFrame({"user_id": model.users.ids_at(np.arange(min(1, len(model.users))))})
    return pd.DataFrame({name: [0.0 if name in model.features else "any"] for name in reads(model)})


def answer(scorer: Scorer, rows: pd.DataFrame, params: Mapping[str, Any] | None) -> pd.DataFrame:
    """What the saved model says: lists for users where it ranks, chances of rows where it does not."""
    if not isinstance(scorer.artifact.model, Recommender):
        said: pd.DataFrame = scorer.score(rows)
        return said
    asked = {**PARAMS, **(params or {})}
    found: pd.DataFrame = scorer.recommend(
        rows, int(asked["k"]), exclude_seen=bool(asked["exclude_seen"]), on_unknown=asked["on_unknown"]
    )
    return found


def artifact_in(folder: Path) -> Path:
    """The artifact in a folder that was registered: the folder itself, or one within a saved model.

    Raises:
        ArtifactError: there is none.
    """
    if (folder / MANIFEST).is_file():
        return folder
    found = sorted(folder.glob(f"artifacts/*/{MANIFEST}"))
    if len(found) != 1:
        raise ArtifactError(f"'{folder}' holds no artifact: {MANIFEST} is neither there nor once below artifacts/.")
    return found[0].parent


class RegistrySource:
    """The champion that an alias of a registered model points to.

    Args:
        address: ``models:/name@alias``.
        store: URI of the MLflow store; MLflow's own setting where it is None.

    Raises:
        ArtifactError: the address is of another form.
        MissingExtraError: ``mlflow`` is not installed.
    """

    def __init__(self, address: str, store: str | None) -> None:
        name, at, alias = address.removeprefix("models:/").partition("@")
        if not (name and at and alias) or "/" in name + alias:
            raise ArtifactError(
                f"'{address}' is not an address of the form models:/name@alias. Name a model and an alias."
            )
        self._address, self._name, self._alias, self._store = address, name, alias, store
        with without_telemetry():
            self._client = _mlflow().MlflowClient(tracking_uri=store, registry_uri=store)

    def version(self) -> tuple[Any, ...]:
        """The version that has the alias.

        Raises:
            ArtifactError: the store cannot be asked, or no version has it.
        """
        try:
            found = self._client.get_model_version_by_alias(self._name, self._alias)
        except Exception as error:
            raise ArtifactError(f"'{self._address}' cannot be found in the store: {error}.") from error
        return found.version, found.source

    @contextmanager
    def folder(self, version: tuple[Any, ...]) -> Iterator[Path]:
        """Its files, or a copy where they lie elsewhere. The maps of an artifact stay good after a copy is gone."""
        _, source = version
        address = urlparse(source)
        if address.scheme in ("", "file"):
            yield artifact_in(Path(unquote(address.path)))
            return
        with tempfile.TemporaryDirectory(prefix="beautyrec-") as scratch:
            try:
                copy = _mlflow().artifacts.download_artifacts(source, dst_path=scratch, tracking_uri=self._store)
            except Exception as error:
                raise ArtifactError(f"'{self._address}': its files cannot be fetched: {error}.") from error
            yield artifact_in(Path(copy))


def _signature(scorer: Scorer, example: pd.DataFrame) -> Any:
    models = _mlflow().models
    ranks = isinstance(scorer.artifact.model, Recommender)
    return models.infer_signature(example, answer(scorer, example, None), dict(PARAMS) if ranks else None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without hints on columns that cannot be missing, and without what MLflow tells of its own steps."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*integer column.*", category=UserWarning)
            yield
    finally:
        logger.setLevel(before)


def _mlflow() -> Any:
    try:
        with without_telemetry():
            import mlflow
            import mlflow.artifacts
            import mlflow.models
            import mlflow.pyfunc
    except ImportError:
        raise MissingExtraError("mlflow", "track") from None
    return mlflow
