"""How likely an impression is to be clicked and a click to become an order: boosted trees, calibrated later in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from beautyrec.data.schema import CLICKED, ORDERED, TS
from beautyrec.errors import ArtifactError, ConfigError, FitError, MissingExtraError, SchemaError
from beautyrec.models.calibration import LogisticCalibration
from beautyrec.models.state import ModelState
from beautyrec.models.trees import MAX_LEAVES, TreeEnsemble
from beautyrec.types import BoolArray, FloatArray, IntArray, Progress

CTR: Final = "ctr"
CVR: Final = "cvr"
CTCVR: Final = "ctcvr"
KIND: Final = "funnel_trees"


@dataclass(frozen=True)
class Boosting:
    """How trees are grown, for scikit-learn's histogram gradient boosting.

    Args:
        trees: how many.
        leaves: of each tree at most, 2 to 16.
        learning_rate: how much of each tree is taken.
        l2: penalty on the values of leaves.
        rows_a_leaf: at least so many rows in each leaf.
    """

    trees: int = 100
    leaves: int = 6
    learning_rate: float = 0.06
    l2: float = 20.0
    rows_a_leaf: int = 300

    def __post_init__(self) -> None:
        """Checks the bounds."""
        low = {"trees": 1, "leaves": 2, "rows_a_leaf": 1, "l2": 0}
        wrong = {name: getattr(self, name) for name, least in low.items() if getattr(self, name) < least}
        if wrong or self.leaves > MAX_LEAVES or not 0 < self.learning_rate <= 1:
            raise ConfigError(
                f"{self}: give 1 tree or more, 2 to {MAX_LEAVES} leaves, a learning rate in (0, 1], l2 >= 0, 1 row a leaf."
            )


@dataclass(frozen=True)
class Funnel:
    """Hyperparameters of a model of click and order.

    The chance of a click is learnt on impressions. The chance of an order is learnt on clicks alone, with few leaves
    and much regularisation: clicks are few and not a random sample of impressions, so it is to be read as the chance
    of an order *given a click*, and is least sure for items that are seldom clicked. The earlier part of the rows
    grows the trees, the later part calibrates both (:class:`~beautyrec.models.calibration.LogisticCalibration`).
    Where features look back over windows, leave out the first days of a log: their windows are not yet full.

    Args:
        click: trees for the click.
        order: trees for the order after a click.
        negatives_a_click: impressions without a click kept for each click, drawn at random; the predictions stay on
            the scale of all impressions.
        calibration_share: share of the rows, the latest, that calibrate; above 0 and below 1.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> heat = rng.random(4000)
        >>> clicked = rng.random(4000) < 0.4 * heat
        >>> rows = pd.DataFrame({"ts": pd.date_range("2026-01-01", periods=4000, freq="min", tz="UTC"), "heat": heat,
        ...                      "clicked": clicked, "ordered": clicked & (rng.random(4000) < 0.3)})
        >>> model = Funnel().fit(rows, features=("heat",), seed=0)
        >>> predicted = model.predict(pd.DataFrame({"heat": [0.1, 0.9]}))
        >>> list(predicted), bool(predicted["ctr"].is_monotonic_increasing)
        (['ctr', 'cvr', 'ctcvr'], True)
    """

    click: Boosting = field(default_factory=Boosting)
    order: Boosting = field(default_factory=lambda: Boosting(40, 4, 0.06, 20.0, 40))
    negatives_a_click: float = 20.0
    calibration_share: float = 0.2

    def __post_init__(self) -> None:
        """Checks the bounds."""
        if not 0 < self.calibration_share < 1:
            raise ConfigError(f"funnel: calibration_share is {self.calibration_share}; give one above 0 and below 1.")
        if not self.negatives_a_click > 0:
            raise ConfigError(f"funnel: negatives_a_click is {self.negatives_a_click}; give a number above 0.")

    def fit(
        self, rows: pd.DataFrame, *, features: Sequence[str], seed: int = 0, on_progress: Progress | None = None
    ) -> FunnelModel:
        """A model fitted on impressions; the same seed gives the same model.

        Args:
            rows: one row an impression: the features (numbers, NaN where missing), ``clicked``, ``ordered`` and ``ts``.
            features: the columns to learn from.
            seed: of the sample of impressions without a click, and of the trees.
            on_progress: called after each of four steps.

        Raises:
            SchemaError: a column is missing.
            FitError: no rows, no features, labels with gaps, infinite features, or no clicks or no orders in the part
                that grows the trees.
            MissingExtraError: scikit-learn is not installed.
        """
        done = on_progress or (lambda _done, _total: None)
        data = _Examples.of(rows, tuple(features))
        early, late = data.cut(1.0 - self.calibration_share)
        _check_labels(early)
        click_trees = self._fit_click(early, seed)
        done(1, 4)
        clicks = early.where(early.clicked)
        order_trees = _grow(self.order, clicks, clicks.ordered, seed)
        done(2, 4)
        click_line = LogisticCalibration.fit(click_trees.raw(late.columns), late.clicked)
        done(3, 4)
        after = late.where(late.clicked)
        order_line = LogisticCalibration()
        if len(after):
            order_line = LogisticCalibration.fit(order_trees.raw(after.columns), after.ordered)
        done(4, 4)
        return FunnelModel(data.names, click_trees, order_trees, click_line, order_line)

    def _fit_click(self, early: _Examples, seed: int) -> TreeEnsemble:
        """Trees for the click, grown on all clicks and a sample of the other impressions.

        Keeping a share of those without a click multiplies the odds of a click by 1 / share; log(share) takes it back.
        """
        clicks = int(early.clicked.sum())
        share = min(1.0, self.negatives_a_click * clicks / (len(early) - clicks))
        keep = early.clicked | (np.random.default_rng(seed).random(len(early)) < share)
        sample = early.where(keep)
        return _grow(self.click, sample, sample.clicked, seed).shifted(float(np.log(share)))


@dataclass(frozen=True, eq=False)
class FunnelModel:
    """A fitted model of click and order; it predicts with numpy alone and never changes.

    Args:
        features: the columns it reads, in their order.
        click_trees: log odds of a click, before calibration.
        order_trees: log odds of an order after a click, before calibration.
        click_line: calibration of the click.
        order_line: calibration of the order.
    """

    features: tuple[str, ...]
    click_trees: TreeEnsemble
    order_trees: TreeEnsemble
    click_line: LogisticCalibration
    order_line: LogisticCalibration

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The chances of each row.

        Args:
            rows: the feature columns, NaN where a value is missing. To compare products, give all the same
                ``position`` where that is a feature.

        Returns:
            A frame with the index of ``rows``: ``ctr`` = P(click | impression), ``cvr`` = P(order | click),
            ``ctcvr`` = ctr * cvr = P(click and order | impression).

        Raises:
            SchemaError: a feature is missing, is not numeric, or is infinite somewhere.
        """
        columns = _feature_columns(rows, self.features)
        ctr = self.click_line.probability(self.click_trees.raw(columns))
        cvr = self.order_line.probability(self.order_trees.raw(columns))
        return pd.DataFrame({CTR: ctr, CVR: cvr, CTCVR: ctr * cvr}, index=rows.index)

    def state(self) -> ModelState:
        """Everything needed to build this model again with :meth:`from_state`."""
        lines = [[line.slope, line.intercept] for line in (self.click_line, self.order_line)]
        arrays = {
            **self.click_trees.arrays("click_"),
            **self.order_trees.arrays("order_"),
            "calibration": np.array(lines),
        }
        return ModelState(KIND, arrays, {"features": list(self.features)})

    @classmethod
    def from_state(cls, state: ModelState) -> FunnelModel:
        """The model that gave ``state``; its predictions are the same to the bit.

        Raises:
            ArtifactError: the state is of another kind, or an array or the names of the features are missing.
        """
        features = state.meta.get("features")
        if state.kind != KIND or not isinstance(features, list):
            raise ArtifactError(f"model state '{state.kind}': expected '{KIND}' with a list of features in its meta.")
        click, order = (TreeEnsemble.from_arrays(state.arrays, prefix) for prefix in ("click_", "order_"))
        lines = [LogisticCalibration(float(a), float(b)) for a, b in state.array("calibration", (2, 2))]
        return cls(tuple(features), click, order, *lines)


