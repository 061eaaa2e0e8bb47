"""Reading Parquet, with errors that say which file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from beautyrec.errors import SourceError


def read_parquet(path: Path) -> pa.Table:
    """A Parquet file, or a folder of them, as one table; folders in it may be named ``key=value``, which is no column.

    Raises:
        SourceError: it is not there, or not Parquet.
    """
    try:
        return pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        raise SourceError(f"'{path}' is not there.") from None
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"'{path}' cannot be read as Parquet: {str(error).splitlines()[0]}") from None
