"""The truth against a world written a second time, by hand, and against counting."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from beautyrec.errors import EvaluationError, PolicyError, UnknownIdError
from beautyrec.simulate.config import SIMULATED, WorldConfig
from beautyrec.simulate.truth import METRICS, Truth
from beautyrec.simulate.world import World


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def by_hand(world: World, slates, request: int, column: int) -> tuple[float, float, float, float]:
    """Click at the top, order given it, price and cost of one product for one request: the docstring's formula, in scalars."""
    catalogue, response, schedule, config = world.catalogue, world.response, world.stage.schedule, world.config
    viewers, effects = response.viewers, response.effects
    room = int(slates.room_ix[request])
    item_id = slates.shelves.items.ids[slates.shelves.item_ix[room, column]]
    i, u = list(catalogue.live.ids).index(item_id), list(viewers.users.ids).index(slates.user_id[request])
    scene, day, hour = int(schedule.scene[room]), int(schedule.day[room]), int(slates.ts[request] // 3_600_000_000 % 24)
    table = catalogue.table
    same = table["category"] == table.loc[catalogue.rows[i], "category"]
    median = table.loc[same, "price"].median()
    median = table["price"].median() if math.isnan(median) else median
    price = float(schedule.price[room, i])
    relative = min(max(math.log(price / median), -1.5), 1.5)
    taste = sum(float(a) * float(b) for a, b in zip(viewers.taste.users[u], viewers.taste.items[i], strict=True))
    taste = min(max(taste, -3.0), 3.0)
    group = int(catalogue.category[i])
    click = response.click_intercept + effects.appeal[i] + config.taste_spread * taste + float(viewers.whim[u, group])
    click += viewers.price_click[u] * relative + effects.scene_fit[scene, group] + effects.host[schedule.host[room]]
    click += effects.trend[day, i] + effects.novelty[day, i] + effects.hour[hour] + viewers.click[u]
    order = (
        response.order_intercept + effects.quality[i] + config.order_taste * taste + viewers.price_order[u] * relative
    )
    order += effects.order_scene_fit[scene, group] + viewers.order[u]
    return logistic(click), logistic(order), price, float(catalogue.cost[i])


@pytest.fixture(scope="module")
def few(world):
    slates = world.slates()
    return slates.where(np.arange(len(slates)) % 75 == 0)  # 40 requests of many rooms


@pytest.fixture(scope="module")
def table(world, few) -> np.ndarray:
    """[B, C, 4] everything by hand; NaN at padding."""
    width = few.shelves.item_ix.shape[1]
    values = np.full((len(few), width, 4), np.nan)
    for request in range(len(few)):
        for column in np.flatnonzero(few.shelves.item_ix[few.room_ix[request]] >= 0):
            values[request, column] = by_hand(world, few, request, int(column))
    return values


@pytest.fixture(scope="module")
def policy(few) -> np.ndarray:
    rng = np.random.default_rng(5)
    there = few.shelves.item_ix[few.room_ix] >= 0
    weight = np.where(there, rng.gamma(0.7, size=there.shape) + 0.01, 0.0)
    return weight / weight.sum(axis=1, keepdims=True)


def sums(values: np.ndarray, slate: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Expected impressions, clicks, orders, buyers, revenue, margin of one slate."""
    click = attention * values[slate, 0]
    order = click * values[slate, 1]
    price, cost = values[slate, 2], values[slate, 3]
    return np.array(
        [len(slate), click.sum(), order.sum(), 1 - np.prod(1 - order), order @ price, order @ (price - cost)]
    )


def metrics(total: np.ndarray, requests: float) -> dict[str, float]:
    impressions, clicks, orders, buyers, revenue, margin = total
    return {
        "ctr": clicks / impressions,
        "cvr": orders / clicks,
        "ctcvr": orders / impressions,
        "room_conversion": buyers / requests,
        "orders_per_viewer": orders / requests,
        "revenue_per_viewer": revenue / requests,
        "revenue_per_impression": revenue / impressions,
        "margin_per_viewer": margin / requests,
    }


def test_chances_are_the_formula(world, few, table):
    there = ~np.isnan(table[:, :, 0])
    columns = np.where(there, np.arange(table.shape[1]), -1)[:, : world.config.slate_size]
    click, order = world.chances(few, columns)
    attention = np.arange(1, columns.shape[1] + 1) ** -world.config.attention_power
    np.testing.assert_allclose(click, table[:, : columns.shape[1], 0] * attention, rtol=1e-5)
    np.testing.assert_allclose(order, table[:, : columns.shape[1], 1], rtol=1e-5)


def test_given_slates_are_valued_exactly(world, few, table):
    attention = np.arange(1, few.shown.shape[1] + 1) ** -0.5
    total = sum(sums(values, slate, attention) for values, slate in zip(table, few.shown, strict=True))
    truth = world.truth_of_slates(few, few.shown)
    for name, value in metrics(total, len(few)).items():
        assert truth[name].value == pytest.approx(value, rel=1e-5)
        assert truth[name].standard_error == 0


def test_the_truth_of_a_policy_is_what_counting_finds(world, few, table, policy):
    """Slates drawn one product after another, clicks and orders tossed: nothing shared with the code under test."""
    rng = np.random.default_rng(9)
    k, repeats = few.shown.shape[1], 400
    attention = np.arange(1, k + 1) ** -0.5
    seen = np.zeros((repeats, 6))
    for repeat, request in itertools.product(range(repeats), range(len(few))):
        slate = rng.choice(policy.shape[1], size=k, replace=False, p=policy[request])
        values = table[request, slate]
        clicked = rng.random(k) < attention * values[:, 0]
        ordered = clicked & (rng.random(k) < values[:, 1])
        money = [ordered @ values[:, 2], ordered @ (values[:, 2] - values[:, 3])]
        seen[repeat] += [k, clicked.sum(), ordered.sum(), ordered.any(), *money]
    truth = world.truth(few, policy, rng=np.random.default_rng(1), n_slates=400)
    counted = metrics(seen.sum(axis=0), repeats * len(few))
    halves = [metrics(half.sum(axis=0), len(half) * len(few)) for half in np.array_split(seen, 20)]
    for name in METRICS:
        error = np.std([half[name] for half in halves], ddof=1) / math.sqrt(len(halves))
        assert abs(truth[name].value - counted[name]) < 4 * math.hypot(error, truth[name].standard_error), name


@pytest.fixture(scope="module")
def enumerable() -> World:
    config = replace(WorldConfig.tiny(), slate_size=2, shelf_min=5, shelf_max=5, launches=2)
    return World.tiny(seed=6, config=config)


def test_standard_errors_cover_the_enumerated_truth(enumerable):
    slates = enumerable.slates()
    slates = slates.where(np.arange(len(slates)) % 50 == 0)
    draw = slates.shelves.draw_probability[slates.room_ix]
    total = dict.fromkeys(METRICS, 0.0)
    for first, second in itertools.permutations(range(draw.shape[1]), 2):
        chance = draw[:, first] * draw[:, second] / (1 - draw[:, first])
        shown = np.broadcast_to([first, second], (len(slates), 2))
        click, order = enumerable.chances(slates, shown)
        total["ctr"] += (chance @ click).sum() / (2 * len(slates))
        total["room_conversion"] += chance @ (1 - np.prod(1 - click * order, axis=1)) / len(slates)
        total["orders_per_viewer"] += (chance @ (click * order)).sum() / len(slates)
    total["cvr"] = total["orders_per_viewer"] / (2 * total["ctr"])
    scores = []
    for seed in range(120):
        truth = enumerable.legacy_truth(slates, rng=np.random.default_rng(seed), n_slates=6)
        scores.append(
            [(truth[n].value - total[n]) / truth[n].standard_error for n in ("ctr", "room_conversion", "cvr")]
        )
    z = np.array(scores)
    assert (np.abs(z.mean(axis=0)) < 4 / math.sqrt(len(z))).all()  # unbiased
    assert (np.abs(z.std(axis=0) - 1) < 0.25).all()  # and the error is what it says


def test_it_does_not_hang_on_chunks(world, policy, few, monkeypatch):
    whole = world.truth(few, policy, rng=np.random.default_rng(2), n_slates=300)
    monkeypatch.setattr("beautyrec.simulate.truth._CHUNK", 7)
    parts = world.truth(few, policy, rng=np.random.default_rng(3), n_slates=300)
    for name in METRICS:
        error = math.hypot(whole[name].standard_error, parts[name].standard_error)
        assert abs(whole[name].value - parts[name].value) < 4 * error


def test_frames_and_lift(world, few, policy):
    base = world.legacy_truth(few, rng=np.random.default_rng(0))
    truth = world.truth(few, policy, rng=np.random.default_rng(0))
    frame = truth.to_frame()
    assert frame["metric"].tolist() == list(METRICS)
    assert set(frame["label"]) == {SIMULATED}
    lift = truth.lift(base).set_index("metric")
    assert lift.loc["ctr", "lift"] == pytest.approx(truth.ctr.value / base.ctr.value - 1)
    assert set(lift["label"]) == {SIMULATED}
    assert lift.loc["ctr", "standard_error"] > 0
    assert SIMULATED in repr(truth)
    assert isinstance(truth, Truth)
    with pytest.raises(EvaluationError, match="no metric 'ndcg'"):
        truth["ndcg"]


def test_what_has_no_truth(world, few, policy):
    rng = np.random.default_rng(0)
    with pytest.raises(PolicyError, match="shape"):
        world.truth(few, policy[:, 1:], rng=rng)
    narrow = int(np.argmin((few.shelves.item_ix[few.room_ix] >= 0).sum(axis=1)))
    outside = policy.copy()
    outside[narrow] = 1 / policy.shape[1]
    with pytest.raises(PolicyError, match="1 requests draw what is not on their shelf"):
        world.truth(few, outside, rng=rng)
    with pytest.raises(PolicyError, match="sum to 1"):
        world.truth(few, 0.5 * policy, rng=rng)
    with pytest.raises(EvaluationError, match="n_slates is 1"):
        world.truth(few, policy, rng=rng, n_slates=1)
    with pytest.raises(EvaluationError, match="not one request"):
        world.legacy_truth(few.where(np.zeros(len(few), dtype=bool)), rng=rng)
    with pytest.raises(PolicyError, match="slates have shape"):
        world.truth_of_slates(few, few.shown[:-1])
    with pytest.raises(UnknownIdError):
        world.legacy_truth(replace(few, user_id=few.user_id + 10_000), rng=rng)
