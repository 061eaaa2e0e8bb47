from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from beautyrec.errors import ArtifactError, ConfigError, FitError, SchemaError
from beautyrec.models.funnel import Boosting, Funnel, TreeFunnelModel
from beautyrec.models.state import ModelState
from beautyrec.models.trees import CHUNK_ROWS, TreeEnsemble

FEATURES = ("heat", "price", "position")
SMALL = Funnel(click=Boosting(trees=30, rows_a_leaf=100), order=Boosting(20, 4, 0.1, 5.0, 30), negatives_a_click=8.0)


def impressions(n, seed=0, rate=-3.0):
    """Impressions whose true chances are known, in the columns ``true_ctr`` and ``true_cvr``."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"heat": rng.normal(size=n), "price": rng.normal(size=n), "position": rng.integers(1, 11, n)})
    rows["true_ctr"] = expit(rate + rows["heat"] - 0.1 * rows["position"])
    rows["true_cvr"] = expit(-1.0 - rows["price"])
    rows["clicked"] = rng.random(n) < rows["true_ctr"]
    rows["ordered"] = rows["clicked"] & (rng.random(n) < rows["true_cvr"])
    rows["ts"] = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(np.arange(n), unit="s")
    return rows.assign(price=rows["price"].where(rng.random(n) > 0.1))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Several threads are slower on trees this small."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def train():
    return impressions(60_000)


@pytest.fixture(scope="module")
def model(train):
    return SMALL.fit(train, features=FEATURES, seed=1)


@pytest.mark.parametrize("leaves", [2, 3, 7, 16])
@pytest.mark.parametrize("trees", [1, 5])
def test_trees_give_what_scikit_learn_gives(rng, leaves, trees):
    x = rng.normal(size=(CHUNK_ROWS + 777, 5)).round(1)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[:, 4] = np.where(rng.random(len(x)) < 0.5, np.nan, 1.0)
    y = np.nan_to_num(x[:, 0]) * np.nan_to_num(x[:, 1]) + np.isnan(x[:, 4]) + rng.normal(size=len(x)) > 0.5
    peer = HistGradientBoostingClassifier(max_iter=trees, max_leaf_nodes=leaves, early_stopping=False, random_state=0)
    peer.fit(x, y)
    wide = np.concatenate([x, rng.normal(size=(500, 5)) * 100, np.full((1, 5), np.nan), np.full((1, 5), 1e308)])
    ours = TreeEnsemble.from_sklearn(peer).raw(list(wide.T))
    np.testing.assert_allclose(ours, peer.decision_function(wide), rtol=0, atol=1e-12)


def test_trees_sit_on_their_thresholds_as_scikit_learn_does(rng):
    x = rng.integers(0, 6, (3000, 2)).astype(float)
    peer = HistGradientBoostingClassifier(max_iter=8, max_leaf_nodes=8, early_stopping=False)
    peer.fit(x, (x[:, 0] > 2) ^ (x[:, 1] > 3))
    trees = TreeEnsemble.from_sklearn(peer)
    on = np.unique(trees.threshold[trees.feature >= 0])
    grid = np.stack([part.ravel() for part in np.meshgrid(on, on)], axis=1)
    near = np.concatenate([grid, np.nextafter(grid, np.inf), np.nextafter(grid, -np.inf)])
    np.testing.assert_allclose(trees.raw(list(near.T)), peer.decision_function(near), rtol=0, atol=1e-12)


def test_predictions_are_chances_and_agree_with_the_truth(model):
    rows = impressions(60_000, seed=5)
    found = model.predict(rows)
    assert list(found) == ["ctr", "cvr", "ctcvr"]
    assert ((found > 0) & (found < 1)).all(axis=None)
    np.testing.assert_array_equal(found["ctcvr"], found["ctr"] * found["cvr"])
    assert found["ctr"].mean() == pytest.approx(rows["true_ctr"].mean(), rel=0.08)
    assert np.corrcoef(np.log(found["ctr"]), np.log(rows["true_ctr"]))[0, 1] > 0.92
    priced = rows["price"].notna()
    assert np.corrcoef(found["cvr"][priced], rows["true_cvr"][priced])[0, 1] > 0.85


def test_sampling_of_negatives_leaves_the_scale(train):
    few = Funnel(SMALL.click, SMALL.order, negatives_a_click=3.0).fit(train, features=FEATURES)
    all_ = Funnel(SMALL.click, SMALL.order, negatives_a_click=1e9).fit(train, features=FEATURES)
    ratio = few.predict(train)["ctr"].mean() / all_.predict(train)["ctr"].mean()
    assert ratio == pytest.approx(1, abs=0.05)
    columns = [train[name].to_numpy(float) for name in FEATURES]
    odds = [np.exp(found.click_trees.raw(columns)).mean() for found in (few, all_)]
    assert odds[0] / odds[1] == pytest.approx(1, abs=0.15), "before calibration too"


def test_the_later_part_sets_the_level():
    rows = pd.concat([impressions(40_000, rate=-3.0), impressions(10_000, seed=3, rate=-2.0)], ignore_index=True)
    rows["ts"] = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(np.arange(len(rows)), unit="s")
    found = SMALL.fit(rows, features=FEATURES).predict(rows.iloc[40_000:])
    assert found["ctr"].mean() == pytest.approx(rows["clicked"].iloc[40_000:].mean(), rel=0.02)


def test_seed_decides_and_order_of_rows_does_not_leak_time(train, model):
    again = SMALL.fit(train, features=FEATURES, seed=1)
    pd.testing.assert_frame_equal(again.predict(train), model.predict(train), check_exact=True)
    other = SMALL.fit(train, features=FEATURES, seed=2)
    assert not other.predict(train).equals(model.predict(train))
    reversed_ = SMALL.fit(train.iloc[::-1], features=FEATURES, seed=1).predict(train)
    assert np.corrcoef(reversed_["ctr"], model.predict(train)["ctr"])[0, 1] > 0.98


def test_learner_and_rows_stay_as_they_were(train):
    before, learner = train.copy(deep=True), Funnel(SMALL.click, SMALL.order)
    learner.fit(train, features=FEATURES)
    assert learner == Funnel(SMALL.click, SMALL.order)
    pd.testing.assert_frame_equal(train, before)


def test_rows_are_predicted_alone_as_together(train, model):
    together = model.predict(train.iloc[:50])
    alone = pd.concat([model.predict(train.iloc[[row]]) for row in range(50)])
    pd.testing.assert_frame_equal(alone, together, check_exact=True)
    assert len(model.predict(train.iloc[:0])) == 0


def test_state_gives_the_same_model(train, model):
    state = model.state()
    assert state.kind == "funnel_trees"
    copied = ModelState(state.kind, {name: array.copy() for name, array in state.arrays.items()}, dict(state.meta))
    pd.testing.assert_frame_equal(
        TreeFunnelModel.from_state(copied).predict(train), model.predict(train), check_exact=True
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: ModelState("factors", state.arrays, state.meta),
        lambda state: ModelState(state.kind, state.arrays, {}),
        lambda state: ModelState(state.kind, {**state.arrays, "click_line_line": np.zeros(3)}, state.meta),
        lambda state: ModelState(
            state.kind, {name: array for name, array in state.arrays.items() if name != "click_left"}, state.meta
        ),
        lambda state: ModelState(state.kind, {**state.arrays, "order_value": np.zeros(3)}, state.meta),
    ],
)
def test_damaged_state_is_refused(model, spoil):
    with pytest.raises(ArtifactError):
        TreeFunnelModel.from_state(spoil(model.state()))


def test_progress_is_told(train):
    seen = []
    SMALL.fit(train.iloc[:5000], features=FEATURES, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.iloc[:0], "0 rows"),
        (lambda rows: rows.assign(clicked=False, ordered=False), "nothing to learn clicks from"),
        (lambda rows: rows.assign(clicked=True), "nothing to learn clicks from"),
        (lambda rows: rows.assign(ordered=False), "0 clicked and ordered: nothing to learn orders from"),
        (lambda rows: rows.assign(ordered=rows["clicked"]), "nothing to learn orders from"),
        (lambda rows: rows.assign(clicked=rows["clicked"].astype(object).where(rows.index > 2)), "in 3 of 5000"),
        (lambda rows: rows.assign(ts=rows["ts"].where(rows.index > 0)), "'ts' has no value in 1 of 5000"),
        (lambda rows: rows.assign(heat=rows["heat"].where(rows.index > 1, np.inf)), "'heat' is infinite in 2 of 5000"),
        (lambda rows: rows.assign(ts=rows["ts"].iloc[0]), "0 impressions"),
    ],
)
def test_rows_that_teach_nothing_are_refused(train, change, message):
    with pytest.raises(FitError, match=message):
        SMALL.fit(change(train.iloc[:5000]), features=FEATURES)


def test_columns_that_are_missing_or_no_numbers_are_named(train, model):
    with pytest.raises(SchemaError, match="columns \\['ordered'\\] are missing"):
        SMALL.fit(train.drop(columns="ordered"), features=FEATURES)
    with pytest.raises(SchemaError, match="features \\['price'\\] are missing"):
        model.predict(train[["heat", "position"]])
    with pytest.raises(SchemaError, match="'heat' is str; it must be a number"):
        model.predict(train.iloc[:5].assign(heat="hot"))
    with pytest.raises(FitError, match="0 features"):
        SMALL.fit(train, features=())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Boosting(leaves=17),
        lambda: Boosting(leaves=1),
        lambda: Boosting(trees=0),
        lambda: Boosting(learning_rate=0.0),
        lambda: Funnel(calibration_share=1.0),
        lambda: Funnel(negatives_a_click=0.0),
    ],
)
def test_settings_out_of_bounds_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_trees_refuse_what_they_cannot_evaluate(rng):
    peer = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=31, min_samples_leaf=5)
    x = rng.normal(size=(4000, 2))
    with pytest.raises(ArtifactError, match="31 leaves; at most 16"):
        TreeEnsemble.from_sklearn(peer.fit(x, rng.random(4000) < expit(3 * np.sin(3 * x[:, 0]) + x[:, 1])))
    stump = TreeEnsemble.from_sklearn(
        HistGradientBoostingClassifier(max_iter=1).fit(np.ones((50, 1)), np.arange(50) > 9)
    )
    assert np.unique(stump.raw([np.ones(3)])).size == 1


def test_prediction_needs_no_training_library():
    code = (
        "import sys; import beautyrec.models.funnel, beautyrec.models.trees\n"
        "print([name for name in ('sklearn', 'scipy', 'ibis', 'duckdb', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
