from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ConfigError, FitError, MissingExtraError, SchemaError
from beautyrec.models.catalogue import learner
from beautyrec.models.checkpoint import Checkpoint
from beautyrec.models.losses import Drawn, InBatchSoftmax
from beautyrec.models.recommenders import recommender_from_state
from beautyrec.models.two_tower import TwoTower
from beautyrec.testing.fold_in import FoldInContract
from beautyrec.testing.models import N_ITEMS, N_USERS, small_log

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'beautyrec[train]'")

from beautyrec.models.nn.sequence_network import Histories  # noqa: E402
from beautyrec.models.nn.two_tower import ItemFacts, ItemTower, TwoTowerNetwork  # noqa: E402

SMALL = TwoTower(width=16, hidden=8, epochs=3, batch_events=64, least_items=1, loss=InBatchSoftmax(16))


@pytest.fixture(scope="module")
def model():
    return replace(SMALL, epochs=15, own_dropout=0.5).fit(small_log(), seed=0)


class TestTwoTower(FoldInContract):
    learner = SMALL


class TestTwoTowerWithIdsAlone(FoldInContract):
    learner = replace(SMALL, item_features=(), text_features=(), own_dropout=0.0)


def network(log, **options):
    """The network of ``log``'s items with drawn weights, its dropouts off."""
    features = replace(SMALL, **options)._features(log)
    items = ItemTower(ItemFacts.of(log, features), len(features), 8, hidden=4, own_dropout=0.5)
    found = TwoTowerNetwork(items, hidden=4, decay=0.5, dropout=0.3)
    found.initialise(torch.Generator().manual_seed(0))
    return found.eval()


# The loss


class Table:
    """Items whose vectors are a table."""

    def __init__(self, vectors, frequency):
        self.vectors, self.frequency = torch.tensor(vectors), torch.tensor(frequency)
        self.n_items = len(vectors)

    def __call__(self, item_ix):
        return self.vectors[item_ix]


def loss_case(places=5, drawn=3, n_items=6, seed=0):
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(n_items))
    states, vectors = rng.normal(size=(places, 4)), rng.normal(size=(n_items, 4))
    target, draws = rng.choice(n_items, places, p=share), rng.integers(0, n_items, drawn)
    return states, vectors, share, target, draws


@pytest.mark.parametrize("drawn", [0, 3])
def test_the_loss_is_its_formula(drawn):
    states, vectors, share, target, draws = loss_case(drawn=drawn)
    never = np.setdiff1d(draws, target)[:1]  # an item drawn that nobody took counts for nothing
    share[never] = 0
    loss = InBatchSoftmax(drawn, temperature=0.5)
    expected = []
    for place, next_item in enumerate(target):
        own = states[place] @ vectors[next_item] / 0.5
        total = np.exp(own)
        for other in [*target, *draws]:
            if other != next_item and share[other] > 0:
                often = len(target) * share[other] + drawn / len(vectors)
                total += np.exp(states[place] @ vectors[other] / 0.5 - np.log(often))
        expected.append(np.log(total) - own)
    none = Drawn(torch.tensor(draws), torch.zeros(drawn))
    got = loss.each(torch.tensor(states), Table(vectors, share), torch.tensor(target), none)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5)


def test_the_corrected_sum_is_that_over_all_items_in_the_mean():
    """Over many batches drawn by the items' shares, the sum over what is met is the softmax's sum over all others."""
    rng = np.random.default_rng(1)
    states, vectors, share, _, _ = loss_case(places=1)
    first, places, drawn, rounds = 2, 4, 3, 6_000
    table, state = Table(vectors, share), torch.tensor(np.tile(states, (places, 1)))
    sums = []
    batches = rng.choice(len(share), (rounds, places), p=share)
    batches[:, 0] = first
    draws = rng.integers(0, len(share), (rounds, drawn))
    for target, drawn_ix in zip(batches, draws, strict=True):
        lists = Drawn(torch.tensor(drawn_ix), torch.zeros(drawn))
        each = InBatchSoftmax(drawn, temperature=1.0).each(state, table, torch.tensor(target), lists)[0]
        own = np.exp(states[0] @ vectors[first])
        sums.append(float(each.exp()) * own - own)
    everything = np.exp(states[0] @ vectors.T)
    others = np.arange(len(share)) != first
    met = ((places - 1) * share + drawn / len(share)) / (
        places * share + drawn / len(share)
    )  # its own place is not drawn
    error = np.std(sums) / np.sqrt(rounds)
    assert abs(np.mean(sums) - (everything * met)[others].sum()) < 4 * error


# The network


def test_a_user_is_the_mean_of_the_inputs_weighted_by_recency():
    log = small_log()
    found = network(log)
    history = torch.tensor([[3, 7, 1, N_ITEMS]])
    got = found(Histories(history, torch.zeros_like(history)))[0, 2]
    inputs = found.item_tower.inputs(torch.tensor([3, 7, 1]))
    mean = (0.25 * inputs[0] + 0.5 * inputs[1] + inputs[2]) / 1.75
    torch.testing.assert_close(got, found.tower(mean))
    assert float(got.detach().norm()) == pytest.approx(1, rel=1e-5)


def test_an_input_is_the_own_vector_and_the_values_and_without_events_the_values_alone():
    log = small_log()
    found = network(log)
    tower, features = found.item_tower, SMALL._features(log)
    values = features.values(log.item_table)
    inputs = found.read_inputs()
    of_values = values.summed(inputs.values, N_ITEMS)
    own = tower.own.weight[:-1].detach().numpy()
    np.testing.assert_allclose(inputs.items[:-1], (own + of_values)[:-1], atol=1e-6)
    np.testing.assert_allclose(inputs.items[-1], of_values[-1], atol=1e-6)  # nobody took the last item
    assert np.abs(own[-1]).max() > 0


