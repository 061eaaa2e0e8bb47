"""The families of models by the names they have in TOML and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from beautyrec.errors import ConfigError
from beautyrec.models.als import ALS
from beautyrec.models.base import Learner
from beautyrec.models.blend import Blend
from beautyrec.models.blended import LogStandardised, ReciprocalRank, Standardised
from beautyrec.models.bpr import BPR
from beautyrec.models.ease import EASE
from beautyrec.models.funnel import Funnel
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.models.funnel_heads import ESMM, PLE, AnyHead, MMoE
from beautyrec.models.funnel_network import FunnelNetwork
from beautyrec.models.gru4rec import GRU4Rec
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.lightfm import LightFM
from beautyrec.models.logistic_mf import LogisticMF
from beautyrec.models.popularity import Popularity
from beautyrec.models.reranker import Reranker, SecondStage
from beautyrec.models.sasrec import SASRec
from beautyrec.models.slim import SLIM, LocalEASE
from beautyrec.models.two_tower import TwoTower
from beautyrec.settings import from_table

BLEND: Final = "blend"
"""The name of a blend, whose table has a table a part."""

RERANKER: Final = "reranker"
"""The name of a re-ranker, whose table has the table of a blend as ``first``."""

LEARNERS: Mapping[str, type[Learner]] = MappingProxyType(
    {
        "popularity": Popularity,
        "item_knn": ItemKNN,
        "ease": EASE,
        "local_ease": LocalEASE,
        "slim": SLIM,
        "als": ALS,
        "bpr": BPR,
        "logistic_mf": LogisticMF,
        "lightfm": LightFM,
        "sasrec": SASRec,
        "gru4rec": GRU4Rec,
        "two_tower": TwoTower,
    }
)
"""The learners of retrieval models that are made of plain values (a blend is made of others); the libraries they train
with are imported when they are fitted."""


FUNNEL_TREES = "funnel"
"""The funnel model of boosted trees."""

FUNNEL_HEADS: Mapping[str, type[AnyHead]] = MappingProxyType({"esmm": ESMM, "mmoe": MMoE, "ple": PLE})
"""The funnel networks, by their heads."""


def learner(name: str, params: Mapping[str, Any] | None = None) -> Learner:
    """The learner ``name`` with ``params`` in place of its defaults.

    Raises:
        ConfigError: the name or a key is unknown (lists those that exist), or a value is of a wrong type or out of its
            bounds.

    Examples:
        >>> learner("als", {"factors": 32}).factors
        32
        >>> learner("blend", {"parts": [{"family": "slim", "l1": 0.3}, {"family": "popularity"}]}).parts[0].l1
        0.3
    """
    if name == BLEND:
        return _blend(from_table(BlendTable, params or {}, f"model '{name}'"))
    if name == RERANKER:
        table = from_table(RerankerTable, params or {}, f"model '{name}'")
        return Reranker(_blend(from_table(BlendTable, table.first, f"model '{name}', first")), table.second)
    if name not in LEARNERS:
        known = ", ".join(sorted([*LEARNERS, BLEND, RERANKER]))
        raise ConfigError(f"model '{name}' is unknown; known are {known}. Correct the name.")
    return from_table(LEARNERS[name], params or {}, f"model '{name}'")


@dataclass(frozen=True)
class BlendTable:
    """A :class:`~beautyrec.models.blend.Blend` as TOML has it; what is None is as the class has it."""

    parts: tuple[dict[str, Any], ...]
    """A table a part: its ``family`` beside its parameters."""
    weights: tuple[float, ...] | None = None
    """As in :class:`~beautyrec.models.blend.Blend`, like all that follow."""
    how: Standardised | LogStandardised | ReciprocalRank | None = None
    """``{ kind = "reciprocal_rank", constant = 20 }``."""
    candidates: int | None = None
    """Best items of each part."""
    validation_users: int | None = None
    """Users at most."""


@dataclass(frozen=True)
class RerankerTable:
    """A :class:`~beautyrec.models.reranker.Reranker` as TOML has it."""

    first: dict[str, Any]
    """The table of a blend."""
    second: SecondStage = SecondStage()  # noqa: RUF009 - frozen
    """As in :class:`~beautyrec.models.reranker.Reranker`."""


def _blend(table: BlendTable) -> Blend:
    """The blend of a table.

    Raises:
        ConfigError: a part names no family, or an unknown one, or has a wrong parameter.
    """
    unnamed = [part for part in table.parts if not isinstance(part.get("family"), str)]
    if unnamed:
        raise ConfigError(f"model '{BLEND}': {len(unnamed)} of {len(table.parts)} parts name no family; give each one.")
    parts = [learner(part["family"], {key: part[key] for key in part if key != "family"}) for part in table.parts]
    given = {key: value for key, value in vars(table).items() if value is not None}
    return Blend(**(given | {"parts": tuple(parts)}))


def is_funnel(name: str) -> bool:
    """Whether the family ``name`` predicts clicks and orders, instead of ranking items."""
    return name == FUNNEL_TREES or name in FUNNEL_HEADS


def funnel_learner(name: str, params: Mapping[str, Any] | None = None) -> FunnelLearner:
    """The learner ``name`` of a funnel model; a network's ``head`` is a table of its own.

    Raises:
        ConfigError: the name or a key is unknown, or a value is of a wrong type or out of its bounds.

    Examples:
        >>> funnel_learner("mmoe", {"epochs": 4, "head": {"experts": 6}}).head.experts
        6
    """
    if not is_funnel(name):
        known = ", ".join(sorted([FUNNEL_TREES, *FUNNEL_HEADS]))
        raise ConfigError(f"funnel model '{name}' is unknown; known are {known}. Correct the name.")
    table, where = dict(params or {}), f"model '{name}'"
    if name == FUNNEL_TREES:
        return from_table(Funnel, table, where)
    head = from_table(FUNNEL_HEADS[name], table.pop("head", {}), f"{where}, head")
    return replace(from_table(FunnelNetwork, table, where), head=head)
