"""The funnel models by the kind that their states have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from beautyrec.models.funnel import TreeFunnelModel
from beautyrec.models.funnel_base import FunnelModel
from beautyrec.models.funnel_network import NetworkFunnelModel

FUNNEL_MODELS: Mapping[str, type[FunnelModel]] = MappingProxyType(
    {TreeFunnelModel.kind: TreeFunnelModel, NetworkFunnelModel.kind: NetworkFunnelModel}
)
"""Which class builds a model from a state of each kind."""