@dataclass(frozen=True, eq=False)
class _Examples:
    """Rows to learn from, in the order they came in: ``time`` [n] is in microseconds."""

    names: tuple[str, ...]
    columns: list[FloatArray]
    clicked: BoolArray
    ordered: BoolArray
    time: IntArray

    @classmethod
    def of(cls, rows: pd.DataFrame, features: tuple[str, ...]) -> _Examples:
        if len(rows) == 0 or not features:
            raise FitError(f"funnel: {len(rows)} rows with {len(features)} features. Give at least one of each.")
        absent = [name for name in (CLICKED, ORDERED, TS) if name not in rows]
        if absent:
            raise SchemaError(f"funnel: columns {absent} are missing; the frame has {list(rows)}. Add them.")
        for name in (CLICKED, ORDERED, TS):
            gaps = int(rows[name].isna().sum())
            if gaps:
                raise FitError(
                    f"funnel: column '{name}' has no value in {gaps} of {len(rows)} rows. Drop or fill them."
                )
        try:
            columns = _feature_columns(rows, features)
        except SchemaError as error:
            raise FitError(str(error)) from None
        time = np.asarray(pd.to_datetime(rows[TS], utc=True).dt.as_unit("us").astype("int64"), dtype=np.int64)
        clicked, ordered = (rows[name].to_numpy(dtype=bool) for name in (CLICKED, ORDERED))
        return cls(features, columns, clicked, ordered, time)

    def __len__(self) -> int:
        return len(self.clicked)

    def where(self, keep: BoolArray) -> _Examples:
        columns = [column[keep] for column in self.columns]
        return _Examples(self.names, columns, self.clicked[keep], self.ordered[keep], self.time[keep])

    def cut(self, share: float) -> tuple[_Examples, _Examples]:
        """The earlier ``share`` of the rows and the rest; rows of one moment stay together, in the later part."""
        place = min(int(share * len(self)), len(self) - 1)
        early = self.time < np.partition(self.time, place)[place]
        return self.where(early), self.where(~early)


