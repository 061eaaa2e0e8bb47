"""Where the queries run: DuckDB on one machine, or Spark on many, both behind Ibis."""

from __future__ import annotations

import os
import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd
import pyarrow as pa

from beautyrec.errors import ConfigError, MissingExtraError
from beautyrec.files import atomic_file, atomic_folder

EngineName = Literal["duckdb", "spark"]
"""What a configuration may call an engine."""

_LOCAL: Final[Mapping[str, str]] = {
    "spark.master": "local[*]",
    "spark.driver.memory": "1g",
    "spark.driver.defaultJavaOptions": "-Dlog4j2.level=FATAL",  # what fails is raised, the rest is noise
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": "8",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""What a Spark that is started here is told, where nothing else is."""

_SESSION: Final[Mapping[str, str]] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a number that overflows is an error, as in DuckDB, not another number
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # or else times lose their zone in the file
}
"""What the values depend on, whatever the cluster is set to."""


_DICTIONARY: Final = 5_000
"""Distinct values of a column in a row group of 122,880 up to which DuckDB writes a dictionary; a third faster than its own."""


@dataclass(frozen=True, eq=False)
class Engine(ABC):
    """An Ibis connection that tables are put into and queries are run by.

    The same expressions give the same rows on each: ``docs/engines.md`` says what was compared. One engine serves one
    thread: give each worker its own.

    Args:
        connection: the Ibis backend.

    Examples:
        >>> engine = Engine.duckdb(memory_limit="1GB")
        >>> table = engine.table(pd.DataFrame({"price": [3.0, 5.0]}))
        >>> engine.frame(table.mutate(double=table.price * 2)).double.tolist()
        [6.0, 10.0]
    """

    connection: Any

    @staticmethod
    def named(name: EngineName) -> Engine:
        """The engine that a setting names, ``"duckdb"`` or ``"spark"``, with its defaults.

        Raises:
            ConfigError: there is none of that name, or it does not start.
            MissingExtraError: it is not installed.
        """
        engines: Mapping[str, Callable[[], Engine]] = {"duckdb": Engine.duckdb, "spark": Engine.spark}
        if name not in engines:
            raise ConfigError(f"engine: there is no '{name}'; known are {', '.join(engines)}.")
        return engines[name]()

    @staticmethod
    def duckdb(
        memory_limit: str = "2GB", threads: int | None = None, temp_directory: str | Path | None = None
    ) -> DuckDBEngine:
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
            connection = ibis.duckdb.connect(**settings)
        except duckdb.Error as error:
            raise ConfigError(f"DuckDB does not take {settings}: {str(error).splitlines()[0]}") from None
        connection.compiler = _with_doubles(type(connection.compiler))
        return DuckDBEngine(connection)

    @staticmethod
    def spark(session: Any | None = None, settings: Mapping[str, str] | None = None) -> SparkEngine:
        """A Spark session: one that is given, the one that runs, or a local one that is started.

        The engine has a session of its own beside it, on the same cluster: the time zone that it sets (UTC) and the tables
        that it makes are not seen elsewhere.

        Args:
            session: a ``pyspark.sql.SparkSession``; where it is None the one that runs is taken, or one is started.
            settings: of a session that is started, such as ``{"spark.master": "local[2]"}``; what is not named has the
                values of ``spark-submit``, or is local with 1 GiB.

        Raises:
            MissingExtraError: Ibis or PySpark is not installed.
            ConfigError: Spark does not start; mostly for want of Java.
        """
        try:
            import ibis
            import pyspark  # noqa: F401
        except ImportError:
            raise MissingExtraError("pyspark", "spark") from None
        own = (session or _session(settings or {})).newSession()
        for key, value in _SESSION.items():
            own.conf.set(key, value)
        connection = ibis.pyspark.connect(own)
        connection.compiler = _with_doubles(type(connection.compiler))
        return SparkEngine(connection)

    @abstractmethod
    def table(self, data: pa.Table | pd.DataFrame) -> Any:
        """``data``, copied into the engine, as an Ibis table under a name of its own."""

    @abstractmethod
    def parquet(self, place: str | Path) -> Any:
        """A Parquet file, or a folder of them, as an Ibis table that is read where and when a query runs.

        For logs that do not fit through this process: nothing is checked, so write them with ``EventLog.write``.
        """

    @abstractmethod
    def arrow(self, expression: Any) -> pa.Table:
        """The rows of an Ibis expression."""

    @abstractmethod
    def write(self, expression: Any, place: Path, *, in_order: bool = True) -> None:
        """Write the rows of an Ibis expression as Parquet (zstd), whole or not at all: a file, or a folder of files.

        Args:
            expression: the rows.
            place: the file or folder.
            in_order: whether rows keep an order that the expression has; else each thread writes what it has.
        """

    @abstractmethod
    def keep(self, expression: Any) -> Any:
        """The rows of an Ibis expression, computed once and kept as a table of the engine."""

    @abstractmethod
    def drop(self, table: Any) -> None:
        """Give back what a table of :meth:`table` or :meth:`keep` takes."""

    @abstractmethod
    def microseconds(self, time: Any) -> Any:
        """A column of times (Ibis) as whole microseconds from 1970 (UTC)."""

    def frame(self, expression: Any) -> pd.DataFrame:
        """The rows of an Ibis expression as a frame; integers with gaps come as floats, times in microseconds."""
        frame: pd.DataFrame = self.arrow(expression).to_pandas()
        return frame


