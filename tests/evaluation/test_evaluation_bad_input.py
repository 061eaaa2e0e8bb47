"""What cannot be judged gives a named error, or a refusal with its reason; never a number that is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError, FitError
from beautyrec.evaluation import list_quality, prediction, ranking
from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.estimate import Verdict
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.experiments import read_out
from beautyrec.evaluation.folds import check_unseen, deal
from beautyrec.evaluation.intervals import Jackknife
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.measure import Measure
from beautyrec.evaluation.off_policy import DR, IPS, SNDR, SNIPS, ClippedIPS
from beautyrec.evaluation.ranking_table import ranking_table
from beautyrec.evaluation.ranking_values import ItemFacts, ranking_values
from beautyrec.evaluation.reward_model import ItemPositionRates
from beautyrec.models.top_k import best_columns

NUMBERS = ["target", "logging", "estimate", "ci_low", "ci_high", "effective_n"]


def slates(n=400, k=2, **changes):
    """Slates of known chances; what is in ``changes`` is put in place of the good input."""
    rng = np.random.default_rng(0)
    clicked = (rng.random((n, k)) < 0.3).astype(float)
    ordered = clicked * (rng.random((n, k)) < 0.5)
    good = {
        "target": rng.uniform(0.2, 0.6, (n, k)),
        "logging": np.full((n, k), 0.4),
        "outcomes": Outcomes(clicked, ordered, ordered * 9.0),
        "cluster": np.arange(n) // 2,
    }
    return SlateEvidence.of(**good | changes)


def with_one(value, n=400, k=2):
    array = np.full((n, k), 0.4)
    array[3, 1] = value
    return array


# ---- propensities -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -0.1, 1.1, np.nan, np.inf])
def test_propensities_that_cannot_be_are_counted_and_placed(value):
    with pytest.raises(EvaluationError, match=r"logging: 1 of 800 chances are outside \(0, 1\].*row 3, position 2"):
        slates(logging=with_one(value))


def test_a_propensity_far_below_what_a_float_tells_from_zero_is_a_weight_that_cannot_be():
    with pytest.raises(EvaluationError, match="weight: 1 of 800 values"):
        slates(logging=with_one(1e-30))


def test_chances_of_a_round_that_do_not_sum_to_one_are_counted():
    logging = np.full((5, 4), 0.25)
    logging[2, 0] = 0.5
    with pytest.raises(EvaluationError, match="logging: the chances of 1 of 5 rounds do not sum to 1; row 2 sums to 1"):
        BanditLog(np.zeros(5, dtype=np.int64), Outcomes(np.ones(5)), logging)
    log = BanditLog(np.zeros(5, dtype=np.int64), Outcomes(np.ones(5)), np.full((5, 4), 0.25))
    with pytest.raises(EvaluationError, match="target: the chances of 1 of 5"):
        log.evidence(logging)


def test_target_probabilities_of_another_shape_are_named():
    with pytest.raises(EvaluationError, match="differ in shape"):
        slates(target=np.full((400, 3), 0.2))
    log = BanditLog(np.zeros(5, dtype=np.int64), Outcomes(np.ones(5)), np.full((5, 4), 0.25))
    with pytest.raises(EvaluationError, match="they must agree"):
        log.evidence(np.full((5, 2), 0.5))


# ---- outcomes, clusters, weights ----------------------------------------------------------------------------------


def refused(evidence, reason, **settings):
    """The table, after every row was refused for the reason and every number in it is one."""
    table = lift_table(evidence, **settings)
    assert set(table["verdict"]) == {"refuse"}
    assert table["reasons"].str.contains(reason).all()
    assert_only_numbers(table)
    return table


def assert_only_numbers(table):
    for name in NUMBERS:
        assert np.isfinite(table[name].dropna().to_numpy(float)).all(), name
        assert table.loc[table["verdict"] != "refuse", name].notna().all(), name
    assert "nan" not in table.to_string().lower()


def test_no_clicks_and_no_orders_are_refused():
    zeros = np.zeros((400, 2))
    table = refused(slates(outcomes=Outcomes(zeros, zeros, zeros)), "there are no (?:clicks|orders) in the log")
    assert table["estimate"].isna().all()
    clicks = lift_table(slates(outcomes=Outcomes(np.ones((400, 2)), zeros, zeros))).set_index("metric")
    assert clicks.loc["ctr", "verdict"] != "refuse"
    assert set(clicks.drop(index="ctr")["verdict"]) == {"refuse"}


def test_one_cluster_has_no_interval():
    table = refused(slates(cluster=np.zeros(400)), "1 independent clusters")
    assert table[["estimate", "ci_low", "ci_high"]].isna().all(axis=None)


def test_weights_of_zero_are_a_target_without_support():
    evidence = slates(target=np.zeros((400, 2)))
    table = refused(evidence, "worth 0 impressions", estimators=(SNIPS(),))
    assert table["estimate"].isna().all()
    refused(evidence, "weights average 0", estimators=(IPS(),))


def test_infinite_revenue_is_named():
    clicked = np.ones((400, 2))
    for value in (np.inf, np.nan, 1e200, -1.0):
        with pytest.raises(EvaluationError, match="revenue: 1 of 800 values"):
            slates(outcomes=Outcomes(clicked, clicked, with_one(value)))


def test_nothing_shown_at_all_is_named_and_a_user_who_was_shown_nothing_is_no_impression():
    with pytest.raises(EvaluationError, match="nothing was shown in any of 400 rows"):
        slates(shown=np.zeros((400, 2), dtype=bool))
    shown = np.ones((400, 2), dtype=bool)
    shown[:100] = False
    table = lift_table(slates(shown=shown))
    assert set(table["n"]) == {600}
    assert_only_numbers(table)


def test_empty_logs_and_tables_are_named():
    empty = np.empty((0, 2))
    with pytest.raises(EvaluationError, match="B above 0"):
        slates(target=empty, logging=empty, outcomes=Outcomes(empty), cluster=np.empty(0))
    with pytest.raises(EvaluationError, match="n above 0"):
        BanditLog(np.empty(0, dtype=np.int64), Outcomes(np.empty(0)), np.empty((0, 3)))
    with pytest.raises(EvaluationError, match="0 values"):
        ranking_table({"recall": np.empty(0)})


def test_values_too_far_apart_for_an_interval_are_named():
    with pytest.raises(EvaluationError, match="too few events"):
        Jackknife.of(np.array([[1e300], [1.0], [-1e300]]), lambda means: means[0])


@st.composite
def logs(draw):
    """Logs of all kinds, most of them of no use."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k = draw(st.integers(1, 80)), draw(st.integers(1, 3))
    logging = draw(
        st.sampled_from([np.ones((n, k)), rng.uniform(0.01, 1, (n, k)), 10.0 ** -rng.integers(0, 14, (n, k))])
    )
    target = draw(
        st.sampled_from([np.zeros((n, k)), np.ones((n, k)), rng.random((n, k)), 1.0 * (rng.random((n, k)) < 0.1)])
    )
    clicked = (rng.random((n, k)) < draw(st.sampled_from([0.0, 0.1, 1.0]))).astype(float)
    ordered = clicked * (rng.random((n, k)) < draw(st.sampled_from([0.0, 0.3, 1.0])))
    shown = rng.random((n, k)) < draw(st.sampled_from([0.3, 1.0]))
    shown[0, 0] = True
    guess = tuple(Outcomes(*rng.random((3, n, k))) for _ in range(2))
    return SlateEvidence.of(
        target=target,
        logging=logging,
        outcomes=Outcomes(clicked, ordered, ordered * draw(st.sampled_from([0.0, 1e-6, 30.0, 1e12]))),
        cluster=rng.integers(0, draw(st.sampled_from([1, 2, 10**6])), n),
        shown=shown,
        expected=draw(st.sampled_from([None, guess])),
    )


