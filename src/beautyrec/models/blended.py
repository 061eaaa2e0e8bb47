"""The form of a blend: fitted models whose scores, made alike, are added up. Needs only numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, Self, cast

import numpy as np

from beautyrec.errors import ArtifactError
from beautyrec.models.base import Recommender
from beautyrec.models.checks import require_bound
from beautyrec.models.known import Known
from beautyrec.models.state import ModelState
from beautyrec.models.top_k import best_columns
from beautyrec.settings import from_table
from beautyrec.types import Float32Array, IntArray


class Scale(Protocol):
    """What makes the scores of models alike before they are added."""

    @property
    def kind(self) -> str:
        """What tells it from others in TOML and in artifacts."""
        ...

    def __call__(self, scores: Float32Array) -> Float32Array:
        """[b, I] values that can be added to those of other models, from the scores [b, I] of one; higher is better."""
        ...


@dataclass(frozen=True)
class Standardised:
    """How many standard deviations a score lies above the mean of the user's scores over the catalogue.

    ``(s_ui - mean_i s_ui) / deviation_i s_ui``, and 0 for a user whose scores are all alike. How much better an item is
    stays in it, which ranks forget.

    Examples:
        >>> Standardised()(np.array([[1.0, 3.0], [2.0, 2.0]], dtype=np.float32)).tolist()
        [[-1.0, 1.0], [0.0, 0.0]]
    """

    kind: Literal["standardised"] = "standardised"
    """What tells it from other scales in TOML."""
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    def __call__(self, scores: Float32Array) -> Float32Array:
        """[b, I] standardised by row."""
        centred: Float32Array = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        variance = np.einsum("bi,bi->b", centred, centred, dtype=np.float64) / max(1, scores.shape[1])
        deviation = np.sqrt(variance).astype(np.float32)[:, None]
        np.divide(centred, deviation, out=centred, where=deviation > 0)
        centred[deviation[:, 0] <= 0] = 0
        return centred


@dataclass(frozen=True)
class LogStandardised:
    """``ln(1 + z)`` of the standardised score z where it is above 0, and 0 below.

    Scores of sparse models have a few values far above the rest; the logarithm keeps one of them from deciding alone,
    and what is below the mean of the catalogue does not matter to a list.

    Examples:
        >>> LogStandardised()(np.array([[1.0, 3.0]], dtype=np.float32)).round(3).tolist()
        [[0.0, 0.6930000185966492]]
    """

    kind: Literal["log_standardised"] = "log_standardised"
    """What tells it from other scales in TOML."""
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    def __call__(self, scores: Float32Array) -> Float32Array:
        """[b, I] from the standardised scores by row."""
        standardised = Standardised()(scores)
        np.maximum(standardised, 0, out=standardised)
        logarithm: Float32Array = np.log1p(standardised, out=standardised)
        return logarithm


@dataclass(frozen=True)
class ReciprocalRank:
    """``1 / (constant + rank)`` of an item among the user's scores, 0 below ``depth``; forgets how far apart scores are.

    Cormack, Clarke and Büttcher, *Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods*
    (SIGIR 2009), with their constant of 60.

    Examples:
        >>> ReciprocalRank(constant=1)(np.array([[0.2, 0.9, 0.5]], dtype=np.float32)).tolist()
        [[0.25, 0.5, 0.3333333432674408]]
    """

    constant: float = 60.0
    """How little the first ranks differ from those after them."""
    depth: int = 500
    """Ranks that count."""
    kind: Literal["reciprocal_rank"] = "reciprocal_rank"
    """What tells it from other scales in TOML."""
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        require_bound("blend.reciprocal_rank", "constant", self.constant, 0)
        require_bound("blend.reciprocal_rank", "depth", self.depth, 1)

    def __call__(self, scores: Float32Array) -> Float32Array:
        """[b, I] from the ranks by row; among equals the lower item index has the better one."""
        best, _ = best_columns(scores, min(self.depth, scores.shape[1]))
        value = (1 / (self.constant + 1 + np.arange(best.shape[1]))).astype(np.float32)
        row, place = np.nonzero(best >= 0)
        found = np.zeros(scores.shape, dtype=np.float32)
        found[row, best[row, place]] = value[place]
        return found


SCALES: Mapping[str, type[Standardised] | type[LogStandardised] | type[ReciprocalRank]] = MappingProxyType(
    {form.kind: form for form in (Standardised, LogStandardised, ReciprocalRank)}
)
"""The scales by kind."""


@dataclass(frozen=True, eq=False, kw_only=True)
class BlendRecommender(Recommender):
    """Scores ``sum_p w_p f(s_p)`` of parts p that were fitted on the same log, f making their scores alike.

    Args:
        known: users, items, what was seen, popularity.
        parts: recommenders of those users and items.
        weights: one a part, not below 0.
        how: f.
    """

    parts: tuple[Recommender, ...]
    weights: tuple[float, ...]
    how: Scale
    kind: ClassVar[str] = "blend"

    def _block(self, user_ix: IntArray, columns: IntArray | None, room: Float32Array | None = None) -> Float32Array:  # noqa: ARG002
        total = np.zeros((len(user_ix), len(self.items)), dtype=np.float32)
        for part, weight in zip(self.parts, self.weights, strict=True):
            if weight > 0:
                total += np.float32(weight) * self.how(part.scores(user_ix))
        return total if columns is None else np.ascontiguousarray(total[:, columns])

    def state(self) -> ModelState:
        """What is known once, and the arrays of each part under its number."""
        arrays = dict(self.known.arrays())
        parts = []
        for place, part in enumerate(self.parts):
            state = part.state()
            own = set(state.arrays) - set(arrays)
            arrays |= {_name(place, name): state.arrays[name] for name in own}
            parts.append({"kind": state.kind, "arrays": sorted(own), "meta": dict(state.meta)})
        how = asdict(cast("Any", self.how))
        return ModelState(self.kind, arrays, {"parts": parts, "weights": list(self.weights), "how": how})

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``."""
        from beautyrec.models.recommenders import recommender_from_state

        states = part_states(state)
        weights = state.meta.get("weights")
        usable = isinstance(weights, list) and all(isinstance(w, int | float) and 0 <= w < np.inf for w in weights)
        if not usable or len(weights or ()) != len(states):
            raise ArtifactError(
                f"model state 'blend': weights are {weights!r}, expected {len(states)} numbers from 0 up."
            )
        return cls(
            Known.from_state(state),
            parts=tuple(recommender_from_state(part) for part in states),
            weights=tuple(float(weight) for weight in weights or ()),
            how=_scale(state.meta.get("how")),
        )


