"""The plots of reports and notebooks, each from a frame that the evaluation gives.

A figure is plotly's (extra ``report``), to be shown in a notebook as it is or put into a page with :func:`html`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from textwrap import wrap
from typing import Any, Final

import numpy as np
import pandas as pd

from beautyrec.errors import MissingExtraError
from beautyrec.evaluation.overlap import THRESHOLDS, Thresholds

COLOURS: Final = {"trust": "#039855", "caution": "#dc6803", "refuse": "#d92d20"}
"""Of the verdicts."""

INK, SOFT, GRID = "#1f2430", "#98a2b3", "#eef0f3"
SERIES: Final = ("#9d174d", "#3538cd", "#0e9384", "#dc6803", "#475467", "#7a5af8")
"""Of models, segments, predictions."""

SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up", "cross")
"""Of estimators."""

METRICS: Final = {
    "ctr": "CTR",
    "cvr": "CVR",
    "ctcvr": "CTCVR",
    "room_conversion": "room conversion",
    "revenue_per_viewer": "revenue per viewer",
    "revenue_per_impression": "revenue per impression",
}
"""The metrics of lift in words."""


RANKING: Final = {"ndcg": "NDCG", "map": "MAP", "mrr": "MRR", "hit_rate": "hit rate"}
"""Ranking metrics whose names are not simply words."""


def html(figure: Any, anchor: str) -> str:
    """A figure as a piece of a page that loads plotly once, elsewhere."""
    config = {"displayModeBar": False, "responsive": True}
    text: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=anchor, config=config)
    return text


def plotly_js() -> str:
    """The source of plotly's own script, so that a page needs no network.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise MissingExtraError("plotly", "report") from None
    text: str = get_plotlyjs()
    return text


