"""Every number of a run, in one object: what is printed and what is drawn is read from it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.files import atomic_file


@dataclass(frozen=True, eq=False)
class Summary:
    """What a run found. The same seed gives the same summary, ``seconds`` aside.

    Args:
        seed: of the run.
        version: of the package.
        data: where purchases come from, and the size of the simulated month.
        ranking: one row a protocol and model, on purchases.
        lift: one row a model, metric and estimator, in the simulated month, with the truth beside it.
        calibration: one row a bin of each prediction of the funnel model, in the simulated month.
        open_bandit: one row a question and estimator, on real impressions; or one row that says why not.
        sweep: the study: its budget, its trials, where it is tracked.
        champion: which trial, what it promised, what is true, where it lies.
        lineup: one row a slot of the next room.
        room: the next room as a whole.
        seconds: wall clock of each step, and of each model's fit and ranking.
    """

    seed: int
    version: str
    data: dict[str, Any]
    ranking: pd.DataFrame
    lift: pd.DataFrame
    calibration: pd.DataFrame
    open_bandit: pd.DataFrame
    sweep: dict[str, Any]
    champion: dict[str, Any]
    lineup: pd.DataFrame
    room: dict[str, Any]
    seconds: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: frames as lists of rows, NaN as None."""
        return {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}


def plain(value: Any) -> Any:
    """Numbers, strings, lists and dicts only; what is not finite becomes None.

    Examples:
        >>> plain({"a": np.float64("nan"), "b": pd.DataFrame({"x": [1, 2]})})
        {'a': None, 'b': [{'x': 1}, {'x': 2}]}
    """
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return None if pd.isna(value) else str(value)


def write_summary(summary: Summary, path: Path) -> None:
    """Writes ``summary`` as JSON, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(summary.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
