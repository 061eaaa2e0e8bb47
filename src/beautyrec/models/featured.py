"""Factor models that know items by their features, so that others can join the catalogue. Needs only numpy and pandas."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ConfigError, SchemaError
from beautyrec.models.base import Known, ModelState
from beautyrec.models.factors import FactorRecommender
from beautyrec.models.fold_in import newly_known
from beautyrec.models.item_features import ItemFeatures, UserProfiles
from beautyrec.models.known import History, recency_weight
from beautyrec.types import Float32Array


@dataclass(frozen=True, eq=False, kw_only=True)
class FeaturedRecommender(FactorRecommender):
    """What forms share that know items by their features.

    Args:
        known: users, items, what was seen, popularity.
        user_factors: [U, d].
        item_factors: [I, d].
        item_bias: [I], or None where there is none.
        features: the values that are known.
    """

    features: ItemFeatures

    @abstractmethod
    def _of_items(self, item_table: pd.DataFrame) -> dict[str, Float32Array]:
        """The fields with a row an item, from features alone."""

    def item_vectors(self, item_table: pd.DataFrame) -> Float32Array:
        """[I, d] factors from features alone, of items that nobody has taken, in the order of ``item_table`` [I].

        Columns that the table lacks, and values that no item had in training, say nothing.
        """
        return self._of_items(item_table)["item_factors"]

    def add_items(self, item_table: pd.DataFrame) -> Self:
        """This recommender with the items of ``item_table`` after its own; nobody has taken them yet.

        Args:
            item_table: ``item_id`` and what is known of the items.

        Raises:
            SchemaError: there is no column ``item_id``.
            ConfigError: an item is in the catalogue already, or twice in the table.
        """
        if "item_id" not in item_table:
            raise SchemaError(f"add_items: column 'item_id' is missing; the table has {list(item_table)}. Rename it.")
        ids = pd.Index(item_table["item_id"])
        there = ids.isin(self.items.ids) | ids.duplicated()
        if there.any():
            raise ConfigError(
                f"add_items: {int(there.sum())} of {len(ids)} items are in the catalogue already or twice in the table, "
                f"for instance {ids[there][:3].tolist()}. Leave them out: they have vectors."
            )
        own = {name: getattr(self, name) for name in self._of_items(item_table)}
        joined: dict[str, Any] = {
            name: np.concatenate([own[name], rows]) for name, rows in self._of_items(item_table).items()
        }
        popularity = np.concatenate([self.popularity, np.zeros(len(ids), dtype=np.float32)])
        known = Known(self.users, Vocabulary(self.items.ids.append(ids)), self.seen, popularity)
        return replace(self, known=known, **joined)


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureFactorRecommender(FeaturedRecommender):
    """Factors that are weighted means of those of features: LightFM's.

    Args:
        known: users, items, what was seen, popularity.
        user_factors: [U, d].
        item_factors: [I, d].
        item_bias: [I].
        features: the values that are known of items.
        value_weight: [F] weight of each value.
        value_factors: [F, d] what a value adds to an item.
        value_bias: [F] likewise to its bias.
        user_value_factors: [F, d] what a value in a history adds to the user, or [0, d] where users have no features.
        history_decay: weight of an entry of the history relative to the one after it.
    """

    value_weight: Float32Array
    value_factors: Float32Array
    value_bias: Float32Array
    user_value_factors: Float32Array
    history_decay: float
    kind: ClassVar[str] = "feature_factors"

    def _of_items(self, item_table: pd.DataFrame) -> dict[str, Float32Array]:
        found = self.features.values(item_table)
        weight = self.value_weight[found.value]
        total = np.bincount(found.row, weights=weight, minlength=len(item_table))
        share = (weight / total[found.row]).astype(np.float32)
        stacked = np.column_stack([self.value_factors, self.value_bias])
        both = found._replace(share=share).summed(stacked, len(item_table))
        nothing_known = self.item_bias.min(initial=0.0) if self.item_bias is not None else 0.0
        bias = np.where(total > 0, both[:, -1], nothing_known).astype(np.float32)
        return {"item_factors": np.ascontiguousarray(both[:, :-1]), "item_bias": bias}

    def fold_in(self, history: Interactions) -> Self:
        """For the users of ``history``: factors from the features of what they took, nothing of their own.

        Raises:
            UnknownIdError: the items of ``history`` are not those of the model, in their order.
            ConfigError: the model was fitted without features of users.
            SchemaError: the history has no item table, from which features are read.
        """
        if not len(self.user_value_factors):
            raise ConfigError(
                "lightfm: fitted without features of users, none can join. Fit it with user_features=True."
            )
        if history.item_table is None:
            raise SchemaError("fold_in: the history has no item_table to read features from. Hand one to from_frame.")
        known = newly_known(self.known, history)
        profile = UserProfiles.of(known.seen, self.features, history.item_table, self.history_decay)
        return replace(self, known=known, user_factors=profile.summed(self.user_value_factors))

    def state(self) -> ModelState:
        """Known, factors, and those of the features."""
        arrays = dict(super().state().arrays) | self.features.arrays() | _own_arrays(self)
        return ModelState(self.kind, arrays, self.features.meta() | {"history_decay": self.history_decay})

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``."""
        base, features = FactorRecommender.from_state(state), ItemFeatures.from_state(state)
        n, d = len(features), base.item_factors.shape[1]
        return cls(
            base.known,
            base.user_factors,
            base.item_factors,
            base.item_bias,
            features=features,
            value_weight=state.array("value_weight", (n,)),
            value_factors=state.array("value_factors", (n, d)),
            value_bias=state.array("value_bias", (n,)),
            user_value_factors=state.array("user_value_factors", (None, d)),
            history_decay=state.number("history_decay"),
        )


