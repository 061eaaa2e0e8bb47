from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import ArtifactError, ConfigError, SchemaError
from beautyrec.models.calibration import PerScene
from beautyrec.models.catalogue import funnel_learner
from beautyrec.models.funnel import Funnel
from beautyrec.models.funnel_heads import ESMM, PLE, ClicksOnly, MMoE
from beautyrec.models.funnel_inputs import Inputs
from beautyrec.models.funnel_network import CHUNK_ROWS, FunnelNetwork, NetworkFunnelModel
from beautyrec.models.state import ModelState
from beautyrec.serving.artifact import read_artifact, write_artifact
from beautyrec.serving.manifest import ModelCard
from beautyrec.testing.funnels import FEATURES, small_impressions

HEADS = {
    "esmm": ESMM(8),
    "mmoe": MMoE(3, 8, 4),
    "ple1": PLE(1, 2, 1, 8, 4),
    "ple3": PLE(3, 1, 2, 8, 4),
    "apart": ClicksOnly(8),
}
SMALL = FunnelNetwork(
    categories=("brand",), buckets=8, embedding=3, rank=4, deep=(16, 8), epochs=1, batch=256, negatives_a_click=2.0
)


@pytest.fixture(scope="module")
def rows():
    return small_impressions()


@pytest.fixture(scope="module")
def models(rows):
    return {name: replace(SMALL, head=head).fit(rows, features=FEATURES, seed=1) for name, head in HEADS.items()}


@pytest.mark.parametrize("name", HEADS)
def test_numpy_gives_what_torch_gives(models, rows, name):
    import torch

    from beautyrec.models.nn.dcn import FunnelNet, TrunkShape

    model = models[name]
    shape = TrunkShape(model.inputs.width, 9, 1, 3, 2, 4, (16, 8), 0.2)
    network = FunnelNet(shape, HEADS[name])
    rng = np.random.default_rng(3)
    weights = {key: rng.normal(0, 0.4, value.shape).astype(np.float32) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    network.eval()
    many = pd.concat([rows] * 5, ignore_index=True)
    assert len(many) > CHUNK_ROWS
    columns = [many[feature].to_numpy(np.float64) for feature in FEATURES]
    ours = replace(model, weights=weights).log_odds(many, columns)
    with torch.no_grad():
        theirs = network(torch.from_numpy(model.inputs.numbers(columns)), torch.from_numpy(model.inputs.codes(many)))
    for mine, other in zip(ours, theirs, strict=True):
        chance, expected = (1 / (1 + np.exp(-values)) for values in (mine, other.numpy().astype(np.float64)))
        assert np.std(expected) > 0.001
        np.testing.assert_allclose(chance, expected, rtol=0, atol=1e-6)


def test_losses_are_the_cross_entropies_of_what_is_seen():
    import torch

    from beautyrec.models.nn.fit_funnel import Batch, task_losses

    rng = np.random.default_rng(0)
    click, order, maturity = rng.normal(size=6), rng.normal(size=6), np.array([1, 1, 1, 0.5, 0.5, 1.0])
    clicked, ordered = np.array([1, 1, 0, 1, 1, 0.0]), np.array([1, 0, 0, 1, 0, 0.0])
    empty = torch.zeros((6, 0))
    batch = Batch(empty, empty, *(torch.tensor(values) for values in (clicked, ordered, maturity, np.ones(6))))
    ctr, cvr = 1 / (1 + np.exp(-click)), 1 / (1 + np.exp(-order))
    entropy = [-(y * np.log(p) + (1 - y) * np.log(1 - p)) for y, p in ((clicked, ctr), (ordered, ctr * cvr * maturity))]
    alone = -(ordered * np.log(cvr * maturity) + (1 - ordered) * np.log(1 - cvr * maturity)) * clicked
    whole = task_losses(torch.tensor(click), torch.tensor(order), batch, clicks_only=False)
    apart = task_losses(torch.tensor(click), torch.tensor(order), batch, clicks_only=True)
    np.testing.assert_allclose(whole[0], entropy[0])
    np.testing.assert_allclose(whole[1], entropy[1], atol=1e-6)
    np.testing.assert_allclose(apart[1], alone, atol=1e-6)


def test_the_order_does_not_move_the_click_through_their_product():
    import torch

    from beautyrec.models.nn.fit_funnel import Batch, task_losses

    click, order = (torch.zeros(2, requires_grad=True) for _ in range(2))
    batch = Batch(
        torch.zeros(2, 0),
        torch.zeros(2, 0),
        *(torch.tensor([1.0, 0.0]) for _ in range(2)),
        torch.ones(2),
        torch.ones(2),
    )
    task_losses(click, order, batch, clicks_only=False)[1].sum().backward()
    assert click.grad is None
    assert (order.grad != 0).all()


@pytest.mark.parametrize("name", HEADS)
def test_an_artifact_gives_the_same_chances(models, rows, tmp_path, name):
    write_artifact(tmp_path / "a", models[name].state(), ModelCard("network"))
    again = read_artifact(tmp_path / "a").model
    pd.testing.assert_frame_equal(again.predict(rows), models[name].predict(rows), check_exact=True)


def spoilt(state, **arrays):
    kept = {name: array for name, array in state.arrays.items() if arrays.get(name, array) is not None}
    return ModelState(
        state.kind, kept | {name: array for name, array in arrays.items() if array is not None}, state.meta
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: ModelState("funnel_trees", s.arrays, s.meta),
        lambda s: ModelState(s.kind, s.arrays, {**s.meta, "head": {"name": "none"}}),
        lambda s: ModelState(s.kind, s.arrays, {**s.meta, "head": {"name": "mmoe", "experts": "many"}}),
        lambda s: ModelState(s.kind, s.arrays, {**s.meta, "inputs": None}),
        lambda s: ModelState(s.kind, s.arrays, {**s.meta, "calibration": {"click": {"kind": "none"}}}),
        lambda s: spoilt(s, knots=np.zeros((2, 65))),
        lambda s: spoilt(s, **{"net.trunks.0.deep.0.weight": None}),
        lambda s: spoilt(s, **{"net.trunks.0.deep.0.weight": np.zeros((2, 2), np.float32)}),
        lambda s: spoilt(s, **{"net.trunks.0.embedding.weight": np.zeros((3, 3), np.float32)}),
        lambda s: spoilt(s, **{"net.trunks.0.deep.1.bias": np.zeros(8)}),
    ],
)
def test_damaged_state_is_refused(models, spoil):
    with pytest.raises(ArtifactError):
        NetworkFunnelModel.from_state(spoil(models["esmm"].state()))


