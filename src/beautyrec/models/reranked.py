"""The form of a second stage: trees put the best of a blend into a new order. Needs only numpy and pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.data.schema import PRICE
from beautyrec.errors import ArtifactError
from beautyrec.models.base import Recommender
from beautyrec.models.blended import BlendRecommender
from beautyrec.models.known import History
from beautyrec.models.state import ModelState
from beautyrec.models.top_k import best_columns
from beautyrec.models.trees import TreeEnsemble
from beautyrec.types import Float32Array, FloatArray, IntArray

DAY_US = 86_400_000_000
"""Microseconds in a day."""

RECENT_DAYS = 90
"""Days that count as of late."""

GAP = np.float32(-1)
"""Where a price or a value is not known: artifacts hold no NaN."""


class Sold(NamedTuple):
    """Every event by item and day, as one ascending number each."""

    key: IntArray
    """[n] ``item * span + day - first``."""
    start: IntArray
    """[I] where the events of each item begin."""
    first: int
    """The day of the first event."""
    span: int
    """Days from the first event to the last, that one included."""


@dataclass(frozen=True, eq=False)
class Purchases:
    """What a log says of a user and an item beside scores, as it was known on the day of the user's last event.

    A recommender is asked about users, not about moments, so that day is what it can take for now, in training as later.

    Args:
        seen: what each user took, oldest first, n entries.
        day: [n] day of each entry since 1970.
        price: [I] of each item; -1 where it is not known.
        groups: [G, I] the number of each item's category, brand and so on; -1 where it is not known.
    """

    seen: History
    day: Float32Array
    price: Float32Array
    groups: Float32Array

    @classmethod
    def of(cls, log: Interactions, columns: tuple[str, ...]) -> Self:
        """What ``log`` says; ``columns`` and prices that its item table lacks are not known."""
        table, none = log.item_table, np.full(len(log.items), GAP)
        table = pd.DataFrame(index=range(len(log.items))) if table is None else table
        price = table[PRICE].to_numpy(np.float32) if PRICE in table else none
        codes = [pd.factorize(table[name])[0] if name in table else none for name in columns]
        groups = np.asarray(codes, dtype=np.float32).reshape(len(columns), len(log.items))
        day = (log.ts // DAY_US).astype(np.float32)
        return cls(History(log.indptr, log.item_ix), day, np.where(price >= 0, price, GAP), groups)

    def columns(self, user_ix: IntArray, item_ix: IntArray) -> list[FloatArray]:
        """One array [n] a feature, for users with a history and items in pairs; NaN where there is nothing to tell.

        How often the item was bought until then, all the time and of late, and days since; its price against the mean of
        the user's, as logarithms; for each group steps back to the last of it in the history, days since, and its share of
        the history; how long the history is.
        """
        length = self.seen.counts(user_ix).astype(np.float64)
        found = [*self._item(user_ix, item_ix), self._log_price[item_ix] - self._usual_price[user_ix], length]
        for group in range(len(self.groups)):
            found += self._group(group, user_ix, item_ix, length)
        return found

    def _item(self, user_ix: IntArray, item_ix: IntArray) -> list[FloatArray]:
        sold, now = self._sold, self._last_day[user_ix]
        today = item_ix * sold.span + now - sold.first
        known = np.searchsorted(sold.key, today, side="right")
        before = np.searchsorted(sold.key, np.maximum(today - RECENT_DAYS, item_ix * sold.span))
        count, late = known - sold.start[item_ix], known - before
        last = sold.key[np.maximum(known - 1, 0)] % sold.span + sold.first
        return [count.astype(float), np.where(count > 0, late, 0.0), np.where(count > 0, now - last, np.nan)]

    def _group(self, group: int, user_ix: IntArray, item_ix: IntArray, length: FloatArray) -> list[FloatArray]:
        key, entry = self._grouped[group]
        code = self.groups[group, item_ix].astype(np.int64)
        wanted = user_ix * self._width + code
        end = np.searchsorted(key, wanted, side="right")
        count = np.where(code >= 0, end - np.searchsorted(key, wanted), 0)
        last = entry[np.maximum(end - 1, 0)]
        back = self.seen.indptr[user_ix + 1] - last
        days = self._last_day[user_ix] - self.day[last]
        return [np.where(count > 0, back, np.nan), np.where(count > 0, days, np.nan), count / length]

    @cached_property
    def _width(self) -> int:
        """More than the number of any group."""
        return int(self.groups.max(initial=0)) + 1

    @cached_property
    def _grouped(self) -> list[tuple[IntArray, IntArray]]:
        """For each group the entries whose value is known, ascending by user, value and time, and their places."""
        found = []
        for codes in self.groups:
            code = codes[self.seen.item_ix].astype(np.int64)
            entry = np.flatnonzero(code >= 0)
            key = self._user[entry] * self._width + code[entry]
            order = np.argsort(key, kind="stable")
            found.append((np.append(key[order], np.iinfo(np.int64).max), np.append(entry[order], 0)))
        return found

    @cached_property
    def _user(self) -> IntArray:
        """[n] whose each entry is."""
        return np.repeat(np.arange(len(self.seen.indptr) - 1), np.diff(self.seen.indptr))

    @cached_property
    def _last_day(self) -> IntArray:
        """[U] of each user's last event; 0 without one."""
        last = np.zeros(len(self.seen.indptr) - 1, dtype=np.int64)
        np.maximum.at(last, self._user, self.day.astype(np.int64))
        return last

    @cached_property
    def _sold(self) -> Sold:
        first, last = (int(edge) for edge in (self.day.min(), self.day.max()))
        span = last - first + 1
        key = np.sort(self.seen.item_ix * span + self.day.astype(np.int64) - first)
        return Sold(key, np.searchsorted(key, np.arange(len(self.price)) * span), first, span)

    @cached_property
    def _log_price(self) -> FloatArray:
        """[I] NaN where it is not known."""
        logarithm: FloatArray = np.log(np.where(self.price > 0, self.price, np.nan).astype(np.float64))
        return logarithm

    @cached_property
    def _usual_price(self) -> FloatArray:
        """[U] mean logarithm of the prices known in the history; NaN where none is."""
        paid, n_users = self._log_price[self.seen.item_ix], len(self.seen.indptr) - 1
        known = ~np.isnan(paid)
        total = np.bincount(self._user[known], weights=paid[known], minlength=n_users)
        count = np.bincount(self._user[known], minlength=n_users).astype(np.float64)
        mean: FloatArray = np.divide(total, count, out=np.full(n_users, np.nan), where=count > 0)
        return mean


