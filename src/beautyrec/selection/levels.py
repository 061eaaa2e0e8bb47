"""By what factor outcomes differ from what was predicted, group by group, drawn to 1 as far as groups do not differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import FitError, SchemaError
from beautyrec.selection.shrink import likely_shape
from beautyrec.types import FloatArray


@dataclass(frozen=True, eq=False)
class Levels:
    """Factors that predictions are to be multiplied with.

    Args:
        overall: that of all rows.
        factors: by column, the further factor of each value (the index); 1 stands for a value that is not there.
        strength: by column, how much of what is predicted a factor of 1 is worth: the more, the less groups differ.
        observed: by column, what was observed of each value.
    """

    overall: float
    factors: Mapping[str, pd.Series[float]]
    strength: Mapping[str, float]
    observed: Mapping[str, pd.Series[float]]

    def of(self, groups: pd.DataFrame) -> FloatArray:
        """[n] the factor of each row: the overall one times those of its groups.

        Args:
            groups: n rows with the columns that the levels were fitted on.

        Raises:
            SchemaError: a column is missing.
        """
        _check(groups, list(self.factors))
        found = np.full(len(groups), self.overall)
        for name, factor in self.factors.items():
            found *= groups[name].map(factor).fillna(1.0).to_numpy(np.float64)
        return found

    def sureness(self, values: pd.Series) -> FloatArray:
        """[n] how sure the factors are: the shape ``k + o`` of the gamma distribution that each value's is known by.

        What :func:`beautyrec.selection.line_up.line_up` reads as ``sureness``. That of a product of two rates of shapes ``a`` and
        ``b`` is near ``1 / (1 / a + 1 / b)``.

        Args:
            values: of one column, which its name says.

        Raises:
            SchemaError: the levels have no such column.
        """
        name = str(values.name)
        if name not in self.factors:
            raise SchemaError(
                f"levels: there is no column '{name}'; there are {list(self.factors)}. Name the series so."
            )
        seen = values.map(self.observed[name]).fillna(0.0).to_numpy(np.float64)
        return np.asarray(self.strength[name] + seen)


def fit_levels(predicted: npt.ArrayLike, observed: npt.ArrayLike, groups: pd.DataFrame, *, rounds: int = 4) -> Levels:
    """What is observed over what was predicted, by group: orders by category and product, viewers by scene and hour.

    Each column's groups have factors of a gamma distribution around 1; given them outcomes are of Poisson's. A group of which
    ``e`` was predicted and ``o`` observed has the factor ``(o + k) / (e + k)``: much evidence speaks for itself, little is drawn
    to 1. The strength ``k`` is the most likely one for all groups of the column together, so that groups that do not differ are
    taken as alike (Clayton and Kaldor 1987, "Empirical Bayes Estimates of Age-standardized Relative Risks"). Columns take turns,
    each on what the others leave, in their order.

    The predictions should not have seen what is observed: of a model that follows each product's own past, most is gone.

    Args:
        predicted: [n] expected counts, at least 0.
        observed: [n] counts, at least 0.
        groups: n rows, the columns to group by; a gap is a group that keeps 1.
        rounds: how often all columns take turns.

    Raises:
        FitError: nothing was predicted or nothing observed, lengths differ, or a value is below 0 or not a number.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> item = np.repeat(np.arange(500), 4)
        >>> true = rng.gamma(5, 1 / 5, 500)
        >>> levels = fit_levels(np.full(2000, 2.0), rng.poisson(2.0 * true[item]), pd.DataFrame({"item": item}))
        >>> round(levels.strength["item"])
        5
        >>> error = levels.of(pd.DataFrame({"item": np.arange(500)})) - true
        >>> round(float(np.sqrt(np.mean(error**2))), 2), round(float(np.sqrt(np.mean(true / 8))), 2)  # drawn, not drawn
        (0.28, 0.35)
    """
    p, o = np.asarray(predicted, np.float64), np.asarray(observed, np.float64)
    wrong = int((~(np.isfinite(p) & np.isfinite(o) & (p >= 0) & (o >= 0))).sum()) if p.shape == o.shape else 0
    if p.shape != (len(groups),) or o.shape != p.shape or wrong or not (p.sum() > 0 and o.sum() > 0):
        raise FitError(
            f"levels: predicted {p.shape} (sum {p.sum():g}) and observed {o.shape} (sum {o.sum():g}) for {len(groups)} rows, "
            f"{wrong} of them below 0 or no numbers. Give one of each a row, and some of each in all."
        )
    names = [str(name) for name in groups]
    codes = {name: pd.factorize(groups[name]) for name in names}
    overall = float(o.sum() / p.sum())
    factor = {name: np.ones(len(values) + 1) for name, (_, values) in codes.items()}  # the last is that of gaps
    strength = dict.fromkeys(names, float("inf"))
    level = np.full(len(p), overall)
    for _ in range(rounds):
        for name, (code, values) in codes.items():
            level = level / factor[name][code]
            seen, said = (
                np.bincount(code + 1, each, len(values) + 1)[1:].astype(np.float64) for each in (o, p * level)
            )
            strength[name] = likely_shape(seen, said)
            factor[name][:-1] = (seen + strength[name]) / (said + strength[name])
            level = level * factor[name][code]
    series = {name: pd.Series(factor[name][:-1], index=values) for name, (_, values) in codes.items()}
    counts = {
        name: pd.Series(np.bincount(code + 1, o, len(values) + 1)[1:], index=values)
        for name, (code, values) in codes.items()
    }
    return Levels(overall, series, strength, counts)


def _check(groups: pd.DataFrame, names: list[str]) -> None:
    missing = [name for name in names if name not in groups]
    if missing:
        raise SchemaError(f"levels: columns {missing} are missing; there are {list(groups)}. Give those fitted on.")
