"""The report of an evaluation: one page that needs no network, drawn from frames alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation import figures
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.figures import METRICS
from beautyrec.evaluation.overlap import Overlap
from beautyrec.evaluation.page import Card, Page, percent
from beautyrec.evaluation.ranking_table import ALL
from beautyrec.evaluation.report_sections import SECTIONS
from beautyrec.files import atomic_file

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "lifts": ("metric", "estimator", "estimate", "ci_low", "ci_high", "n", "effective_n", "verdict", "reasons"),
    "calibration": ("n", "predicted", "observed", "ci_low", "ci_high"),
    "ranking": ("metric", "value", "ci_low", "ci_high", "n"),
    "experiment": ("side", "metric", "estimator", "estimate", "ci_low", "ci_high", "verdict", "reasons", "agrees"),
}
"""The columns that each frame must have."""

HEADLINES: Final = ("room_conversion", "ctr", "ctcvr")
"""The metric of the cards at the top: the first of these that is there, else the first that there is."""


@dataclass(frozen=True, eq=False)
class Report:
    """A finished report.

    Args:
        html: the page.
        frame: every number of it, one row a value: ``section, model, segment, metric, estimator, value, ci_low, ci_high, n,
            verdict, note``. A refused lift has no value.
    """

    html: str
    frame: pd.DataFrame

    def write(self, path: str | Path) -> Path:
        """Writes the page, whole or not at all, and gives its path."""
        with atomic_file(Path(path)) as temporary:
            temporary.write_text(self.html, encoding="utf-8")
        return Path(path)


def evaluation_report(
    *,
    lifts: pd.DataFrame | None = None,
    calibration: pd.DataFrame | None = None,
    ranking: pd.DataFrame | None = None,
    experiment: pd.DataFrame | None = None,
    title: str = "Evaluation",
    path: str | Path | None = None,
) -> Report:
    """A page with what there is of: lift with verdicts, overlap, calibration, ranking by segment, promised and delivered.

    A frame with a column ``simulated`` that is true is labelled so: what comes out of a simulated world has to be.

    Args:
        lifts: rows of `lift_table`, of several policies with a column ``model``; with a column ``true`` where a truth is
            known, and the columns of `overlap_columns` where the weights shall be told in more detail.
        calibration: rows of `calibration_curve`, of several predictions with a column ``prediction``.
        ranking: rows of `compare` or `ranking_table`, of several models with a column ``model``.
        experiment: what `promised_and_delivered` gives.
        title: of the page.
        path: where to write it; nowhere if None.

    Raises:
        EvaluationError: there is nothing to report, or a frame lacks a column.
        MissingExtraError: plotly or jinja2 is not installed.

    Examples:
        >>> import numpy as np
        >>> from beautyrec.evaluation.prediction import calibration_curve
        >>> curve = calibration_curve(np.linspace(0.1, 0.9, 50), np.arange(50) % 2 == 0, bins=3)
        >>> report = evaluation_report(calibration=curve)
        >>> report.frame["section"].unique().tolist(), "<html" in report.html
        (['calibration'], True)
    """
    given = {"lifts": lifts, "calibration": calibration, "ranking": ranking, "experiment": experiment}
    frames = {name: _named(name, frame) for name, frame in given.items() if frame is not None and len(frame)}
    if not frames:
        raise EvaluationError(f"report: there is nothing to report. Pass one of {list(given)} with at least one row.")
    sections = [
        replace(section, simulated="simulated" in frame and bool(frame["simulated"].any()))
        for name, frame in frames.items()
        for section in SECTIONS[name](frame)
    ]
    contents = ", ".join(section.title.lower() for section in sections)
    page = Page(
        title=title,
        subtitle=f"On this page: {contents}. A lift that the log cannot tell is refused and shows no number.",
        cards=_cards(frames["lifts"]) if "lifts" in frames else (),
        sections=sections,
        footer="beautyrec. Intervals are of 95 %.",
    )
    report = Report(page.render(), tidy(frames))
    if path is not None:
        report.write(path)
    return report


def overlap_columns(evidence: SlateEvidence) -> dict[str, float]:
    """What the weights of a log say of a policy, as columns to put beside its lifts.

    Args:
        evidence: the log, weighted towards the policy.

    Examples:
        >>> import numpy as np
        >>> from beautyrec.evaluation.evidence import impressions
        >>> log = impressions(target=np.array([.5, .1]), logging=np.array([.25, .2]), clicked=np.array([1, 0]))
        >>> overlap_columns(log)["mean_weight"]
        1.25
    """
    found = Overlap.of(evidence)
    return {
        name: float(getattr(found, name)) for name in ("mean_weight", "largest_weight", "largest_share", "top_share")
    }


def tidy(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every number of a report, one row a value; a refused lift has none.

    Args:
        frames: by the name of their section.
    """
    parts = []
    for name, frame in frames.items():
        known = frame.rename(
            columns={"estimate": "value", "observed": "value", "reasons": "note", "prediction": "model"}
        )
        if name == "experiment":
            known = known.drop(columns="model", errors="ignore").rename(columns={"side": "model"})
        if name == "calibration":
            known = known.assign(metric="observed rate", note="predicted " + known["predicted"].map("{:.6g}".format))
        if "verdict" in known:
            hidden = known["verdict"] == "refuse"
            known = known.assign(**{part: known[part].mask(hidden) for part in ("value", "ci_low", "ci_high")})
        parts.append(known.assign(section=name))
    columns = [
        "section",
        "model",
        "segment",
        "metric",
        "estimator",
        "value",
        "ci_low",
        "ci_high",
        "n",
        "verdict",
        "note",
    ]
    whole = pd.concat([part.reindex(columns=columns).astype(object) for part in parts], ignore_index=True)
    return whole.astype(dict.fromkeys(("value", "ci_low", "ci_high", "n"), "Float64"))


def _named(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with the columns that may be left out."""
    missing = [column for column in NEEDS[name] if column not in frame]
    if missing:
        raise EvaluationError(f"report: '{name}' lacks the columns {missing}; it has {list(frame)}.")
    defaults = {"lifts": {"model": "the policy"}, "calibration": {"prediction": "predicted"}, "experiment": {}}
    for column, value in {**defaults, "ranking": {"model": "the model", "segment": ALL}}[name].items():
        frame = frame if column in frame else frame.assign(**{column: value})
    return frame.reset_index(drop=True)


def _cards(lifts: pd.DataFrame) -> list[Card]:
    """The headline lift of each model by its last estimator; a refused one shows no number."""
    there = lifts.dropna(subset=["metric"])
    if there.empty:
        return []
    metric = next((name for name in HEADLINES if name in set(there["metric"])), there["metric"].iloc[0])
    cards = []
    for model, rows in there[there["metric"] == metric].groupby("model", sort=False):
        row = rows.iloc[-1]
        label, note = f"{model}: {METRICS.get(metric, metric)} lift", f"{row['verdict']}, by {row['estimator']}"
        if row["verdict"] == "refuse" or pd.isna(row["estimate"]):
            cards.append(Card(label, "the log cannot tell", figures.shortened(str(row["reasons"]).split("; ")[0], 90)))
        else:
            low, high = (percent(row[end], 0, sign=True) for end in ("ci_low", "ci_high"))
            cards.append(Card(label, percent(row["estimate"], 0, sign=True), f"{low} to {high}; {note}"))
    return cards[:8]
