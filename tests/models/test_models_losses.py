from __future__ import annotations

import math

import numpy as np
import pytest

from beautyrec.errors import ConfigError
from beautyrec.models.catalogue import learner
from beautyrec.models.losses import GBCE, Drawn, FullSoftmax, SampledSoftmax
from beautyrec.models.sasrec import SASRec
from beautyrec.models.sequences import Negatives

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'beautyrec[train]'")

from beautyrec.models.nn.fit_sequences import Batch, batch_loss  # noqa: E402
from beautyrec.models.nn.items import ItemEmbedding  # noqa: E402
from beautyrec.models.nn.sasrec import SASRecNetwork, SASRecShape  # noqa: E402
from beautyrec.models.nn.sequence_network import Histories  # noqa: E402

ITEMS = 20


@pytest.fixture
def places():
    """States at four places, the items' vectors, and what came next."""
    generator = torch.Generator().manual_seed(0)
    items = ItemEmbedding(ITEMS, 8)
    items.initialise()
    return torch.randn(4, 8, generator=generator), items, torch.tensor([7, 1, 9, 2])


def no_draws(n=0):
    return Drawn(torch.arange(n), torch.zeros(n))


def test_full_softmax_is_minus_the_log_probability_among_all(places):
    states, items, target = places
    probability = torch.softmax(states @ items.all().T, dim=1)[torch.arange(4), target]
    torch.testing.assert_close(FullSoftmax().each(states, items, target, no_draws()), -probability.log())


def test_sampled_softmax_is_the_full_one_where_every_item_is_drawn_once(places):
    """Each expected once: the correction is ln 1 and the sum is over all items."""
    full = FullSoftmax().each(*places, no_draws())
    torch.testing.assert_close(SampledSoftmax(ITEMS).each(*places, no_draws(ITEMS)), full)


def test_the_sum_over_drawn_items_is_unbiased(places):
    """Mean of e^(s_n - ln expected draws) over many draws against the sum over all items."""
    states, items, _ = places
    negatives = Negatives.mixed(np.arange(ITEMS, dtype=np.float32), 0.7)
    scores = (states[0] @ items.all().T).detach().numpy()
    n = 400_000
    drawn = negatives.draw(n, np.random.default_rng(0))
    terms = np.exp(scores[drawn] - np.log(negatives.chance[drawn]))
    assert abs(terms.mean() - np.exp(scores).sum()) < 4 * terms.std() / np.sqrt(n)


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce_is_its_formula(places, calibration):
    states, items, target = places
    drawn = Drawn(torch.tensor([3, 9, 9, 0, 2]), torch.zeros(5))
    got = GBCE(negatives=5, calibration=calibration).each(states, items, target, drawn)
    share = 5 / (ITEMS - 1)
    power = share * (calibration * (1 - 1 / share) + 1 / share)  # as the paper writes it
    scores = (states @ items.all().T).tolist()
    for place, item in enumerate(target.tolist()):
        probability = [1 / (1 + math.exp(-s) * 5 / power) for s in scores[place]]
        expected = -power * math.log(probability[item])
        expected -= sum(math.log(1 - probability[n]) for n in drawn.item.tolist() if n != item)
        assert got[place].item() == pytest.approx(expected / 6, rel=1e-5)


def test_gbce_with_full_calibration_is_least_at_the_true_probabilities():
    """Next items follow ``p``; at shifted scores of ln(p / (1 - p)) no step lowers the expected loss."""
    p = torch.tensor([0.4, 0.3, 0.2, 0.06, 0.04], dtype=torch.float64)
    loss = GBCE(negatives=1, calibration=1.0)
    items = ItemEmbedding(5, 5).double()
    with torch.no_grad():
        items.own.weight[:-1] = torch.eye(5, dtype=torch.float64)
    state = (torch.logit(p) - math.log(loss.power(5) / 1)).requires_grad_()
    total = torch.zeros(())
    for item in range(5):  # an even draw among the other four
        for other in set(range(5)) - {item}:
            drawn = Drawn(torch.tensor([other]), torch.zeros(1))
            total = total + p[item] / 4 * loss.each(state[None, :], items, torch.tensor([item]), drawn)[0]
    total.backward()
    torch.testing.assert_close(state.grad, torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-7)


@pytest.mark.parametrize("loss", [SampledSoftmax(6), GBCE(6), FullSoftmax()])
def test_a_batch_counts_each_place_by_its_weight(loss):
    network = SASRecNetwork(ItemEmbedding(ITEMS, 8), SASRecShape(width=8, inner=8, max_len=6)).eval()
    history = torch.tensor([[3, 7, 1], [5, ITEMS, ITEMS]])
    target, weight = torch.tensor([7, 1, 9, 2]), torch.tensor([1.0, 0.5, 1.0, 2.0])
    histories, drawn = Histories(history, torch.zeros_like(history)), no_draws(6)
    states = network(histories)[torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()]
    each = loss.each(states, network.items, target, drawn)
    got = batch_loss(network, loss, Batch(histories, target, weight, drawn))
    torch.testing.assert_close(got, (each * weight).sum() / 4.5)


def test_losses_come_from_tables_by_their_kind():
    table = {"loss": {"kind": "gbce", "negatives": 64}}
    assert learner("sasrec", table) == SASRec(loss=GBCE(negatives=64))
    assert learner("sasrec", {"loss": {"kind": "full_softmax"}}) == SASRec(loss=FullSoftmax())
    assert learner("gru4rec", {"loss": {"kind": "sampled_softmax"}}).loss == SampledSoftmax()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "bce"}, "'bce'.*'sampled_softmax', 'full_softmax', 'gbce'"),
        ({"negatives": 3}, "kind"),
        ({"kind": "gbce", "negative": 3}, "negative"),
        ({"kind": "gbce", "calibration": 1.5}, "calibration is 1.5; it has to be from 0 to 1"),
        ({"kind": "sampled_softmax", "negatives": 0}, "negatives is 0; it has to be from 1"),
        ({"kind": "sampled_softmax", "by_popularity": 2.0}, "by_popularity is 2"),
    ],
)
def test_wrong_losses_are_named(table, message):
    with pytest.raises(ConfigError, match=message):
        learner("sasrec", {"loss": table})