def blank(height: int, **layout: Any) -> Any:
    """An empty figure in the look of all.

    Args:
        height: in pixels.
        layout: further settings of plotly's layout.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise MissingExtraError("plotly", "report") from None
    figure = go.Figure()
    figure.update_layout(
        template="simple_white",
        height=height,
        margin={"l": 10, "r": 20, "t": 40, "b": 45},
        font={"family": "system-ui, Segoe UI, Noto Sans, sans-serif", "size": 13, "color": INK},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        showlegend=True,
        **layout,
    )
    figure.update_xaxes(automargin=True, gridcolor=GRID, showgrid=True)
    figure.update_yaxes(automargin=True)
    return figure


def places(figure: Any, names: Iterable[str]) -> dict[str, int]:
    """Where each name stands on the vertical axis, the first at the top; long ones take several lines."""
    order = list(dict.fromkeys(names))
    at = {name: len(order) - 1 - number for number, name in enumerate(order)}
    labels = ["<br>".join(wrap(str(name), 30)) for name in order]
    figure.update_yaxes(tickvals=list(at.values()), ticktext=labels, range=[-0.6, len(order) - 0.4])
    return at


def points(
    figure: Any,
    rows: pd.DataFrame,
    y: Any,
    *,
    columns: tuple[str, str, str] = ("estimate", "ci_low", "ci_high"),
    style: str = "+.1%",
    **marker: Any,
) -> None:
    """A point with its interval for each row; what has no interval is a point alone.

    Args:
        figure: to draw on.
        rows: with the value and its ends.
        y: where each row stands.
        columns: names of the value and its ends.
        style: format of numbers shown when pointed at.
        marker: ``name`` in the legend, ``color``, ``symbol``, and ``showlegend``.
    """
    value, low, high = (rows[column].astype("Float64").to_numpy(float, na_value=float("nan")) for column in columns)
    name, colour = marker["name"], marker["color"]
    figure.add_scatter(
        x=value, y=y, mode="markers", name=name, legendgroup=name, showlegend=marker.get("showlegend", True),
        marker={"color": colour, "size": 9, "symbol": marker.get("symbol", "circle")},
        error_x={"type": "data", "array": high - value, "arrayminus": value - low, "color": colour, "thickness": 1.6},
        customdata=pd.DataFrame({"low": low, "high": high}),
        hovertemplate=f"%{{x:{style}}} [%{{customdata[0]:{style}}}, %{{customdata[1]:{style}}}]<extra>{name}</extra>",
    )  # fmt: skip


def forest(lifts: pd.DataFrame, metric: str, *, by: str = "model") -> Any:
    """Lift of one metric with its interval, one line for each ``by``; the colour is the verdict, the shape the estimator.

    A lift that the log cannot tell has no point: the line says *refuse* and why. Where the frame has a column ``true`` (a
    simulated world's own, a randomised test's), it is drawn as an open diamond.

    Args:
        lifts: rows of `lift_table` with a column ``by``.
        metric: which metric.
        by: what stands on the vertical axis.
    """
    rows = lifts[lifts["metric"] == metric]
    title = f"lift of {METRICS.get(metric, metric)} over the logging policy, 95 % interval"
    figure = blank(130 + 54 * rows[by].nunique(), xaxis_title=title)
    at = places(figure, rows[by])
    told = rows[rows["verdict"] != "refuse"].dropna(subset=["estimate"])
    estimators = list(dict.fromkeys(rows["estimator"]))
    for (number, estimator), verdict in product(enumerate(estimators), ("trust", "caution")):
        part = told[(told["estimator"] == estimator) & (told["verdict"] == verdict)]
        if len(part):
            y = part[by].map(at) + 0.3 * ((len(estimators) - 1) / 2 - number) / max(1, len(estimators) / 2)
            symbol, name = SYMBOLS[number % len(SYMBOLS)], f"{estimator}, {verdict}"
            points(figure, part, y, name=name, color=COLOURS[verdict], symbol=symbol)
    _refused(figure, rows[~rows[by].isin(told[by])], at, by)
    if "true" in rows:
        _truth(figure, rows.drop_duplicates(by), at, by)
    figure.add_vline(x=0, line={"color": SOFT, "dash": "dot", "width": 1.5}, opacity=1)
    figure.update_xaxes(tickformat="+.0%")
    return figure


def _refused(figure: Any, rows: pd.DataFrame, at: dict[str, int], by: str) -> None:
    """A line of text for each refused one of ``rows``."""
    rows = rows.drop_duplicates(by)
    for _, row in rows.iterrows():
        text = f"<b>refuse</b>: {shortened(str(row['reasons']).split('; ')[0], 88)}"
        figure.add_annotation(
            x=0.01, xref="paper", xanchor="left", y=at[row[by]], text=text, showarrow=False, bgcolor="#fee4e2",
            font={"color": "#912018", "size": 12}, borderpad=3,
        )  # fmt: skip
    if len(rows) == len(at):
        figure.update_xaxes(range=[-1, 1])


def _truth(figure: Any, rows: pd.DataFrame, at: dict[str, int], by: str) -> None:
    figure.add_scatter(
        x=rows["true"], y=rows[by].map(at), mode="markers", name="true lift",
        marker={"symbol": "diamond-open", "size": 13, "color": INK, "line": {"width": 2}},
        hovertemplate="true %{x:.1%}<extra></extra>",
    )  # fmt: skip


def shortened(text: str, length: int) -> str:
    """``text``, cut at a word where it is longer.

    Examples:
        >>> shortened("the log cannot tell", 12)
        'the log …'
    """
    return text if len(text) <= length else f"{text[: length - 1].rsplit(' ', 1)[0]} …"


def overlap(lifts: pd.DataFrame, *, by: str = "model", limits: Thresholds = THRESHOLDS) -> Any:
    """How much of the log counts for each policy: effective impressions as a share of all, with the limits of the verdict.

    A bar has the colour of the verdict that the share or the number of effective impressions alone would give.

    Args:
        lifts: rows of `lift_table` with a column ``by``.
        by: what stands on the vertical axis.
        limits: where caution and refusal begin.
    """
    rows = lifts.dropna(subset=["effective_n"]).drop_duplicates(by)
    share = (rows["effective_n"] / rows["n"]).to_numpy(float)
    caution, refuse = limits.effective_share
    worst = np.fmin(share / caution, rows["effective_n"].to_numpy(float) / limits.effective_n[0])
    under = np.fmin(share / refuse, rows["effective_n"].to_numpy(float) / limits.effective_n[1])
    verdict = np.where(under < 1, "refuse", np.where(worst < 1, "caution", "trust"))
    title = "effective impressions as a share of those in the log (Kish)"
    figure = blank(130 + 44 * len(rows), xaxis_title=title)
    at = places(figure, rows[by])
    figure.add_bar(
        x=share, y=rows[by].map(at), orientation="h", width=0.55, marker={"color": [COLOURS[name] for name in verdict]},
        text=[f"{n:,.0f} of {of:,}" for n, of in zip(rows["effective_n"], rows["n"], strict=True)],
        textposition="outside", cliponaxis=False, showlegend=False, hovertemplate="%{x:.2%}<extra></extra>",
    )  # fmt: skip
    for name, limit in (("caution", caution), ("refuse", refuse)):
        figure.add_vline(x=limit, line={"color": COLOURS[name], "dash": "dot", "width": 2}, opacity=1)
        figure.add_annotation(
            x=limit if name == "caution" else 0, y=1.0, yref="paper", yanchor="bottom", xanchor="left",
            yshift=2 if name == "caution" else 18, showarrow=False, font={"color": COLOURS[name], "size": 12},
            text=f"{name} below {limit:.1%}",
        )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", range=[0, max(0.25, 1.25 * float(max(share, default=0)))])
    figure.update_layout(margin={"t": 50})
    return figure


def calibration(frame: pd.DataFrame) -> Any:
    """Predicted against observed rates in bins of equal size, for each prediction.

    Args:
        frame: rows of `calibration_curve` with a column ``prediction``.
    """
    figure = blank(380, xaxis_title="predicted, mean of the bin", yaxis_title="observed, 95 % interval")
    for colour, (name, rows) in zip(SERIES, frame.groupby("prediction", sort=False), strict=False):
        error = {"array": rows["ci_high"] - rows["observed"], "arrayminus": rows["observed"] - rows["ci_low"]}
        figure.add_scatter(
            x=rows["predicted"], y=rows["observed"], mode="markers+lines", name=str(name),
            marker={"color": colour, "size": 8}, line={"width": 1},
            error_y={"type": "data", **error, "color": colour, "thickness": 1.3},
            hovertemplate="predicted %{x:.2%}, observed %{y:.2%}<extra>" + str(name) + "</extra>",
        )  # fmt: skip
    low, high = frame["predicted"].min() / 1.3, frame["predicted"].max() * 1.3
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", name="perfect", line={"color": SOFT, "dash": "dot"})
    ticks = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    figure.update_xaxes(type="log", tickvals=ticks, tickformat=".1~%")
    figure.update_yaxes(type="log", tickvals=ticks, tickformat=".1~%", showgrid=True, gridcolor=GRID)
    return figure


def ranking(frame: pd.DataFrame, metric: str, k: int | None = None) -> Any:
    """One ranking metric of each model with its interval, a colour a segment.

    Args:
        frame: ``model, segment, metric, value, ci_low, ci_high``, as `compare` and `ranking_table` have them.
        metric: which metric.
        k: length of the lists, for the title.
    """
    rows = frame[(frame["metric"] == metric) & frame["value"].notna()]
    segments = list(dict.fromkeys(rows["segment"]))
    title = f"{RANKING.get(metric, metric.replace('_', ' '))}{'' if k is None else f'@{k}'}, 95 % interval"
    figure = blank(110 + rows["model"].nunique() * (26 + 20 * len(segments)), xaxis_title=title)
    at = places(figure, rows["model"])
    for number, segment in enumerate(segments):
        part = rows[rows["segment"] == segment]
        shift = 0.7 * ((len(segments) - 1) / 2 - number) / max(1, len(segments))
        columns, colour = ("value", "ci_low", "ci_high"), SERIES[number % len(SERIES)]
        points(
            figure, part, part["model"].map(at) + shift, columns=columns, style=".4f", name=str(segment), color=colour
        )
    return figure


def promises(frame: pd.DataFrame) -> Any:
    """What was promised offline beside what was delivered online, metric by metric.

    Args:
        frame: as `promised_and_delivered` gives it.
    """
    figure = blank(130 + 58 * frame["metric"].nunique(), xaxis_title="lift, 95 % interval")
    names = frame["metric"].map(lambda metric: METRICS.get(metric, metric))
    at = places(figure, names)
    told = (frame["verdict"] != "refuse") & frame["estimate"].notna()
    sides = list(dict.fromkeys(frame["side"]))
    for number, side in enumerate(sides):
        mine = told & (frame["side"] == side)
        y = names[mine].map(at) + (0.16 if number == 0 else -0.16)
        points(figure, frame[mine], y, name=side, color=SERIES[number % len(SERIES)], symbol=SYMBOLS[number])
    for (metric, side), rows in frame[~told].groupby([names[~told], "side"], sort=False):
        reason = shortened(str(rows["reasons"].iloc[0]).split("; ")[0], 80)
        figure.add_annotation(
            x=0.01, xref="paper", xanchor="left", y=at[str(metric)] + (0.2 if side == sides[0] else -0.2), showarrow=False,
            text=f"<b>refuse</b>, {side}: {reason}", font={"color": "#912018", "size": 12}, bgcolor="#fee4e2",
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": SOFT, "dash": "dot", "width": 1.5}, opacity=1)
    figure.update_xaxes(tickformat="+.0%")
    return figure
