from __future__ import annotations

import pandas as pd
import pytest

from beautyrec.campaign.compare import COST, HEAD, GlobalTime, LeaveLastOut, compare, last_days
from beautyrec.campaign.lift_from_log import LiftFromLog
from beautyrec.campaign.policy_lift import HeldRooms, shelf_scores
from beautyrec.campaign.ranking_study import METRICS, rank_models
from beautyrec.campaign.segments import ItemWarmth
from beautyrec.data.log import EventLog
from beautyrec.data.splits import leave_last_out
from beautyrec.errors import ConfigError, EvaluationError
from beautyrec.evaluation.multiple import holm
from beautyrec.features.context import Position
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import PriceInCategory
from beautyrec.models.funnel import Boosting, Funnel
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.lightfm import LightFM
from beautyrec.models.popularity import Popularity
from beautyrec.policies.softmax import Softmax
from beautyrec.simulate.world import World

MODELS = {"popularity": Popularity(), "item_knn": ItemKNN()}


@pytest.fixture(scope="module")
def log() -> EventLog:
    return World.tiny(0).log()


def test_leave_last_out_gives_the_numbers_of_the_ranking_study(log):
    table = compare(MODELS, log, LeaveLastOut(k=5, permutations=199))
    assert list(table.columns[: len(HEAD)]) == list(HEAD)
    assert table[list(HEAD)].notna().all(axis=None)
    expected = rank_models(MODELS, leave_last_out(log.interactions()), protocol="x", k=5).set_index("model")
    for (model, metric), rows in table.groupby(["model", "metric"]):
        assert rows["value"].item() == pytest.approx(expected.loc[model, metric])
    assert set(table["metric"]) == set(METRICS)
    assert list(table.columns[-2:]) == list(COST)
    assert len(table[["model", *COST]].drop_duplicates()) == len(MODELS), "one fit and one ranking a model"
    assert (table[list(COST)] > 0).all(axis=None)


def test_the_first_model_is_what_the_others_are_tested_against(log):
    models = {**MODELS, "again": Popularity()}
    table = compare(models, log, LeaveLastOut(k=5, permutations=199, segment=ItemWarmth()), seed=3)
    tested = table[table["p_value"].notna()]
    assert set(tested["model"]) == {"item_knn", "again"}
    assert set(tested["segment"]) == {"all"}
    assert set(tested["against"]) == {"popularity"}
    assert table["test"].str.endswith("by warmth of the item").all()
    assert tested["p_adjusted"].tolist() == holm(tested["p_value"].astype(float)).tolist()
    same = tested[tested["model"] == "again"]
    assert (same["difference"] == 0).all()
    assert (same["p_value"] == 1).all(), "a model is not different from itself"
    wide = table[table["segment"] == "all"].pivot_table(index="metric", columns="model", values="value")
    knn = tested[tested["model"] == "item_knn"].set_index("metric")["difference"]
    difference = (wide["item_knn"] - wide["popularity"])[knn.index]
    pd.testing.assert_series_equal(knn.astype(float), difference.astype(float), check_names=False)


def test_global_time_lets_models_know_what_was_available_and_no_more(log):
    late = log.engine.frame(log.events)
    cutoff = last_days(log, 2)
    before = (late["ts"] < cutoff) & (late["event"] == "order")
    some = late[before].tail(40).index
    late.loc[some, "available_at"] = cutoff + pd.Timedelta("1h")
    tables = {name: log.engine.frame(getattr(log, name)) for name in ("items", "users", "rooms", "shelves")}
    delayed = EventLog.from_frames(late, **tables)
    (split, text), (plain, _) = (GlobalTime(test_days=2).split(each) for each in (delayed, log))
    assert len(plain.train) - len(split.train) == 40
    assert len(plain.test) == len(split.test), "what was only reported late is not in the test"
    assert f"{cutoff:%Y-%m-%d %H:%M}" in text
    assert f"{len(split.train):,} events" in text
    assert split.train.ts.max() < int(cutoff.timestamp() * 1e6) <= split.test.ts.min()


def test_a_cutoff_may_be_named(log):
    cutoff = last_days(log, 2)
    by_days, by_name = (GlobalTime(test_days=2), GlobalTime(cutoff=cutoff.isoformat()))
    assert by_days.split(log)[1] == by_name.split(log)[1]
    with pytest.raises(EvaluationError, match="both sides need some"):
        GlobalTime(cutoff="1999-01-01T00:00Z").split(log)
    with pytest.raises(ConfigError, match="at least 1 day"):
        last_days(log, 0)


def test_lift_from_log_is_what_is_done_by_hand(log):
    cutoff, policy = last_days(log, 2), Softmax(temperature=0.5)
    table = compare(MODELS, log, LiftFromLog(policy, test_days=2), seed=4)
    slates = log.slates()
    later = slates.where(slates.ts >= int(cutoff.timestamp() * 1e6))
    model = ItemKNN().fit(log.before(cutoff).interactions(), seed=4)
    expected = HeldRooms.of(later, seed=4).lift(policy.probabilities(shelf_scores(model, later)))
    mine = table[table["model"] == "item_knn"].drop(columns=list(HEAD)).reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, expected)
    assert table["protocol"].unique().tolist() == ["lift from the log"]
    assert table["k"].unique().tolist() == [later.shown.shape[1]]
    assert f"{len(later):,} requests" in table["test"].iloc[0]


def test_a_funnel_model_is_valued_by_lift_and_does_not_rank(log, monkeypatch):
    small = FeatureSet((PriceInCategory(), Position()))  # the whole family takes its time
    monkeypatch.setattr("beautyrec.campaign.lift_from_log.first_family", lambda scenes: small)
    funnel = Funnel(click=Boosting(trees=5, rows_a_leaf=50), order=Boosting(trees=5, rows_a_leaf=20))
    table = compare({"funnel": funnel}, log, LiftFromLog(test_days=2, warm_up_days=1))
    assert table["estimate"].notna().any()
    with pytest.raises(ConfigError, match=r"'funnel'.* Use LiftFromLog"):
        compare({"funnel": funnel, **MODELS}, log, LeaveLastOut())


def test_a_model_whose_library_is_absent_says_so(log, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lightfm", None)
    models = {"hybrid": LightFM(), **MODELS}
    ranking = compare(models, log, LeaveLastOut(k=5, permutations=99))
    row = ranking[ranking["model"] == "hybrid"].iloc[0]
    assert "pip install 'beautyrec[hybrid]'" in row["note"]
    assert row["value"] is pd.NA
    assert set(ranking["against"].dropna()) == {"popularity"}
    lift = compare(models, log, LiftFromLog(test_days=2))
    row = lift[lift["model"] == "hybrid"].iloc[0]
    assert (row["verdict"], "hybrid" in row["reasons"]) == ("refuse", True)


def test_nothing_to_compare_is_an_error(log):
    with pytest.raises(ConfigError, match="no model"):
        compare({}, log, LeaveLastOut())
    with pytest.raises(EvaluationError, match="no request came after"):
        compare(MODELS, log, LiftFromLog(cutoff="2030-01-01T00:00Z"))
