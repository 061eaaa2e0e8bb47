from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ConfigError
from beautyrec.models.gru4rec import GRU4Rec
from beautyrec.models.losses import SampledSoftmax
from beautyrec.models.sasrec import SASRec
from beautyrec.testing.models import RecommenderContract, small_log

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'beautyrec[train]'")

from beautyrec.models.nn.gru4rec import GRU4RecNetwork, GRU4RecShape  # noqa: E402
from beautyrec.models.nn.items import ItemEmbedding  # noqa: E402
from beautyrec.models.nn.sequence_network import Histories  # noqa: E402

SMALL = GRU4Rec(
    width=16, hidden=16, max_len=6, epochs=25, loss=SampledSoftmax(32), batch_events=64, learning_rate=1e-2, dropout=0.1
)


class TestGRU4Rec(RecommenderContract):
    learner = GRU4Rec(width=16, hidden=16, layers=2, max_len=6, epochs=3, loss=SampledSoftmax(16), batch_events=64)


def test_the_state_is_the_recurrence_of_its_paper():
    """r, z = sigmoid(..), n = tanh(W x + b + r (U h + c)), h' = (1 - z) n + z h; then the way out and the norm."""
    network = GRU4RecNetwork(ItemEmbedding(9, 4), GRU4RecShape(width=4, hidden=5, dropout=0.0))
    network.initialise(torch.Generator().manual_seed(0))
    history = torch.tensor([[2, 5, 8]])
    got = network.eval()(Histories(history, torch.zeros_like(history)))[0]
    weight = {name: value.detach().numpy() for name, value in network.recurrent.named_parameters()}
    hidden = np.zeros(5)
    for place, item in enumerate([2, 5, 8]):
        x = network.items.own.weight[item].detach().numpy() * 2  # the root of the width
        from_x = (weight["weight_ih_l0"] @ x + weight["bias_ih_l0"]).reshape(3, 5)
        from_h = (weight["weight_hh_l0"] @ hidden + weight["bias_hh_l0"]).reshape(3, 5)
        r, z = 1 / (1 + np.exp(-(from_x[:2] + from_h[:2])))
        hidden = (1 - z) * np.tanh(from_x[2] + r * from_h[2]) + z * hidden
        state = network.norm(network.out(torch.tensor(hidden, dtype=torch.float32)))
        torch.testing.assert_close(got[place], state, rtol=1e-4, atol=1e-5)


def test_a_state_does_not_see_the_padding():
    network = GRU4RecNetwork(ItemEmbedding(9, 4), GRU4RecShape(width=4, hidden=5)).eval()
    short, padded = torch.tensor([[2, 5]]), torch.tensor([[2, 5, 9, 9], [1, 2, 3, 4]])
    alone = network(Histories(short, torch.zeros_like(short)))
    among = network(Histories(padded, torch.zeros_like(padded)))
    torch.testing.assert_close(alone[0], among[0, :2])


def next_by_gap(users=240):
    """Everybody takes a, then b at once or a month later; then c if it was at once, else d. The last 40 are asked."""
    rng = np.random.default_rng(0)
    late = rng.random(users) < 0.5
    rows = []
    for user in range(users):
        third = [] if user >= users - 40 else [("d" if late[user] else "c", 40)]
        rows += [(user, item, day) for item, day in [("a", 0), ("b", 30 * late[user]), *third]]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "day"])
    frame["ts"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(frame["day"], unit="D")
    return Interactions.from_frame(frame), late[-40:]


@pytest.mark.parametrize(
    ("learner", "knows"),
    [
        (GRU4Rec(time_since_previous=True, width=8, hidden=16), True),
        (SASRec(time_since_previous=True, width=8, inner=16), True),
        (SASRec(time_between=True, width=8, inner=16), True),
        (GRU4Rec(width=8, hidden=16), False),
    ],
)
def test_what_comes_next_may_depend_on_the_time_before(learner, knows):
    log, late = next_by_gap()
    options = {
        **SMALL.__dict__,
        **learner.__dict__,
        "epochs": 30,
        "learning_rate": 2e-2,
        "batch_events": 64,
        "patience": 30,
    }
    options = {name: value for name, value in options.items() if name in learner.__dict__} | {"dropout": 0.0}
    model = type(learner)(**options).fit(log, seed=0)
    top, _ = model.top_k(np.arange(200, 240), 1)
    right = float((top[:, 0] == np.where(late, 3, 2)).mean())
    assert right == 1.0 if knows else 0.2 < right < 0.8


def test_gru4rec_learns_the_order():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 12, 150)
    item = (first[:, None] + np.arange(5)) % 12
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(150), 5), "item_id": item.ravel()})
    frame["ts"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.tile(np.arange(5), 150), unit="D")
    top, _ = SMALL.fit(Interactions.from_frame(frame), seed=1).top_k(np.arange(150), 1)
    assert (top[:, 0] == (first + 5) % 12).mean() > 0.9


def test_another_seed_gives_another_model():
    one, other = (GRU4Rec(width=8, hidden=8, epochs=1).fit(small_log(), seed=seed).user_factors for seed in (0, 1))
    assert not np.allclose(one, other)


@pytest.mark.parametrize(("key", "value"), [("hidden", 0), ("layers", 0), ("dropout", 1.0), ("width", 0)])
def test_wrong_settings_are_named(key, value):
    with pytest.raises(ConfigError, match=f"gru4rec: {key} is {value}"):
        GRU4Rec(**{key: value})