class DuckDBEngine(Engine):
    """DuckDB inside this process; see :meth:`Engine.duckdb`."""

    def table(self, data: pa.Table | pd.DataFrame) -> Any:
        """See :meth:`Engine.table`."""
        name = _name()
        self.connection.con.register(
            f"{name}_arrow", _arrow(data)
        )  # a memtable of Ibis 12 would keep the data for good
        table = self.connection.create_table(name, self.connection.table(f"{name}_arrow"), temp=True)
        self.connection.con.unregister(f"{name}_arrow")
        return table

    def parquet(self, place: str | Path) -> Any:
        """See :meth:`Engine.parquet`."""
        return self.connection.read_parquet(Path(place) / "**/*.parquet" if Path(place).is_dir() else place)

    def arrow(self, expression: Any) -> pa.Table:
        """See :meth:`Engine.arrow`."""
        return self.connection.to_pyarrow(expression)

    def write(self, expression: Any, place: Path, *, in_order: bool = True) -> None:
        """See :meth:`Engine.write`; it writes a file. A column with more values than a dictionary pays for gets none."""
        with atomic_file(place) as temporary, self._keeping_order(in_order):
            self.connection.to_parquet(expression, temporary, compression="zstd", dictionary_size_limit=_DICTIONARY)

    @contextmanager
    def _keeping_order(self, keep: bool) -> Iterator[None]:
        """Whether rows keep their order; they do again afterwards."""
        self.connection.raw_sql(f"SET preserve_insertion_order = {keep}").fetchall()
        try:
            yield
        finally:
            self.connection.raw_sql("SET preserve_insertion_order = true").fetchall()

    def keep(self, expression: Any) -> Any:
        """See :meth:`Engine.keep`."""
        name = _name()
        self.connection._run_pre_execute_hooks(expression)
        self.connection.raw_sql(f"CREATE TEMP TABLE {name} AS {self.connection.compile(expression)}").fetchall()
        return self.connection.table(name, database="temp.main")

    def drop(self, table: Any) -> None:
        """See :meth:`Engine.drop`."""
        self.connection.raw_sql(f'DROP TABLE "{table.op().name}"').fetchall()

    def microseconds(self, time: Any) -> Any:
        """See :meth:`Engine.microseconds`."""
        return _function("epoch_us")(time)


