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
    figure = _figure(90 + 46 * frame["model"].nunique(), xaxis_title=f"NDCG@{k}, 95 % interval")
    places = _places(figure, frame["model"])
    _intervals(figure, frame, places, "protocol", ("ndcg", "ndcg_ci_low", "ndcg_ci_high"), ".4f")
    return figure


def lift(frame: pd.DataFrame, metric: str) -> Any:
    """Lift of each model's policy by each estimator, and the truth; a refused one is drawn without its number."""
    rows = frame[frame["metric"] == metric]
    title = f"lift of {metric.replace('_', ' ')} over the logging policy, 95 % interval"
    figure = _figure(120 + 54 * rows["model"].nunique(), xaxis_title=title)
    places = _places(figure, rows["model"])
    told = rows[rows["verdict"] != "refuse"].dropna(subset=["estimate"])
    _intervals(figure, told, places, "estimator", ("estimate", "ci_low", "ci_high"), "+.1%")
    truth = rows.drop_duplicates("model")
    figure.add_scatter(
        x=truth["true"], y=truth["model"].map(places), mode="markers", name="true lift in the simulated world",
        marker={"symbol": "diamond-open", "size": 13, "color": INK, "line": {"width": 2}},
        hovertemplate="true %{x:.1%}<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": SOFT, "dash": "dot"})
    figure.update_xaxes(tickformat="+.0%")
    return figure


def _places(figure: Any, models: pd.Series[str]) -> dict[str, int]:
    """Where each model stands on the vertical axis, the first at the top."""
    names = list(dict.fromkeys(models))
    places = {name: len(names) - 1 - number for number, name in enumerate(names)}
    figure.update_yaxes(tickvals=list(places.values()), ticktext=names, range=[-0.6, len(names) - 0.4])
    return places


def _intervals(
    figure: Any, rows: pd.DataFrame, places: dict[str, int], by: str, columns: tuple[str, str, str], style: str
) -> None:
    """A point with its interval for each row, a colour and a small shift for each value of ``by``."""
    groups = list(rows.groupby(by, sort=False))
    for number, (name, part) in enumerate(groups):
        value, low, high = (part[column].astype(float) for column in columns)
        shift = 0.28 * ((len(groups) - 1) / 2 - number)
        colour = ESTIMATOR_COLOURS[number % len(ESTIMATOR_COLOURS)]
        figure.add_scatter(
            x=value, y=part["model"].map(places) + shift, mode="markers", name=str(name),
            marker={"color": colour, "size": 8}, customdata=pd.concat([low, high], axis=1),
            error_x={"type": "data", "array": high - value, "arrayminus": value - low, "color": colour},
            hovertemplate=f"%{{x:{style}}} [%{{customdata[0]:{style}}}, %{{customdata[1]:{style}}}]<extra>{name}</extra>",
        )  # fmt: skip


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
    ticks = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    figure.update_xaxes(type="log", tickvals=ticks, tickformat=".1~%")
    figure.update_yaxes(type="log", tickvals=ticks, tickformat=".1~%", showgrid=True, gridcolor="#eef0f3")
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
    figure.update_xaxes(range=[-1, float(rows["minute_to"].max())])
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0})
    return figure
