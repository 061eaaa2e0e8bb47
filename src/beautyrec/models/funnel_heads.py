"""Heads of a funnel network: how the tasks *click* and *order* share what the trunk gives.

Here are their settings and their way forward in numpy, which is all that a process that scores needs; the torch networks
with the same names of parameters are in :mod:`beautyrec.models.nn.heads`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from beautyrec.errors import ArtifactError
from beautyrec.models.checks import require_bound
from beautyrec.types import Float32Array

if TYPE_CHECKING:
    from beautyrec.models.nn.heads import TwoTasks

Weights = Mapping[str, Float32Array]
"""The parameters of a network by their names in torch."""

TASKS = ("click", "order")


class Head(ABC):
    """From what the trunk gives to the log odds of a click and of an order."""

    name: ClassVar[str]
    trunks: ClassVar[int] = 1
    """Trunks it stands on: one for both tasks, or one each."""
    clicks_only: ClassVar[bool] = False
    """Whether the order is learnt on clicks alone."""

    @abstractmethod
    def network(self, width: int) -> TwoTasks:
        """The torch network on trunks of this width."""

    @abstractmethod
    def logits(self, weights: Weights, trunks: list[Float32Array]) -> tuple[Float32Array, Float32Array]:
        """[n] the log odds of a click and of an order, from what each trunk gives [n, width]."""

    def meta(self) -> dict[str, Any]:
        """Its name and settings."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]  # heads are dataclasses


@dataclass(frozen=True)
class ESMM(Head):
    """Each task has a tower; the order is learnt over all impressions, through ``ctcvr = ctr * cvr``.

    Ma et al. (2018), "Entire space multi-task model: an effective approach for estimating post-click conversion rate",
    SIGIR. The order has hardly any examples of its own, and takes over what the click has taught the trunk. In the product
    the chance of a click is held fixed: left free, the loss of the order bends it, and both come out worse. What it
    aims at is ``P(order | click, x)``, as a model of clicks alone does: it does not undo that clicks are no random sample.
    """

    tower: int = 32
    """Width of a tower."""
    name: ClassVar[str] = "esmm"

    def __post_init__(self) -> None:
        require_bound("esmm", "tower", self.tower, 1)

    def network(self, width: int) -> TwoTasks:
        """Two towers."""
        from beautyrec.models.nn.heads import Towers

        return Towers(width, self.tower)

    def logits(self, weights: Weights, trunks: list[Float32Array]) -> tuple[Float32Array, Float32Array]:
        """[n] from each tower."""
        return tuple(tower(weights, task, trunks[0]) for task in TASKS)  # type: ignore[return-value]  # of two