class Stage(NamedTuple):
    """What the first stage found for b users: N items each, best first, -1 where there are fewer."""

    items: IntArray
    """[b, N] items the users have not taken."""
    total: Float32Array
    """[b, I] what the blend says of every item."""
    columns: list[FloatArray]
    """One array a feature, for the items of :attr:`items` that are not padding, user by user."""
    blended: FloatArray
    """[m] what the blend says of these."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RerankRecommender(Recommender):
    """Puts the best of a blend into the order of ``slope * blend + trees``; all other items follow, as the blend has them.

    Args:
        known: users, items, what was seen, popularity.
        first: the blend.
        purchases: what else is known of users and items.
        trees: of the features of `columns_of`.
        slope: what the score of the blend counts beside the trees.
        candidates: how many of a user's best are put into a new order.
    """

    first: BlendRecommender
    purchases: Purchases
    trees: TreeEnsemble
    slope: float
    candidates: int
    kind: ClassVar[str] = "reranked"
    chunk_scores: ClassVar[int] = 2**19
    """Fewer than other forms: each part of the blend has as many at the same time."""

    @property
    def n_features(self) -> int:
        """How many features the trees can ask for."""
        return 2 + len(self.first.parts) + 5 + 3 * len(self.purchases.groups)

    def _block(self, user_ix: IntArray, columns: IntArray | None, room: Float32Array | None = None) -> Float32Array:  # noqa: ARG002
        stage = look(self.first, self.purchases, user_ix, self.candidates)
        row, place = np.nonzero(stage.items >= 0)
        item = stage.items[row, place]
        new = self.slope * stage.blended + self.trees.raw(stage.columns)
        score = stage.total
        lowest = np.full(len(score), np.inf)
        np.minimum.at(lowest, row, new)
        score[row, item] = -np.inf
        others = score.max(axis=1)
        behind = np.isfinite(others) & np.isfinite(lowest)
        shift = np.subtract(lowest - 1, others, out=np.zeros(len(score)), where=behind)
        score += shift.astype(np.float32)[:, None]
        score[row, item] = new
        return score if columns is None else np.ascontiguousarray(score[:, columns])

    def state(self) -> ModelState:
        """That of the blend, what is known of purchases, and the trees."""
        first, own = self.first.state(), self.purchases
        arrays = {"purchase_day": own.day, "purchase_price": own.price, "purchase_groups": own.groups}
        meta = {"first": dict(first.meta), "slope": self.slope, "candidates": self.candidates}
        return ModelState(self.kind, {**first.arrays, **arrays, **self.trees.arrays("trees_")}, meta)

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``."""
        first = BlendRecommender.from_state(first_state(state))
        n_items, n = len(first.items), len(first.seen.item_ix)
        slope, candidates = state.number("slope"), state.number("candidates")
        if not 0 <= slope < np.inf or not 1 <= candidates < np.inf:
            raise ArtifactError(
                f"model state '{state.kind}': slope is {slope} and candidates {candidates}; expected 0 and 1 or more."
            )
        purchases = Purchases(
            first.seen,
            state.array("purchase_day", (n,)),
            state.array("purchase_price", (n_items,)),
            state.array("purchase_groups", (None, n_items)),
        )
        return cls(
            first.known,
            first=first,
            purchases=purchases,
            trees=TreeEnsemble.from_arrays(state.arrays, "trees_"),
            slope=slope,
            candidates=int(candidates),
        )


def first_state(state: ModelState) -> ModelState:
    """The state of the blend within that of a re-ranker.

    Raises:
        ArtifactError: there is none.
    """
    meta = state.meta.get("first")
    if not isinstance(meta, Mapping):
        raise ArtifactError(f"model state '{state.kind}': its first stage is missing. Save it again.")
    arrays: dict[str, npt.NDArray[Any]] = {
        name: array for name, array in state.arrays.items() if not name.startswith(("purchase_", "trees_"))
    }
    return ModelState(BlendRecommender.kind, arrays, meta)


def look(first: BlendRecommender, purchases: Purchases, user_ix: IntArray, n: int) -> Stage:
    """The best ``n`` of a blend for users [b] with a history, and what is known of each.

    Features, in their order: the score of the blend, the rank by it, that of each part made alike, `Purchases.columns`.
    """
    alike = [first.how(part.scores(user_ix)) for part in first.parts]
    total = np.zeros_like(alike[0])
    for values, weight in zip(alike, first.weights, strict=True):
        total += np.float32(weight) * values
    unseen = total.copy()
    first._strike_seen(unseen, user_ix, None)
    items, _ = best_columns(unseen, min(n, total.shape[1]))
    row, place = np.nonzero(items >= 0)
    item = items[row, place]
    blended = total[row, item].astype(np.float64)
    scores = [values[row, item].astype(np.float64) for values in alike]
    columns = [blended, place.astype(np.float64), *scores, *purchases.columns(user_ix[row], item)]
    return Stage(items, total, columns, blended)
