"""What third-party columns are worth: the same model with and without them, and the money that they bring against their price."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from beautyrec.campaign.source_trial import SourceTrial, Tried
from beautyrec.data.external import ExternalSource
from beautyrec.data.log import EventLog
from beautyrec.errors import ConfigError
from beautyrec.evaluation.estimate import Estimate, Verdict
from beautyrec.evaluation.overlap import Finding, Overlap, judge
from beautyrec.evaluation.paired import Book, Change, lift_changes, money_change
from beautyrec.types import Progress


class Purchase(StrEnum):
    """Whether to buy.

    ``PAYS``: the whole interval of the extra money lies above the price. ``DOES_NOT_PAY``: the whole of it lies below.
    ``CANNOT_BE_TOLD``: it holds the price, or the log does not show the policies well enough.
    """

    PAYS = "pays"
    DOES_NOT_PAY = "does not pay"
    CANNOT_BE_TOLD = "cannot be told"


@dataclass(frozen=True, eq=False)
class SourceValue:
    """What a source changes, and whether that is worth its price.

    Args:
        source: its name.
        changes: one row a measure, ``measure, better, without, with, difference, ci_low, ci_high, clusters, note``; differences
            are with less without, and a value that cannot be computed is ``<NA>``.
        extra: margin (or revenue) that the source brings per 1,000 viewers of rooms; None where it cannot be computed.
        price: asked for 1,000 viewers of rooms.
        coverage: share of the test impressions of which a row was known, and held, when their room began.
        verdict: whether to buy.
        reasons: why, in words.
    """

    source: str
    changes: pd.DataFrame
    extra: Estimate | None
    price: float
    coverage: float
    verdict: Purchase
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """The verdict and what it rests on."""
        return f"{self.source}: {self.verdict}: {'; '.join(self.reasons)}"


def value_of(
    source: ExternalSource,
    log: EventLog,
    *,
    price: float,
    trial: SourceTrial | None = None,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> SourceValue:
    """Does the purchase pay? The same model is fitted with and without the source, and both are judged by the same viewers.

    Before each block of test days two models are fitted on what was known by then. On the impressions of the block their chances
    are compared: log loss and calibration error, and the AUC within requests. On its shelves a policy over either's scores is
    valued from the log, and so is what each would have brought. Every difference is taken viewer by viewer, so its interval
    (jackknife; Poisson bootstrap for the calibration error) is that of the difference. It is of these two fitted models: what
    another month to learn from would change is not in it.

    Money is margin, price paid less the catalogue's cost, where every product on a test shelf has a cost, and revenue if not.

    Args:
        source: with its rows in the log: ``source.read(rows).join(log)``.
        log: with shelves and propensities, as the lift needs them.
        price: money asked for 1,000 viewers of rooms, in the currency of the log. A fee of a month is ``1000 * fee / viewers``
            with the viewers of that month.
        trial: how it is tried; `SourceTrial` as it stands if None.
        seed: of fits, of the outcome model's folds and of the bootstrap.
        on_progress: called as work goes on.

    Raises:
        ConfigError: the price is below 0 or no number.
        SchemaError: the log has no such source, or no shelves.
        EvaluationError: no room was held in the test days, or too few viewers saw one.
        FitError: there is too little before the test days to fit a model on.

    Examples:
        >>> import beautyrec as br
        >>> from beautyrec.features.items import ItemHeat, PriceInCategory
        >>> log = br.World.tiny(0).log()
        >>> told = log.engine.frame(log.items)[["item_id"]].assign(told_at=pd.Timestamp("2014-01-01", tz="UTC"))
        >>> told["luck"] = np.random.default_rng(0).random(len(told))
        >>> source = br.ExternalSource("horoscope", "item_id", "told_at", "3650D", ("luck",))
        >>> trial = SourceTrial(br.FeatureSet((ItemHeat(), PriceInCategory())), test_days=3)
        >>> found = br.value_of(source, source.read(told).join(log), price=5_000.0, trial=trial)
        >>> str(found.verdict), round(found.coverage, 2)
        ('does not pay', 1.0)
    """
    if not (np.isfinite(price) and price >= 0):
        raise ConfigError(f"value_of: price is {price}; give the money asked for 1,000 viewers, 0 or more.")
    trial = trial or SourceTrial()
    tried = Tried.of(source, log, trial, seed, on_progress)
    book, *costs = tried.books
    how, sure = trial.estimator, trial.confidence
    lifts = lift_changes(book.before, book.after, estimator=how, confidence=sure)
    money = money_change(tried.books, "margin" if costs else "revenue", estimator=how, confidence=sure)
    verdict, reasons = _verdict(money, price, tried.coverage, book)
    return SourceValue(
        source=source.name,
        changes=_table([*tried.pairs.changes(), *lifts, money]),
        extra=None if money.note else _estimate(money, trial),
        price=price,
        coverage=tried.coverage,
        verdict=verdict,
        reasons=reasons,
    )


def _verdict(money: Change, price: float, coverage: float, book: Book) -> tuple[Purchase, tuple[str, ...]]:
    """Whether to buy, and why."""
    reasons = [f"of the test impressions {coverage:.1%} were covered in time"]
    if money.note:
        return Purchase.CANNOT_BE_TOLD, (f"the extra money has no value: {money.note}", *reasons)
    between = f"{money.ci_low:,.2f} .. {money.ci_high:,.2f}"
    reasons.insert(0, f"{money.measure}: {money.difference:+,.2f} ({between}) for a price of {price:,.2f}")
    same = np.array_equal(book.before.weight, book.after.weight)
    level, found = judge([] if same else list(_overlaps(book)))
    reasons += found
    if level is Verdict.REFUSE or money.ci_low <= price <= money.ci_high:
        return Purchase.CANNOT_BE_TOLD, tuple(reasons)
    return (Purchase.PAYS if money.ci_low > price else Purchase.DOES_NOT_PAY), tuple(reasons)


def _overlaps(book: Book) -> Iterator[Finding]:
    """What speaks against reading either policy from the log."""
    for name, policy in (("without", book.before), ("with", book.after)):
        for verdict, reason in Overlap.of(policy).findings("ordered"):
            yield verdict, f"{name} the source, {reason}"


def _estimate(money: Change, trial: SourceTrial) -> Estimate:
    method = f"{trial.estimator.name}, jackknife over clusters of the difference, {trial.confidence:.0%}"
    return Estimate(money.difference, money.ci_low, money.ci_high, money.clusters, money.measure, method)


def _table(changes: list[Change]) -> pd.DataFrame:
    frame = pd.DataFrame(changes).rename(columns={"before": "without", "after": "with"})
    return frame.astype(dict.fromkeys(("without", "with", "difference", "ci_low", "ci_high"), "Float64"))
