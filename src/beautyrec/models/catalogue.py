"""The families of models by the names they have in TOML and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from beautyrec.errors import ConfigError
from beautyrec.models.als import ALS
from beautyrec.models.base import Learner
from beautyrec.models.bpr import BPR
from beautyrec.models.ease import EASE
from beautyrec.models.gru4rec import GRU4Rec
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.lightfm import LightFM
from beautyrec.models.logistic_mf import LogisticMF
from beautyrec.models.popularity import Popularity
from beautyrec.models.sasrec import SASRec
from beautyrec.models.slim import SLIM, LocalEASE
from beautyrec.models.two_tower import TwoTower
from beautyrec.settings import from_table

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
"""The learners of retrieval models; the libraries they train with are imported when they are fitted."""


def learner(name: str, params: Mapping[str, Any] | None = None) -> Learner:
    """The learner ``name`` with ``params`` in place of its defaults.

    Raises:
        ConfigError: the name or a key is unknown (lists those that exist), or a value is of a wrong type or out of its
            bounds.

    Examples:
        >>> learner("als", {"factors": 32}).factors
        32
    """
    if name not in LEARNERS:
        raise ConfigError(f"model '{name}' is unknown; known are {', '.join(sorted(LEARNERS))}. Correct the name.")
    return from_table(LEARNERS[name], params or {}, f"model '{name}'")
