"""What an artifact stores of a model: arrays and plain values, never pickled objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ArtifactError


@dataclass(frozen=True, eq=False)
class ModelState:
    """What a model is, as arrays and plain values: what an artifact stores.

    Args:
        kind: which inference form the arrays belong to.
        arrays: numeric arrays by name, strings included as UTF-8 bytes; no pickled objects.
        meta: values that JSON can hold.
    """

    kind: str
    arrays: Mapping[str, npt.NDArray[Any]]
    meta: Mapping[str, Any]

    def array(self, name: str, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
        """The array ``name``, checked against ``shape`` (None is any length).

        Raises:
            ArtifactError: it is missing, or its shape is another.
        """
        if name not in self.arrays:
            raise ArtifactError(f"model state '{self.kind}': array '{name}' is missing; it has {sorted(self.arrays)}.")
        found = self.arrays[name]
        matches = found.ndim == len(shape) and all(w in (None, g) for g, w in zip(found.shape, shape, strict=True))
        if not matches:
            raise ArtifactError(f"model state '{self.kind}': array '{name}' is {found.shape}, expected {shape}.")
        return found

    def number(self, name: str) -> float:
        """The plain value ``name`` as a number.

        Raises:
            ArtifactError: it is missing, or not a number.
        """
        found = self.meta.get(name)
        if not isinstance(found, int | float) or isinstance(found, bool):
            raise ArtifactError(f"model state '{self.kind}': '{name}' is {found!r}, expected a number. Save it again.")
        return float(found)


def vocabulary_arrays(name: str, vocabulary: Vocabulary) -> dict[str, npt.NDArray[Any]]:
    """The ids as one int64 array, or as UTF-8 bytes and the end of each."""
    if vocabulary.kind == "integer":
        return {f"{name}_ids": vocabulary.ids.to_numpy(np.int64)}
    texts = [str(text).encode() for text in vocabulary.ids]
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    return {f"{name}_utf8": np.frombuffer(b"".join(texts), dtype=np.uint8), f"{name}_ends": ends}


def vocabulary_from(state: ModelState, name: str) -> Vocabulary:
    """The inverse of :func:`vocabulary_arrays`."""
    if f"{name}_ids" in state.arrays:
        return Vocabulary(pd.Index(state.array(f"{name}_ids", (None,))))
    text = state.array(f"{name}_utf8", (None,)).tobytes()
    ends = state.array(f"{name}_ends", (None,)).tolist()
    return Vocabulary(pd.Index([text[a:b].decode() for a, b in zip([0, *ends[:-1]], ends, strict=True)], dtype="str"))
