from __future__ import annotations

import math
from typing import Any

import pytest
from scipy.stats import norm

from beautyrec.campaign.confirmation import confirm
from beautyrec.campaign.month_spec import GateConfig, MonthSpec
from beautyrec.campaign.month_trial import Result, Task, Trial
from beautyrec.campaign.review import Review, review
from beautyrec.campaign.searched import SearchedFamily

SPEC = MonthSpec(families={"popularity": SearchedFamily(), "item_knn": SearchedFamily(), "als": SearchedFamily()})


def row(number: int, family: str, estimate: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    base = {"number": number, "family": family, "params": {}, "estimate": estimate, "ci_low": low, "ci_high": high}
    return {**base, "verdict": "trust", "reason": "", "scenes": {}, "barred": [], **more}


def trial(number: int, family: str, state: str = "complete") -> Trial:
    values = {"room_conversion": 0.1} if state == "complete" else {}
    return Trial(Task(number, 3, 1, family, {}, 0), Result(state, values, seconds=2.0))


def held(*rows: dict[str, Any], champion: int | None = None, trials: list[Trial] | None = None) -> Review:
    done = trials or [trial(one["number"], one["family"]) for one in rows]
    return review(1, ["2026-11-07"], rows, done, SPEC, champion)


def test_a_family_is_dropped_only_where_it_cannot_win() -> None:
    rows = [row(0, "popularity", 0.1, 0.0, 0.19), row(1, "item_knn", 0.4, 0.2, 0.7), row(2, "als", 0.15, 0.05, 0.21)]
    assert held(*rows).drop.keys() == {"popularity"}, "0.19 lies below 0.2, and 0.21 does not"


def test_who_is_barred_drops_nobody() -> None:
    barred = row(1, "item_knn", 0.9, 0.5, 1.7, barred=["the verdict is refuse"])
    told = held(row(0, "popularity", 0.1, 0.0, 0.19), barred)
    assert told.drop == {}
    assert told.champion is None
    assert told.leader is None, "popularity may be no better than the policy of the log"
    assert held(row(0, "popularity", 0.1, 0.01, 0.19), barred).leader == "popularity"


def test_a_family_whose_trials_all_failed_is_dropped_with_its_cost() -> None:
    rows = [row(1, "item_knn", 0.4, 0.2, 0.7)]
    told = held(*rows, trials=[trial(0, "als", "failed"), trial(1, "item_knn"), trial(2, "als", "failed")])
    assert told.drop == {"als": "all of its 2 trials failed"}
    assert {one["family"]: (one["trials"], one["failed"], one["seconds"]) for one in told.families}["als"] == (
        2,
        2,
        4.0,
    )


def test_a_challenger_takes_over_only_with_a_higher_lower_bound_on_the_same_days() -> None:
    holder, better = row(0, "popularity", 0.3, 0.1, 0.5), row(1, "item_knn", 0.5, 0.05, 1.2)
    assert held(holder, better, champion=0).champion == 0
    assert held(holder, {**better, "ci_low": 0.11}, champion=0).champion == 1
    assert (
        held(
            holder, {**better, "ci_low": 0.11, "scenes": {"x": {"estimate": -0.3, "verdict": "trust"}}}, champion=0
        ).champion
        == 0
    )
    assert held(holder, better, champion=0).decisions[0].what == "keep"


def test_a_review_survives_its_file() -> None:
    told = held(row(0, "popularity", 0.3, 0.1, 0.5))
    assert Review.from_json(told.to_json()) == told


def test_p_values_are_of_the_interval_and_holm_corrects_them() -> None:
    """Intervals of log(1 + lift) of half-width 1.96 s: p = 1 - Phi(log(1 + lift) / s), the smallest times 3."""
    z = norm.ppf(0.975)

    def of(number: int, lift: float, s: float) -> dict[str, Any]:
        middle = math.log1p(lift)
        return row(number, "als", lift, math.expm1(middle - z * s), math.expm1(middle + z * s))

    before = [of(0, 0.5, 0.1), of(1, 0.4, 0.1), of(2, 0.3, 0.1)]
    after = [of(0, 0.05, 0.1), of(1, 0.30, 0.1), of(2, 0.25, 0.1)]
    found = confirm(["2026-11-26"], before, after, SPEC)
    by_number = {one["number"]: one for one in found.rows}
    p = {number: norm.sf(math.log1p(lift) / 0.1) for number, lift in ((0, 0.05), (1, 0.30), (2, 0.25))}
    assert by_number[1]["p_adjusted"] == pytest.approx(3 * p[1])
    assert by_number[2]["p_adjusted"] == pytest.approx(2 * p[2])
    assert by_number[0]["p_adjusted"] == pytest.approx(p[0])
    assert by_number[0]["luck"] == pytest.approx(0.45)
    assert by_number[1]["pooled"] == pytest.approx(math.sqrt(1.4 * 1.3) - 1), "equal errors: the geometric mean"
    assert (found.champion, found.challenger) == (1, 2)
    assert [one.what for one in found.decisions] == ["promote", "confirm", "reject"]


def test_nobody_is_promoted_where_nobody_is_confirmed() -> None:
    lost = [
        row(0, "als", 0.01, -0.2, 0.3),
        row(1, "als", 0.5, 0.2, 0.9, verdict="refuse", barred=["the verdict is refuse"]),
    ]
    found = confirm(["2026-11-26"], lost, lost, SPEC)
    assert found.champion is None
    assert found.challenger == 0
    assert {one.what for one in found.decisions} == {"reject"}


def test_the_gate_knows_the_tolerance_of_each_scene() -> None:
    scenes = {"flash": {"estimate": -0.15, "verdict": "trust"}, "dark": {"estimate": -0.9, "verdict": "caution"}}
    told = review(1, [], [row(0, "als", 0.5, 0.3, 0.7, scenes=scenes)], [trial(0, "als")], SPEC, None)
    assert told.champion is None
    spec = MonthSpec(families=SPEC.families, gate=GateConfig(scenes={"flash": 0.2}))
    told = review(1, [], [row(0, "als", 0.5, 0.3, 0.7, scenes=scenes)], [trial(0, "als")], spec, None)
    assert told.champion == 0, "a scene that cannot be told does not count"
