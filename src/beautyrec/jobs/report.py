"""The report of a run: one page without a network, drawn from the summary alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from beautyrec.errors import MissingExtraError
from beautyrec.files import atomic_file
from beautyrec.jobs import figures
from beautyrec.jobs.show import number, percent
from beautyrec.jobs.summary import Summary

METRICS = {
    "ctr": "CTR",
    "cvr": "CVR",
    "ctcvr": "CTCVR",
    "room_conversion": "room conversion",
    "revenue_per_viewer": "revenue per viewer",
    "revenue_per_impression": "revenue per impression",
}


def write_report(summary: Summary, path: Path) -> None:
    """Writes the page, whole or not at all.

    Raises:
        MissingExtraError: jinja2 or plotly is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    source = (files("beautyrec") / "jobs" / "templates" / "report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    with atomic_file(path) as temporary:
        temporary.write_text(environment.from_string(source).render(_page(summary)), encoding="utf-8")


def _page(summary: Summary) -> dict[str, Any]:
    from markupsafe import Markup

    purchases, month = summary.data["purchases"], summary.data["month"]
    sections = [
        _ranking(summary),
        _lift(summary),
        _calibration(summary),
        _open_bandit(summary),
        _sweep(summary),
        _line_up(summary),
    ]
    for section in sections:
        section["figures"] = [Markup(figure) for figure in section["figures"]]  # noqa: S704 (plotly escapes its own text)
    return {
        "title": "From a log to a line-up",
        "subtitle": f"Purchases: {purchases['source']}; {purchases['events']:,} of {purchases['users']:,} shoppers and "
        f"{purchases['items']:,} products. The live rooms around them are simulated: {month['days']} days from "
        f"{month['start']}, {month['rooms']} rooms, {month['requests']:,} viewers, {month['impressions']:,} impressions.",
        "cards": _cards(summary),
        "sections": sections,
        "plotly_js": Markup(figures.plotly_js()),  # noqa: S704 (plotly's own script)
        "footer": f"beautyrec {summary.version}, seed {summary.seed}. Every number on this page stands in summary.json.",
    }


def _cards(summary: Summary) -> list[dict[str, str]]:
    month, champion, room = summary.data["month"], summary.champion, summary.room
    cards = [
        {
            "label": "CTR of the legacy policy",
            "value": percent(month["ctr"], 2),
            "note": "clicks per impression, simulated",
        },
        {
            "label": "Room conversion before",
            "value": percent(month["room_conversion"], 2),
            "note": "viewers who buy, simulated",
        },
    ]
    if champion["promoted"]:
        bounds = f"95 %: {percent(champion['ci_low'], 0, sign=True)} to {percent(champion['ci_high'], 0, sign=True)}"
        cards += [
            {"label": "Champion's promised lift", "value": percent(champion["estimate"], 0, sign=True), "note": bounds},
            {
                "label": "Champion's true lift",
                "value": percent(champion["true"], 0, sign=True),
                "note": "room conversion, simulated",
            },
        ]
    note = f"true {room['true_margin']:.2f}, simulated"
    return [*cards, {"label": "Next room's expected margin", "value": f"{room['expected_margin']:.2f}", "note": note}]


def _table(
    rows: Sequence[Mapping[Any, Any]], columns: dict[str, str], caption: str = "", *, folded: bool = False
) -> dict[str, Any]:
    """A table of the page: ``columns`` maps a key to its label; a label that starts with ``<`` is of text."""
    kinds = {"<": "text", "!": "verdict", "~": "wrap"}
    shown = [
        {"key": key, "label": label.lstrip("<!~"), "kind": kinds.get(label[:1], "number")}
        for key, label in columns.items()
    ]
    return {"columns": shown, "rows": rows, "caption": caption, "folded": folded}


def _section(anchor: str, title: str, text: str, *, simulated: bool, **parts: Any) -> dict[str, Any]:
    return {"anchor": anchor, "title": title, "text": text, "simulated": simulated, **parts}


def _ranking(summary: Summary) -> dict[str, Any]:
    k = int(summary.ranking["k"].iloc[0])
    rows = [
        {
            **row,
            "recall": _with_interval(row, "recall"),
            "ndcg": _with_interval(row, "ndcg"),
            "coverage": percent(row["coverage"], 0),
            "fit_seconds": number(row["fit_seconds"], 1),
            "rank_seconds": number(row["rank_seconds"], 1),
        }
        for row in summary.ranking.to_dict("records")
    ]
    columns = {
        "protocol": "<protocol",
        "model": "<model",
        "recall": f"recall@{k}",
        "ndcg": f"NDCG@{k}",
        "coverage": "coverage",
    }
    columns |= {
        "users": "users",
        "cold_users": "of them cold",
        "fit_seconds": "fit s",
        "rank_seconds": "rank s",
    }
    if (summary.ranking["note"] != "").any():
        columns["note"] = "~note"
    text = (
        f"All {summary.data['purchases']['items']:,} products ranked for each shopper, what was bought before left out. "
        f"{summary.data['purchases']['source']}; nothing simulated takes part."
    )
    drawn = [figures.html(figures.ranking(summary.ranking.dropna(subset=["ndcg"]), k), "figure-ranking")]
    return _section(
        "ranking", "Ranking on purchases", text, simulated=False, figures=drawn, tables=[_table(rows, columns)]
    )


def _with_interval(row: dict[Any, Any], name: str) -> str:
    return f"{number(row[name])} ({number(row[f'{name}_ci_low'])} .. {number(row[f'{name}_ci_high'])})"


def _lift(summary: Summary) -> dict[str, Any]:
    text = (
        "What each model's policy would have brought in the rooms of a week that were held under the legacy policy, read "
        "from the log alone, beside the truth that only the simulated world knows. Models knew what came before the week."
    )
    told = summary.lift.dropna(subset=["metric"])
    drawn = [figures.html(figures.lift(told, metric), f"figure-lift-{metric}") for metric in ("room_conversion", "ctr")]
    return _section("lift", "Lift from the log", text, simulated=True, figures=drawn, tables=[_lift_table(summary)])


def _lift_table(summary: Summary) -> dict[str, Any]:
    rows = [_lift_row(row) for row in summary.lift.to_dict("records")]
    columns = {
        "model": "<model",
        "metric": "<metric",
        "estimator": "<estimator",
        "estimate": "lift",
        "interval": "95 % interval",
    }
    columns |= {"true": "true lift", "effective_n": "effective n", "verdict": "!verdict", "reasons": "~reasons"}
    return _table(rows, columns, "All metrics and estimators, with the reasons of each verdict", folded=True)


def _lift_row(row: dict[Any, Any]) -> dict[str, Any]:
    refused = row["verdict"] == "refuse"
    low, high = (percent(row.get(name), sign=True) for name in ("ci_low", "ci_high"))
    return {
        **row,
        "metric": METRICS.get(str(row.get("metric")), "-"),
        "estimate": "-" if refused else percent(row.get("estimate"), sign=True),
        "interval": "-" if refused else f"{low} .. {high}",
        "true": percent(row.get("true"), sign=True),
        "effective_n": number(row.get("effective_n"), 0),
    }


def _calibration(summary: Summary) -> dict[str, Any]:
    frame = summary.calibration
    errors = frame.drop_duplicates("prediction").set_index("prediction")["relative_error"]
    said = ", ".join(f"{name} {percent(error)}" for name, error in errors.items())
    text = (
        "Chances that the funnel model gave to the impressions of the week, and how often it happened, in bins of equal size. "
        f"Mean distance as a share of the base rate: {said}."
    )
    drawn = [figures.html(figures.calibration(frame), "figure-calibration")]
    return _section("calibration", "Calibration of pCTR and pCVR", text, simulated=True, figures=drawn, tables=[])


def _open_bandit(summary: Summary) -> dict[str, Any]:
    rows = [_lift_row(row) for row in summary.open_bandit.to_dict("records")]
    for row in rows:
        row.update(
            {name: row.get(name, "-") for name in ("log", "target_policy", "estimator", "impressions", "clicks")}
        )
    columns = {
        "log": "<log",
        "target_policy": "<target policy",
        "estimator": "<estimator",
        "impressions": "impressions",
    }
    columns |= {
        "clicks": "clicks",
        "estimate": "lift in CTR",
        "interval": "95 % interval",
        "effective_n": "effective n",
    }
    columns |= {"verdict": "!verdict", "reasons": "~reasons"}
    text = (
        "The same code on real impressions with known chances (Saito et al. 2021): a question that the log can answer, and one "
        "that it cannot. A refused lift shows no number."
    )
    return _section(
        "open-bandit", "Open Bandit: real clicks", text, simulated=False, figures=[], tables=[_table(rows, columns)]
    )


def _sweep(summary: Summary) -> dict[str, Any]:
    trials, champion = summary.sweep["trials_done"], summary.champion
    text = (
        f"{summary.sweep['trials']} trials, each a walk-forward over the last {summary.sweep['days']} days; what counts is the "
        f"{summary.sweep['objective']}. Tracked in MLflow: {summary.sweep['tracked_in']}. {champion['reason']}"
    )
    rows = [
        {
            **row,
            "params": ", ".join(
                f"{key} = {value:.4g}" if isinstance(value, float) else f"{key} = {value}"
                for key, value in row["params"].items()
            ),
            "estimate": percent(row.get("estimate"), sign=True),
            "interval": f"{percent(row.get('ci_low'), sign=True)} .. {percent(row.get('ci_high'), sign=True)}",
            "seconds": number(row["seconds"], 1),
        }
        for row in trials.to_dict("records")
    ]
    columns = {
        "number": "trial",
        "family": "<family",
        "params": "~parameters",
        "estimate": "lift",
        "interval": "95 % interval",
    }
    columns |= {"verdict": "!verdict", "seconds": "s", "reason": "~reason"}
    drawn = [figures.html(figures.sweep(trials), "figure-sweep")]
    return _section(
        "sweep",
        "Sweep and champion",
        text,
        simulated=True,
        figures=drawn,
        tables=[_table(rows, columns, "Trials", folded=True)],
    )


def _line_up(summary: Summary) -> dict[str, Any]:
    room = summary.room
    left_out = ", ".join(f"{count} {why}" for why, count in room["left_out"].items()) or "none"
    text = (
        f"{len(summary.lineup)} products for the room of {room['starts_at']} ({room['scene']}), {room['expected_viewers']:.0f} "
        f"viewers expected: the highest expected margin under stock, categories and brands, from {room['considered']} "
        f"candidates; proven to a gap of {room['gap']:.1%}. Left out: {left_out}."
    )
    numbers = ("price", "margin", "expected_clicks", "expected_orders", "expected_margin")
    rows = [
        {
            **row,
            "minute": f"{row['minute_from']:.0f}",
            **{name: number(row[name], 2) for name in numbers},
        }
        for row in summary.lineup.to_dict("records")
    ]
    columns = {
        "minute": "minute",
        "title": "~product",
        "category": "<category",
        "brand": "<brand",
        "price": "price",
        "margin": "margin a unit",
    }
    columns |= {"expected_clicks": "clicks", "expected_orders": "orders", "expected_margin": "margin"}
    drawn = [figures.html(figures.line_up(summary.lineup), "figure-line-up")]
    return _section(
        "line-up",
        "Line-up of the next room",
        text,
        simulated=True,
        figures=drawn,
        tables=[_table(rows, columns, "In running order", folded=True)],
    )
