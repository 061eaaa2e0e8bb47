"""The plots of the report, each from the frames that the summary holds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from beautyrec.errors import MissingExtraError

COLOURS = {"trust": "#039855", "caution": "#dc6803", "refuse": "#d92d20"}
INK, SOFT, BRAND, BLUE = "#1f2430", "#98a2b3", "#9d174d", "#3538cd"
ESTIMATOR_COLOURS = ("#9d174d", "#3538cd", "#0e9384")


def html(figure: Any, anchor: str) -> str:
    """A figure as a piece of a page that loads plotly once, elsewhere."""
    config = {"displayModeBar": False, "responsive": True}
    text: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=anchor, config=config)
    return text


def plotly_js() -> str:
    """The source of plotly's own script, so that the page needs no network."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise MissingExtraError("plotly", "report") from None
    text: str = get_plotlyjs()
    return text


def _figure(height: int, **layout: Any) -> Any:
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
        hoverlabel={"bgcolor": "white"},
        **layout,
    )
    figure.update_xaxes(automargin=True, gridcolor="#eef0f3", showgrid=True)
    figure.update_yaxes(automargin=True)
    return figure


def ranking(frame: pd.DataFrame, k: int) -> Any:
    """NDCG at k of each model with its interval, a colour a protocol."""
    figure = _figure(80 + 44 * frame["model"].nunique(), xaxis_title=f"NDCG@{k}, 95 % interval")
    for colour, (protocol, rows) in zip(ESTIMATOR_COLOURS, frame.groupby("protocol", sort=False), strict=False):
        _intervals(figure, rows.iloc[::-1], "model", "ndcg", name=str(protocol), colour=colour)
    figure.update_layout(scattermode="group", scattergap=0.5)
    return figure


def lift(frame: pd.DataFrame, metric: str) -> Any:
    """Lift of each model's policy by each estimator, and the truth; a refused one is drawn without its number."""
    rows = frame[frame["metric"] == metric]
    order = list(dict.fromkeys(rows["model"]))[::-1]
    figure = _figure(
        110 + 56 * len(order), xaxis_title=f"lift of {metric.replace('_', ' ')} over the logging policy, 95 % interval"
    )
    for colour, (estimator, part) in zip(ESTIMATOR_COLOURS, rows.groupby("estimator", sort=False), strict=False):
        told = (
            part[part["verdict"] != "refuse"].set_index("model").reindex([m for m in order if m in set(part["model"])])
        )
        _intervals(
            figure,
            told.dropna(subset=["estimate"]).reset_index(),
            "model",
            "estimate",
            name=str(estimator),
            colour=colour,
        )
    truth = rows.drop_duplicates("model")
    figure.add_scatter(
        x=truth["true"], y=truth["model"], mode="markers", name="true lift in the simulated world",
        marker={"symbol": "diamond-open", "size": 13, "color": INK, "line": {"width": 2}},
        hovertemplate="%{y}: true %{x:.1%}<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": SOFT, "dash": "dot"})
    figure.update_xaxes(tickformat="+.0%")
    figure.update_yaxes(categoryorder="array", categoryarray=order)
    figure.update_layout(scattermode="group", scattergap=0.55)
    return figure


def _intervals(figure: Any, rows: pd.DataFrame, label: str, value: str, *, name: str, colour: str) -> None:
    """Points with intervals from the columns ``value``, ``ci_low`` and ``ci_high`` (of that value)."""
    low, high = _bounds(rows, value)
    figure.add_scatter(
        x=rows[value], y=rows[label], mode="markers", name=name, offsetgroup=name, marker={"color": colour, "size": 8},
        error_x={"type": "data", "array": high - rows[value], "arrayminus": rows[value] - low, "color": colour},
        customdata=pd.concat([low, high], axis=1),
        hovertemplate="%{y}: %{x:.4f} [%{customdata[0]:.4f}, %{customdata[1]:.4f}]<extra>" + name + "</extra>",
    )  # fmt: skip


def _bounds(rows: pd.DataFrame, value: str) -> tuple[pd.Series[float], pd.Series[float]]:
    prefix = "" if value == "estimate" else f"{value}_"
    return rows[f"{prefix}ci_low"], rows[f"{prefix}ci_high"]


def calibration(frame: pd.DataFrame) -> Any:
    """Predicted against observed rates in bins of equal size, for each prediction."""
    figure = _figure(380, xaxis_title="predicted, mean of the bin", yaxis_title="observed")
    for colour, (name, rows) in zip(ESTIMATOR_COLOURS, frame.groupby("prediction", sort=False), strict=False):
        error = {
            "type": "data",
            "array": rows["ci_high"] - rows["observed"],
            "arrayminus": rows["observed"] - rows["ci_low"],
        }
        figure.add_scatter(
            x=rows["predicted"], y=rows["observed"], mode="markers+lines", name=str(name),
            marker={"color": colour, "size": 8}, line={"width": 1}, error_y={**error, "color": colour, "thickness": 1.3},
            hovertemplate="predicted %{x:.2%}, observed %{y:.2%}<extra>" + str(name) + "</extra>",
        )  # fmt: skip
    low, high = frame["predicted"].min() / 1.3, frame["predicted"].max() * 1.3
    figure.add_scatter(x=[low, high], y=[low, high], mode="lines", name="perfect", line={"color": SOFT, "dash": "dot"})
    figure.update_xaxes(type="log", tickformat=".2~%")
    figure.update_yaxes(type="log", tickformat=".2~%", showgrid=True, gridcolor="#eef0f3")
    return figure


def sweep(trials: pd.DataFrame) -> Any:
    """Each trial's lift with its interval, and the best lower bound so far."""
    done = trials[trials["state"] == "complete"]
    figure = _figure(380, xaxis_title="trial", yaxis_title="room-conversion lift")
    for colour, (family, rows) in zip(ESTIMATOR_COLOURS, done.groupby("family", sort=True), strict=False):
        error = {"array": rows["ci_high"] - rows["estimate"], "arrayminus": rows["estimate"] - rows["ci_low"]}
        figure.add_scatter(
            x=rows["number"], y=rows["estimate"], mode="markers", name=str(family), marker={"color": colour, "size": 9},
            error_y={"type": "data", **error, "color": colour, "thickness": 1.4},
        )  # fmt: skip
    figure.add_scatter(
        x=done["number"], y=done["ci_low"].cummax(), mode="lines", name="best lower bound so far",
        line={"shape": "hv", "color": INK, "width": 2},
    )  # fmt: skip
    figure.update_yaxes(tickformat="+.0%", showgrid=True, gridcolor="#eef0f3", zeroline=True)
    figure.update_xaxes(dtick=1)
    return figure


def line_up(rows: pd.DataFrame) -> Any:
    """Expected margin of each slot in running order, a colour a category."""
    figure = _figure(430, xaxis_title="minute of the room", yaxis_title="expected margin")
    palette = (
        "#9d174d",
        "#3538cd",
        "#0e9384",
        "#dc6803",
        "#475467",
        "#7a5af8",
        "#ca8504",
        "#1570ef",
        "#66c61c",
        "#e31b54",
    )
    width = 0.8 * float((rows["minute_to"] - rows["minute_from"]).iloc[0])
    for index, (category, part) in enumerate(rows.groupby("category", sort=False)):
        figure.add_bar(
            x=part["minute_from"], y=part["expected_margin"], name=str(category), width=width, offset=0,
            marker={"color": palette[index % len(palette)]}, customdata=part["title"].str.slice(0, 60),
            hovertemplate="minute %{x}: %{customdata}<br>margin %{y:.2f}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0})
    return figure
