from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.column_quality import quality_report
from beautyrec.evaluation.leaks import (
    COPY,
    FUTURE,
    ID,
    OVERLAP,
    SEPARATES,
    Columns,
    Limits,
    changed_by_the_future,
    find_leaks,
    refuse_leaks,
)
from beautyrec.features.builder import Feature, Looked
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import ItemHeat

N = 4000
COLUMNS = Columns(
    "clicked", ("price", "category", "since"), ids=("row", "user_id"), row=("row",), as_of="as_of", times=("seen_at",)
)


def sides(rng, n=N):
    """Rows whose features tell something of the label, as features should, and no more."""
    z = rng.normal(size=n)
    as_of = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(np.sort(rng.integers(0, 10**6, n)), unit="s")
    rows = pd.DataFrame(
        {
            "clicked": rng.random(n) < 0.2 / (1 + np.exp(-3 * z)),
            "price": z + rng.normal(size=n),
            "category": pd.cut(z, [-9, -1, 1, 9], labels=["lips", "eyes", "nails"]).astype(str),
            "since": np.where(rng.random(n) < 0.3, np.nan, rng.exponential(size=n)),
            "row": np.arange(n),
            "user_id": "u" + pd.Series(rng.integers(0, 300, n)).astype(str),
            "as_of": as_of,
            "seen_at": as_of - pd.Timedelta("1us"),
        }
    )
    before = rows["as_of"] < rows["as_of"].iloc[n * 3 // 4]
    return rows[before].reset_index(drop=True), rows[~before].reset_index(drop=True)


def leaks(train, test, columns, rng):
    return [(leak.kind, leak.column) for leak in find_leaks(train, columns, rng, test=test)]


def test_nothing_is_found_where_nothing_is(rng):
    for _ in range(5):
        train, test = sides(rng)
        assert leaks(train, test, COLUMNS, rng) == []


FEATURES = [
    (COPY, lambda y, rng: y.astype(int)),
    (COPY, lambda y, rng: ~y),
    (COPY, lambda y, rng: np.where(y, "bought", "left")),
    (COPY, lambda y, rng: np.where(y, np.nan, rng.normal(size=len(y)))),
    (COPY, lambda y, rng: np.where(rng.random(len(y)) < 0.6, np.nan, y)),
    (SEPARATES, lambda y, rng: y + rng.normal(0, 0.25, len(y))),
    (SEPARATES, lambda y, rng: ~y + rng.normal(0, 0.25, len(y))),
    (SEPARATES, lambda y, rng: np.where(rng.random(len(y)) < 0.4, np.nan, y + rng.normal(0, 0.2, len(y)))),
    (SEPARATES, lambda y, rng: np.where(y, 0, rng.choice([-1, 1], len(y))) + rng.normal(0, 0.1, len(y))),
    (SEPARATES, lambda y, rng: np.where(y, rng.choice(["a", "b"], len(y)), rng.choice(["c", "d"], len(y)))),
]


@pytest.mark.parametrize(("kind", "make"), FEATURES)
def test_features_made_of_the_label_are_found(kind, make, rng):
    train, _ = sides(rng)
    found = find_leaks(
        train.assign(planted=make(train["clicked"].to_numpy(), rng)), Columns("clicked", ("planted",)), rng
    )
    assert [(leak.kind, leak.column) for leak in found] == [(kind, "planted")]
    assert found[0].value > found[0].limit
    assert f"{len(train)} rows" in found[0].evidence


def test_auc_just_below_the_limit_passes_and_above_it_does_not(rng):
    y = rng.random(20_000) < 0.5
    for spread, expected in ((0.37, False), (0.31, True)):  # of y + normal(0, s): AUC is Phi(1 / (s sqrt 2))
        frame = pd.DataFrame({"y": y, "x": y + rng.normal(0, spread, len(y))})
        assert bool(find_leaks(frame, Columns("y", ("x",)), rng)) is expected


IDS = [
    lambda y, rng: 2 * rng.integers(0, 10**6, len(y)) + y,
    lambda y, rng: 10 * rng.integers(0, 10**6, len(y)) + np.where(y, 7, rng.integers(0, 7, len(y))),
    lambda y, rng: np.argsort(np.argsort(y + rng.random(len(y)) / 2)),
    lambda y, rng: np.where(y, "ck", "im") + pd.Series(rng.integers(0, 10**6, len(y))).astype(str).to_numpy(str),
    lambda y, rng: pd.Series(rng.integers(0, 10**6, len(y))).astype(str) + np.where(y, "-1", "-0"),
    lambda y, rng: pd.Series(rng.integers(10**5, 10**6, len(y)) * np.where(y, 100, 1) + 3).astype(str),
    lambda y, rng: pd.Series(rng.integers(0, 10**6, len(y)), dtype="Int64").where(~pd.Series(y)),
]


@pytest.mark.parametrize("make", IDS)
def test_ids_that_tell_the_label_are_found(make, rng):
    train, _ = sides(rng)
    planted = train.assign(planted=make(train["clicked"].to_numpy(), rng))
    assert leaks(planted, None, Columns("clicked", ids=("planted",)), rng) == [(ID, "planted")]


@pytest.mark.parametrize("ahead", ["0s", "1us", "3D"])
def test_one_time_that_is_not_before_its_row_is_found(ahead, rng):
    train, test = sides(rng)
    test.loc[17, "seen_at"] = test.loc[17, "as_of"] + pd.Timedelta(ahead)
    found = find_leaks(train, COLUMNS, rng, test=test)
    assert [(leak.kind, leak.column, leak.value) for leak in found] == [(FUTURE, "seen_at", 1.0)]
    assert "1 of" in found[0].evidence
    assert "row 17" in found[0].evidence


def test_a_feature_that_is_a_time_is_held_against_its_row(rng):
    train, _ = sides(rng)
    train["due"] = train["as_of"] + pd.Timedelta("1D")
    assert leaks(train, None, Columns("clicked", ("due",), as_of="as_of"), rng) == [(FUTURE, "due")]


def test_rows_and_times_that_both_sides_have_are_found(rng):
    train, test = sides(rng)
    again = pd.concat([test, train.iloc[[5]].assign(as_of=test["as_of"].max())], ignore_index=True)
    assert leaks(train, again, COLUMNS, rng) == [(OVERLAP, "row")]
    tied = test.assign(as_of=test["as_of"].where(test.index != 3, train["as_of"].max()))
    assert (OVERLAP, "as_of") in leaks(train, tied, COLUMNS, rng)


def test_features_that_look_ahead_change_with_the_future():
    whole = pd.DataFrame({"heat": [1.0, np.nan, 3.0], "ahead": [1.0, 2.0, np.nan]})
    cut = whole.assign(ahead=[1.0, 2.0, 0.0])
    assert changed_by_the_future(whole, whole) == ()
    (found,) = changed_by_the_future(whole, cut)
    assert (found.kind, found.column, found.value) == (FUTURE, "ahead", 1.0)
    with pytest.raises(EvaluationError, match="Compute the same features"):
        changed_by_the_future(whole, cut[["heat"]])


@dataclass(frozen=True)
class EveryClick:
    """Clicks of the product in the whole log, those to come included."""

    version: ClassVar[int] = 1
    entity: tuple[str, ...] = ("item_id",)
    features: tuple[Feature, ...] = (Feature("every_click", "clicks", "all time"),)

    def needs(self, log):
        clicks = log.events.filter(log.events["event"] == "click").group_by("item_id").aggregate(n=lambda t: t.count())
        return {"n": Looked(clicks, ("item_id",), "n")}

    def values(self, known):
        return {"every_click": known["n"].fill_null(0)}


def test_a_builder_that_looks_ahead_is_told_from_one_that_does_not(tiny_frames, tiny_log):
    moment = tiny_frames["rooms"]["starts_at"].max()
    keys = tiny_frames["items"][["item_id"]].assign(as_of=moment)
    features = FeatureSet((ItemHeat(), EveryClick()))
    whole, cut = features.compute(tiny_log, keys), features.compute(tiny_log.before(moment), keys)
    assert [leak.column for leak in changed_by_the_future(whole, cut)] == ["every_click"]


def test_what_is_found_is_an_error_with_its_evidence(rng):
    train, _ = sides(rng)
    found = find_leaks(train.assign(paid=train["clicked"]), Columns("clicked", ("price", "paid")), rng)
    with pytest.raises(EvaluationError, match=r"1 found: 'paid': copy of the label: .* correlation 1\.0000"):
        refuse_leaks(found)


def test_rows_are_not_changed_and_the_answer_hangs_on_the_seed_alone(rng):
    train, test = sides(rng)
    train = train.assign(planted=train["clicked"] + rng.normal(0, 0.25, len(train)))
    before = train.copy(deep=True)
    columns = Columns("clicked", ("planted",), as_of="as_of")
    one, other = (find_leaks(train, columns, np.random.default_rng(3), test=test) for _ in range(2))
    assert one == other
    pd.testing.assert_frame_equal(train, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="price"), "train lacks \\['price'\\]"),
        (lambda rows: rows.assign(clicked=rows["clicked"] & (rows.index < 40)), "at least 20 of each"),
        (lambda rows: rows.assign(clicked=2 * rows["clicked"]), "neither true nor false"),
    ],
)
def test_wrong_tables_are_named(change, message, rng):
    train, test = sides(rng)
    with pytest.raises(EvaluationError, match=message):
        find_leaks(change(train), COLUMNS, rng, test=test)


@pytest.mark.parametrize("make", [lambda: Limits(auc=1.0), lambda: Limits(id_auc=0.5), lambda: Limits(least=1)])
def test_limits_out_of_bounds_are_refused(make):
    with pytest.raises(EvaluationError, match="Limits"):
        make()


def test_quality_counts_gaps_values_and_what_is_new():
    train = pd.DataFrame({"brand": ["a", "a", None, "b"], "shop": "x"})
    test = pd.DataFrame({"brand": ["a", "c", None, None], "shop": ["x", "x", "y", "x"]})
    report = quality_report(train, test).set_index("column")
    assert report.loc["brand", ["missing", "distinct", "missing_test", "new_in_test"]].tolist() == [0.25, 2, 0.5, 0.25]
    assert report["constant"].tolist() == [False, True]
    assert report.loc["shop", "new_in_test"] == 0.25
