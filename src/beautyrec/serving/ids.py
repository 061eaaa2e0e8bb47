"""Ids that come in with a request, against those that the model knows: another type is an error, not an unknown id."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import SchemaError, UnknownIdError
from beautyrec.serving.tables import plain
from beautyrec.types import IntArray

SHOWN = 3
"""Unknown ids that an error names."""


class Found(NamedTuple):
    """Ids and where they stand in a vocabulary."""

    ids: npt.NDArray[Any]
    """[n] whole numbers, or texts as objects."""
    place: IntArray
    """[n] the index of each, -1 where it is unknown."""

    def require_known(self, field: str, vocabulary: Vocabulary, remedy: str) -> IntArray:
        """The index of each.

        Raises:
            UnknownIdError: some are unknown; says how many, and names the first.
        """
        unknown = self.place < 0
        if unknown.any():
            first = pd.unique(self.ids[unknown])[:SHOWN].tolist()
            raise UnknownIdError(
                f"{field}: {int(unknown.sum())} of {len(self.ids)} ids are not among the {len(vocabulary)} of the model, "
                f"for instance {first}. {remedy}"
            )
        return self.place

    def known(self) -> Found:
        """Those that are known."""
        return Found(self.ids[self.place >= 0], self.place[self.place >= 0])


def find(values: Any, vocabulary: Vocabulary, field: str) -> Found:
    """Where ids stand in a vocabulary.

    Args:
        values: [n] ids, in a list, an array, a series or an Arrow array.
        vocabulary: of the model.
        field: what they are, for errors: ``"users"``.

    Raises:
        SchemaError: they are of another type than the ids of the model, some are missing, or this is no column.

    Examples:
        >>> items = Vocabulary.from_ids(["balm", "serum"])
        >>> find(["serum", "toner"], items, "candidates").place.tolist()
        [1, -1]
        >>> find([3], items, "candidates")
        Traceback (most recent call last):
        beautyrec.errors.SchemaError: candidates: the ids are of the type integer, those of the model string, for instance ...
    """
    one = _only(values)
    if one is not None and _kind_of(one) == vocabulary.kind:
        return Found(np.array([one], dtype=object if isinstance(one, str) else np.int64), _one_index(vocabulary, one))
    try:
        index = pd.Index(plain(values, field))
    except (TypeError, ValueError) as error:
        raise SchemaError(f"{field}: the ids are no column: {error}. Give one id a row.") from None
    if isinstance(index, pd.CategoricalIndex):
        index = index.astype(index.categories.dtype)
    _check_type(index, vocabulary, field)
    found = np.asarray(vocabulary.ids.get_indexer(index), dtype=np.int64)
    return Found(index.to_numpy(dtype=None if vocabulary.kind == "integer" else object), found)


def _only(values: Any) -> Any:
    """The one value of a list or an array of one; None where it is another thing."""
    return values[0] if isinstance(values, list | tuple | np.ndarray) and len(values) == 1 else None


def _kind_of(value: Any) -> str:
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return "integer"
    return "string" if isinstance(value, str) else "other"


def _one_index(vocabulary: Vocabulary, value: Any) -> IntArray:
    """[1]; a search in a table of hashes, without an index of the one value."""
    try:
        return np.array([vocabulary.ids.get_loc(value)], dtype=np.int64)
    except KeyError:
        return np.array([-1], dtype=np.int64)


def _check_type(index: pd.Index, vocabulary: Vocabulary, field: str) -> None:
    if not len(index):
        return
    missing = int(np.count_nonzero(index.isna()))
    if missing:
        raise SchemaError(f"{field}: {missing} of {len(index)} ids are missing. Leave those rows out.")
    if index.inferred_type != vocabulary.kind:
        example = vocabulary.ids[:1].tolist()
        raise SchemaError(
            f"{field}: the ids are of the type {index.inferred_type}, those of the model {vocabulary.kind}, "
            f"for instance {index[0]!r} and {example}. Convert them."
        )
