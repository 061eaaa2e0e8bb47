"""Vocabularies as Parquet tables: arrays of a model state on one side, a column ``id`` on the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import ArtifactError

NAMES = ("users", "items")
"""The vocabularies that a model state may hold, by the beginning of the names of their arrays."""


LARGEST_ID = 1024
"""Bytes of an id, on average, that a table may unpack to."""

LARGEST_OVERHEAD = 2**20
"""Bytes a table may have besides."""


def array_names(name: str) -> frozenset[str]:
    """The arrays of a vocabulary: integers, or UTF-8 bytes and the end of each text in them."""
    return frozenset({f"{name}_ids", f"{name}_utf8", f"{name}_ends"})


def write_vocabulary(path: Path, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the vocabulary ``name`` of a model state as a Parquet table with the column ``id``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if f"{name}_ids" in arrays:
        column = pa.array(np.asarray(arrays[f"{name}_ids"], dtype=np.int64))
    else:
        ends, text = arrays[f"{name}_ends"], arrays[f"{name}_utf8"]
        offsets = np.concatenate([[0], ends]).astype(np.int64)
        buffers = pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text, dtype=np.uint8))
        column = pa.LargeStringArray.from_buffers(len(ends), *buffers)
        column.validate(full=True)
    pq.write_table(pa.table({"id": column}), path, compression="zstd")


def read_vocabulary(content: bytes, name: str, rows: int | None = None) -> dict[str, npt.NDArray[Any]]:
    """The arrays that :func:`write_vocabulary` was given, to the bit.

    Args:
        content: of the file.
        name: of the vocabulary.
        rows: how many ids there have to be; any number where it is None. A small file may unpack to a huge table.

    Raises:
        ArtifactError: this is not such a table, or an id is missing or there twice.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _check_size(file.metadata, name, rows)
        table = file.read()
        column = table.column("id").combine_chunks()
        column.validate(full=True)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise ArtifactError(f"vocabulary '{name}': the table cannot be read: {error}.") from None
    if table.num_columns != 1 or column.type not in (pa.int64(), pa.large_string(), pa.string()):
        raise ArtifactError(f"vocabulary '{name}': the table is {table.schema}; expected one column id.")
    if column.null_count or len(pc.unique(column)) < len(column):
        raise ArtifactError(f"vocabulary '{name}': of {len(column)} ids some are missing or there twice.")
    if column.type == pa.int64():
        return {f"{name}_ids": column.to_numpy()}
    lengths = pc.binary_length(column).to_numpy().astype(np.int64)
    text = column.cast(pa.large_binary())
    return {f"{name}_utf8": _bytes_of(text, int(lengths.sum())), f"{name}_ends": np.cumsum(lengths)}


def _check_size(metadata: Any, name: str, rows: int | None) -> None:
    """Raise, before anything is unpacked, where there are more rows or bytes than ids can be."""
    if rows is not None and metadata.num_rows != rows:
        raise ArtifactError(f"vocabulary '{name}': {metadata.num_rows} ids for {rows} rows of the arrays.")
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if unpacked > LARGEST_ID * metadata.num_rows + LARGEST_OVERHEAD:
        raise ArtifactError(
            f"vocabulary '{name}': {metadata.num_rows} ids unpack to {unpacked} bytes, which is too many."
        )


def _bytes_of(column: Any, size: int) -> npt.NDArray[np.uint8]:
    """[size] the bytes of all values of a large binary array, one after another."""
    _, offsets, data = column.buffers()
    if not size:
        return np.zeros(0, dtype=np.uint8)
    start = int(np.frombuffer(offsets, dtype=np.int64)[column.offset])
    return np.frombuffer(data, dtype=np.uint8)[start : start + size]
