"""The contract of funnel models: what they learn from, and what a fitted one gives.

Only numpy and pandas are needed here, so that a process that scores needs nothing that trains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.data.schema import CLICKED, ORDERED, TS
from beautyrec.errors import ArtifactError, ConfigError, FitError, SchemaError
from beautyrec.models.calibrated import Calibration, LogisticCalibration, calibration_from
from beautyrec.models.calibration import Method
from beautyrec.models.funnel_delay import MATURITY, calibrate_matured
from beautyrec.models.state import ModelState
from beautyrec.types import BoolArray, FloatArray, IntArray, Progress

CTR: Final = "ctr"
CVR: Final = "cvr"
CTCVR: Final = "ctcvr"


class FunnelLearner(ABC):
    """Hyperparameters of a model of click and order, as a frozen dataclass; :meth:`fit` leaves it as it was."""

    @abstractmethod
    def fit(
        self, rows: pd.DataFrame, *, features: Sequence[str], seed: int = 0, on_progress: Progress | None = None
    ) -> FunnelModel:
        """A model fitted on impressions; the same seed gives the same model.

        Args:
            rows: one row an impression: the features (numbers, NaN where missing), ``clicked``, ``ordered`` and ``ts``;
                ``maturity`` where orders may still come, see :mod:`beautyrec.models.funnel_delay`.
            features: the columns to learn from.
            seed: of all that is drawn.
            on_progress: called as work goes on.

        Raises:
            SchemaError: a column is missing.
            FitError: no rows, no features, labels with gaps, infinite features, or no clicks or no orders in the part
                that is learnt from.
            MissingExtraError: the library that trains is not installed.
        """


@dataclass(frozen=True, eq=False)
class FunnelModel(ABC):
    """A fitted model of click and order; it predicts with numpy alone and never changes.

    Args:
        features: the numbers it reads, in their order.
        click_line: calibration of the click.
        order_line: calibration of the order after a click.
    """

    features: tuple[str, ...]
    click_line: Calibration
    order_line: Calibration
    kind: ClassVar[str]

    @abstractmethod
    def log_odds(self, rows: pd.DataFrame, columns: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """[n] log odds of a click and of an order after it, before calibration.

        Args:
            rows: what is to be predicted.
            columns: one checked array [n] a feature.
        """

    @abstractmethod
    def state(self) -> ModelState:
        """Everything needed to build this model again with :meth:`from_state`."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: ModelState) -> Self:
        """The model that gave ``state``; its predictions are the same to the bit.

        Raises:
            ArtifactError: the state is of another kind, or something is missing or of another shape.
        """

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
        columns = feature_columns(rows, self.features)
        click, order = self.log_odds(rows, columns)
        ctr = self.click_line.probability(click, group_of(self.click_line.by, self.features, columns))
        cvr = self.order_line.probability(order, group_of(self.order_line.by, self.features, columns))
        return pd.DataFrame({CTR: ctr, CVR: cvr, CTCVR: ctr * cvr}, index=rows.index)


def lines_state(model: FunnelModel) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Arrays and meta of the features and the two calibrations."""
    lines = {"click": model.click_line, "order": model.order_line}
    arrays = {f"{name}_line_{key}": array for name, line in lines.items() for key, array in line.arrays().items()}
    meta = {"features": list(model.features), "calibration": {name: line.meta() for name, line in lines.items()}}
    return arrays, meta


def lines_from(state: ModelState, kind: str) -> tuple[tuple[str, ...], Calibration, Calibration]:
    """The inverse of :func:`lines_state`.

    Raises:
        ArtifactError: the state is of another kind, or features or calibrations are not what they have to be.
    """
    features, lines = state.meta.get("features"), state.meta.get("calibration")
    if state.kind != kind or not isinstance(features, list) or not isinstance(lines, dict):
        raise ArtifactError(f"model state '{state.kind}': expected '{kind}' with features and calibration in its meta.")
    click, order = (calibration_from(state, f"{name}_line_", lines.get(name, {})) for name in ("click", "order"))
    unknown = {line.by for line in (click, order)} - {"", *features}
    if unknown:
        raise ArtifactError(f"model state '{state.kind}': calibration by {sorted(unknown)}, which is no feature.")
    return tuple(features), click, order


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows to learn from, in the order they came in.

    Args:
        names: of the features.
        columns: one array [n] a feature.
        clicked: [n].
        ordered: [n] whether an order has come by the time the labels were read.
        time: [n] microseconds.
        maturity: [n] the chance that an order that will come has come by then; 1 where nothing is awaited.
        frame: the rows themselves, for columns that are no numbers.
    """

    names: tuple[str, ...]
    columns: list[FloatArray]
    clicked: BoolArray
    ordered: BoolArray
    time: IntArray
    maturity: FloatArray
    frame: pd.DataFrame

    @classmethod
    def of(cls, rows: pd.DataFrame, features: tuple[str, ...]) -> Examples:
        """The rows, checked."""
        if len(rows) == 0 or not features:
            raise FitError(f"funnel: {len(rows)} rows with {len(features)} features. Give at least one of each.")
        absent = [name for name in (CLICKED, ORDERED, TS) if name not in rows]
        if absent:
            raise SchemaError(f"funnel: columns {absent} are missing; the frame has {list(rows)}. Add them.")
        for name in (CLICKED, ORDERED, TS, *({MATURITY} & set(rows))):
            gaps = int(rows[name].isna().sum())
            if gaps:
                raise FitError(
                    f"funnel: column '{name}' has no value in {gaps} of {len(rows)} rows. Drop or fill them."
                )
        columns = _columns_to_fit(rows, features)
        time = np.asarray(pd.to_datetime(rows[TS], utc=True).dt.as_unit("us").astype("int64"), dtype=np.int64)
        clicked, ordered = (rows[name].to_numpy(dtype=bool) for name in (CLICKED, ORDERED))
        return cls(features, columns, clicked, ordered & clicked, time, _maturity(rows), rows)

    def __len__(self) -> int:
        return len(self.clicked)

    def where(self, keep: BoolArray) -> Examples:
        """The rows where ``keep`` [n] is true."""
        columns = [column[keep] for column in self.columns]
        names = ("clicked", "ordered", "time", "maturity", "frame")
        return replace(self, columns=columns, **{name: getattr(self, name)[keep] for name in names})

    def cut(self, share: float) -> tuple[Examples, Examples]:
        """The earlier ``share`` of the rows and the rest; rows of one moment stay together, in the later part."""
        place = min(int(share * len(self)), len(self) - 1)
        early = self.time < np.partition(self.time, place)[place]
        return self.where(early), self.where(~early)

    def group(self, by: str) -> FloatArray | None:
        """[n] the feature of that name; None where the name is empty."""
        return group_of(by, self.names, self.columns)


