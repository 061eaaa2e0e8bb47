"""The figures of a tuning month's report, each from a frame."""

from __future__ import annotations

from typing import Any

import pandas as pd

from beautyrec.evaluation.figures import GRID, INK, SERIES, SOFT, blank, places, points


def timeline_figure(trials: pd.DataFrame, champions: pd.DataFrame) -> Any:
    """Lift by date: a dot a trial, and the champion of each review with its interval.

    Args:
        trials: of `Campaign.trials`.
        champions: ``date, what, number, family, estimate, ci_low, ci_high``, one row a review.
    """
    figure = blank(400, yaxis_title="lift over the log's policy")
    told = trials.dropna(subset=["estimate"])
    for colour, (family, part) in zip(_colours(trials), told.groupby("family", sort=False), strict=False):
        figure.add_scatter(
            x=part["date"], y=part["estimate"], mode="markers", name=str(family), opacity=0.55,
            marker={"color": colour, "size": 7}, customdata=part["number"],
            hovertemplate="trial %{customdata}, %{x}: %{y:+.1%}<extra>" + str(family) + "</extra>",
        )  # fmt: skip
    if len(champions):
        bars = {
            "array": champions["ci_high"] - champions["estimate"],
            "arrayminus": champions["estimate"] - champions["ci_low"],
        }
        figure.add_scatter(
            x=champions["date"], y=champions["estimate"], mode="lines+markers", name="champion",
            line={"color": INK, "width": 2}, marker={"size": 10, "color": INK, "symbol": "diamond"},
            error_y={"type": "data", **bars, "color": INK, "thickness": 1.6},
            customdata=champions[["what", "family", "number"]],
            hovertemplate="%{customdata[0]}: %{customdata[1]}, trial %{customdata[2]}, %{y:+.1%}<extra>champion</extra>",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": SOFT, "dash": "dot", "width": 1.5})
    figure.update_yaxes(tickformat="+.0%", showgrid=True, gridcolor=GRID)
    figure.update_xaxes(type="date")
    return figure


def luck_figure(rows: pd.DataFrame) -> Any:
    """Each finalist's lift with its interval before and after.

    Args:
        rows: of the confirmation.
    """
    names = rows["family"] + ", trial " + rows["number"].astype(str)
    figure = blank(130 + 60 * len(rows), xaxis_title="lift over the log's policy, 95 % interval")
    at = names.map(places(figure, names))
    before = ("before_estimate", "before_low", "before_high")
    points(figure, rows, at + 0.13, columns=before, name="on the days of the search", color=SOFT, symbol="square")
    points(figure, rows, at - 0.13, name="on fresh days", color=SERIES[0])
    figure.add_vline(x=0, line={"color": SOFT, "dash": "dot", "width": 1.5})
    figure.update_xaxes(tickformat="+.0%")
    return figure


def importance_figure(frame: pd.DataFrame) -> Any:
    """A bar a parameter, families one below the other.

    Args:
        frame: ``family, parameter, importance, trials``.
    """
    names = frame["family"] + ": " + frame["parameter"]
    figure = blank(130 + 34 * len(frame), xaxis_title="share of the spread within the family")
    at = names.map(places(figure, names))
    for colour, (family, part) in zip(SERIES, frame.groupby("family", sort=False), strict=False):
        figure.add_bar(
            x=part["importance"], y=at[part.index], orientation="h", width=0.6, marker={"color": colour},
            name=f"{family} ({part['trials'].iloc[0]} trials)", hovertemplate="%{x:.0%}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    return figure


def front_figure(frame: pd.DataFrame, first: str, second: str) -> Any:
    """All trials by two numbers, those that no other beats in both joined by a line.

    Args:
        frame: ``number, family, first, second, front``.
        first: name of the number upwards.
        second: name of the other one.
    """
    unit = "seconds of the trial" if second == "seconds" else f"value of {second}"
    figure = blank(380, yaxis_title=f"value of {first}", xaxis_title=unit)
    for colour, (family, part) in zip(SERIES, frame.groupby("family", sort=False), strict=False):
        figure.add_scatter(
            x=part["second"], y=part["first"], mode="markers", name=str(family), marker={"color": colour, "size": 7},
            opacity=0.6, customdata=part["number"],
            hovertemplate="trial %{customdata}: %{y:+.1%}<extra>" + str(family) + "</extra>",
        )  # fmt: skip
    best = frame[frame["front"]].sort_values("second")
    figure.add_scatter(
        x=best["second"], y=best["first"], mode="lines+markers", name="front", line={"color": INK, "shape": "hv"},
        marker={"symbol": "circle-open", "size": 12, "color": INK, "line": {"width": 2}}, hoverinfo="skip",
    )  # fmt: skip
    figure.update_yaxes(tickformat="+.0%", showgrid=True, gridcolor=GRID)
    if second != "seconds":
        figure.update_xaxes(tickformat="+.0%")
    return figure


def cost_figure(days: pd.DataFrame) -> Any:
    """Seconds of each day.

    Args:
        days: of `Campaign.days`.
    """
    figure = blank(280, yaxis_title="seconds")
    for colour, (phase, part) in zip(SERIES, days.groupby("phase", sort=False), strict=False):
        figure.add_bar(
            x=part["date"], y=part["seconds"], name=str(phase), marker={"color": colour}, customdata=part["trials"],
            hovertemplate="%{x}: %{y:.1f} s, %{customdata} trials<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(type="date")
    return figure


def _colours(trials: pd.DataFrame) -> list[str]:
    """One for each family, again from the first where there are more."""
    return [SERIES[at % len(SERIES)] for at in range(trials["family"].nunique())]