@settings(deadline=None, max_examples=60)
@given(evidence=logs())
def test_a_table_never_holds_a_number_that_is_none(evidence):
    plain = (IPS(), SNIPS(), ClippedIPS(3.0))
    table = lift_table(evidence, estimators=plain if evidence.expected_logged is None else (*plain, DR(), SNDR()))
    assert_only_numbers(table)
    missing = table[NUMBERS[:5]].isna().any(axis=1)
    assert (table.loc[missing, "reasons"] != "").all()


# ---- a model of the outcomes that has seen what it is to predict ---------------------------------------------------


def test_a_model_that_was_fitted_with_a_cluster_it_values_is_found_out():
    cluster = np.array([7, 7, 8, 9])
    fold = np.array([0, 0, 1, 1])
    check_unseen(cluster, fold, [np.array([8, 9]), np.array([7])])
    with pytest.raises(
        EvaluationError, match="fold 1 was fitted with 1 of the clusters that it is to value, the first is"
    ):
        check_unseen(cluster, fold, [np.array([8, 9]), np.array([7, 9])])
    with pytest.raises(EvaluationError, match="1 of 3 clusters are spread over several folds"):
        check_unseen(cluster, np.array([0, 1, 1, 1]), [np.array([8, 9]), np.array([7])])
    with pytest.raises(EvaluationError, match="folds are from 0 to 1; there are 1 models"):
        check_unseen(cluster, fold, [np.array([8])])
    with pytest.raises(EvaluationError, match=r"shape \(3,\)"):
        check_unseen(cluster, fold[:3], [np.array([8]), np.array([7])])


