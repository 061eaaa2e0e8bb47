from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beautyrec.campaign.month_trial import COMPLETE, FAILED, PRUNED, Result, Task, Trial
from beautyrec.campaign.planning import Known, Plan, Planner, first_plan, narrowed, next_plan
from beautyrec.campaign.samplers import GP, NSGA2, TPE, RandomSearch, Sampler
from beautyrec.campaign.slots import Slots, may_live, me
from beautyrec.campaign.space import Choice, Family, Float, Int

AIM = ("room_conversion",)
FAMILIES = {
    "hill": Family("hill", {"x": Float(-2.0, 2.0), "bend": Choice(("soft", "hard"))}, {"x": 1.5, "bend": "soft"}),
    "steps": Family("steps", {"n": Int(1, 64, log=True)}, {"n": 8}),
}
NOTHING = Known({}, {})


def done(task: Task, value: float, *, anchor: float = 0.0, barred: tuple[str, ...] = ()) -> Trial:
    task = Task(**{**vars(task), "anchor": {"room_conversion": anchor}})
    return Trial(task, Result(COMPLETE, {"room_conversion": value}, barred=barred))


def search(sampler: Sampler, count: int, objectives: tuple[str, ...] = AIM) -> list[Trial]:
    """A hill whose top is at x = 0, in batches of two."""
    planner, trials = Planner(FAMILIES, objectives, sampler, 3), []
    for low in range(0, count, 2):
        for task in planner.batch(first_plan(FAMILIES), trials, low // 2, range(low, low + 2), NOTHING):
            value = 1 - float(task.params["x"]) ** 2 if task.family == "hill" else -1.0
            trials.append(Trial(task, Result(COMPLETE, dict.fromkeys(objectives, value))))
    return trials


def test_defaults_come_first_and_shares_are_kept() -> None:
    tasks = [trial.task for trial in search(RandomSearch(), 12)]
    assert [task.params for task in tasks[:2]] == [{"x": 1.5, "bend": "soft"}, {"n": 8}]
    assert [task.family for task in tasks].count("hill") == 6
    assert [task.number for task in tasks] == list(range(12))


@pytest.mark.parametrize("sampler", [TPE(2), RandomSearch(), NSGA2(2), GP(2)])
def test_the_same_past_gives_the_same_batch(sampler: Sampler) -> None:
    assert [one.task for one in search(sampler, 8)] == [one.task for one in search(sampler, 8)]


def test_several_objectives_reach_the_sampler() -> None:
    trials = search(NSGA2(4), 24, ("room_conversion", "ctr"))
    assert any(trial.task.marks for trial in trials), "generations are kept"


def test_tpe_comes_nearer_to_the_top_than_chance() -> None:
    hill = search_x(TPE(4))
    assert np.median(np.abs(hill)) < 0.75 * np.median(np.abs(search_x(RandomSearch())))


def search_x(sampler: Sampler) -> list[float]:
    return [float(one.task.params["x"]) for one in search(sampler, 80) if one.task.family == "hill"][10:]


def test_a_space_narrows_around_the_best_third_and_keeps_the_best() -> None:
    tasks = [Task(number, 0, 1, "hill", {"x": -2 + 0.5 * number, "bend": "soft"}, 0) for number in range(9)]
    trials = [done(task, 1 - float(task.params["x"]) ** 2) for task in tasks]
    space, told = narrowed(FAMILIES["hill"].space, trials, "room_conversion")
    now = space["x"]
    assert isinstance(now, Float)
    assert (now.low, now.high) == pytest.approx((-0.9, 0.9)), "best: -0.5, 0, 0.5, and 0.1 * 4 to each side"
    assert space["bend"] == FAMILIES["hill"].space["bend"]
    assert len(told) == 1
    assert narrowed(FAMILIES["hill"].space, trials[:5], "room_conversion") == (FAMILIES["hill"].space, [])


def test_a_lucky_day_does_not_make_a_better_trial() -> None:
    """Values of the second half are 5 higher, and so is their anchor: standings are as if nothing had happened."""
    tasks = [Task(number, 0, 1, "hill", {"x": -2 + 0.5 * number, "bend": "soft"}, 0) for number in range(9)]
    lift = [5.0 * (number > 4) for number in range(9)]
    lucky = [
        done(task, 1 - float(task.params["x"]) ** 2 + more, anchor=more) for task, more in zip(tasks, lift, strict=True)
    ]
    plain = [done(task, 1 - float(task.params["x"]) ** 2) for task in tasks]
    assert narrowed(FAMILIES["hill"].space, lucky, "room_conversion") == narrowed(
        FAMILIES["hill"].space, plain, "room_conversion"
    )


def test_the_next_round_leaves_out_who_was_dropped_and_gives_the_leader_half() -> None:
    plan = next_plan(
        Plan(1, {"a": 0.25, "b": 0.25, "c": 0.5}, {"a": {}, "b": {}, "c": {}}), [], AIM[0], {"b": "too low"}, "c"
    )
    assert plan.shares == {"a": 0.5, "c": 0.5}
    assert plan.reasons == ("b is dropped: too low",)
    assert Plan.from_json(plan.to_json()) == plan


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots.open(tmp_path / "trials.journal", "month", FAMILIES, AIM)


def tasks(count: int) -> list[Task]:
    return [Task(number, 0, 1, "steps", {"n": number + 1}, 0) for number in range(count)]


def test_a_task_is_claimed_once_and_in_the_order_of_numbers(slots: Slots, tmp_path: Path) -> None:
    slots.plan(tasks(3))
    slots.plan(tasks(3))
    other = Slots.open(tmp_path / "trials.journal", "month", FAMILIES, AIM)
    claimed = [one.claim(me()) for one in (slots, other, slots, other)]
    assert [one[1].number for one in claimed if one is not None] == [0, 1, 2]
    assert claimed[3] is None


def test_results_are_what_optuna_has(slots: Slots) -> None:
    slots.plan(tasks(3))
    results = [Result(COMPLETE, {"room_conversion": 0.5}), Result(PRUNED), Result(FAILED, reason="no rows")]
    for result in results:
        claimed = slots.claim(me())
        assert claimed is not None
        assert slots.end(claimed[0], result)
        assert not slots.end(claimed[0], result), "it counts once"
    assert [trial.result for trial in slots.trials()] == results
    assert [trial.state.name for trial in slots.study.get_trials()] == ["COMPLETE", "PRUNED", "FAIL"]
    assert slots.study.get_trials()[0].values == [0.5]
    assert slots.study.get_trials()[0].params == {"family": "steps", "steps.n": 1}


def test_the_trial_of_a_dead_worker_is_done_again_until_it_has_died_too_often(slots: Slots) -> None:
    host, _, began = me().rsplit(":", 2)
    dead = f"{host}:{2**22 + 1}:{began}"
    assert may_live(dead) is False
    assert may_live(me()) is True
    slots.plan(tasks(1))
    for _ in range(2):
        assert slots.claim(dead) is not None
        assert slots.reap(patience=600, retries=2) == [0]
    assert slots.claim(dead) is not None
    assert slots.reap(patience=600, retries=2) == []
    (trial,) = slots.trials()
    assert trial.result is not None
    assert trial.result.state == FAILED
    assert "died 3 times" in trial.result.reason


def test_a_living_worker_keeps_its_trial_and_one_far_away_that_is_silent_does_not(slots: Slots) -> None:
    slots.plan(tasks(2))
    mine, far = slots.claim(me()), slots.claim("elsewhere:1:1")
    assert mine is not None
    assert far is not None
    assert slots.reap(patience=600, retries=2) == []
    assert slots.reap(patience=0, retries=2) == [1]
    assert not slots.end(far[0], Result(FAILED)), "what it comes to say later is not kept"


def test_a_result_that_was_kept_and_not_ended_counts(slots: Slots) -> None:
    host, _, began = me().rsplit(":", 2)
    slots.plan(tasks(1))
    claimed = slots.claim(f"{host}:{2**22 + 1}:{began}")
    assert claimed is not None
    slots._storage.set_trial_user_attr(claimed[0], "result", vars(Result(COMPLETE, {"room_conversion": 0.25})))
    assert slots.reap(patience=600, retries=2) == []
    assert slots.study.get_trials()[0].values == [0.25]


def test_a_line_that_a_killed_process_did_not_finish_is_cut_off(slots: Slots, tmp_path: Path) -> None:
    slots.plan(tasks(2))
    path = tmp_path / "trials.journal"
    whole = path.read_bytes()
    with path.open("ab") as handle:
        handle.write(b'{"op_code": 5, "worker')
    again = Slots.open(path, "month", FAMILIES, AIM)
    assert again.claim(me()) is not None
    assert path.read_bytes().startswith(whole)
    assert b"worker{" not in path.read_bytes()
    assert len(Slots.open(path, "month", FAMILIES, AIM).trials()) == 2
    assert path.stat().st_size > len(whole)
