from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.errors import FitError, MissingExtraError
from beautyrec.models.losses import GBCE, FullSoftmax, SampledSoftmax
from beautyrec.models.sasrec import SASRec
from beautyrec.testing.models import RecommenderContract, small_log

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'beautyrec[train]'")

from beautyrec.models.compute import deterministic  # noqa: E402
from beautyrec.models.nn.items import ItemEmbedding  # noqa: E402
from beautyrec.models.nn.sasrec import SASRecNetwork, SASRecShape  # noqa: E402
from beautyrec.models.nn.sequence_network import GAPS, Histories  # noqa: E402


class TestSASRecWithEverything(RecommenderContract):
    learner = SASRec(
        width=16,
        inner=16,
        max_len=6,
        epochs=3,
        loss=GBCE(16),
        batch_events=64,
        time_since_previous=True,
        time_between=True,
    )


def network_of(**options):
    shape = SASRecShape(width=8, inner=8, heads=2, max_len=6, dropout=0.0, **options)
    with deterministic(0):  # the biases of linear layers are of torch's own generator
        net = SASRecNetwork(ItemEmbedding(20, 8), shape)
    net.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for block in net.blocks:
            block.attention.distance_bias.normal_(generator=torch.Generator().manual_seed(1))
    return net.eval()


def states(network, items, seconds=None):
    item = torch.tensor(items)
    return network(Histories(item, torch.zeros_like(item) if seconds is None else torch.tensor(seconds)))


# The network


@pytest.mark.parametrize("options", [{}, {"time_since_previous": True, "time_between": True}])
def test_a_state_sees_neither_what_comes_after_nor_the_padding(options):
    network = network_of(**options)
    plain = states(network, [[3, 7, 1, 4]], [[5, 9, 70, 80]])
    changed = states(network, [[3, 7, 9, 20]], [[5, 9, 900, 901]])
    padded = states(network, [[3, 7, 20, 20], [3, 7, 1, 4]], [[5, 9, 0, 0], [5, 9, 70, 80]])
    torch.testing.assert_close(plain[0, :2], changed[0, :2])
    torch.testing.assert_close(plain[0, :2], padded[0, :2])
    assert not torch.allclose(plain[0, 2], changed[0, 2])


def test_a_state_sees_the_order_of_what_came_before():
    network = network_of()
    assert not torch.allclose(states(network, [[3, 7, 1]])[0, -1], states(network, [[7, 3, 1]])[0, -1])


def test_time_counts_only_where_it_is_asked_for():
    history, soon, late = [[3, 7, 1]], [[0, 1, 2]], [[0, 86400, 9 * 86400]]
    torch.testing.assert_close(states(network_of(), history, soon), states(network_of(), history, late), rtol=0, atol=0)
    since = network_of(time_since_previous=True)
    assert not torch.allclose(states(since, history, soon)[0, -1], states(since, history, late)[0, -1])


def test_attention_falls_where_the_bias_of_the_time_between_says_so():
    """With a bias of minus infinity for all gaps but none, an item hears only of those of its own moment."""
    network = network_of(time_between=True)
    with torch.no_grad():
        for block in network.blocks:
            block.attention.time_bias.fill_(-1e9)
            block.attention.time_bias[:, 0] = 0
    together, apart = [[5, 500, 500]], [[5, 5, 500]]
    got = states(network, [[3, 7, 1]], together)[0, -1]
    torch.testing.assert_close(got, states(network, [[9, 7, 1]], together)[0, -1])
    assert not torch.allclose(got, states(network, [[3, 9, 1]], together)[0, -1])
    assert not torch.allclose(got, states(network, [[3, 7, 1]], apart)[0, -1])
    assert network.blocks[0].attention.time_bias.shape == (2, GAPS)


def test_an_item_is_its_own_vector_and_those_of_its_values():
    brand, category = np.array([1, 2, 0, 1]), np.array([1, 1, 1, 0])
    items = ItemEmbedding(4, 3, [brand, category])
    items.initialise()
    own, of_brand, of_category = (e.weight.detach().numpy() for e in (items.own, *items.features))
    zero = np.zeros(3)
    expected = np.stack(
        [
            own[0] + of_brand[1] + of_category[1],
            own[1] + of_brand[2] + of_category[1],
            own[2] + of_category[1],
            own[3] + of_brand[1],
            zero,
        ]
    )
    np.testing.assert_allclose(items(torch.tensor([0, 1, 2, 3, 4])).detach().numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(items.all().detach().numpy(), expected[:4], rtol=1e-6)


def test_what_items_share_reaches_their_factors():
    """Factors of items of one category are nearer to each other where the category has a vector."""

    def likeness(features):
        factors = replace(SMALL, epochs=3, item_features=features).fit(small_log(), seed=1).item_factors
        unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
        same = np.arange(40)[:, None] // 10 == np.arange(40) // 10
        return (unit @ unit.T)[same].mean()

    assert likeness(("category",)) > likeness(()) + 0.05


# The learner

SMALL = SASRec(
    width=16, inner=16, max_len=6, epochs=25, loss=SampledSoftmax(32), batch_events=64, learning_rate=1e-2, dropout=0.1
)


@pytest.mark.parametrize("loss", [SampledSoftmax(32), GBCE(4), FullSoftmax()])
def test_sasrec_learns_the_order(loss):
    """In a ring of items each is followed by the next one: the last item says what comes."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 12, 150)
    item = (first[:, None] + np.arange(5)) % 12
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(150), 5), "item_id": item.ravel()})
    frame["ts"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.tile(np.arange(5), 150), unit="D")
    model = replace(SMALL, loss=loss).fit(Interactions.from_frame(frame), seed=1)
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


def test_validation_does_not_depend_on_how_many_scores_are_held(monkeypatch):
    from beautyrec.models.nn import fit_sequences

    whole = SMALL.fit(small_log(), seed=2).user_factors
    monkeypatch.setattr(fit_sequences, "VALIDATION_SCORES", 80)  # two users of the five at a time
    np.testing.assert_array_equal(SMALL.fit(small_log(), seed=2).user_factors, whole)


def test_torch_says_which_extra_has_it(monkeypatch):
    needs = ("beautyrec.models.nn.", "beautyrec.models.training", "beautyrec.models.compute")
    for module in [m for m in sys.modules if m.startswith(needs)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"torch is not installed.*beautyrec\[train\]"):
        SMALL.fit(small_log())