def test_the_own_model_passes_and_its_folds_exchanged_do_not():
    rng = np.random.default_rng(0)
    shown, cluster = rng.integers(0, 5, (200, 2)), rng.integers(0, 60, 200)
    model = ItemPositionRates(folds=3).fit(shown, Outcomes(np.ones((200, 2))), cluster, 5)
    model.check(cluster)
    np.testing.assert_array_equal(model.fold, deal(cluster, 3, 0))
    with pytest.raises(EvaluationError, match="was fitted with"):
        replace(model, fold=(model.fold + 1) % 3).check(cluster)
    with pytest.raises(EvaluationError, match="spread over several folds"):
        model.check(rng.permutation(cluster))


# ---- ranking ------------------------------------------------------------------------------------------------------

FACTS = ItemFacts(np.ones(6), np.zeros(6, dtype=np.int64))


@pytest.mark.parametrize(
    ("lists", "indptr", "relevant", "says"),
    [
        (np.empty((2, 0), dtype=np.int64), [0, 1, 2], [1, 2], "k at least 1"),
        ([1, 2], [0, 1, 2], [1, 2], "k at least 1"),
        ([[1], [2]], [0, 0, 1], [1], "1 of 2 requests have no relevant item"),
        (np.empty((0, 3), dtype=np.int64), [0], [], "0 lists and 0 sets"),
        ([[1, 1]], [0, 1], [1], "1 of 1 lists name an item twice"),
        ([[1, -2]], [0, 1], [1], "lists name 1 indices below -1"),
        ([[1, 2]], [0, 1], [-1], "relevant are 1 indices below 0"),
        ([[0.5, np.nan]], [0, 1], [1], "not scores"),
        ([[1], [2]], [0, 2, 1], [1], "1 steps down"),
        ([[1], [2]], [0, 1, 2], [1, 2, 3], "must rise from 0 to 3"),
        ([[1, 9]], [0, 1], [1], "lists name item 9"),
        ([[1, 2]], [0, 1], [9], "item 9 is relevant"),
    ],
)
def test_lists_that_cannot_be_judged_are_named(lists, indptr, relevant, says):
    with pytest.raises(EvaluationError, match=says):
        ranking_values(np.asarray(lists), np.array(indptr), np.array(relevant, dtype=np.int64), FACTS)


def test_groups_that_end_before_the_items_are_named():
    with pytest.raises(EvaluationError, match="groups for 2 items"):
        list_quality.diversity(np.array([[0, 2]]), np.array([0, 1]))


