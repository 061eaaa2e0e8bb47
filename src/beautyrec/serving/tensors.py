"""Arrays in a safetensors file, read from a memory map without a copy.

The map that was checked is the map that is used: what the checksum was taken of cannot differ from what is scored with.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import ArtifactError

Arrays = Mapping[str, npt.NDArray[Any]]

DTYPES: Mapping[str, str] = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
"""What numpy calls the types of safetensors."""


def write_tensors(path: Path, arrays: Arrays) -> None:
    """Write arrays of numbers and booleans.

    Raises:
        ArtifactError: an array is of another type.
    """
    from safetensors.numpy import save

    other = {name: str(array.dtype) for name, array in arrays.items() if array.dtype.str not in DTYPES.values()}
    if other:
        raise ArtifactError(f"arrays of these types cannot be stored: {other}. Give numbers or booleans.")
    whole = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    path.write_bytes(save(whole))  # in one go: the system then keeps it in large pages, which products read faster


def read_tensors(content: Any) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file, as read-only views of its content.

    Args:
        content: the bytes of the file, or a map of them.

    Raises:
        ArtifactError: the header is not one, or does not fit what follows it.

    Examples:
        >>> from safetensors.numpy import save
        >>> read_tensors(save({"a": np.array([1.5, 2.0])}))["a"].tolist()
        [1.5, 2.0]
    """
    view = memoryview(content)
    size = int.from_bytes(view[:8], "little")
    try:
        header = json.loads(bytes(view[8 : 8 + size])) if 0 < size <= len(view) - 8 else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ArtifactError("arrays: the file is not of the safetensors format, or was cut.")
    header.pop("__metadata__", None)
    spans: list[tuple[int, int]] = []
    arrays = {name: _array(view, 8 + size, name, entry, spans) for name, entry in header.items()}
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise ArtifactError("arrays: two of them overlap, or there is a hole between them.")
        end = stop
    if 8 + size + end != len(view):
        raise ArtifactError(f"arrays: they end at byte {8 + size + end}; the file has {len(view)}.")
    return arrays


def _array(view: memoryview, base: int, name: str, entry: Any, spans: list[tuple[int, int]]) -> npt.NDArray[Any]:
    """One array of the file; its place is added to ``spans``."""
    try:
        dtype = np.dtype(DTYPES[entry["dtype"]])
        shape, (start, stop) = entry["shape"], entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, start, stop))
        fits = whole and stop <= len(view) - base and stop - start == math.prod(shape) * dtype.itemsize
        if not fits:
            raise ValueError(f"shape {shape} does not fit bytes {start} to {stop}")
        spans.append((start, stop))
        flat = np.frombuffer(view[base + start : base + stop], dtype=dtype)
        return flat.reshape(shape)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ArtifactError(f"arrays: '{name}' cannot be read: {error}.") from None