def _check_labels(early: _Examples) -> None:
    """FitError where the part that grows the trees cannot teach one of the two."""
    clicks = int(early.clicked.sum())
    orders = int((early.clicked & early.ordered).sum())
    where = f"funnel: the earlier part has {len(early)} impressions, {clicks} clicked, {orders} clicked and ordered"
    if clicks in (0, len(early)):
        raise FitError(f"{where}: nothing to learn clicks from. Give a longer log, with clicks and with none.")
    if orders in (0, clicks):
        raise FitError(f"{where}: nothing to learn orders from. Give a longer log, or check how orders are attributed.")


def _feature_columns(rows: pd.DataFrame, features: tuple[str, ...]) -> list[FloatArray]:
    """One array [n] a feature, checked."""
    absent = [name for name in features if name not in rows]
    if absent:
        raise SchemaError(f"funnel: features {absent} are missing; the frame has {list(rows)}. Compute them first.")
    columns = []
    for name in features:
        try:
            column = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            raise SchemaError(f"funnel: feature '{name}' is {rows[name].dtype}; it must be a number.") from None
        infinite = int(np.isinf(column).sum())
        if infinite:
            raise SchemaError(
                f"funnel: feature '{name}' is infinite in {infinite} of {len(rows)} rows. Use NaN where missing."
            )
        columns.append(column)
    return columns


def _grow(boosting: Boosting, data: _Examples, label: BoolArray, seed: int) -> TreeEnsemble:
    """Trees for one label, grown on one thread so that sums are added in one order on every machine."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingExtraError("scikit-learn", "train") from None
    model = HistGradientBoostingClassifier(
        max_iter=boosting.trees,
        max_leaf_nodes=boosting.leaves,
        learning_rate=boosting.learning_rate,
        l2_regularization=boosting.l2,
        min_samples_leaf=boosting.rows_a_leaf,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(limits=1):
        model.fit(np.stack(data.columns, axis=1), label)
    return TreeEnsemble.from_sklearn(model)
