"""Reading a publisher's JSON lines, plain or gz, batch by batch; a line that does not fit is set aside with its number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.sources.delimited import Rows
from beautyrec.data.sources.frames import LINE, REASON, TEXT, all_rejected, check_share, rejected_rows
from beautyrec.data.sources.kinds import Kind, named, quoted, verdict
from beautyrec.data.sources.python_literals import as_json
from beautyrec.data.sources.text_lines import text_lines
from beautyrec.errors import MissingExtraError, SourceError


@dataclass(frozen=True)
class JsonLines:
    """A publisher's format of one JSON object a line; a Python literal, as some publish, does as well.

    Args:
        columns: name of the column that comes out, to the path in JSON and the kind. Where the path
            names several values, they come as one text with ``|`` between.
        gaps: which of them may have gaps.
        rules: what is wrong with a row, to the condition in SQL that sound rows meet.
    """

    columns: Mapping[str, tuple[str, Kind]]
    gaps: tuple[str, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)

    def read(self, path: Path, max_rejected: float) -> Rows:
        """The objects of a file.

        Args:
            path: a text file; compressed by gzip where its name ends in ``.gz``.
            max_rejected: the largest share of its lines that may be rejected; blank lines do not count.

        Raises:
            SourceError: it is absent, empty or cannot be read.
            SchemaError: too many lines do not fit.
            MissingExtraError: DuckDB is not installed.
        """
        try:
            import duckdb
        except ImportError:
            raise MissingExtraError("duckdb", "data") from None
        sound, rejected = [], []
        with duckdb.connect() as connection:
            for first, lines in text_lines(path):
                rows = self._batch(connection, first, lines)
                good = pc.is_null(rows.column(REASON))
                sound.append(rows.filter(good).select(list(self.columns)))
                wrong = rows.filter(pc.invert(good))
                rejected.append(
                    rejected_rows(path, *(wrong.column(name).combine_chunks() for name in (LINE, REASON, TEXT)))
                )
        table, failed = pa.concat_tables(sound), all_rejected(rejected)
        check_share(path, failed, table.num_rows + failed.num_rows, max_rejected)
        if not table.num_rows:
            raise SourceError(f"'{path}' has no sound rows. Take the publisher's original.")
        return Rows(table, failed)

    def _batch(self, connection: Any, first: int, lines: pa.Array) -> pa.Table:
        """The columns of each line that is not blank, with its number, what is wrong with it, and the line."""
        numbers = pa.array(np.arange(first, first + len(lines)))
        connection.register("lines", pa.table({"line": lines, "number": numbers}))
        raw = ", ".join(f"{self._value(path)} as r{place}" for place, (path, _) in enumerate(self.columns.values()))
        cast = ", ".join(
            f"{kind.value(f'r{place}')} as {named(name)}"
            for place, (name, (_, kind)) in enumerate(self.columns.items())
        )
        query = f"""
            with texts as (select number, line, case when json_valid(line) then line else {as_json("line")} end as text
                           from lines where trim(line) <> ''),
                 docs as (select number, line, try_cast(text as json) as doc from texts),
                 raws as (select number, line, doc, {raw} from docs),
                 casts as (select *, {cast} from raws)
            select {", ".join(named(name) for name in self.columns)}, number as "{LINE}", line as {TEXT},
                   case {self._cases()} end as "{REASON}" from casts order by number"""  # noqa: S608 (names are the package's own)
        table: pa.Table = connection.sql(query).to_arrow_table()
        connection.unregister("lines")
        return table

    @staticmethod
    def _value(path: str) -> str:
        found = f"json_extract_string(doc, {quoted(path)})"
        return f"nullif(array_to_string({found}, '|'), '')" if "*" in path else found

    def _cases(self) -> str:
        """Of a line, the first thing that is wrong with it."""
        texts = {name: (f"r{place}", kind) for place, (name, (_, kind)) in enumerate(self.columns.items())}
        no_object = "when doc is null or json_type(doc) <> 'OBJECT' then 'not a JSON object'"
        return f"{no_object} {verdict(texts, self.gaps, dict(self.rules))}"
