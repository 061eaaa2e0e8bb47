"""Ids to indices and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import UnknownIdError
from beautyrec.types import IntArray

Ids = Sequence[Any] | npt.NDArray[Any] | pd.Series | pd.Index


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The ids a model was trained on, each with its index.

    Args:
        ids: [n] unique ids, integers or strings; the place of an id is its index.

    Examples:
        >>> items = Vocabulary.from_ids(["serum", "balm", "serum"])
        >>> items.indices_or_missing(["balm", "toner"]).tolist()
        [0, -1]
        >>> items.ids_at([1]).tolist()
        ['serum']
    """

    ids: pd.Index

    @classmethod
    def from_ids(cls, ids: Ids) -> Vocabulary:
        """The sorted unique ids of ``ids``."""
        return cls(pd.Index(ids).unique().sort_values())

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def kind(self) -> str:
        """``"integer"`` or ``"string"``: what its ids are."""
        return "integer" if pd.api.types.is_integer_dtype(self.ids.dtype) else "string"

    def indices_or_missing(self, ids: Ids) -> IntArray:
        """[n] the index of each id, -1 where it is unknown."""
        return np.asarray(self.ids.get_indexer(pd.Index(ids)), dtype=np.int64)

    def indices(self, ids: Ids) -> IntArray:
        """[n] the index of each id.

        Raises:
            UnknownIdError: says how many ids are unknown and names the first of them.
        """
        index = self.indices_or_missing(ids)
        missing = index < 0
        if missing.any():
            first = pd.Index(ids)[missing].unique()[:3].tolist()
            raise UnknownIdError(
                f"{int(missing.sum())} of {len(index)} ids are not in the vocabulary of {len(self)} "
                f"{self.kind} ids, for instance {first}. Ask with on_unknown='skip' or 'fallback', or refit."
            )
        return index

    def ids_at(self, indices: npt.ArrayLike) -> npt.NDArray[Any]:
        """The ids at ``indices``, in their shape."""
        at: npt.NDArray[Any] = self._array[np.asarray(indices)]
        return at

    @cached_property
    def _array(self) -> npt.NDArray[Any]:
        """[n] the ids, texts as objects; made once, as that takes a while for texts."""
        return self.ids.to_numpy()