class Tower(NamedTuple):
    """``x + relu(x in_weight + in_bias) out_weight``, of length 1."""

    in_weight: Float32Array
    """[d, h]."""
    in_bias: Float32Array
    """[h]."""
    out_weight: Float32Array
    """[h, d]."""

    def __call__(self, x: Float32Array) -> Float32Array:
        """[n, d] from [n, d]; zeros stay zeros where all of x is 0."""
        y = x + np.maximum(x @ self.in_weight + self.in_bias, 0) @ self.out_weight
        length = np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-12)
        return np.where(x.any(axis=1, keepdims=True), y / length, 0).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class TowerRecommender(FeaturedRecommender):
    """Two towers: an item's input is its own vector and those of its features, a user's the mean of the inputs taken.

    Args:
        known: users, items, what was seen, popularity.
        user_factors: [U, d] what the users' tower gives.
        item_factors: [I, d] what the items' tower gives.
        item_bias: not used.
        features: the values that are known of items.
        item_inputs: [I, d] what goes into the towers.
        value_inputs: [F, d] what a value adds to an item's input.
        item_tower: the items' tower.
        user_tower: the users' tower.
        decay: weight of an item of the history relative to the next one.
        max_len: items of a history that are looked at, the last ones.
    """

    item_inputs: Float32Array
    value_inputs: Float32Array
    item_tower: Tower
    user_tower: Tower
    decay: float
    max_len: int
    kind: ClassVar[str] = "two_tower"

    def _of_items(self, item_table: pd.DataFrame) -> dict[str, Float32Array]:
        inputs = self.features.values(item_table).summed(self.value_inputs, len(item_table))
        return {"item_inputs": inputs, "item_factors": self.item_tower(inputs)}

    def fold_in(self, history: Interactions) -> Self:
        """For the users of ``history``: what their tower makes of it.

        Raises:
            UnknownIdError: the items of ``history`` are not those of the model, in their order.
        """
        known = newly_known(self.known, history)
        return replace(self, known=known, user_factors=self.user_tower(self._pooled(known.seen)))

    def _pooled(self, seen: History) -> Float32Array:
        """[U, d] the mean of the inputs of the last items, weighted by recency."""
        users, counts = len(seen.indptr) - 1, np.diff(seen.indptr)
        user = np.repeat(np.arange(users), counts)
        steps_back = np.repeat(seen.indptr[1:], counts) - 1 - np.arange(len(seen.item_ix))
        weight = np.where(steps_back < self.max_len, recency_weight(seen, self.decay), 0)
        total = np.bincount(user, weights=weight, minlength=users)
        out = np.zeros((users, self.item_inputs.shape[1]), dtype=np.float32)
        share = (weight / np.maximum(total, 1e-12)[user]).astype(np.float32)
        np.add.at(out, user, share[:, None] * self.item_inputs[seen.item_ix])
        return out

    def state(self) -> ModelState:
        """Known, factors, inputs and towers."""
        towers = {
            f"{side}_{name}": weight
            for side, tower in (("item", self.item_tower), ("user", self.user_tower))
            for name, weight in tower._asdict().items()
        }
        arrays = dict(super().state().arrays) | self.features.arrays() | _own_arrays(self) | towers
        return ModelState(self.kind, arrays, self.features.meta() | {"decay": self.decay, "max_len": self.max_len})

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``."""
        base, features = FactorRecommender.from_state(state), ItemFeatures.from_state(state)
        n_items, d = base.item_factors.shape
        h = len(state.array("item_in_bias", (None,)))
        item, user = (
            Tower(
                state.array(f"{side}_in_weight", (d, h)),
                state.array(f"{side}_in_bias", (h,)),
                state.array(f"{side}_out_weight", (h, d)),
            )
            for side in ("item", "user")
        )
        return cls(
            base.known,
            base.user_factors,
            base.item_factors,
            features=features,
            item_inputs=state.array("item_inputs", (n_items, d)),
            value_inputs=state.array("value_inputs", (len(features), d)),
            item_tower=item,
            user_tower=user,
            decay=state.number("decay"),
            max_len=int(state.number("max_len")),
        )


def _own_arrays(model: FeaturedRecommender) -> dict[str, Any]:
    """The fields of ``model`` that are arrays."""
    return {
        field.name: getattr(model, field.name)
        for field in fields(model)
        if isinstance(getattr(model, field.name), np.ndarray)
    }
