"""From values of impressions to the totals that metrics are made of, and how they depend on column means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from beautyrec.evaluation.evidence import OUTCOMES, SlateEvidence
from beautyrec.evaluation.metrics import Metric, Totals
from beautyrec.evaluation.moments import Columns
from beautyrec.evaluation.off_policy import Estimator, PositionValues, ValuesBuyers
from beautyrec.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Ledger(Columns):
    """Sums a cluster of everything that the metrics of one estimator need.

    Whether a viewer of a room buys at all is not a sum over positions. It is valued by ``1 - prod_k (1 - d_k)`` with
    ``d_k`` the value of an order at position k (`PositionValues`). This is exact where, given the viewer, orders at
    different positions are independent and so are the items that stand there. In a slate drawn without replacement the
    items are not quite: the error is of second order, about the square of the conversion rate times the chance that the
    two positions would compete for the same item. At 5 % conversion and items of at most 10 % it is below
    ``0.05**2 / 2 * 0.1``, 0.3 % of the conversion; the coverage benchmark checks the whole. Estimators that can say more of it
    (`ValuesBuyers`) are asked instead.

    For self-normalised estimators every ``d_k`` holds the mean weight as a divisor, ``d_k = a_k + b_k u``. The product is
    then a polynomial in ``u``, whose coefficients are columns; so it, too, is a smooth function of column means.

    Args:
        names: [m] names of the columns.
        sums: [G, m] sums over each cluster.
        held: clusters in all rows together; one a row if None.
    """

    @classmethod
    def of(cls, evidence: SlateEvidence, estimator: Estimator) -> Ledger:
        """The ledger of one estimator on one log."""
        columns = row_columns(evidence, estimator)
        return cls(tuple(columns), evidence.grouping.sums(list(columns.values())))

    def logging(self, means: Any) -> Totals:
        """Totals of the log as functions of the column means [m]."""
        column = self.named(means)
        outcomes = {name: column.get(f"logged {name}", 0.0) for name in (*OUTCOMES, "converted")}
        return Totals(column["requests"], column["impressions"], **outcomes)

    def target(self, means: Any) -> Totals:
        """Totals under the target policy as functions of the column means [m]."""
        column = self.named(means)
        clicked, ordered, revenue = (total(column, name) for name in OUTCOMES)
        requests, impressions = column["requests"], column["impressions"]
        if any(name.startswith("weighted converted") for name in self.names):
            return Totals(requests, impressions, clicked, ordered, revenue, total(column, "converted"))
        powers = [name for name in self.names if name.startswith("unconverted")]
        u = _scale(column, "ordered")
        unconverted = sum(column[name] * u ** int(name.split()[1]) for name in powers)
        return Totals(requests, impressions, clicked, ordered, revenue, requests - unconverted)

    def values(self, metric: Metric) -> tuple[Any, Any]:
        """The metric under the target and the logging policy, each a function of the column means."""
        return (lambda means: metric.of(self.target(means))), (lambda means: metric.of(self.logging(means)))


def row_columns(evidence: SlateEvidence, estimator: Estimator) -> dict[str, FloatArray]:
    """Each column of the ledger, [B] one value a row of the log.

    A column ``plain`` that is 0 throughout, as that of every estimator without a model, is left out, and so are powers that
    do not occur: a column that is not there counts 0.
    """
    columns = {"requests": np.ones(len(evidence.weight)), "impressions": evidence.shown.sum(axis=1, dtype=np.float64)}
    for name in evidence.outcomes.names:
        values = estimator.per_position(evidence, name)
        columns[f"logged {name}"] = (evidence.outcomes.of(name) * evidence.shown).sum(axis=1)
        columns |= value_columns(values, name, evidence.shown)
        if name == "ordered":
            columns["logged converted"] = (columns["logged ordered"] > 0).astype(np.float64)
            if isinstance(estimator, ValuesBuyers):
                columns |= value_columns(estimator.buyers(evidence), "converted", evidence.shown)
            else:
                columns |= _unconverted(values)
    return columns


def value_columns(values: PositionValues, name: str, shown: BoolArray) -> dict[str, FloatArray]:
    """The columns that value one outcome under the target policy, [B] each.

    What is plain, what is weighted and its divisor; the last two for each group.
    """
    columns = {f"plain {name}": values.plain.sum(axis=1)} if values.plain.any() else {}
    if values.divisor is None or values.group is None:
        columns[f"weighted {name}"] = values.weighted.sum(axis=1)
        if values.divisor is not None:
            columns[f"divisor {name}"] = values.divisor.sum(axis=1)
        return columns
    for group in np.unique(values.group[shown]):
        own = shown & (values.group == group)
        columns[f"weighted {name} {group}"] = (values.weighted * own).sum(axis=1)
        columns[f"divisor {name} {group}"] = (values.divisor * own).sum(axis=1)
        columns[f"shown {name} {group}"] = own.sum(axis=1)
    return columns


def total(column: Mapping[str, Any], name: str) -> Any:
    """What is plain, and what is weighted over its divisors; 0 for an outcome that is not there.

    Args:
        column: the columns of `value_columns` by name, or their means.
        name: of the outcome.
    """
    parts = [part.removeprefix("weighted ") for part in column if part.startswith(f"weighted {name}")]
    weighted = sum(column[f"weighted {part}"] * _scale(column, part) for part in parts)
    return column.get(f"plain {name}", 0.0) + weighted


def _scale(column: Mapping[str, Any], part: str) -> Any:
    """One over the mean divisor of a part, 1 where it has none."""
    if f"divisor {part}" not in column:
        return 1.0
    return column.get(f"shown {part}", column["impressions"]) / column[f"divisor {part}"]


def _unconverted(orders: PositionValues) -> dict[str, FloatArray]:
    """Coefficients of ``prod_k (1 - plain_k - weighted_k u)``, one column a power of ``u``; one column at u = 1."""
    if orders.divisor is None:
        return {"unconverted 0": (1 - orders.plain - orders.weighted).prod(axis=1)}
    rows, positions = orders.plain.shape
    coefficients = np.zeros((rows, positions + 1))
    coefficients[:, 0] = 1.0
    for k in range(positions):
        raised = coefficients[:, :-1] * orders.weighted[:, k, None]
        coefficients *= 1 - orders.plain[:, k, None]
        coefficients[:, 1:] -= raised
    used = max(2, 1 + int(np.flatnonzero(coefficients.any(axis=0)).max()))  # without weights there is no value, not 0
    return {f"unconverted {power}": coefficients[:, power] for power in range(used)}
