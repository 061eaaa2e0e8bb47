"""Whether a catalogue gets an index: it has to be large, and the index as good as was asked for, as measured.

Users are drawn and parted in two halves. On the first the least effort is chosen that reaches the recall asked for; on the
other, which chose nothing, the recall is measured that the manifest states. Below what was asked for there is no index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from beautyrec.errors import ConfigError
from beautyrec.models.factors import FactorRecommender
from beautyrec.serving.item_index import LARGEST_FETCH, Graph, ItemIndex, graph_of, library
from beautyrec.serving.steady import steady_top_k
from beautyrec.types import FloatArray, IntArray

EFFORTS = (32, 64, 128, 256, 512, 1024)
"""Items that a walk keeps in view, least first."""


@dataclass(frozen=True)
class IndexPlan:
    """When an artifact is to have an index of its items, and how good it has to be."""

    least_items: int = 200_000
    """Items from which on one is built; with fewer an exact search takes less than 10 ms and is kept."""
    recall: float = 0.95
    """Share of the items of exact lists that lists by the index have to hold; below it the search stays exact."""
    k: int = 50
    """Length of the lists on which that is measured; longer ones are searched for exactly."""
    queries: int = 1000
    """Users drawn, half of them to choose the effort of a search and half to measure."""
    neighbours: int = 24
    """Neighbours of an item in each layer of the graph, twice as many in the first."""
    effort: int = 100
    """Items looked at to find them."""
    seed: int = 0
    """With which users are drawn."""

    def __post_init__(self) -> None:
        sizes = (self.k, self.queries // 2, self.neighbours // 2, self.effort)
        if not 0 < self.recall <= 1 or min(sizes) < 1 or max(self.k, self.neighbours) > LARGEST_FETCH // 2:
            raise ConfigError(
                f"{self}: recall has to be above 0 and at most 1, k, queries, neighbours and effort at least 1, 2, 2 and 1, "
                f"k and neighbours at most {LARGEST_FETCH // 2}."
            )


class Indexed(NamedTuple):
    """What came of a plan."""

    graph: Graph | None
    """None where searches stay exact."""
    facts: Mapping[str, Any]
    """For the manifest: ``used``, ``reason`` where it is not, what was asked for, what was measured."""


def plan_index(model: Any, plan: IndexPlan) -> Indexed:
    """The index of a model, if there is to be one and it is good enough.

    Args:
        model: any; only those of factors can have one.
        plan: what is asked for.

    Returns:
        The graph, or None, and what the manifest is to say.

    Raises:
        MissingExtraError: there is to be one and ``faiss`` is not installed.

    Examples:
        >>> from beautyrec.models.state import ModelState
        >>> plan_index(ModelState, IndexPlan()).facts["reason"]
        'the model has no factors of users and items'
    """
    asked: dict[str, Any] = {"recall_asked": plan.recall, "least_items": plan.least_items, "k": plan.k}
    if not isinstance(model, FactorRecommender):
        return _exact("the model has no factors of users and items", asked)
    if len(model.items) < max(plan.least_items, 1):
        return _exact(f"{len(model.items)} items are fewer than {plan.least_items}", asked)
    warm = np.flatnonzero(np.diff(model.seen.indptr) > 0)
    if len(warm) < 2:
        return _exact(f"{len(warm)} users with a history are too few to measure the recall", asked)
    users = np.random.default_rng(plan.seed).permutation(warm)[: plan.queries]
    choosing, held = users[: len(users) // 2], users[len(users) // 2 :]
    graph = graph_of(model, plan.neighbours, plan.effort)
    facts = asked | {"library": library(), "neighbours": plan.neighbours, "effort_built": plan.effort}
    index = _good_enough(ItemIndex(graph, facts, model), model, choosing, plan)
    measured = recalls(index, model, held, plan.k)
    recall = float(measured.mean())
    facts = {**index.facts, "recall": recall, "queries": len(held)}
    if recall < plan.recall:
        return _exact(f"the recall {recall:.4f} is below the {plan.recall} asked for", facts)
    return Indexed(graph, {"used": True, "reason": "", **facts})


def recalls(index: ItemIndex, model: FactorRecommender, user_ix: IntArray, k: int) -> FloatArray:
    """[B] the share of each user's exact list that the index finds, unseen items only; exact where it has no whole list."""
    exact, _ = steady_top_k(model, user_ix, k, exclude_seen=True, candidates=None)
    found = index.top_k(model, user_ix, k, exclude_seen=True)
    row = np.arange(len(user_ix))[:, None] * len(model.items)
    hits = np.isin(row + exact, np.where(found.top < 0, -1, row + found.top)) & (exact >= 0)
    share: FloatArray = hits.sum(axis=1) / np.maximum(1, (exact >= 0).sum(axis=1))
    return np.where(found.filled, share, 1.0)


def _good_enough(index: ItemIndex, model: FactorRecommender, user_ix: IntArray, plan: IndexPlan) -> ItemIndex:
    """With the least effort whose recall is as asked for beyond two standard errors; with the largest where none is."""
    for effort in EFFORTS[:-1]:
        tried = index.with_effort(effort)
        share = recalls(tried, model, user_ix, plan.k)
        if share.mean() - 2 * share.std() / np.sqrt(len(share)) >= plan.recall:
            return tried
    return index.with_effort(EFFORTS[-1])


def _exact(reason: str, facts: Mapping[str, Any]) -> Indexed:
    return Indexed(None, {"used": False, "reason": reason, **facts})