class SparkEngine(Engine):
    """A Spark session; see :meth:`Engine.spark`. Rows go in and out as Arrow, never through pandas."""

    @property
    def session(self) -> Any:
        """The ``pyspark.sql.SparkSession`` that the queries run in."""
        return self.connection._session

    def table(self, data: pa.Table | pd.DataFrame) -> Any:
        """See :meth:`Engine.table`; the rows go through the driver."""
        return self._view(self.session.createDataFrame(_arrow(data)))

    def parquet(self, place: str | Path) -> Any:
        """See :meth:`Engine.parquet`; every worker must reach it."""
        return self._view(self.session.read.parquet(str(place)))

    def arrow(self, expression: Any) -> pa.Table:
        """See :meth:`Engine.arrow`."""
        return self._rows(expression).toArrow()

    def write(self, expression: Any, place: Path, *, in_order: bool = True) -> None:  # noqa: ARG002
        """See :meth:`Engine.write`; it writes a folder, which every worker must reach."""
        with atomic_folder(place) as temporary:
            self._rows(expression).write.parquet(str(temporary), mode="append", compression="zstd")

    def keep(self, expression: Any) -> Any:
        """See :meth:`Engine.keep`; a checkpoint, as rows that were numbered without an order must not be computed anew."""
        return self._view(self._rows(expression).localCheckpoint())

    def drop(self, table: Any) -> None:
        """See :meth:`Engine.drop`."""
        self.session.catalog.dropTempView(table.op().name)

    def microseconds(self, time: Any) -> Any:
        """See :meth:`Engine.microseconds`."""
        return _function("unix_micros")(time)

    def _view(self, rows: Any) -> Any:
        """A Spark frame as an Ibis table, its times in UTC: Ibis takes them for times without a zone."""
        import ibis
        from ibis.expr import operations as ops

        name = _name()
        rows.createOrReplaceTempView(name)
        found = self.connection.table(name).schema()
        kinds = {column: "timestamp('UTC', 6)" if kind.is_timestamp() else kind for column, kind in found.items()}
        return ops.DatabaseTable(name, ibis.schema(kinds), self.connection).to_expr()

    def _rows(self, expression: Any) -> Any:
        """The expression as a Spark frame, not yet run."""
        return self.session.sql(self.connection.compile(expression))


@cache
def _function(name: str) -> Any:
    """A function of the engine's own that gives a whole number."""
    import ibis

    def of(time) -> int:  # type: ignore[no-untyped-def,empty-body]  # noqa: ANN001 (of whatever precision)
        ...

    return ibis.udf.scalar.builtin(name=name)(of)


def _name() -> str:
    return f"t_{secrets.token_hex(6)}"


def _arrow(data: pa.Table | pd.DataFrame) -> pa.Table:
    return data if isinstance(data, pa.Table) else pa.Table.from_pandas(data, preserve_index=False)


def _session(settings: Mapping[str, str]) -> Any:
    """The Spark session that runs, or one that is started."""
    from pyspark import SparkConf
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    conf = SparkConf()  # knows what spark-submit was told
    for key, value in _LOCAL.items():
        conf.setIfMissing(key, value)
    for key, value in settings.items():
        conf.set(key, value)
    try:
        with _this_python():
            return SparkSession.builder.config(conf=conf).getOrCreate()
    except PySparkRuntimeError as error:
        raise ConfigError(
            f"Spark does not start with {dict(settings)}: {str(error).splitlines()[0]} It needs Java 17 or 21: install it, "
            "and set JAVA_HOME or have 'java' on the PATH."
        ) from None


@contextmanager
def _this_python() -> Iterator[None]:
    """The environment in which a session that starts runs Python functions by this Python, unless it names another."""
    key = "PYSPARK_PYTHON"
    named = key in os.environ
    os.environ.setdefault(key, sys.executable)
    try:
        yield
    finally:
        if not named:
            del os.environ[key]


def _with_doubles(compiler: type) -> Any:
    """A compiler of Ibis with doubles as doubles: in SQL ``0.1`` is a decimal, which is slow, and rounds quotients in Spark."""
    import math

    class Compiler(compiler):  # type: ignore[misc]
        __slots__ = ()

        def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:  # noqa: N802 (Ibis' name)
            made = super().visit_NonNullLiteral(op, value=value, dtype=dtype)
            plain = dtype.is_floating() and math.isfinite(value)
            return self.cast(self.visit_DefaultLiteral(op, value=value, dtype=dtype), dtype) if plain else made

    return Compiler()
