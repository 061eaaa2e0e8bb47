"""The plots of the main job's report that are its own; those of evaluation are in :mod:`beautyrec.evaluation.figures`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from beautyrec.evaluation.figures import GRID, INK, SERIES, blank, places, points


def ranking(frame: pd.DataFrame, k: int) -> Any:
    """NDCG at k of each model with its interval, a colour a protocol."""
    figure = blank(90 + 46 * frame["model"].nunique(), xaxis_title=f"NDCG@{k}, 95 % interval")
    at = places(figure, frame["model"])
    groups = list(frame.groupby("protocol", sort=False))
    for number, (name, part) in enumerate(groups):
        y = part["model"].map(at) + 0.28 * ((len(groups) - 1) / 2 - number)
        columns, colour = ("ndcg", "ndcg_ci_low", "ndcg_ci_high"), SERIES[number % len(SERIES)]
        points(figure, part, y, columns=columns, style=".4f", name=str(name), color=colour)
    return figure


def sweep(trials: pd.DataFrame) -> Any:
    """Each trial's lift with its interval, and the best lower bound so far."""
    done = trials[trials["state"] == "complete"]
    figure = blank(380, xaxis_title="trial", yaxis_title="room-conversion lift")
    for colour, (family, rows) in zip(SERIES, done.groupby("family", sort=True), strict=False):
        error = {"array": rows["ci_high"] - rows["estimate"], "arrayminus": rows["estimate"] - rows["ci_low"]}
        figure.add_scatter(
            x=rows["number"], y=rows["estimate"], mode="markers", name=str(family), marker={"color": colour, "size": 9},
            error_y={"type": "data", **error, "color": colour, "thickness": 1.4},
        )  # fmt: skip
    figure.add_scatter(
        x=done["number"], y=done["ci_low"].cummax(), mode="lines", name="best lower bound so far",
        line={"shape": "hv", "color": INK, "width": 2},
    )  # fmt: skip
    figure.update_yaxes(tickformat="+.0%", showgrid=True, gridcolor=GRID, zeroline=True)
    figure.update_xaxes(dtick=1)
    return figure


def line_up(rows: pd.DataFrame) -> Any:
    """Expected margin of each slot in running order, a colour a category."""
    figure = blank(430, xaxis_title="minute of the room", yaxis_title="expected margin")
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
