"""The metrics of a live room, each a ratio of totals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Totals(NamedTuple):
    """What a policy did to the viewers of a log, summed or averaged over them (the same way in every field).

    Numbers may be complex: derivatives are taken through them. Outcomes that a log does not have are 0.
    """

    requests: Any
    """Room-viewers: viewers of a room, one slate each."""
    impressions: Any
    """Items shown."""
    clicked: Any
    """Clicks."""
    ordered: Any
    """Orders."""
    revenue: Any
    """Money taken."""
    converted: Any
    """Room-viewers with at least one order."""


@dataclass(frozen=True)
class Metric:
    """A metric that is a smooth function of totals.

    Args:
        name: its short name.
        unit: what it counts.
        of: the metric from totals.
        events: the outcome that must happen for the metric to move; what is rare here limits what a log can tell.
        needs: outcomes that the log must have.
    """

    name: str
    unit: str
    of: Callable[[Totals], Any]
    events: str
    needs: tuple[str, ...]


CTR = Metric("ctr", "clicks per impression", lambda t: t.clicked / t.impressions, "clicked", ("clicked",))
CVR = Metric("cvr", "orders per click", lambda t: t.ordered / t.clicked, "ordered", ("clicked", "ordered"))
CTCVR = Metric("ctcvr", "orders per impression", lambda t: t.ordered / t.impressions, "ordered", ("ordered",))
ROOM_CONVERSION = Metric(
    "room_conversion", "buyers per viewer of a room", lambda t: t.converted / t.requests, "ordered", ("ordered",)
)
REVENUE_PER_VIEWER = Metric(
    "revenue_per_viewer",
    "money per viewer of a room",
    lambda t: t.revenue / t.requests,
    "ordered",
    ("ordered", "revenue"),
)
REVENUE_PER_IMPRESSION = Metric(
    "revenue_per_impression",
    "money per impression",
    lambda t: t.revenue / t.impressions,
    "ordered",
    ("ordered", "revenue"),
)
METRICS = (CTR, CVR, CTCVR, ROOM_CONVERSION, REVENUE_PER_VIEWER, REVENUE_PER_IMPRESSION)
