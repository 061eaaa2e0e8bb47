from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from beautyrec.errors import ConfigError, InfeasibleError
from beautyrec.selection.check import broken
from beautyrec.selection.limits import Quota
from beautyrec.selection.line_up import LineUpConfig, line_up
from beautyrec.selection.line_up_config import Presenter, PriceStep
from beautyrec.selection.replan import replan
from beautyrec.selection.run_of_show import run_of_show
from beautyrec.selection.script import Part, Script, read_script

pytest.importorskip("scipy")


def shelf(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "item_id": np.arange(100, 100 + n),
            "title": [f"product {i}" for i in range(n)],
            "category": rng.choice(list("abcdefgh"), n),
            "brand": rng.choice([*"uvwxyz", None], n),
            "price": rng.choice([5.0, 15.0, 40.0], n),
            "margin": rng.gamma(2, 5, n),
            "ctr": rng.beta(1, 10, n),
            "cvr": rng.beta(2, 10, n),
            "stock": rng.integers(1, 9, n).astype(float),
            "hero": rng.random(n) < 0.25,
            "presenter": rng.choice(["Ana", "Bo", None], n),
        }
    )


CONFIG = LineUpConfig(
    per_category=3,
    per_brand=4,
    spacing=2,
    hero_minutes=(3.0, 14.0),
    ladder=(PriceStep(8.0, 12.0, high=20.0),),
    presenters={"Ana": Presenter(8.0), "Bo": Presenter(start=4.0)},
    quotas=(Quota("price", 40.0, 1, 6),),
    never_with=((100, 101), (102, 103)),
    substitution=0.3,
    gap=0.02,
)
SCRIPT = Script(interaction_every=8.0)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    minute=st.floats(0, 20),
    share=st.floats(0, 1),
    must=st.lists(st.integers(104, 139), max_size=2, unique=True),
)
def test_a_room_planned_again_keeps_everything(seed, minute, share, must):
    table, rng = shelf(40, seed), np.random.default_rng(seed + 1)
    config = replace(CONFIG, must_have=tuple(must))
    clock = SCRIPT.clock(22.0)
    try:
        plan = line_up(table, 300, config, clock=clock)
    except InfeasibleError:
        assume(False)
    assert broken(plan.table, table, config) == []
    sold = {item: int(rng.integers(0, stock + 1)) for item, stock in zip(table["item_id"], table["stock"], strict=True)}
    sold = {item: units for item, units in sold.items() if rng.random() < share}
    try:
        again = replan(plan, table, 300, config, minute=min(minute, clock.end[-1]), sold=sold)
    except InfeasibleError as error:
        assume("cannot" not in str(error))
        raise
    left = table.assign(stock=table["stock"] - table["item_id"].map(sold).fillna(0))
    kept = replace(config, must_have=tuple(item for item in config.must_have if item not in again.dropped))
    past = int((clock.start < minute).sum())
    assert again.shown == past
    assert again.plan.table["item_id"].tolist()[:past] == plan.table["item_id"].tolist()[:past]
    assert broken(again.plan.table, left, kept, from_slot=past) == []
    show = run_of_show(again.plan, SCRIPT, 22.0)
    assert show.table["minutes"].sum() == pytest.approx(22.0)


def test_a_room_that_sells_twice_as_much_is_expected_to_go_on_so():
    table = shelf(60, 1).assign(stock=1000.0)
    config, clock = LineUpConfig(gap=0), Script().clock(30.0)
    plan = line_up(table, 3000, config, clock=clock)
    past = plan.table[plan.table["minute_from"] < 12]
    sold = {item: round(2 * orders) for item, orders in zip(past["item_id"], past["expected_orders"], strict=True)}
    again = replan(plan, table, 3000, config, minute=12.0, sold=sold)
    expected, took = past["expected_orders"].sum(), sum(sold.values())
    assert again.pace == pytest.approx((took + 20) / (expected + 20))
    rest = again.plan.table.iloc[len(past) :]
    assert sorted(rest["item_id"]) == sorted(plan.table["item_id"].iloc[len(past) :])
    assert (rest["demand"] / rest["expected_clicks"] <= 1).all()


def test_a_product_that_had_to_come_and_is_sold_out_is_said():
    table = shelf(60, 2)
    config, clock = LineUpConfig(must_have=(110,)), Script().clock(20.0)
    plan = line_up(table, 100, config, clock=clock)
    when = float(plan.table.set_index("item_id")["minute_from"][110])
    gone = {110: int(table.set_index("item_id")["stock"][110])}
    again = replan(plan, table, 100, config, minute=0.0, sold=gone)
    assert again.dropped == (110,)
    assert 110 not in again.plan.table["item_id"].tolist()
    late = replan(plan, table, 100, config, minute=when + 0.5, sold=gone)
    assert late.dropped == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [({"minute": 99.0}, "minute 99"), ({"sold": {7: 1}}, r"1 products sold.*\[7\]"), ({"sold": {110: -1}}, "below 0")],
)
def test_a_wrong_state_of_the_room_is_named(change, says):
    table, config = shelf(60, 2), LineUpConfig()
    plan = line_up(table, 100, config, clock=Script().clock(20.0))
    with pytest.raises(ConfigError, match=says):
        replan(plan, table, 100, config, **{"minute": 3.0, "sold": {}, **change})


lengths = st.integers(1, 400).map(lambda seconds: seconds / 60)