def fit_lines(
    late: Examples, log_odds: tuple[FloatArray, FloatArray], click: Method, order: Method
) -> tuple[Calibration, Calibration]:
    """Calibrations of the click on all late rows, and of the order on those that were clicked.

    Args:
        late: rows that the model was not fitted on.
        log_odds: [n] of the click and of the order, from the model.
        click: the method for the click; it is given the rows in the order of time.
        order: the method for the order, likewise; without clicks the log odds stay as they are.
    """
    by_time = np.argsort(late.time, kind="stable")
    click_line = click.fit(
        log_odds[0][by_time], late.clicked[by_time], None, _taken(late.group(_column(click)), by_time)
    )
    after = by_time[late.clicked[by_time]]
    if not len(after):
        return click_line, LogisticCalibration()
    group = _taken(late.group(_column(order)), after)
    return click_line, calibrate_matured(order, log_odds[1][after], late.ordered[after], late.maturity[after], group)


def check_labels(early: Examples) -> None:
    """FitError where the part that is learnt from cannot teach one of the two."""
    clicks = int(early.clicked.sum())
    orders = int((early.clicked & early.ordered).sum())
    where = f"funnel: the earlier part has {len(early)} impressions, {clicks} clicked, {orders} clicked and ordered"
    if clicks in (0, len(early)):
        raise FitError(f"{where}: nothing to learn clicks from. Give a longer log, with clicks and with none.")
    if orders in (0, clicks):
        raise FitError(f"{where}: nothing to learn orders from. Give a longer log, or check how orders are attributed.")


def check_methods(features: Sequence[str], *methods: Method) -> None:
    """ConfigError where a method needs a feature that is not there."""
    for method in methods:
        column = _column(method)
        if column and column not in features:
            raise ConfigError(f"funnel: calibration by '{column}', which is none of the features {list(features)}.")


def sample_of_impressions(early: Examples, negatives_a_click: float, seed: int) -> tuple[Examples, float]:
    """All clicks and a random share of the other impressions, and that share."""
    clicks = int(early.clicked.sum())
    share = min(1.0, negatives_a_click * clicks / max(1, len(early) - clicks))
    keep = early.clicked | (np.random.default_rng(seed).random(len(early)) < share)
    return early.where(keep), share


def feature_columns(rows: pd.DataFrame, features: tuple[str, ...]) -> list[FloatArray]:
    """One array [n] a feature, checked.

    Raises:
        SchemaError: a feature is missing, is not numeric, or is infinite somewhere.
    """
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


def group_of(by: str, names: Sequence[str], columns: Sequence[FloatArray]) -> FloatArray | None:
    """[n] the feature ``by``; None where that is empty."""
    return columns[list(names).index(by)] if by else None


def _taken(values: FloatArray | None, at: IntArray) -> FloatArray | None:
    return None if values is None else values[at]


def _column(method: Method) -> str:
    return str(getattr(method, "column", ""))


def _columns_to_fit(rows: pd.DataFrame, features: tuple[str, ...]) -> list[FloatArray]:
    try:
        return feature_columns(rows, features)
    except SchemaError as error:
        raise FitError(str(error)) from None


def _maturity(rows: pd.DataFrame) -> FloatArray:
    if MATURITY not in rows:
        return np.ones(len(rows))
    maturity = rows[MATURITY].to_numpy(np.float64)
    outside = int(((maturity < 0) | (maturity > 1)).sum())
    if outside:
        raise FitError(f"funnel: '{MATURITY}' is outside of 0..1 in {outside} of {len(rows)} rows. It is a chance.")
    return maturity
