from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import FitError, MissingExtraError
from beautyrec.models.sasrec import SASRec
from beautyrec.models.sequences import Negatives, batches_of_like_length, cut
from beautyrec.testing.models import small_log

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'beautyrec[train]'")

from beautyrec.models.nn.fit_sasrec import Batch, sampled_softmax  # noqa: E402
from beautyrec.models.nn.sasrec import SASRecNetwork, SASRecShape  # noqa: E402
from beautyrec.models.training import TrainingPlan, deterministic, train  # noqa: E402


@pytest.fixture
def network():
    net = SASRecNetwork(SASRecShape(n_items=20, width=8, inner=8, heads=2, max_len=6, dropout=0.0))
    net.initialise(torch.Generator().manual_seed(0))
    return net.eval()


# Pieces and batches


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=6), max_len=st.integers(1, 8))
def test_every_step_lies_in_exactly_one_piece(counts, max_len):
    end = np.cumsum(counts)
    start = end - counts
    pieces = cut(start, end, max_len)
    assert (pieces.length <= max_len + 1).all()
    steps = [s for a, n in zip(*pieces, strict=True) for s in range(a, a + n - 1)]
    expected = [s for a, b in zip(start, end, strict=True) for s in range(a, b - 1)]
    assert sorted(steps) == expected


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=60), events=st.integers(1, 50), seed=st.integers(0, 9))
def test_batches_hold_every_piece_once_and_little_padding(lengths, events, seed):
    length = np.array(lengths)
    batches = list(batches_of_like_length(length, events, np.random.default_rng(seed)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(length)))
    spreads = sorted((length[b].min(), length[b].max()) for b in batches)
    assert all(a[1] <= b[0] for a, b in pairwise(spreads))
    assert all(length[b].sum() < events + 20 for b in batches)


def test_items_are_drawn_as_often_as_they_say():
    popularity = np.array([0, 1, 3, 0, 6])
    negatives = Negatives.mixed(popularity.astype(np.float32), 0.4)
    np.testing.assert_allclose(negatives.chance, 0.4 * popularity / 10 + 0.6 / 5, rtol=1e-12)
    n = 200_000
    drawn = np.bincount(negatives.draw(n, np.random.default_rng(0)), minlength=5) / n
    np.testing.assert_allclose(drawn, negatives.chance, atol=5 * np.sqrt(0.25 / n))


# Network and loss


def test_a_state_sees_neither_what_comes_after_nor_the_padding(network):
    history = torch.tensor([[3, 7, 1, 4]])
    states = network(history)
    changed = network(torch.tensor([[3, 7, 9, 20]]))
    padded = network(torch.tensor([[3, 7, 20, 20], [3, 7, 1, 4]]))
    torch.testing.assert_close(states[0, :2], changed[0, :2])
    torch.testing.assert_close(states[0, :2], padded[0, :2])
    assert not torch.allclose(states[0, 2], changed[0, 2])


def test_a_state_sees_the_order_of_what_came_before(network):
    with torch.no_grad():
        for block in network.blocks:
            block.attention.distance_bias.normal_(generator=torch.Generator().manual_seed(1))
    one, other = network(torch.tensor([[3, 7, 1]])), network(torch.tensor([[7, 3, 1]]))
    assert not torch.allclose(one[0, -1], other[0, -1])


def test_the_loss_is_the_full_softmax_where_every_item_is_drawn_once(network):
    """All items drawn, each expected once: the correction is ln 1 and the sum is over all items."""
    history = torch.tensor([[3, 7, 1], [5, 20, 20]])
    target = torch.tensor([7, 1, 9, 2])
    weight = torch.tensor([1.0, 0.5, 1.0, 2.0])
    batch = Batch(history, target, weight, torch.arange(20), torch.zeros(20))
    states = network(history)[torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()]
    each = torch.nn.functional.cross_entropy(states @ network.embedding.weight[:-1].T, target, reduction="none")
    torch.testing.assert_close(sampled_softmax(network, batch), (each * weight).sum() / weight.sum())


