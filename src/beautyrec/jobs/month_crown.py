"""The champion of a month in the registry: of each round when it changes, and at the end with the runner-up."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from beautyrec.campaign.confirmation import Confirmation
from beautyrec.campaign.final_model import FinalModel
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_tracking import CAMPAIGN_TAG, MonthTracker
from beautyrec.campaign.registry import champion, register_champion, withdraw

EXPERIMENT: Final = "beautyrec-month"
TRIAL, SINCE = "trial", "since"
PROMISED: Final = ("estimate", "ci_low", "ci_high")


@dataclass(frozen=True, eq=False)
class Crown:
    """Writes the champion where it can be served from.

    Args:
        campaign: the month.
        tracker: of its runs; the registry is that of its store.
        label: where rooms come from, in words.
    """

    campaign: Campaign
    tracker: MonthTracker
    label: str

    def keep(self) -> str:
        """Register the champion of the last review, fitted on what was known when its round was over, where it is another.

        Returns:
            What was done, in words; empty for nothing.

        Raises:
            SourceError: the store cannot be used; the next call goes on.
        """
        held = self.campaign.round_reviews()
        number = held[-1].champion if held else None
        run_id = "" if number is None else self.tracker.trial_run(number)
        if number is None or not run_id or self._registered() == str(number):
            return ""
        over = held[-1]
        row = next(row for row in over.rows if row["number"] == number)
        part = self.campaign.calendar.rounds[over.round - 1]
        with tempfile.TemporaryDirectory() as scratch:
            version = self._register(
                FinalModel.of(self.campaign, number, part.last + 1), row, Path(scratch), "champion"
            )
        return f"version {version} is champion: trial {number} ({row['family']}), since round {over.round}"

    def confirmed(self, found: Confirmation, folder: Path, *, register: bool) -> dict[str, Any]:
        """Champion and runner-up, fitted on the whole month, as artifacts in ``folder`` and under their aliases.

        Where no finalist was confirmed, the alias goes back to what was champion before this month.

        Args:
            found: by the confirmation.
            folder: of the artifacts.
            register: whether the store can be reached.
        """
        told: dict[str, Any] = {}
        for alias, number in (("challenger", found.challenger), ("champion", found.champion)):
            if number is None:
                reasons = [one.subject + ": " + "; ".join(one.reasons) for one in found.decisions]
                told[alias] = {"promoted": False, "reasons": reasons}
                if register:
                    withdraw(self.tracker.store.uri, EXPERIMENT, CAMPAIGN_TAG, self.campaign.identity, alias)
                continue
            row = next(row for row in found.rows if row["number"] == number)
            told[alias] = {**row, "promoted": True, "artifact": alias, "params": {**row["params"]}}
            final = FinalModel.of(self.campaign, number)
            if register:
                told[alias]["version"] = self._register(final, row, folder / alias, alias)
            else:
                final.write(folder / alias, _promised(row), self.label)
        return told

    def _registered(self) -> str:
        """The number of the trial that is champion in the registry, if it is of this month."""
        now = champion(self.tracker.store.uri, EXPERIMENT)
        of_this = now is not None and now.tags.get(CAMPAIGN_TAG) == self.campaign.identity
        return now.tags.get(TRIAL, "") if now is not None and of_this else ""

    def _register(self, final: FinalModel, row: Mapping[str, Any], place: Path, alias: str) -> int:
        """Write a model and register it; its version."""
        promised = _promised(row)
        card = final.write(place, promised, self.label)
        tags = {"family": card.family, TRIAL: final.number, CAMPAIGN_TAG: self.campaign.identity, **promised}
        tags[SINCE] = self.campaign.calendar.name(final.day - 1)
        return register_champion(
            self.tracker.store.uri, place, self.tracker.trial_run(final.number), name=EXPERIMENT, alias=alias, tags=tags
        ).version


def _promised(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: row[name] for name in PROMISED}