def test_own_vectors_are_left_out_at_random_in_training_only():
    found = network(small_log(), item_features=(), text_features=()).item_tower
    ix = torch.arange(N_ITEMS - 1).repeat(40)
    assert found.inputs(ix).any(dim=1).all()
    found.train()
    share = float((~found.inputs(ix).any(dim=1)).float().mean())
    assert share == pytest.approx(0.5, abs=4 * 0.5 / len(ix) ** 0.5)


# Items and users that come later


def test_items_nobody_took_are_ranked_by_their_features(model):
    new = pd.DataFrame({"item_id": [f"new{g}" for g in range(4)], "category": range(4), "brand": [None] * 4})
    joined = model.add_items(new)
    top, _ = joined.top_k(np.arange(N_USERS - 1), 1, candidates=np.arange(N_ITEMS, N_ITEMS + 4))
    group = np.arange(N_USERS - 1) % 4
    assert (top[:, 0] - N_ITEMS == group).mean() > 0.9
    ids = joined.recommend(["u001"], 4, candidates=new["item_id"])["item_id"]
    assert ids.iloc[0] == "new1"
    assert len(model.items) == N_ITEMS  # the fitted one is as it was
    again = recommender_from_state(joined.state())
    np.testing.assert_array_equal(again.scores(np.arange(5)), joined.scores(np.arange(5)))


def test_an_item_without_events_has_the_vector_that_its_features_give(model):
    table = small_log().item_table
    vectors = model.item_vectors(table)
    np.testing.assert_allclose(vectors[-1], model.item_factors[-1], atol=1e-5)
    assert np.abs(vectors[0] - model.item_factors[0]).max() > 1e-3  # who took it says more than its features
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_items_with_nothing_known_have_no_vector_and_no_error(model):
    strange = pd.DataFrame({"item_id": ["x"], "category": [99], "colour": ["red"]})
    np.testing.assert_array_equal(model.item_vectors(strange), 0)


def test_items_that_are_there_already_are_refused(model):
    with pytest.raises(ConfigError, match=r"1 of 2 items are in the catalogue already.*'i003'"):
        model.add_items(pd.DataFrame({"item_id": ["i003", "new"], "category": [0, 1]}))
    with pytest.raises(SchemaError, match="'item_id' is missing"):
        model.add_items(pd.DataFrame({"category": [0, 1]}))


def test_a_history_longer_than_is_looked_at_counts_by_its_end():
    short = replace(SMALL, max_len=2).fit(small_log(), seed=0)
    kept = small_log().where(small_log().indptr[1:][small_log().user_ix] - np.arange(len(small_log())) <= 2)
    warm = np.arange(N_USERS - 1)
    np.testing.assert_allclose(short.fold_in(kept).user_factors[warm], short.user_factors[warm], atol=1e-5)


# Settings and errors


def test_a_history_too_short_or_no_torch_are_said(monkeypatch):
    log = small_log()
    ones = log.where(np.isin(np.arange(len(log)), log.indptr[:-1]))
    with pytest.raises(FitError, match="two_tower: nobody in the log has two"):
        SMALL.fit(ones)
    monkeypatch.setitem(sys.modules, "beautyrec.models.nn.fit_sequences", None)
    with pytest.raises(MissingExtraError, match=r"beautyrec\[train\]"):
        SMALL.fit(log)


def test_settings_come_from_toml():
    table = {"decay": 0.5, "loss": {"negatives": 5, "temperature": 0.1}}
    assert learner("two_tower", table) == TwoTower(decay=0.5, loss=InBatchSoftmax(5, 0.1))
    with pytest.raises(ConfigError, match=r"two_tower: decay is 1\.5"):
        learner("two_tower", {"decay": 1.5})
    with pytest.raises(ConfigError, match="temperature is 0"):
        learner("two_tower", {"loss": {"temperature": 0.0}})


def test_a_training_that_was_killed_goes_on_to_the_same_model(tmp_path):
    whole = SMALL.fit(small_log(), seed=4)

    def kill(done, _):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SMALL.fit(small_log(), seed=4, on_progress=kill, checkpoint=Checkpoint(tmp_path, every=0))
    again = SMALL.fit(small_log(), seed=4, checkpoint=Checkpoint(tmp_path, every=0))
    np.testing.assert_array_equal(again.user_factors, whole.user_factors)


def test_a_log_without_an_item_table_is_fitted_on_ids():
    model = SMALL.fit(replace(small_log(), item_table=None), seed=0)
    assert len(model.features) == 0
    np.testing.assert_array_equal(model.item_factors[-1], 0)


def test_a_user_without_a_history_gets_what_is_popular(model):
    frame = pd.DataFrame({"user_id": ["v"], "item_id": ["i012"], "ts": [pd.Timestamp("2026-05-01", tz="UTC")]})
    joined = model.fold_in(Interactions.from_frame(frame, items=model.items))
    popular = np.argsort(-model.popularity, kind="stable")[:3]
    got = joined.recommend(["stranger"], 3, on_unknown="fallback")["item_id"].tolist()
    assert got == model.items.ids_at(popular).tolist()
    own = joined.recommend(["v"], 5)["item_id"].str[1:].astype(int) // 10
    assert (own == 1).mean() > 0.5
