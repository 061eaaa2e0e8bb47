"""The verb ``data check``, and the same look at the shop of the main job: leaks fail with their evidence, quality is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from beautyrec.campaign.shelf_features import room_starts
from beautyrec.data import schema
from beautyrec.data.log import EventLog
from beautyrec.data.times import Moment
from beautyrec.errors import EvaluationError, SourceError
from beautyrec.evaluation.column_quality import quality_report
from beautyrec.evaluation.leaks import Columns, Leak, Limits, find_leaks, refuse_leaks
from beautyrec.features.builder import AS_OF
from beautyrec.features.context import Scene
from beautyrec.features.family import first_family, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.jobs.summary import plain

JUDGED: Final = 50_000
"""Rows, drawn at random, in which features and ids are held against the label; times and overlaps are looked up in all."""
LABELS: Final = (schema.CLICKED, schema.ORDERED)
IDS: Final = (schema.EVENT_ID, schema.REQUEST_ID, schema.USER_ID, schema.ITEM_ID, schema.ROOM_ID)
_LOGGED: Final = (schema.PROPENSITY, schema.SLATE_PROPENSITY, schema.POLICY)
_EARLIER: Final = 0.75


@dataclass(frozen=True, eq=False)
class Checked:
    """What was looked at and found.

    Args:
        rows: there are.
        judged: of them, those that features and ids were judged by.
        labels: that they were held against.
        leaks: what could not have been known.
        quality: one row a column, see :func:`beautyrec.evaluation.column_quality.quality_report`.
    """

    rows: int
    judged: int
    labels: tuple[str, ...]
    leaks: tuple[Leak, ...]
    quality: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        leaks = [leak._asdict() for leak in self.leaks]
        head = {"rows": self.rows, "judged": self.judged, "labels": list(self.labels), "leaks": leaks}
        found: dict[str, Any] = plain(head | {"columns": self.quality})
        return found


def check_rows(
    train: pd.DataFrame,
    columns: Columns,
    *,
    labels: Sequence[str] = (),
    test: pd.DataFrame | None = None,
    seed: int = 0,
) -> Checked:
    """Look for leaks in training rows, and at how full their columns are.

    Args:
        train: the rows.
        columns: what they are.
        labels: other labels to hold features and ids against; one that has too few rows of a kind is left out.
        test: rows of the other side of the split, if there is one.
        seed: of the rows that are judged, and of their halves.

    Raises:
        EvaluationError: a column is absent, or a label is not true or false, or has too few of one of the two.
    """
    rng = np.random.default_rng(seed)
    names = [column for column in (*columns.features, *columns.ids, *labels, columns.label) if column in train]
    some = train if len(train) <= JUDGED else train.iloc[np.sort(rng.choice(len(train), JUDGED, replace=False))]
    least = Limits().least
    held = [name for name in labels if min((some[name] == 1).sum(), (some[name] == 0).sum()) >= least]
    found = list[Leak]()
    for label in dict.fromkeys((columns.label, *held)):
        found += find_leaks(some, Columns(label, columns.features, columns.ids), rng)
    timed = [name for name in columns.features if pd.api.types.is_datetime64_any_dtype(train[name])]
    places = Columns(columns.label, row=columns.row, as_of=columns.as_of, times=(*columns.times, *timed))
    found += find_leaks(train, places, rng, test=test)
    quality = quality_report(some[list(dict.fromkeys(names))], test)
    return Checked(len(train), len(some), tuple(dict.fromkeys((columns.label, *held))), tuple(found), quality)


def check_impressions(
    log: EventLog, rows: pd.DataFrame, features: Sequence[str], cutoff: Moment | None = None, seed: int = 0
) -> Checked:
    """Look at the impressions of a log with their features; those of rooms that began from a moment on are the test side.

    Args:
        log: the log.
        rows: as `beautyrec.campaign.shelf_features.impression_rows` gives them, perhaps with what was logged.
        features: the columns to look at.
        cutoff: the moment; that of the last quarter of the rows if None.
        seed: see `check_rows`.
    """
    starts = rows[schema.ROOM_ID].map(room_starts(log)).fillna(rows[schema.TS]).dt.as_unit("us")
    rows = rows.assign(**{AS_OF: starts})
    last = starts.sort_values(ignore_index=True).iloc[int(_EARLIER * len(rows))] if cutoff is None else cutoff
    later = rows[AS_OF] >= last
    ids = tuple(name for name in IDS if name in rows and rows[name].notna().any())
    columns = Columns(schema.CLICKED, tuple(features), ids, row=(schema.EVENT_ID,), as_of=AS_OF)
    test = rows[later] if later.any() and not later.all() else None
    return check_rows(rows if test is None else rows[~later], columns, labels=(schema.ORDERED,), test=test, seed=seed)


def check_path(
    path: Path, columns: Columns | None, *, test: Path | None, as_json: bool, console: Console, seed: int = 0
) -> Checked:
    """Check the log in a folder, or a file of training rows, and print what was found.

    Args:
        path: the folder of a log, or a Parquet or CSV file.
        columns: what the columns of a file are; the features are all others where none are named. Not read of a log.
        test: a file with the rows of the test side.
        as_json: print one JSON object.
        console: where to print.
        seed: see `check_rows`.

    Raises:
        EvaluationError: something leaks: how much, where, and the evidence; or the rows cannot be judged.
        SourceError: there is no such file or log.
        SchemaError: the log is not as the schema has it.
    """
    if path.is_dir():
        checked = _check_log(EventLog.read(path), seed)
    else:
        columns = columns or Columns(schema.CLICKED)
        rows, later = _frame(path, columns), None if test is None else _frame(test, columns)
        checked = check_rows(rows, _all_of(rows, columns), test=later, seed=seed)
    if as_json:
        console.print(json.dumps(checked.as_dict(), allow_nan=False), markup=False, highlight=False, soft_wrap=True)
    else:
        _show(checked, console)
    refuse_leaks(checked.leaks)
    return checked


def _check_log(log: EventLog, seed: int) -> Checked:
    """The impressions of a log, with the first family of features and what was logged with them."""
    shown = log.impressions()
    if shown.empty:
        raise EvaluationError(
            "data check: the log has 0 impressions, so nothing is learnt from it. 'data describe' says what it holds."
        )
    family, scenes = first_family(scenes_of(log)), scenes_of(log)
    if not scenes:
        family = FeatureSet(tuple(builder for builder in family.builders if not isinstance(builder, Scene)))
    keys = shown.assign(**{AS_OF: shown[schema.ROOM_ID].map(room_starts(log)).fillna(shown[schema.TS])})
    logged = [name for name in _LOGGED if shown[name].notna().any()]
    rows = shown[[*IDS, schema.TS, *LABELS, *logged]].join(family.compute(log, keys))
    return check_impressions(log, rows, (*family.names, *logged), seed=seed)


def _frame(path: Path, columns: Columns) -> pd.DataFrame:
    """The rows of a file, with the named times as times: UTC where they name no zone."""
    try:
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        named = [name for name in (columns.as_of, *columns.times) if name in rows]
        return rows.assign(**{str(name): pd.to_datetime(rows[name], utc=True) for name in named})
    except (OSError, ValueError) as error:
        raise SourceError(f"'{path}' cannot be read as Parquet or CSV: {str(error).splitlines()[0]}") from None


def _all_of(rows: pd.DataFrame, columns: Columns) -> Columns:
    """The columns with times read, and all that are nothing else as features."""
    other = {columns.label, columns.as_of, *columns.ids, *columns.row, *columns.times}
    absent = sorted(str(name) for name in other - {None} if name not in rows)
    if absent:
        raise EvaluationError(f"data check: there are no columns {absent}; the file has {list(rows)}. Name its own.")
    features = columns.features or tuple(str(name) for name in rows if name not in other)
    return Columns(columns.label, features, columns.ids, columns.row, columns.as_of, columns.times)


def _show(checked: Checked, console: Console) -> None:
    table = Table(title="Columns", title_justify="left")
    numbers = [str(name) for name in checked.quality if name not in ("column", "kind")]
    for name in ("column", "kind", *numbers):
        table.add_column(name, justify="left" if name in ("column", "kind") else "right")
    for row in checked.quality.to_dict("records"):
        values = (f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name]) for name in numbers)
        table.add_row(str(row["column"]), str(row["kind"]), *values)
    console.print(table)
    console.print(said(checked), highlight=False, markup=False)


def said(checked: Checked) -> str:
    """What was found, in a sentence."""
    against = " and ".join(checked.labels)
    judged = f"{checked.judged:,} of {checked.rows:,} rows held against {against}"
    return f"{len(checked.leaks)} leaks in {len(checked.quality)} columns; {judged}"
