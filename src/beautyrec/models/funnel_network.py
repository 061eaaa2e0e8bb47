"""How likely an impression is to be clicked and a click to become an order: a DCN-v2 network with a head for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import ArtifactError, ConfigError, MissingExtraError
from beautyrec.models.calibrated import LogisticCalibration
from beautyrec.models.calibration import Method, Platt
from beautyrec.models.checks import require_bound, require_finite
from beautyrec.models.funnel_base import (
    Examples,
    FunnelLearner,
    FunnelModel,
    check_labels,
    check_methods,
    fit_lines,
    lines_from,
    lines_state,
    sample_of_impressions,
)
from beautyrec.models.funnel_heads import ESMM, AnyHead, Weights, head_from, linear, relu
from beautyrec.models.funnel_inputs import Inputs
from beautyrec.models.state import ModelState
from beautyrec.types import Float32Array, FloatArray, Progress

CHUNK_ROWS = 16_384
"""Rows predicted at a time."""


@dataclass(frozen=True)
class FunnelNetwork(FunnelLearner):
    """Hyperparameters of a network for click and order.

    Numbers are put on the scale of their quantiles, categories are embedded, a DCN-v2 trunk crosses them, and the head
    says how the two tasks share it. All clicks and a sample of the other impressions are learnt from, each of which then
    stands for as many as were left out. The later part of the rows chooses the epoch and calibrates.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> heat = rng.random(4000)
        >>> clicked = rng.random(4000) < 0.4 * heat
        >>> rows = pd.DataFrame({"ts": pd.date_range("2026-01-01", periods=4000, freq="min", tz="UTC"), "heat": heat,
        ...                      "clicked": clicked, "ordered": clicked & (rng.random(4000) < 0.3)})
        >>> small = FunnelNetwork(ESMM(tower=4), deep=(8,), dropout=0.0, epochs=6, batch=256, learning_rate=0.02)
        >>> model = small.fit(rows, features=("heat",), seed=0)
        >>> predicted = model.predict(pd.DataFrame({"heat": [0.1, 0.9]}))
        >>> list(predicted), bool(predicted["ctr"].is_monotonic_increasing)
        (['ctr', 'cvr', 'ctcvr'], True)
    """

    head: AnyHead = field(default_factory=ESMM)
    """How click and order share the trunk."""
    categories: tuple[str, ...] = ()
    """Columns of the rows, besides the features, that are embedded."""
    buckets: int = 4096
    """Hashes that each category is spread over."""
    embedding: int = 4
    """Dimensions of a category."""
    cross_layers: int = 2
    """Layers that cross the inputs."""
    rank: int = 16
    """Of their matrices."""
    deep: tuple[int, ...] = (64,)
    """Widths of the layers above."""
    dropout: float = 0.2
    """Share of values dropped in training, after each deep layer."""
    order_weight: float = 1.0
    """What the loss of the order counts beside that of the click."""
    negatives_a_click: float = 20.0
    """Impressions without a click kept for each click; the predictions stay on the scale of all impressions."""
    calibration_share: float = 0.2
    """Share of the rows, the latest, that choose the epoch and calibrate."""
    click_calibration: Method = field(default_factory=Platt)
    """How the click is calibrated."""
    order_calibration: Method = field(default_factory=Platt)
    """How the order is."""
    batch: int = 1024
    """Impressions of a step."""
    epochs: int = 8
    """Passes at most."""
    patience: int = 3
    """Epochs without a better validation after which training stops."""
    learning_rate: float = 2e-3
    """Step of AdamW; falls to a tenth over the epochs."""
    weight_decay: float = 0.3
    """Pull of the weights towards 0."""
    threads: int = 1
    """Threads of torch; the result depends on it."""

    def __post_init__(self) -> None:
        low = ("buckets", "embedding", "cross_layers", "rank", "batch", "epochs", "patience", "threads")
        for key in low:
            require_bound("funnel network", key, getattr(self, key), 1)
        require_bound("funnel network", "deep", min(self.deep, default=0), 1)
        require_bound("funnel network", "dropout", self.dropout, 0, 0.99)
        for key in ("order_weight", "negatives_a_click", "learning_rate"):
            require_bound("funnel network", key, getattr(self, key), 1e-9)
        require_bound("funnel network", "weight_decay", self.weight_decay, 0)
        if not 0 < self.calibration_share < 1:
            raise ConfigError(
                f"funnel network: calibration_share is {self.calibration_share}; give one between 0 and 1."
            )

    def fit(
        self, rows: pd.DataFrame, *, features: Sequence[str], seed: int = 0, on_progress: Progress | None = None
    ) -> NetworkFunnelModel:
        """A network fitted on impressions, see :meth:`FunnelLearner.fit`; progress is that of its epochs.

        Raises:
            SchemaError: a column is missing.
            FitError: no rows, no features, labels with gaps, infinite features, no clicks or no orders in the part that
                is learnt from, or a loss that is not finite.
            ConfigError: a calibration goes by a column that is no feature.
            MissingExtraError: torch is not installed.
        """
        check_methods(features, self.click_calibration, self.order_calibration)
        data = Examples.of(rows, tuple(features))
        early, late = data.cut(1.0 - self.calibration_share)
        check_labels(early)
        try:
            from beautyrec.models.nn.fit_funnel import Sampled, fit_network
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from None
        inputs = Inputs.fit(early.columns, self.categories, self.buckets)
        sample, held = (Sampled(*sample_of_impressions(part, self.negatives_a_click, seed)) for part in (early, late))
        weights = fit_network(self, inputs, sample, held, seed, on_progress)
        require_finite("funnel network", *weights.values())
        plain = LogisticCalibration()
        raw = NetworkFunnelModel(data.names, plain, plain, inputs, self.head, weights)
        log_odds = raw.log_odds(late.frame, late.columns)
        lines = fit_lines(late, log_odds, self.click_calibration, self.order_calibration)
        return NetworkFunnelModel(data.names, *lines, inputs, self.head, weights)


@dataclass(frozen=True, eq=False)
class NetworkFunnelModel(FunnelModel):
    """A fitted network, evaluated with numpy alone.

    Args:
        features: the numbers it reads, in their order.
        click_line: calibration of the click.
        order_line: calibration of the order.
        inputs: from rows to what goes in.
        head: how the tasks share the trunk.
        weights: the parameters by their names in torch, 32-bit floats.
    """

    inputs: Inputs
    head: AnyHead
    weights: Weights
    kind: ClassVar[str] = "funnel_network"

    def log_odds(self, rows: pd.DataFrame, columns: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """[n] log odds of a click and of an order after it, before calibration."""
        numbers, codes = self.inputs.numbers(columns), self.inputs.codes(rows)
        found = np.empty((2, len(rows)))
        of_head = {name.removeprefix("head."): w for name, w in self.weights.items() if name.startswith("head.")}
        for start in range(0, len(rows), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            trunks = [self._trunk(place, numbers[part], codes[part]) for place in range(self.head.trunks)]
            found[:, part] = self.head.logits(of_head, trunks)
        return found[0], found[1]

    def _trunk(self, place: int, numbers: Float32Array, codes: npt.NDArray[np.int64]) -> Float32Array:
        """[n, width] what one trunk makes of rows: as :class:`beautyrec.models.nn.dcn.Trunk` does."""
        w, at = self.weights, f"trunks.{place}"
        embedded = w[f"{at}.embedding.weight"][codes].reshape(len(codes), -1)
        x0 = np.concatenate([numbers, embedded], axis=1)
        x = x0
        for layer in range(_layers(w, f"{at}.cross", ".down.weight")):
            down = x @ w[f"{at}.cross.{layer}.down.weight"].T
            x = x0 * linear(w, f"{at}.cross.{layer}.up", down) + x
        for layer in range(_layers(w, f"{at}.deep", ".weight")):
            x = relu(linear(w, f"{at}.deep.{layer}", x))
        return x

    def state(self) -> ModelState:
        """Everything needed to build this model again with :meth:`from_state`."""
        lines, meta = lines_state(self)
        arrays: dict[str, npt.NDArray[Any]] = {f"net.{name}": array for name, array in self.weights.items()}
        inputs = {"categories": list(self.inputs.categories), "buckets": self.inputs.buckets}
        return ModelState(
            self.kind, {**arrays, **lines, **self.inputs.arrays()}, {**meta, "head": self.head.meta(), "inputs": inputs}
        )

    @classmethod
    def from_state(cls, state: ModelState) -> NetworkFunnelModel:
        """The model that gave ``state``; its predictions are the same to the bit.

        Raises:
            ArtifactError: the state is of another kind, or something is missing or does not fit together.
        """
        features, click_line, order_line = lines_from(state, cls.kind)
        head, said = head_from(state.meta.get("head")), state.meta.get("inputs")
        if not isinstance(said, dict) or not {"categories", "buckets"} <= said.keys():
            raise ArtifactError(f"model state '{state.kind}': its meta does not say what the inputs are.")
        inputs = Inputs.from_state(state, len(features), said["categories"], int(said["buckets"]))
        weights = {name.removeprefix("net."): a for name, a in state.arrays.items() if name.startswith("net.")}
        model = cls(features, click_line, order_line, inputs, head, weights)
        model._try_out(state.kind)
        return model

    def _try_out(self, kind: str) -> None:
        """Raise where the parameters do not fit each other: one row is sent through, with the highest codes."""
        codes = len(self.inputs.categories) * (self.inputs.buckets + 1)
        wrong = [name for name, array in self.weights.items() if array.dtype != np.float32]
        tables = [self.weights.get(f"trunks.{place}.embedding.weight") for place in range(self.head.trunks)]
        if wrong or any(table is None or len(table) < codes for table in tables):
            raise ArtifactError(f"model state '{kind}': embeddings are too short, or not of 32-bit floats: {wrong}.")
        try:
            rows = pd.DataFrame({name: [0.0] for name in (*self.features, *self.inputs.categories)})
            self.predict(rows)
        except (KeyError, ValueError, IndexError) as error:
            raise ArtifactError(f"model state '{kind}': its arrays do not fit together: {error}.") from None


def _layers(weights: Weights, prefix: str, suffix: str) -> int:
    """How many layers there are below ``prefix``."""
    return sum(name.startswith(prefix) and name.endswith(suffix) for name in weights)
