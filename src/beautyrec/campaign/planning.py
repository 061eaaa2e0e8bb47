"""What is tried next: each family's share of a round, its defaults first, then what the sampler makes of the past."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from beautyrec.campaign.journal import quiet
from beautyrec.campaign.month_spec import space_to_toml
from beautyrec.campaign.month_trial import COMPLETE, FAILED, Task, Trial
from beautyrec.campaign.samplers import Sampler, optuna
from beautyrec.campaign.slots import distributions
from beautyrec.campaign.space import Choice, Family, Float, Int, Range, space_from_toml
from beautyrec.campaign.study import trial_seed
from beautyrec.errors import ConfigError

LEADER_SHARE = 0.5
"""The share of a round's trials that the family which leads gets, once one does."""


@dataclass(frozen=True)
class Plan:
    """What a round searches.

    Args:
        round: its number.
        shares: of the round's trials, for each family that is still in.
        spaces: what is searched of each.
        reasons: why it is so, in words.
    """

    round: int
    shares: Mapping[str, float]
    spaces: Mapping[str, Mapping[str, Range]]
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads."""
        return {**asdict(self), "spaces": {name: space_to_toml(dict(space)) for name, space in self.spaces.items()}}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Plan:
        """The plan that :meth:`to_json` wrote."""
        spaces = {name: space_from_toml(space) for name, space in entry["spaces"].items()}
        return cls(int(entry["round"]), entry["shares"], spaces, tuple(entry["reasons"]))


def first_plan(families: Mapping[str, Family]) -> Plan:
    """All families alike, each with its whole space.

    Raises:
        ConfigError: no family has anything to try.
    """
    if not families:
        raise ConfigError("month: there is no family to try. Name one under [month.families].")
    share = 1 / len(families)
    return Plan(1, dict.fromkeys(families, share), {name: family.space for name, family in families.items()})


def next_plan(plan: Plan, trials: Sequence[Trial], objective: str, drop: Mapping[str, str], leader: str | None) -> Plan:
    """The plan of the next round.

    Args:
        plan: of the round that is over.
        trials: all so far.
        objective: whose value tells good from bad.
        drop: families that are out, and why.
        leader: the family that leads; None while none does.
    """
    kept = [name for name in plan.shares if name not in drop]
    reasons = [f"{name} is dropped: {why}" for name, why in drop.items()]
    others = [name for name in kept if name != leader]
    lead = {leader: LEADER_SHARE if others else 1.0} if leader in kept else {}
    rest = (1 - sum(lead.values())) / max(1, len(others))
    spaces = {}
    for name in kept:
        spaces[name], told = narrowed(plan.spaces[name], _of(trials, name), objective)
        reasons += [f"{name}: {each}" for each in told]
    shares = {name: lead.get(name, rest) for name in kept}
    return Plan(plan.round + 1, shares, spaces, tuple(reasons))


def narrowed(
    space: Mapping[str, Range], trials: Sequence[Trial], objective: str, *, least: int = 6, part: float = 1 / 3
) -> tuple[dict[str, Range], list[str]]:
    """The space around the best third of a family's trials, widened by a tenth of the range to each side; and what changed.

    Fewer than ``least`` complete trials leave it as it is; choices stay.
    """
    done = sorted((trial for trial in trials if trial.complete), key=lambda one: -one.standing(objective))
    if len(done) < least:
        return dict(space), []
    best = done[: max(2, math.ceil(part * len(done)))]
    found: dict[str, Range] = {}
    for key, values in space.items():
        found[key] = (
            values if isinstance(values, Choice) else _around(values, [float(one.task.params[key]) for one in best])
        )
    told = [f"{key} narrowed from {space[key]} to {now}" for key, now in found.items() if now != space[key]]
    return found, told


def _around(values: Range, seen: list[float]) -> Range:
    """A range of numbers around what was seen."""
    if not isinstance(values, Int | Float):
        return values
    there = np.log if values.log else np.asarray
    back = np.exp if values.log else np.asarray
    low, high = float(there(values.low)), float(there(values.high))
    slack = 0.1 * (high - low)
    ends = (float(back(max(low, min(there(seen)) - slack))), float(back(min(high, max(there(seen)) + slack))))
    if isinstance(values, Int):
        return Int(max(values.low, math.floor(ends[0])), min(values.high, math.ceil(ends[1])), values.log)
    return Float(max(values.low, ends[0]), min(values.high, ends[1]), values.log)


@dataclass(frozen=True)
class Known:
    """What a day's trials are held against, on the days that they are judged on.

    Args:
        best: daily lifts of the best trial so far, by day.
        anchor: values of the anchor, by objective.
    """

    best: Mapping[str, float]
    anchor: Mapping[str, float]


@dataclass(frozen=True)
class Planner:
    """Chooses what to try, as a function of the seed, the plan and the trials that are over.

    Args:
        families: with their defaults.
        objectives: what a trial gives a value of.
        sampler: what chooses once the defaults were tried.
        seed: of the campaign.
    """

    families: Mapping[str, Family]
    objectives: tuple[str, ...]
    sampler: Sampler
    seed: int

    def batch(self, plan: Plan, trials: Sequence[Trial], day: int, numbers: range, known: Known) -> list[Task]:
        """The tasks with these numbers, from what is known of ``trials``."""
        tasks: list[Task] = []
        for number in numbers:
            family = self._family(plan, [trial.task for trial in trials] + tasks)
            seed = trial_seed(self.seed, number)
            tried = [trial.task for trial in trials if trial.task.family == family] + [
                t for t in tasks if t.family == family
            ]
            marks: dict[str, Any] = {}
            if tried:
                params, marks = self._suggest(family, plan.spaces[family], _of(trials, family), seed)
            else:
                params = dict(self.families[family].defaults)
            tasks.append(
                Task(number, day, plan.round, family, params, seed, known.best, known.anchor, marks, numbers.start)
            )
        return tasks

    def _family(self, plan: Plan, tasks: Sequence[Task]) -> str:
        """The family that is furthest behind its share of the round."""
        mine = [task.family for task in tasks if task.round == plan.round]
        wanted = {name: share * (len(mine) + 1) - mine.count(name) for name, share in plan.shares.items()}
        return max(wanted, key=lambda name: wanted[name])

    def _suggest(
        self, family: str, space: Mapping[str, Range], trials: Sequence[Trial], seed: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters from the sampler, which is shown the family's trials that lie within the space."""
        module = optuna()
        with quiet(module), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = module.create_study(
                directions=["maximize"] * len(self.objectives), sampler=self.sampler.build(seed), storage=None
            )
            for trial, values in self._told(trials, space):
                study.add_trial(
                    module.trial.create_trial(
                        values=values,
                        params={f"{family}.{key}": trial.task.params[key] for key in space},
                        distributions=distributions(family, space, space),
                        system_attrs=dict(trial.task.marks),
                    )
                )
            asked = study.ask()
            params = {key: values.suggest(asked, f"{family}.{key}") for key, values in space.items()}
            kept = study.get_trials(deepcopy=False)[asked.number].system_attrs
        return params, {key: value for key, value in kept.items() if "generation" in key}

    def _told(self, trials: Sequence[Trial], space: Mapping[str, Range]) -> list[tuple[Trial, list[float]]]:
        """What the sampler is told: what cannot be promoted counts as a little worse than all that can be."""
        over = [trial for trial in trials if trial.result is not None and trial.result.state != FAILED]
        inside = [trial for trial in over if all(trial.task.params[key] in values for key, values in space.items())]
        sound = [
            one for one in inside if one.result is not None and one.result.state == COMPLETE and not one.result.barred
        ]
        floors = [min([0.0, *(one.standing(name) for one in sound)]) - 0.1 for name in self.objectives]
        told = []
        for trial in inside:
            if trial in sound:
                told.append((trial, [trial.standing(name) for name in self.objectives]))
            else:
                told.append((trial, floors))
        return told


def _of(trials: Sequence[Trial], family: str) -> list[Trial]:
    return [trial for trial in trials if trial.task.family == family]
