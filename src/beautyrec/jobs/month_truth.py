"""The truth of a simulated month: what champion, legacy policy and oracles are worth on the month after, and the aims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from beautyrec.campaign.confirmation import Confirmation
from beautyrec.campaign.final_model import FinalModel
from beautyrec.campaign.month import Campaign
from beautyrec.data.log import EventLog
from beautyrec.data.slates import Slates
from beautyrec.data.times import microseconds
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError
from beautyrec.jobs.month_sales import SalesAfter
from beautyrec.simulate.oracle import Goal
from beautyrec.simulate.truth import Truth
from beautyrec.simulate.world import World

TOLD: Final = ("ctr", "cvr", "ctcvr", "room_conversion", "revenue_per_viewer", "margin_per_viewer")


class Aim(NamedTuple):
    """What the shop wants of the champion."""

    name: str
    """Of the number."""
    target: float
    """Where it is to be."""
    at_most: bool = False
    """Whether less is better."""


AIMS: Final = (
    Aim("CTR", 0.03),
    Aim("room conversion", 0.05),
    Aim("sales deviation", 0.10, at_most=True),
    Aim("share of the oracle's lift", 0.80),
)
"""The shop's plan before its A/B test. None is lowered where the world does not allow it."""


@dataclass(frozen=True, eq=False)
class MonthAfter:
    """The month after a simulated one.

    Args:
        world: knows the truth.
        campaign: that is over.
        size: requests that the truth is read on, drawn at random.
        seed: of what is drawn.
    """

    world: World
    campaign: Campaign
    size: int
    seed: int

    @cached_property
    def log(self) -> EventLog:
        """Of both months."""
        return self.world.log(Engine.duckdb())

    @cached_property
    def slates(self) -> Slates:
        """The requests.

        Raises:
            ConfigError: the world ends with the month.
        """
        slates = self.world.slates()
        after = np.flatnonzero(slates.ts >= microseconds(self._start))
        if not len(after):
            raise ConfigError("month: the simulated shop ends with the month; raise [world] days.")
        keep = np.zeros(len(slates), dtype=np.bool_)
        keep[np.random.default_rng(self.seed).choice(after, min(self.size, len(after)), replace=False)] = True
        return slates.where(keep)

    def told(self, found: Confirmation) -> dict[str, Any]:
        """Levels of each policy, the champion's lift beside the oracle's and what was promised, sales, and the aims."""
        rng, world, slates = np.random.default_rng, self.world, self.slates
        policies: dict[str, Truth] = {
            "legacy": world.legacy_truth(slates, rng=rng(self.seed)),
            "oracle": world.truth_of_slates(slates, world.best_slates(slates)),
            "oracle_of_clicks": world.truth_of_slates(slates, world.best_slates(slates, Goal.CLICK)),
        }
        after = SalesAfter(world, self.log, self._start)
        sales: dict[str, float | None] = {"legacy": after.of_scorecard()}
        if found.champion is not None:
            final = FinalModel.of(self.campaign, found.champion)
            draws = final.chances(self.log, slates)
            policies["champion"] = world.truth(slates, draws, rng=rng(self.seed))  # the same draws for each policy
            sales["champion"] = after.of_model(final, slates, draws, self.seed)
        levels = {name: {metric: truth[metric].value for metric in TOLD} for name, truth in policies.items()}
        told = {"label": world.label, "requests": len(slates), **levels, "sales_deviation": sales}
        if found.champion is not None:
            told |= _lifts(levels, next(row for row in found.rows if row["number"] == found.champion))
        return {**told, "aims": aims(told)}

    @property
    def _start(self) -> Any:
        return self.campaign.calendar.begins(self.campaign.spec.calendar.days)


def aims(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each aim with what was reached: ``aim, value, target, at_most, reached``; no value where there is no champion.

    Examples:
        >>> told = {"champion": {"ctr": 0.02, "room_conversion": 0.06}, "sales_deviation": {"champion": 0.09}}
        >>> [(one["aim"], one["reached"]) for one in aims({**told, "share_of_oracle": 0.7})]
        [('CTR', False), ('room conversion', True), ('sales deviation', True), ("share of the oracle's lift", False)]
    """
    level = told.get("champion", {})
    values = (
        level.get("ctr"),
        level.get("room_conversion"),
        told["sales_deviation"].get("champion"),
        told.get("share_of_oracle"),
    )
    return [
        {
            "aim": aim.name,
            "value": value,
            "target": aim.target,
            "at_most": aim.at_most,
            "reached": value is not None and (value <= aim.target if aim.at_most else value >= aim.target),
        }
        for aim, value in zip(AIMS, values, strict=True)
    ]


def _lifts(levels: Mapping[str, Mapping[str, float]], row: Mapping[str, Any]) -> dict[str, Any]:
    """The champion's lifts in room conversion and CTR, true and promised, beside the oracle's."""

    def over_legacy(name: str, metric: str) -> float:
        return levels[name][metric] / levels["legacy"][metric] - 1

    true, oracle = (over_legacy(name, "room_conversion") for name in ("champion", "oracle"))
    return {
        "true_lift": true,
        "oracle_lift": oracle,
        "share_of_oracle": true / oracle,
        "promised_lift": row["estimate"],
        "promised_low": row["ci_low"],
        "promised_high": row["ci_high"],
        "promised_before": row["before_estimate"],
        "promised_room_conversion": row["target"],
        "true_ctr_lift": over_legacy("champion", "ctr"),
        "promised_ctr_lift": row.get("ctr_lift"),
    }