def test_the_corrected_sum_is_unbiased(network):
    """Mean of sum e^(s_n - ln expected draws) over many draws against the sum over all items."""
    rng = np.random.default_rng(0)
    negatives = Negatives.mixed(np.arange(20, dtype=np.float32), 0.7)
    scores = (network(torch.tensor([[3, 7]]))[0, -1] @ network.embedding.weight[:-1].T * 20).detach().numpy()
    n = 400_000
    drawn = negatives.draw(n, rng)
    terms = np.exp(scores[drawn] - np.log(negatives.chance[drawn]))
    assert abs(terms.mean() - np.exp(scores).sum()) < 4 * terms.std() / np.sqrt(n)


# The training loop


def line(steps=20):
    """A network of one weight, batches for it, and its loss ``(w - batch)^2``."""
    net = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.zero_()
    return net, lambda epoch: [1.0] * steps, lambda batch: (net.weight - batch).square().mean()


def test_training_goes_down_the_loss():
    net, batches, loss = line()
    record = train(net, batches, loss, TrainingPlan(epochs=30, learning_rate=0.05, warm_up=1, last_rate=1.0))
    assert abs(net.weight.item() - 1) < 1e-2
    assert record.best_epoch == 29
    assert len(record.losses) == 30
    assert record.losses[-1] < record.losses[0]


def test_training_stops_without_progress_and_keeps_the_best():
    net, batches, loss = line(1)
    metric, seen, calls = iter([1.0, 3.0, 2.0, 3.0, 1.0, 9.0]), [], []

    def validate():
        seen.append(net.weight.item())
        return next(metric)

    plan = TrainingPlan(epochs=6, learning_rate=0.05, patience=3, warm_up=1, last_rate=1.0)
    record = train(net, batches, loss, plan, validate=validate, on_progress=lambda *a: calls.append(a))
    assert record.validations == (1.0, 3.0, 2.0, 3.0, 1.0)
    assert record.best_epoch == 1
    assert net.weight.item() == seen[1] != seen[-1]
    assert calls[-1] == (6, 6)


def test_a_loss_that_is_not_finite_says_where():
    net, _, _ = line()
    losses = iter([0.0, 0.0, 0.0, float("nan")])
    with pytest.raises(FitError, match="loss is nan in epoch 2, step 2"):
        train(
            net,
            lambda epoch: [None, None],
            lambda batch: net.weight.sum() * 0 + next(losses),
            TrainingPlan(epochs=3, learning_rate=0.1),
        )


def test_the_global_settings_of_torch_are_put_back():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    with deterministic(1, threads=3):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 3
        torch.rand(7)
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()) == before
    torch.testing.assert_close(torch.rand(3), expected)


# The learner

SMALL = SASRec(width=16, inner=16, max_len=6, epochs=25, negatives=32, batch_events=64, learning_rate=1e-2, dropout=0.1)


def test_sasrec_learns_the_order():
    """In a ring of items each is followed by the next one: the last item says what comes."""
    import pandas as pd

    from beautyrec.data.interactions import Interactions

    rng = np.random.default_rng(0)
    first = rng.integers(0, 12, 150)
    item = (first[:, None] + np.arange(5)) % 12
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(150), 5), "item_id": item.ravel()})
    frame["ts"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.tile(np.arange(5), 150), unit="D")
    model = SMALL.fit(Interactions.from_frame(frame), seed=1)
    top, _ = model.top_k(np.arange(150), 1)
    assert (top[:, 0] == (first + 5) % 12).mean() > 0.9


def test_another_seed_gives_another_model():
    one, other = (SASRec(width=8, epochs=1, max_len=6).fit(small_log(), seed=seed).user_factors for seed in (0, 1))
    assert not np.allclose(one, other)


def test_nobody_with_two_events_is_an_error():
    first = np.zeros(len(small_log()), dtype=bool)
    first[small_log().indptr[:-2]] = True
    with pytest.raises(FitError, match="nobody in the log has two interactions"):
        SMALL.fit(small_log().where(first))


def test_a_log_too_small_to_validate_on_is_trained_all_epochs():
    few = small_log().where(small_log().user_ix < 3)
    calls = []
    SASRec(width=8, epochs=2, max_len=4).fit(few, on_progress=lambda *a: calls.append(a))
    assert calls == [(1, 2), (2, 2), (2, 2)]


def test_torch_says_which_extra_has_it(monkeypatch):
    import sys

    for module in [m for m in sys.modules if m.startswith("beautyrec.models.nn.") or m == "beautyrec.models.training"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"torch is not installed.*beautyrec\[train\]"):
        SMALL.fit(small_log())
