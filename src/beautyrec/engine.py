"""Where the queries run: DuckDB behind Ibis."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from beautyrec.errors import ConfigError, MissingExtraError


@dataclass(frozen=True, eq=False)
class Engine:
    """An Ibis connection that tables are put into and queries are run by.

    One engine serves one thread: give each worker its own.

    Args:
        connection: the Ibis backend; expressions over its tables run there on ``.execute()``, ``.to_pyarrow()``.

    Examples:
        >>> engine = Engine.duckdb(memory_limit="1GB")
        >>> table = engine.table(pd.DataFrame({"price": [3.0, 5.0]}))
        >>> engine.frame(table.mutate(double=table.price * 2)).double.tolist()
        [6.0, 10.0]
    """

    connection: Any

    @classmethod
    def duckdb(
        cls, memory_limit: str = "2GB", threads: int | None = None, temp_directory: str | Path | None = None
    ) -> Engine:
        """A DuckDB of its own in memory; work beyond the limit is put on the disk.

        Args:
            memory_limit: what DuckDB may use, such as ``"2GB"``.
            threads: how many; as many as there are cores where it is None.
            temp_directory: where work beyond the limit is put; ``.tmp`` in the working directory where it is None.

        Raises:
            MissingExtraError: Ibis or DuckDB is not installed.
            ConfigError: DuckDB does not take the memory limit or the number of threads.
        """
        try:
            import duckdb
            import ibis
        except ImportError:
            raise MissingExtraError("ibis-framework[duckdb]", "data") from None
        place = None if temp_directory is None else str(temp_directory)
        given = {"memory_limit": memory_limit, "threads": threads, "temp_directory": place}
        settings = {name: value for name, value in given.items() if value is not None}
        try:
            return cls(ibis.duckdb.connect(**settings))
        except duckdb.Error as error:
            raise ConfigError(f"DuckDB does not take {settings}: {str(error).splitlines()[0]}") from None

    def table(self, data: pa.Table | pd.DataFrame) -> Any:
        """``data``, copied into the engine, as an Ibis table under a name of its own."""
        arrow = data if isinstance(data, pa.Table) else pa.Table.from_pandas(data, preserve_index=False)
        name = f"t_{secrets.token_hex(6)}"
        self.connection.con.register(f"{name}_arrow", arrow)  # a memtable of Ibis 12 would keep the data for good
        table = self.connection.create_table(name, self.connection.table(f"{name}_arrow"), temp=True)
        self.connection.con.unregister(f"{name}_arrow")
        return table

    def frame(self, expression: Any) -> pd.DataFrame:
        """The rows of an Ibis expression as a frame; integers with gaps come as floats, times in microseconds."""
        frame: pd.DataFrame = self.connection.to_pyarrow(expression).to_pandas()
        return frame
