"""Lift from Parquet in one pass: the same as in memory, whatever the parts; and what it refuses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError, SchemaError, SourceError
from beautyrec.evaluation import one_pass
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.intervals import LEAVE_ONE_OUT, Delta, EmpiricalBernstein, PoissonBootstrap
from beautyrec.evaluation.lift import Rules, lifts
from beautyrec.evaluation.metrics import METRICS, ROOM_CONVERSION
from beautyrec.evaluation.off_policy import DM, DR, IPS, SNDR, SNIPS, ClippedIPS, RegressedDR
from beautyrec.evaluation.one_pass import LogColumns, lift_from_parquet
from beautyrec.evaluation.overlap import Overlap
from beautyrec.evaluation.tally import DistinctIds, Tally, hashes
from beautyrec.evaluation.weight_sums import WeightSums

OUTCOMES = ("clicked", "ordered", "revenue")
COLUMNS = LogColumns(
    target="wanted",
    ordered="ordered",
    revenue="revenue",
    expected={name: (f"q_{name}", f"v_{name}") for name in OUTCOMES},
)


def log(n=3000, users=60, seed=0):
    rng = np.random.default_rng(seed)
    propensity = rng.uniform(0.1, 0.5, n)
    clicked = rng.random(n) < 0.3
    ordered = clicked & (rng.random(n) < 0.5)
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(-users, users, n) * 7919,
            "propensity": propensity,
            "wanted": propensity * rng.uniform(0.2, 1.8, n),
            "clicked": clicked,
            "ordered": ordered.astype(np.int32),
            "revenue": np.where(ordered, rng.lognormal(2, 1, n), 0.0),
        }
    )
    for name, part in zip(OUTCOMES, (0.3, 0.15, 1.5), strict=True):
        frame[f"q_{name}"] = part * rng.uniform(0.5, 1.5, n)
        frame[f"v_{name}"] = part * rng.uniform(0.9, 1.1, n)
    return frame


def in_memory(frame):
    column = lambda name: frame[name].to_numpy(np.float64)[:, None]  # noqa: E731
    return SlateEvidence.of(
        target=column("wanted"),
        logging=column("propensity"),
        outcomes=Outcomes(*(column(name) for name in OUTCOMES)),
        cluster=frame["user_id"].to_numpy(),
        expected=tuple(Outcomes(*(column(f"{side}_{name}") for name in OUTCOMES)) for side in "qv"),
    )


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.metric, one.estimator) == (other.metric, other.estimator)
        assert one.target == pytest.approx(other.target, rel=1e-12)
        assert one.logging == pytest.approx(other.logging, rel=1e-12)
        assert one.effective_n == pytest.approx(other.effective_n, rel=1e-12)
        assert one.verdict == other.verdict
        assert one.reasons == other.reasons
        assert one.estimate.value == pytest.approx(other.estimate.value, rel=1e-9, abs=1e-12)
        assert one.estimate.ci_low == pytest.approx(other.estimate.ci_low, rel=1e-9)
        assert one.estimate.ci_high == pytest.approx(other.estimate.ci_high, rel=1e-9)
        assert (one.estimate.n, one.estimate.method) == (other.estimate.n, other.estimate.method)


def write(frame, folder, files=1):
    for number, part in enumerate(np.array_split(np.arange(len(frame)), files)):
        frame.iloc[part].to_parquet(folder / f"part-{number}.parquet", row_group_size=700)
    return folder


@pytest.mark.parametrize("interval", [LEAVE_ONE_OUT, Delta(), EmpiricalBernstein(2, 60, 1, 1000.0)])
def test_it_gives_what_the_same_rows_give_in_memory(interval, tmp_path, monkeypatch):
    monkeypatch.setattr(one_pass, "_AT_ONCE", 256)
    frame = log()
    estimators = (IPS(), SNIPS(), DM(), DR(), SNDR(), ClippedIPS(1.5))
    metrics = [metric for metric in METRICS if metric is not ROOM_CONVERSION]
    found = lift_from_parquet(
        write(frame, tmp_path, files=3), COLUMNS, estimators=estimators, metrics=metrics, rules=Rules(interval)
    )
    expected = lifts(in_memory(frame), estimators=estimators, metrics=metrics, interval=interval)
    if isinstance(interval, EmpiricalBernstein):  # some are refused, for the same reasons
        assert [lift.reasons for lift in found] == [lift.reasons for lift in expected]
        pairs = [pair for pair in zip(found, expected, strict=True) if pair[1].estimate is not None]
        found, expected = zip(*pairs, strict=True)
    same(found, expected)


def test_metrics_of_viewers_are_had_when_asked_for(tmp_path):
    frame = log()
    found = lift_from_parquet(write(frame, tmp_path), COLUMNS, metrics=METRICS)
    same(found, lifts(in_memory(frame), metrics=METRICS))
    assert {lift.metric for lift in lift_from_parquet(tmp_path, COLUMNS)} == {
        "ctr", "cvr", "ctcvr", "revenue_per_impression"
    }  # fmt: skip


def test_buckets_that_hold_many_clusters_give_the_values_and_about_the_width(tmp_path):
    frame = log(n=20_000, users=5000)
    found = lift_from_parquet(write(frame, tmp_path), COLUMNS, buckets=1024)
    expected = lifts(in_memory(frame))
    by_name = {(lift.metric, lift.estimator): lift for lift in expected}
    for lift in found:
        other = by_name[lift.metric, lift.estimator]
        assert lift.target == pytest.approx(other.target, rel=1e-12)
        assert lift.estimate.n == other.estimate.n
        width, of = (each.estimate.ci_high - each.estimate.ci_low for each in (lift, other))
        assert width == pytest.approx(of, rel=5 / np.sqrt(2 * 1024))
    boot = lift_from_parquet(tmp_path, COLUMNS, rules=Rules(PoissonBootstrap(seed=0)), buckets=1024)
    assert boot[0].estimate.ci_low < found[0].estimate.value < boot[0].estimate.ci_high
    bounds = Rules(EmpiricalBernstein(2, 100, 1, 1000.0))
    assert "buckets" in " ".join(lift_from_parquet(tmp_path, COLUMNS, rules=bounds, buckets=1024)[0].reasons)


@pytest.mark.parametrize("kind", ["string", "dictionary", "int32", "uint64"])
def test_ids_are_whole_numbers_or_texts(kind, tmp_path):
    frame = log(n=500)
    frame["user_id"] = frame["user_id"].abs()
    expected = lifts(in_memory(frame), metrics=METRICS[:1])
    ids = pa.array(frame["user_id"].astype(str) if kind in ("string", "dictionary") else frame["user_id"])
    ids = ids.dictionary_encode() if kind == "dictionary" else ids.cast(kind)
    table = pa.Table.from_pandas(frame).set_column(0, "user_id", ids)
    pq.write_table(table, tmp_path / "log.parquet")
    same(lift_from_parquet(tmp_path / "log.parquet", COLUMNS, metrics=METRICS[:1]), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 199), st.integers(1, 20), st.integers(0, 1000))
def test_two_parts_merge_into_the_tally_of_all(at, users, seed):
    frame = log(200, users, seed)

    def tally(part):
        return Tally.of(in_memory(part), hashes(part["user_id"].to_numpy()), (SNIPS(), DR()), 512, 7)

    whole, left, right = (tally(part) for part in (frame, frame.iloc[:at], frame.iloc[at:]))
    for merged in (left + right, right + left):
        assert merged.clusters == whole.clusters == frame["user_id"].nunique()
        for name, columns in whole.sums.items():
            assert merged.sums[name].keys() == columns.keys()
            for column, sums in columns.items():
                np.testing.assert_allclose(merged.sums[name][column], sums, rtol=1e-12, atol=1e-12)
        one, other = merged.overlap(), whole.overlap()
        for field in ("mean_weight", "mean_weight_z", "effective_n", "largest_weight", "top_share"):
            assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-9)
        assert one.events == other.events
        assert one.effective_events == pytest.approx(other.effective_events, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=6), st.integers(1, 9), st.integers(0, 1000))
def test_weights_of_parts_in_any_cut_merge_into_those_of_all(sizes, keep, seed):
    evidence = in_memory(log(sum(sizes) + 1, 5, seed))
    ends = np.cumsum([0, *sizes, 1])
    row = np.arange(ends[-1])
    cuts = [evidence.where((row >= a) & (row < b)) for a, b in pairwise(ends) if b > a]
    merged, whole = WeightSums.of(cuts[0], keep), WeightSums.of(evidence, keep)
    for part in cuts[1:]:
        merged = merged + WeightSums.of(part, keep)
    assert merged.impressions == whole.impressions
    assert merged.total == pytest.approx(whole.total)
    assert merged.squares == pytest.approx(whole.squares)
    np.testing.assert_array_equal(np.sort(merged.heaviest), np.sort(evidence.weight[:, 0])[-keep:])
    assert merged.events == whole.events


def test_the_overlap_of_a_log_is_its_definition():
    evidence = in_memory(log())
    weight, clicked = evidence.weight[:, 0], evidence.outcomes.clicked[:, 0]
    overlap = Overlap.of(evidence)
    assert overlap.effective_n == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert overlap.top_share == pytest.approx(np.sort(weight)[-30:].sum() / weight.sum())
    assert overlap.largest_share == pytest.approx(weight.max() / weight.sum())
    assert overlap.effective_events["clicked"] == pytest.approx(
        (weight * clicked).sum() ** 2 / ((weight * clicked) ** 2).sum()
    )
    assert overlap.events["clicked"] == clicked.sum()


def test_different_ids_are_counted_exactly_and_then_nearly():
    ids = np.random.default_rng(0).integers(0, 2**62, 30_000)
    assert DistinctIds.of(hashes(np.repeat(ids, 2))).count == len(np.unique(ids))
    parts = [DistinctIds.of(hashes(part), kept=1024) for part in np.array_split(ids, 7)]
    merged = sum(parts[1:], parts[0])
    assert merged.count == DistinctIds.of(hashes(ids), kept=1024).count
    assert merged.count == pytest.approx(30_000, rel=4 / np.sqrt(1024))


def test_a_hash_is_the_same_in_every_process_and_spreads_whole_numbers():
    assert hashes(np.array([1, 2])).tolist() == [6238072747940578789, 15839785061582574730]
    bucket = hashes(np.arange(64_000)) % np.uint64(64)
    counts = np.bincount(bucket.astype(np.int64))
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda f: f.drop(columns="wanted"), SchemaError, r"columns \['wanted'\] are missing"),
        (lambda f: f.assign(propensity="high"), SchemaError, "column 'propensity' is of type .*numbers are needed"),
        (lambda f: f.assign(user_id=f["user_id"] * 0.5), SchemaError, "ids are whole numbers or texts"),
        (
            lambda f: f.assign(user_id=f["user_id"].astype("Int64").where(f.index > 2)),
            EvaluationError,
            "3 ids are missing",
        ),
        (lambda f: f.assign(propensity=0.0), EvaluationError, r"rows 0 to 2,999.*3000 of 3000 chances are outside"),
        (lambda f: f.assign(propensity=f["propensity"].where(f.index != 2600)), EvaluationError, "1 of 3000 chances"),
        (lambda f: f.assign(clicked=2), EvaluationError, "clicked: 3000 of 3000 values"),
        (lambda f: f.assign(revenue=f["revenue"].where(f.index != 5)), EvaluationError, "revenue: 1 of 3000"),
        (lambda f: f.iloc[:0], EvaluationError, "has no rows"),
    ],
)
def test_bad_rows_are_named(change, error, says, tmp_path):
    change(log()).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(error, match=says):
        lift_from_parquet(tmp_path / "log.parquet", COLUMNS)


def test_bad_requests_are_named(tmp_path):
    write(log(100), tmp_path)
    with pytest.raises(SourceError, match="is not there"):
        lift_from_parquet(tmp_path / "none.parquet", COLUMNS)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        lift_from_parquet(tmp_path / "text.parquet", COLUMNS)
    path = tmp_path / "part-0.parquet"
    with pytest.raises(EvaluationError, match=r"\['regressed_dr'\] need the whole log"):
        lift_from_parquet(path, COLUMNS, estimators=(RegressedDR(),))
    with pytest.raises(EvaluationError, match="a name may be there only once"):
        lift_from_parquet(path, COLUMNS, estimators=(ClippedIPS(2), ClippedIPS(3)))
    with pytest.raises(EvaluationError, match="buckets is 1"):
        lift_from_parquet(path, COLUMNS, buckets=1)
    with pytest.raises(EvaluationError, match="'cvr' needs"):
        lift_from_parquet(path, LogColumns(target="wanted"), metrics=METRICS[:2])
    with pytest.raises(EvaluationError, match="a model is of all outcomes or none"):
        LogColumns(ordered="ordered", expected={"clicked": ("q_clicked", "v_clicked")})
    part = in_memory(log(10))
    with pytest.raises(EvaluationError, match="cannot be merged"):
        WeightSums.of(part, 1) + WeightSums.of(part, 2)


def test_one_cluster_is_refused_with_its_reason(tmp_path):
    log().assign(user_id=5).to_parquet(tmp_path / "log.parquet")
    lift = lift_from_parquet(tmp_path, COLUMNS)[0]
    assert lift.estimate is None
    assert any("at least 2 clusters; there is 1" in reason for reason in lift.reasons)
    assert lift.target is not None