def part_states(state: ModelState) -> tuple[ModelState, ...]:
    """The state of each part of the state of a blend.

    Raises:
        ArtifactError: the parts are not listed, or an array of one is missing.
    """
    listed = state.meta.get("parts")
    if not isinstance(listed, list) or not listed:
        raise ArtifactError("model state 'blend': its parts are not listed. Save it again.")
    own = {_name(place, name) for place, part in enumerate(listed) for name in _names(part)}
    shared = {name: array for name, array in state.arrays.items() if name not in own}
    return tuple(_part(state, shared, place, part) for place, part in enumerate(listed))


def _part(state: ModelState, shared: Mapping[str, Any], place: int, listed: Mapping[str, Any]) -> ModelState:
    missing = [name for name in _names(listed) if _name(place, name) not in state.arrays]
    if missing:
        raise ArtifactError(f"model state 'blend': arrays {missing} of part {place} are missing. Save it again.")
    own = {name: state.arrays[_name(place, name)] for name in _names(listed)}
    return ModelState(str(listed.get("kind")), {**shared, **own}, dict(listed.get("meta") or {}))


def _names(part: Any) -> Sequence[str]:
    """The arrays of its own that a part lists.

    Raises:
        ArtifactError: it lists none, or is itself a blend.
    """
    names = part.get("arrays") if isinstance(part, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or part.get("kind") == "blend":
        raise ArtifactError(f"model state 'blend': a part is listed as {part!r:.80}; expected kind, arrays, meta.")
    return names


def _name(place: int, name: str) -> str:
    return f"part_{place}_{name}"


def _scale(how: Any) -> Scale:
    """The scale of a state.

    Raises:
        ArtifactError: it is unknown.
    """
    kind = how.get("kind") if isinstance(how, dict) else None
    if kind not in SCALES:
        raise ArtifactError(f"model state 'blend': the scale {how!r} is unknown; known are {sorted(SCALES)}.")
    return from_table(SCALES[str(kind)], how, "model state 'blend', scale")