@settings(max_examples=300, deadline=None)
@given(
    opening=lengths,
    product=lengths,
    every=lengths,
    interaction=lengths,
    closing=lengths,
    minutes=st.integers(60, 20_000).map(lambda s: s / 60),
)
def test_the_parts_of_a_room_sum_to_its_minutes(opening, product, every, interaction, closing, minutes):
    script = Script(opening, 3, product, every, interaction, closing)
    if opening + product + closing > minutes + 1e-9:
        with pytest.raises(ConfigError, match="too short"):
            script.parts(minutes)
        return
    parts = script.parts(minutes)
    assert math.fsum(parts["minutes"]) == pytest.approx(minutes, abs=1e-9)
    np.testing.assert_allclose(parts["minute_from"].to_numpy()[1:], parts["minute_to"].to_numpy()[:-1])
    assert parts["minute_from"].iloc[0] == 0
    assert parts["minute_to"].iloc[-1] == pytest.approx(minutes)
    assert parts["part"].iloc[0] == Part.OPENING
    assert parts["part"].iloc[-1] == Part.CLOSING
    on_air = parts.loc[parts["part"] == Part.PRODUCT, "minutes"]
    assert len(on_air) >= 1
    np.testing.assert_allclose(on_air, product)
    spare = parts.loc[parts["part"] == Part.SPARE, "minutes"].sum()
    assert spare < product + 1e-9
    assert len(script.clock(minutes)) == len(on_air)


def test_the_default_script_of_two_hours():
    parts = Script().parts(120)
    counts = parts["part"].value_counts()
    assert counts[Part.INTERACTION] == 11
    assert counts[Part.PRODUCT] == 94
    assert parts.loc[parts["part"] == Part.INTERACTION, "minute_from"].tolist()[:3] == [10, 20, 30]
    assert parts["minutes"].iloc[[0, -1]].tolist() == [3.0, 0.5]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"product_minutes": 0.0}, "product_minutes"),
        ({"closing_minutes": 0.001}, "seconds"),
        ({"preview": -1}, "preview"),
    ],
)
def test_wrong_scripts_are_named(change, says):
    with pytest.raises(ConfigError, match=says):
        Script(**change)


def test_a_room_shorter_than_its_opening_is_named():
    with pytest.raises(ConfigError, match=r"room of 2 minutes is too short for an opening of 3"):
        Script().clock(2.0)
    with pytest.raises(ConfigError, match="whole number of seconds"):
        Script().parts(float("nan"))


def test_a_script_is_read_from_toml(tmp_path):
    (tmp_path / "script.toml").write_text("product_minutes = 1.5\npreview = 2\n")
    assert read_script(tmp_path / "script.toml") == Script(product_minutes=1.5, preview=2)
    (tmp_path / "script.toml").write_text("produkt_minutes = 1.5\n")
    with pytest.raises(ConfigError, match="did you mean 'product_minutes'"):
        read_script(tmp_path / "script.toml")


def test_the_run_of_show_says_who_comes_when(tmp_path):
    table = shelf(60, 4)
    table.loc[table["item_id"] == 105, "title"] = "crème <b>“été”</b> 美白"
    config = LineUpConfig(must_have=(105,))
    plan = line_up(table, 300, config, clock=Script().clock(30.0))
    show = run_of_show(plan, Script(), 30.0, pd.Timestamp("2026-03-01 20:00"), heroes=(105,))
    assert show.table["time"].iloc[[0, 1]].tolist() == ["20:00:00", "20:03:00"]
    assert show.table["time"].iloc[-1] == "20:29:30"
    assert show.table["note"].iloc[0] == "preview: crème <b>“été”</b> 美白"
    on_air = show.table[show.table["part"] == "product"]
    assert on_air["item_id"].tolist() == plan.table["item_id"].tolist()
    np.testing.assert_allclose(on_air["expected_margin"], plan.table["expected_margin"])
    show.to_csv(tmp_path / "show.csv")
    assert (tmp_path / "show.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    read = pd.read_csv(tmp_path / "show.csv", encoding="utf-8-sig")
    assert read["minutes"].sum() == pytest.approx(30)
    show.write_html(tmp_path / "show.html")
    page = (tmp_path / "show.html").read_text(encoding="utf-8")
    assert "crème &lt;b&gt;“été”&lt;/b&gt; 美白" in page
    assert "http" not in page
    with pytest.raises(ConfigError, match="script has 6"):
        run_of_show(plan, Script(), 10.0)


def test_line_ups_changed_by_hand_are_checked():
    table = shelf(60, 5)
    clock = SCRIPT.clock(22.0)
    plan = line_up(table, 300, CONFIG, clock=clock).table
    assert broken(plan, table, CONFIG) == []
    hero = int(np.flatnonzero(clock.end > 3.0)[0])
    plain = next(
        i for i, h in zip(table["item_id"], table["hero"], strict=True) if not h and i not in set(plan["item_id"])
    )
    ids = plan["item_id"].to_numpy().copy()
    ids[hero] = plain
    assert "no hero at minute 3" in broken(plan.assign(item_id=ids), table, CONFIG)
    ids[hero] = ids[-1]
    assert "1 products twice" in broken(plan.assign(item_id=ids), table, CONFIG)
    empty = table.assign(stock=table["stock"].where(table["item_id"] != plan["item_id"].iloc[4], 0.0))
    assert broken(plan, empty, CONFIG) == ["1 products without stock"]
    assert broken(plan, empty, CONFIG, from_slot=5) == []