@dataclass(frozen=True)
class ClicksOnly(Head):
    """Two networks that share nothing; that of the order sees clicks alone. What ESMM is to be compared with."""

    tower: int = 32
    """Width of a tower."""
    name: ClassVar[str] = "clicks_only"
    trunks: ClassVar[int] = 2
    clicks_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_bound("clicks_only", "tower", self.tower, 1)

    def network(self, width: int) -> TwoTasks:
        """Two towers."""
        from beautyrec.models.nn.heads import Towers

        return Towers(width, self.tower)

    def logits(self, weights: Weights, trunks: list[Float32Array]) -> tuple[Float32Array, Float32Array]:
        """[n] from each tower on its own trunk."""
        return tuple(tower(weights, task, x) for task, x in zip(TASKS, trunks, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True)
class MMoE(Head):
    """Several experts, and for each task a gate that mixes them by the row; losses as ESMM.

    Ma et al. (2018), "Modeling task relationships in multi-task learning with multi-gate mixture-of-experts", KDD:
    ``f_task(x) = sum_e softmax(W_task x)_e expert_e(x)``.
    """

    experts: int = 4
    """How many."""
    expert: int = 32
    """Width of one."""
    tower: int = 16
    """Width of a tower."""
    name: ClassVar[str] = "mmoe"

    def __post_init__(self) -> None:
        for key in ("experts", "expert", "tower"):
            require_bound("mmoe", key, getattr(self, key), 1)

    def network(self, width: int) -> TwoTasks:
        """Experts, gates and towers."""
        from beautyrec.models.nn.heads import Mixture

        return Mixture(width, self.experts, self.expert, self.tower)

    def logits(self, weights: Weights, trunks: list[Float32Array]) -> tuple[Float32Array, Float32Array]:
        """[n] from each tower on its mixture of experts."""
        x = trunks[0]
        experts = expert_outputs(weights, "experts", x)
        mixed = (mixture(weights, f"gates.{task}", x, experts) for task in TASKS)
        return tuple(tower(weights, task, m) for task, m in zip(TASKS, mixed, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True)
class PLE(Head):
    """Experts that both tasks share and experts of one task alone, in levels; losses as ESMM.

    Tang et al. (2020), "Progressive layered extraction (PLE): a novel multi-task learning model for personalized
    recommendations", RecSys. At each level a task mixes its own experts and the shared ones by its gate; what is shared
    goes to the next level mixed from all of them.
    """

    levels: int = 2
    """How many levels of experts."""
    shared: int = 2
    """Experts of a level that both tasks see."""
    own: int = 2
    """Experts of a level that each task has for itself."""
    expert: int = 32
    """Width of one."""
    tower: int = 16
    """Width of a tower."""
    name: ClassVar[str] = "ple"

    def __post_init__(self) -> None:
        for key in ("levels", "shared", "own", "expert", "tower"):
            require_bound("ple", key, getattr(self, key), 1)

    def network(self, width: int) -> TwoTasks:
        """Levels of experts and gates, then towers."""
        from beautyrec.models.nn.heads import Extraction

        return Extraction(width, self)

    def logits(self, weights: Weights, trunks: list[Float32Array]) -> tuple[Float32Array, Float32Array]:
        """[n] from each tower on the last level."""
        states = dict.fromkeys((*TASKS, "shared"), trunks[0])
        for level in range(self.levels):
            at = f"levels.{level}"
            experts = {name: expert_outputs(weights, f"{at}.experts.{name}", x) for name, x in states.items()}
            seen = {task: np.concatenate([experts[task], experts["shared"]], axis=1) for task in TASKS}
            if level < self.levels - 1:
                seen["shared"] = np.concatenate([experts[name] for name in (*TASKS, "shared")], axis=1)
            states = {name: mixture(weights, f"{at}.gates.{name}", states[name], seen[name]) for name in seen}
        return tuple(tower(weights, task, states[task]) for task in TASKS)  # type: ignore[return-value]  # of two


AnyHead = ESMM | MMoE | PLE | ClicksOnly
"""The heads there are."""


def head_from(meta: Any) -> AnyHead:
    """The head whose :meth:`Head.meta` this is.

    Raises:
        ArtifactError: there is no such head, or its settings are others.
    """
    kinds: dict[str, type[AnyHead]] = {kind.name: kind for kind in (ESMM, MMoE, PLE, ClicksOnly)}
    try:
        settings = dict(meta)
        return kinds[settings.pop("name")](**settings)
    except (KeyError, TypeError, ValueError):
        raise ArtifactError(f"funnel network: there is no head {meta!r}; there are {sorted(kinds)}.") from None


def linear(weights: Weights, name: str, x: Float32Array) -> Float32Array:
    """``x W^T + b``: [n, in] -> [n, out]."""
    out: Float32Array = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return out


def relu(x: Float32Array) -> Float32Array:
    """``max(x, 0)``."""
    return np.maximum(x, np.float32(0))


def tower(weights: Weights, task: str, x: Float32Array) -> Float32Array:
    """[n] one hidden layer, then the log odds."""
    return linear(weights, f"towers.{task}.2", relu(linear(weights, f"towers.{task}.0", x)))[:, 0]


def expert_outputs(weights: Weights, name: str, x: Float32Array) -> Float32Array:
    """[n, experts, width] of all experts, each a layer; their weights are one tensor [experts, width, in]."""
    w, b = weights[f"{name}.weight"], weights[f"{name}.bias"]
    flat = x @ w.reshape(-1, w.shape[2]).T  # [n, experts * width]
    return relu(flat.reshape(len(x), *b.shape) + b)


def mixture(weights: Weights, gate: str, x: Float32Array, experts: Float32Array) -> Float32Array:
    """[n, width] the experts [n, e, width] in shares that the gate sets for each row."""
    scores = linear(weights, gate, x)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    mixed: Float32Array = np.einsum("ne,new->nw", shares, experts)
    return mixed