def test_a_user_who_was_shown_nothing_has_values_of_zero():
    values = ranking_values(np.array([[-1, -1], [2, 3]]), np.array([0, 1, 2]), np.array([1, 2]), FACTS)
    bias = values.pop("popularity_bias")
    assert bias[0] == -0.5  # nothing listed against an item of middling popularity
    for name, of_requests in values.items():
        first = of_requests.above[0] if isinstance(of_requests, list_quality.Ratio) else of_requests[0]
        assert first == 0, name


def test_values_that_are_not_numbers_have_no_mean():
    with pytest.raises(EvaluationError, match="1 of them not finite"):
        ranking.mean_estimate(np.array([0.1, np.nan, 0.2]), "recall@10")


def test_scores_that_are_not_numbers_rank_nothing():
    with pytest.raises(FitError, match="1 of 2 rows"):
        best_columns(np.array([[0.1, 0.2], [np.nan, 0.3]], dtype=np.float32), 1)


# ---- prediction ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [prediction.log_loss, prediction.brier, prediction.calibration_error])
@pytest.mark.parametrize(
    ("predicted", "happened", "says"),
    [
        ([0.5, 1.1], [True, False], "1 of 2 predictions are outside"),
        ([0.5, -0.1], [True, False], "1 of 2 predictions are outside"),
        ([0.5, np.nan], [True, False], "1 of 2 predictions are NaN"),
        ([0.5], [True, False], "shapes"),
        ([], [], "at least one row"),
    ],
)
def test_predictions_that_cannot_be_judged_are_named(metric, predicted, happened, says):
    with pytest.raises(EvaluationError, match=says):
        metric(predicted, happened)


@pytest.mark.parametrize("happened", [[True, True], [False, False]])
def test_one_class_only_has_no_auc_and_the_table_says_why(happened):
    with pytest.raises(EvaluationError, match="it needs some of each"):
        prediction.auc([0.1, 0.2], happened)
    chances = pd.DataFrame({"ctr": [0.1, 0.2], "cvr": [0.5, 0.5], "ctcvr": [0.05, 0.1]})
    table = prediction.funnel_quality(chances, np.array(happened), np.array(happened))
    assert table["auc"].isna().all()
    assert (table["note"] != "").all()
    assert "nan" not in table.to_string().lower()


def test_tables_of_unequal_length_are_named():
    chances = pd.DataFrame({"ctr": [0.1, 0.2], "cvr": [0.5, 0.5], "ctcvr": [0.05, 0.1]})
    with pytest.raises(EvaluationError, match="2 rows, clicked"):
        prediction.funnel_quality(chances, np.array([True]), np.array([True, False]))


# ---- experiments --------------------------------------------------------------------------------------------------

CLICKS = Measure("clicks per user", "clicks")


def arms(n=400, share=0.5):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"variant": np.where(np.arange(n) < share * n, "new", "old"), "clicks": rng.poisson(2.0, n)})


def test_a_test_of_one_arm_is_named():
    pytest.importorskip("tea_tasting", reason="needs the extra 'experiments'")
    for users in (arms().assign(variant="old"), arms().assign(variant="new"), arms().iloc[:0]):
        with pytest.raises(EvaluationError, match="there must be 'old' and one other"):
            read_out(users, [CLICKS], control="old")


@pytest.mark.parametrize("clicks", [0, 3])
def test_a_measure_that_does_not_vary_leaves_no_number_that_is_none(clicks):
    pytest.importorskip("tea_tasting", reason="needs the extra 'experiments'")
    table = read_out(arms().assign(clicks=clicks), [CLICKS], control="old").table()
    assert_only_numbers(table)
    assert np.isfinite(table[["p_value", "p_adjusted"]].to_numpy(float)).all()
    if not clicks:
        assert table["verdict"].tolist() == ["refuse"]


def test_shares_that_are_not_those_set_up_refuse_the_test():
    pytest.importorskip("tea_tasting", reason="needs the extra 'experiments'")
    found = read_out(arms(share=0.3), [CLICKS], control="old")
    assert found.lifts[0].verdict is Verdict.REFUSE
    assert "users are lost" in found.lifts[0].reasons[0]
