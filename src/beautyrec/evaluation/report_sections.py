"""The sections of the report of an evaluation, each from one frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd

from beautyrec.evaluation import figures
from beautyrec.evaluation.figures import METRICS
from beautyrec.evaluation.page import Section, Table, number, percent
from beautyrec.evaluation.promise import ONLINE

_DIAGNOSTICS: Final = {
    "effective_n": "effective n",
    "share": "share",
    "mean_weight": "mean weight",
    "largest_weight": "largest weight",
    "largest_share": "its share of all weight",
    "top_share": "share of the heaviest 1 %",
}


def lifts_sections(lifts: pd.DataFrame) -> list[Section]:
    """Lift of each policy with its verdict, and how much of the log speaks for it."""
    there = lifts.dropna(subset=["metric"])
    drawn = [figures.forest(there, metric) for metric in dict.fromkeys(there["metric"])]
    columns = {
        "model": "<model",
        "metric": "<metric",
        "estimator": "<estimator",
        "estimate": "lift",
        "interval": "95 % interval",
    }
    columns |= {"true": "true lift"} if "true" in lifts else {}
    columns |= {"verdict": "!verdict", "reasons": "~reasons"}
    table = Table([lift_row(row) for row in lifts.to_dict("records")], columns, "All lifts, with reasons", folded=True)
    text = (
        "What each policy would have brought, read from the log alone. The colour is the verdict: green may be acted on, orange "
        "is to be read with its reasons, and a refused lift has no point."
    )
    sections = [Section("lift", "Lift from the log", text, drawn, [table])]
    return [*sections, _overlap(there)] if len(there) else sections


def lift_row(row: Mapping[Any, Any]) -> dict[Any, Any]:
    """The cells of a lift in a table; a refused one shows no number.

    Args:
        row: of `lift_table`, with ``true`` where there is a truth.

    Examples:
        >>> lift_row({"metric": "ctr", "verdict": "refuse", "estimate": 3.0, "ci_low": 1.0, "ci_high": 9.0})["estimate"]
        '-'
    """
    refused = row["verdict"] == "refuse"
    low, high = (percent(row.get(name), sign=True) for name in ("ci_low", "ci_high"))
    return {
        **row,
        "metric": METRICS.get(str(row.get("metric")), row.get("metric") if isinstance(row.get("metric"), str) else "-"),
        "estimate": "-" if refused else percent(row.get("estimate"), sign=True),
        "interval": "-" if refused else f"{low} .. {high}",
        "true": percent(row.get("true"), sign=True),
        "effective_n": number(row.get("effective_n"), 0),
    }


def _overlap(lifts: pd.DataFrame) -> Section:
    rows = []
    for row in lifts.drop_duplicates("model").to_dict("records"):
        share = percent(row["effective_n"] / row["n"], 1)
        weights = {name: number(row.get(name), 2) for name in ("mean_weight", "largest_weight")}
        shares = {name: percent(row.get(name), 1) for name in ("largest_share", "top_share")}
        n = {"n": number(row["n"], 0), "effective_n": number(row["effective_n"], 0), "share": share}
        rows.append({"model": row["model"], **n, **weights, **shares})
    shown = {name: label for name, label in _DIAGNOSTICS.items() if name in lifts or name == "share"}
    text = (
        "How much of the log speaks for each policy. Effective impressions are those drawn by the policy itself that would tell "
        "as much; weights average 1 if the propensities are right; a log that hangs on few impressions is not to be trusted."
    )
    table = Table(rows, {"model": "<model", "n": "impressions", **shown})
    return Section("overlap", "Overlap of log and policy", text, [figures.overlap(lifts)], [table])


def calibration_sections(frame: pd.DataFrame) -> list[Section]:
    """Predicted against observed."""
    said = []
    for name, rows in frame.groupby("prediction", sort=False):
        error = float((rows["n"] * (rows["predicted"] - rows["observed"]).abs()).sum() / rows["n"].sum())
        base = float((rows["n"] * rows["observed"]).sum() / rows["n"].sum())
        said.append(f"{name} {percent(error, 2)} on a base rate of {percent(base, 2)}")
    text = (
        "Predicted chances, and how often it happened, in bins of equal size with 95 % Wilson intervals; points on the dotted "
        f"line mean what they say. Mean distance from it: {'; '.join(said)}."
    )
    return [Section("calibration", "Calibration", text, [figures.calibration(frame)])]


def ranking_sections(frame: pd.DataFrame) -> list[Section]:
    """Ranking metrics of each model and segment."""
    metrics = list(dict.fromkeys(frame["metric"].dropna()))
    main = [name for name in ("ndcg", "recall") if name in metrics] or metrics[:1]
    k = int(frame["k"].iloc[0]) if "k" in frame and frame["k"].notna().all() else None
    drawn = [figures.ranking(frame, name, k) for name in main]
    shown = [name for name in ("recall", "ndcg", "coverage") if name in metrics] or metrics[:3]
    rows = [_ranked(part, shown) for _, part in frame.groupby(["model", "segment"], sort=False)]
    columns = {"model": "<model", "segment": "<segment", "n": "users"} | {name: _metric(name) for name in shown}
    tables = [Table(rows, columns), _all_metrics(frame)]
    how = (
        "; ".join(dict.fromkeys(f"{row.protocol}, {row.train}" for row in frame.itertuples()))
        if "train" in frame
        else ""
    )
    text = f"Means over users with 95 % intervals. {how[:1].upper()}{how[1:]}{'.' if how else ''}"
    return [Section("ranking", "Ranking by segment", text, drawn, tables)]


def _ranked(part: pd.DataFrame, shown: list[str]) -> dict[str, Any]:
    """One row of the table of models and segments."""
    cells = {str(row["metric"]): _with_interval(row) for row in part.to_dict("records")}
    first = part.iloc[0]
    n = number(part["n"].max(), 0)
    return {
        "model": first["model"],
        "segment": first["segment"],
        "n": n,
        **{name: cells.get(name, "-") for name in shown},
    }


def _all_metrics(frame: pd.DataFrame) -> Table:
    columns = {
        "model": "<model",
        "segment": "<segment",
        "metric": "<metric",
        "cell": "value (95 % interval)",
        "n": "users",
    }
    tested = "p_adjusted" in frame and frame["p_adjusted"].notna().any()
    if tested:
        columns |= {"difference": "minus the first model", "p_value": "p", "p_adjusted": "p (Holm)"}
    columns |= {"note": "~note"} if "note" in frame else {}
    rows: list[dict[Any, Any]] = [
        {
            **row,
            "metric": _metric(row["metric"]),
            "cell": _with_interval(row),
            "n": number(row["n"], 0),
            **{name: number(row.get(name)) for name in ("difference", "p_value", "p_adjusted")},
        }
        for row in frame.to_dict("records")
    ]
    caption = "All metrics" + (", with paired permutation tests against the first model (Holm)" if tested else "")
    return Table(rows, columns, caption, folded=True)


def _metric(name: Any) -> str:
    return "-" if pd.isna(name) else figures.RANKING.get(str(name), str(name).replace("_", " "))


def _with_interval(row: Mapping[Any, Any]) -> str:
    interval = "" if pd.isna(row["ci_low"]) else f" ({number(row['ci_low'])} .. {number(row['ci_high'])})"
    return f"{number(row['value'])}{interval}"


def experiment_sections(frame: pd.DataFrame) -> list[Section]:
    """What the log promised beside what the test delivered."""
    said = []
    for metric, rows in frame.groupby("metric", sort=False):
        agrees = rows["agrees"].iloc[0]
        name = METRICS.get(str(metric), str(metric))
        if pd.isna(agrees):
            said.append(f"{name}: one of the two is refused, so they cannot be compared")
        else:
            ends = " to ".join(percent(rows[end].iloc[0], 0, sign=True) for end in ("ratio_low", "ratio_high"))
            verb = "does not contradict" if agrees else "contradicts"
            said.append(f"{name}: the test {verb} the promise (delivered against promised {ends})")
    text = f"The lift that the log promised, and the lift that the randomised test found. {'; '.join(said)}."
    cells = [lift_row(row) for row in frame.to_dict("records")]
    columns = {
        "metric": "<metric",
        "side": "<side",
        "estimator": "<estimator",
        "estimate": "lift",
        "interval": "95 % interval",
    }
    table = Table(cells, columns | {"verdict": "!verdict", "reasons": "~reasons"})
    title = "Promised offline, delivered online" if ONLINE in set(frame["side"]) else "Experiment"
    return [Section("experiment", title, text, [figures.promises(frame)], [table])]


SECTIONS: Final[Mapping[str, Callable[[pd.DataFrame], list[Section]]]] = {
    "lifts": lifts_sections,
    "calibration": calibration_sections,
    "ranking": ranking_sections,
    "experiment": experiment_sections,
}
"""What makes the sections of each frame."""
