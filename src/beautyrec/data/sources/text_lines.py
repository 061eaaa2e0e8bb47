"""Reading a text file, plain or gz, line by line in batches, so that a file may be larger than the memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv

from beautyrec.errors import SourceError

BLOCK: Final = 16 * 2**20
"""Bytes of text in a batch."""
_NO_DELIMITER: Final = "\x01"


def text_lines(path: Path, block: int = BLOCK) -> Iterator[tuple[int, pa.Array]]:
    """The lines of a file in batches: the number of the first line, from 1, and the lines [n] without their ends.

    Args:
        path: text in UTF-8; compressed by gzip where its name ends in ``.gz``.
        block: how many bytes of text a batch has; no line may be longer.

    Raises:
        SourceError: it is absent, empty, not UTF-8, or cannot be read.
    """
    first = 1
    try:
        with pa.csv.open_csv(
            path,
            read_options=pa.csv.ReadOptions(column_names=["line"], block_size=block, use_threads=False),
            parse_options=pa.csv.ParseOptions(
                delimiter=_NO_DELIMITER, quote_char=False, double_quote=False, ignore_empty_lines=False
            ),
            convert_options=pa.csv.ConvertOptions(column_types={"line": pa.string()}, strings_can_be_null=False),
        ) as reader:
            for batch in reader:
                yield first, batch.column(0)
                first += batch.num_rows
    except FileNotFoundError:
        raise SourceError(f"'{path}' is not there. Put the publisher's file there.") from None
    except (pa.ArrowException, OSError, EOFError) as error:
        what = "is empty" if "Empty CSV file" in str(error) else f"cannot be read as text: {error}"
        raise SourceError(f"'{path}' {what}. Take the publisher's original.") from None
