"""The same estimators on a real click log: Open Bandit, what it can tell and what it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from beautyrec.data.sources.fetch_open_bandit import fetch_open_bandit
from beautyrec.data.sources.open_bandit import (
    Behaviour,
    Campaign,
    OpenBanditLog,
    action_probabilities,
    read_open_bandit,
)
from beautyrec.evaluation.evidence import Outcomes, impressions
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.reward_model import ItemPositionRates
from beautyrec.types import FloatArray, IntArray

SHARED: Final = "open-bandit-small"
"""The folder of the public data that holds the six logs."""

QUESTIONS: Final[tuple[tuple[Behaviour, Campaign, Behaviour], ...]] = (
    ("random", "all", "bts"),
    ("bts", "women", "random"),
)
"""Logging policy, campaign, target policy: one that the log can answer, and one that it must refuse."""


def find_open_bandit(data: Path | None, into: Path) -> Path:
    """The folder of the six logs: of the public data where it has them, else fetched from their publisher.

    Raises:
        SourceError: they are not there and cannot be fetched, as on a machine that is offline.
    """
    if data is not None and (data / SHARED).is_dir():
        return data / SHARED
    return fetch_open_bandit(into)


def lift_of_bandits(folder: Path) -> pd.DataFrame:
    """One row a question and estimator: the click-through lift of the target policy, from the other's log alone."""
    return pd.concat([_answer(folder, *question) for question in QUESTIONS], ignore_index=True)


def _answer(folder: Path, logging: Behaviour, campaign: Campaign, target: Behaviour) -> pd.DataFrame:
    """The table of lifts for one question; the target's chances are those it logged itself."""
    log = read_open_bandit(folder, logging, campaign)
    other = read_open_bandit(folder, target, campaign)
    chances = action_probabilities(other) if target != "random" else _even(log.n_items, log.n_positions)
    return bandit_lift(log, chances).assign(target_policy=target)


def bandit_lift(log: OpenBanditLog, chances: FloatArray) -> pd.DataFrame:
    """The table of lifts, read from ``log``, of a policy with these chances [n_items, n_positions].

    Impressions are single: a position is part of the item's chance.
    """
    position = log.position - 1
    expected = _expected(log.item_id, position, log.click, chances)
    evidence = impressions(
        target=chances[log.item_id, position], logging=log.propensity, clicked=log.click, expected=expected
    )
    table = lift_table(evidence)
    name = f"{log.behaviour}-{log.campaign}"
    return table.assign(log=name, impressions=len(log), clicks=int(log.click.sum()))


def _even(n_items: int, n_positions: int) -> FloatArray:
    return np.full((n_items, n_positions), 1 / n_items)


def _expected(
    item: IntArray, position: IntArray, click: IntArray, chances: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """[n] expected clicks of what was logged and under the target policy, cross-fitted over impressions."""
    rows = np.arange(len(item))
    shown = np.full((len(item), chances.shape[1]), -1, dtype=np.int64)
    clicked = np.zeros(shown.shape)
    shown[rows, position], clicked[rows, position] = item, click
    model = ItemPositionRates().fit(shown, Outcomes(clicked), rows, len(chances))
    rates = np.einsum("ik,fi->fk", chances, model.rate[:, :, 0])
    under_target = (rates * model.attention)[model.fold, position]
    return model.logged(shown).clicked[rows, position], under_target
