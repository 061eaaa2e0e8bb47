from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from beautyrec.cli import main
from beautyrec.data.log import EventLog
from beautyrec.errors import EvaluationError, SourceError
from beautyrec.evaluation.leaks import COPY, FUTURE, ID, OVERLAP, Columns
from beautyrec.jobs.data_check import JUDGED, check_path, check_rows
from beautyrec.simulate.world import World

START = pd.Timestamp("2026-03-01", tz="UTC")


def page():
    return Console(file=io.StringIO(), width=160)


@pytest.fixture(scope="module")
def tables():
    log = World.tiny(0).log()
    names = ("events", "items", "users", "rooms", "shelves")
    return {name: log.engine.frame(getattr(log, name)) for name in names}


def rows(n, seed=0):
    """Training rows without a leak."""
    rng = np.random.default_rng(seed)
    as_of = START + pd.to_timedelta(np.sort(rng.integers(0, 10**6, n)), unit="s")
    columns = {"row": np.arange(n), "clicked": rng.random(n) < 0.2, "heat": rng.normal(size=n), "as_of": as_of}
    return pd.DataFrame({**columns, "seen_at": as_of - pd.Timedelta(hours=1)})


WHAT = Columns("clicked", ("heat",), ids=("row",), row=("row",), as_of="as_of", times=("seen_at",))


def test_a_clean_log_passes_and_its_columns_are_shown(tables, tmp_path):
    EventLog.from_frames(**tables).write(tmp_path / "log")
    console = page()
    checked = check_path(tmp_path / "log", None, test=None, as_json=False, console=console)
    assert checked.leaks == ()
    assert checked.labels == ("clicked", "ordered")
    text = console.file.getvalue()
    assert "0 leaks in" in text
    assert "item_heat_7d" in text
    assert {"propensity", "user_id"} <= set(checked.quality["column"])


def test_a_log_whose_ids_tell_the_click_fails_with_the_evidence(tables, tmp_path, capsys):
    events = tables["events"]
    shown = events["event"] == "impression"
    clicked = events[events["event"] == "click"][["request_id", "item_id"]].assign(clicked=1)
    told = events[["request_id", "item_id"]].merge(clicked.drop_duplicates(), how="left")["clicked"].eq(1)
    event_id = 2 * np.arange(len(events)) + np.where(shown, told.to_numpy(), 0)
    EventLog.from_frames(**{**tables, "events": events.assign(event_id=event_id)}).write(tmp_path / "log")
    with pytest.raises(EvaluationError, match=r"'event_id': id tells the label: AUC .* remainder by"):
        check_path(tmp_path / "log", None, test=None, as_json=False, console=page())
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", str(tmp_path / "log")])
    assert ended.value.code == 2
    assert "id tells the label" in capsys.readouterr().err


def test_a_file_of_rows_is_checked_by_what_its_columns_are(tmp_path, capsys):
    frame, path = rows(3000), tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    named = ["--id", "row", "--row", "row", "--as-of", "as_of", "--time", "seen_at"]
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", str(path), *named, "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["judged"], found["leaks"], found["labels"]) == (3000, 3000, [], ["clicked"])
    assert {column["column"] for column in found["columns"]} == {"heat", "row", "clicked"}
    frame.assign(paid=frame["clicked"].map({True: 1, False: 0})).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", str(tmp_path / "rows.parquet"), *named])
    assert ended.value.code == 2
    assert "'paid': copy of the label" in capsys.readouterr().err


def test_times_and_overlaps_are_looked_up_in_all_rows_and_the_rest_in_some():
    """One bad row of many is found, where the features are judged by a sample."""
    frame = rows(JUDGED + 5000)
    late = frame.assign(seen_at=frame["seen_at"].where(frame["row"] != 51_234, frame["as_of"]))
    checked = check_rows(late, WHAT)
    assert (checked.rows, checked.judged) == (JUDGED + 5000, JUDGED)
    assert [(leak.kind, leak.column, leak.value) for leak in checked.leaks] == [(FUTURE, "seen_at", 1)]
    test = rows(100, seed=1).assign(row=np.arange(100) + 10**6)
    test["as_of"] += pd.Timedelta(days=30)
    assert check_rows(frame, WHAT, test=test).leaks == ()
    test.loc[7, "row"] = 51_234
    assert [leak.kind for leak in check_rows(frame, WHAT, test=test).leaks] == [OVERLAP]


def test_every_label_is_held_against_and_one_that_is_too_rare_is_left_out():
    frame = rows(3000).assign(ordered=lambda table: table["clicked"] & (table["heat"] > 0))
    columns = Columns("clicked", ("heat", "gone"), ids=("row",))
    found = check_rows(frame.assign(gone=frame["ordered"].astype(float)), columns, labels=("ordered",))
    assert found.labels == ("clicked", "ordered")
    assert [(leak.kind, leak.column) for leak in found.leaks] == [(COPY, "gone")]
    rare = frame.assign(gone=0.0, ordered=frame["row"] < 3)
    assert check_rows(rare, columns, labels=("ordered",)).labels == ("clicked",)
    coded = frame.assign(gone=0.0, row=2 * frame["row"] + frame["clicked"])
    assert ID in {leak.kind for leak in check_rows(coded, columns).leaks}


def test_what_cannot_be_checked_is_named(tables, tmp_path):
    with pytest.raises(SourceError, match="cannot be read as Parquet or CSV"):
        check_path(tmp_path / "none.csv", None, test=None, as_json=False, console=page())
    rows(50).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(EvaluationError, match=r"there are no columns \['visitor'\]"):
        check_path(
            tmp_path / "rows.parquet", Columns("clicked", ids=("visitor",)), test=None, as_json=False, console=page()
        )
    events = tables["events"]
    bought = events[events["event"] == "order"]
    EventLog.from_frames(**{**tables, "events": bought}).write(tmp_path / "log")
    with pytest.raises(EvaluationError, match="has 0 impressions"):
        check_path(tmp_path / "log", None, test=None, as_json=False, console=page())