def test_inputs_are_quantiles_distances_and_gaps():
    column = np.array([0.0, 1.0, 1.0, 1.0, 10.0, np.nan])
    inputs = Inputs.fit([column, np.full(6, np.nan), np.arange(6.0)], (), 4)
    found = inputs.numbers([column, np.full(6, np.nan), np.array([-9, 0, 2.5, 5, 9, 1e9])])
    assert found.shape == (6, 2 * 3 + 2)
    quantile = found[:, 0] / np.sqrt(12) + 0.5
    np.testing.assert_allclose(quantile[[0, 4]], [0, 1], atol=1e-6)
    assert quantile[1] == pytest.approx(0.5, abs=0.02), "a repeated value is in the middle of its quantiles"
    np.testing.assert_allclose(found[:4, 3], (column[:4] - 2.6) / np.std(column[:5]), rtol=1e-5)
    assert found[5, [0, 3]].tolist() == [0, 0]
    assert found[:, 6].tolist() == [0, 0, 0, 0, 0, 1]
    assert (found[:, 7] == 1).all()
    assert np.isfinite(found).all()
    assert found[5, 5] == 4.0


def test_categories_have_codes_by_their_value_alone():
    inputs = Inputs(np.zeros((1, 65)), np.zeros((1, 2)), np.zeros(1, dtype=bool), ("item", "brand"), 1000)
    ints = inputs.codes(pd.DataFrame({"item": [5, 6], "brand": ["a", None]}))
    floats = inputs.codes(
        pd.DataFrame({"item": [5.0, np.nan], "brand": ["b", "a"]}, dtype=object).astype({"item": float})
    )
    assert ints[0, 0] == floats[0, 0]
    assert floats[1, 0] == 1000
    assert ints[1, 1] == 2001
    assert ints[0, 1] == floats[1, 1] != floats[0, 1]
    assert ((ints[:, 1] > 1000) & (ints[:, 1] <= 2001)).all()
    with pytest.raises(SchemaError, match="categories \\['brand'\\]"):
        inputs.codes(pd.DataFrame({"item": [5]}))


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 0}, {"deep": ()}, {"dropout": 1.0}, {"calibration_share": 0.0}, {"learning_rate": 0.0}, {"buckets": 0}],
)
def test_settings_out_of_bounds_are_refused(settings):
    with pytest.raises(ConfigError):
        FunnelNetwork(**settings)


@pytest.mark.parametrize(
    "make", [lambda: ESMM(0), lambda: MMoE(experts=0), lambda: PLE(levels=0), lambda: ClicksOnly(0)]
)
def test_heads_out_of_bounds_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_a_calibration_by_what_is_no_feature_is_refused(rows):
    with pytest.raises(ConfigError, match="calibration by 'room'"):
        replace(SMALL, click_calibration=PerScene(column="room")).fit(rows, features=FEATURES)


def test_families_by_their_names():
    assert funnel_learner("funnel", {"negatives_a_click": 5.0}) == Funnel(negatives_a_click=5.0)
    assert funnel_learner("esmm") == FunnelNetwork()
    assert funnel_learner("ple", {"epochs": 3, "head": {"levels": 1}}) == FunnelNetwork(PLE(levels=1), epochs=3)
    with pytest.raises(ConfigError, match="unknown key 'expert_s'"):
        funnel_learner("mmoe", {"head": {"expert_s": 2}})
    with pytest.raises(ConfigError, match="known are esmm, funnel, mmoe, ple"):
        funnel_learner("dcn")


def test_prediction_needs_no_torch(models, rows, tmp_path):
    write_artifact(tmp_path / "a", models["ple3"].state(), ModelCard("network"))
    rows.iloc[:20].to_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys\nfor name in ('torch', 'sklearn', 'scipy', 'ibis', 'duckdb'):\n    sys.modules[name] = None\n"
        "import pandas as pd\nfrom beautyrec.serving import Scorer\n"
        f"print(Scorer.load(r'{tmp_path / 'a'}').score(pd.read_parquet(r'{tmp_path / 'rows.parquet'}'))['ctr'].sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(models["ple3"].predict(rows.iloc[:20])["ctr"].sum(), rel=1e-9)
