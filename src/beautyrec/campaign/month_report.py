"""The report of a tuning month: one page that needs no network, drawn from the state of the campaign alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_figures import cost_figure, front_figure, importance_figure, luck_figure, timeline_figure
from beautyrec.campaign.month_frames import front_frame, importance_frame
from beautyrec.evaluation.page import Card, Page, Section, Table, number, percent
from beautyrec.files import atomic_file

TRUTH = {"ctr": "CTR", "cvr": "CVR", "ctcvr": "CTCVR", "room_conversion": "room conversion"}
POLICIES = {
    "legacy": "legacy",
    "champion": "champion",
    "oracle": "oracle (orders)",
    "oracle_of_clicks": "oracle (clicks)",
}
"""The policies whose truth a simulated month tells, in words."""


def write_month_report(campaign: Campaign, path: str | Path, *, truth: Mapping[str, Any] | None = None) -> Path:
    """Writes the page of a month, whole or not at all, and gives its path. A month that is not over is told as far as it is.

    Args:
        campaign: the month.
        path: of the page.
        truth: of a simulated shop, as ``summary.json`` has it; left out where None.

    Raises:
        MissingExtraError: jinja2, plotly, optuna or scikit-learn is not installed.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(month_page(campaign, truth=truth).render(), encoding="utf-8")
    return Path(path)


def month_page(campaign: Campaign, *, truth: Mapping[str, Any] | None = None) -> Page:
    """The page of a month: timeline, confirmation, weekly reviews, parameters, compromises, cost, and the truth if known."""
    trials, days = campaign.trials(), campaign.days()
    sections = [_timeline(campaign, trials), _confirmation(campaign), *_reviews(campaign)]
    sections += [_importance(campaign, trials), _front(campaign, trials), _cost(campaign, trials, days)]
    if truth:
        sections.insert(1, _truth(truth))
    last = campaign.calendar.name(campaign.spec.calendar.days - 1)
    over = "" if campaign.over else f"; not over yet, {len(days)} of {campaign.spec.calendar.days} days are told"
    return Page(
        title="Tuning month",
        subtitle=f"{campaign.calendar.name(0)} to {last}, aimed at {', '.join(campaign.spec.aim.objectives)}{over}",
        cards=_cards(campaign, trials, days),
        sections=[section for section in sections if section is not None],
        footer=f"campaign {campaign.identity}, seed {campaign.spec.seed}, sampler {campaign.spec.sampler.kind}",
    )


def _cards(campaign: Campaign, trials: pd.DataFrame, days: pd.DataFrame) -> list[Card]:
    found = campaign.confirmation()
    states = trials["state"].value_counts()
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    spent = Card("trials", f"{len(trials)}", f"{told}; {days['seconds'].sum() / 60:.1f} minutes of days")
    if found is None:
        held = campaign.round_reviews()
        champion = held[-1].champion if held else None
        name = "the log's policy" if champion is None else f"trial {champion}"
        return [Card("champion so far", name, "the confirmation is still to come"), spent]
    if found.champion is None:
        return [Card("champion", "none", "no finalist was confirmed: the log's policy is kept"), spent]
    row = next(row for row in found.rows if row["number"] == found.champion)
    interval = f"{percent(row['ci_low'], sign=True)} to {percent(row['ci_high'], sign=True)}, on fresh days"
    luck = f"{percent(row['before_estimate'], sign=True)} before, {percent(row['estimate'], sign=True)} after"
    return [
        Card("champion", str(row["family"]), f"trial {row['number']}"),
        Card("promised lift", percent(row["estimate"], sign=True), interval),
        Card("luck of the winner", percent(row["luck"], sign=True), luck),
        spent,
    ]


def _timeline(campaign: Campaign, trials: pd.DataFrame) -> Section:
    return Section(
        "timeline",
        "The month",
        "Each dot is a trial with the lift that it was judged at on the days up to its own; days differ, so dots of different "
        "days cannot be compared. The line is the champion, with its interval, as each weekly review and the confirmation found "
        "it on the days of that review.",
        figures=[timeline_figure(trials, champion_rows(campaign))],
    )


def champion_rows(campaign: Campaign) -> pd.DataFrame:
    """One row a review that left a champion, and the confirmation: ``date, what, number, family, estimate, ci_low, ci_high``."""
    held = [(f"round {each.round}", each.days, each.rows, each.champion) for each in campaign.round_reviews()]
    last = campaign.confirmation()
    held += [("confirmation", last.days, last.rows, last.champion)] if last else []
    names = ("number", "family", "estimate", "ci_low", "ci_high")
    rows = [
        {"date": days[-1], "what": what, **{name: row[name] for name in names}}
        for what, days, candidates, champion in held
        for row in candidates
        if row["number"] == champion
    ]
    return pd.DataFrame(rows, columns=["date", "what", *names])


def _confirmation(campaign: Campaign) -> Section | None:
    found = campaign.confirmation()
    if found is None:
        return None
    rows = [
        {
            "trial": row["number"],
            "family": row["family"],
            "before": percent(row["before_estimate"], sign=True),
            "after": _lift(row),
            "luck": percent(row["luck"], sign=True),
            "p": number(row["p_adjusted"]),
            "verdict": row["verdict"],
            "decision": f"{one.what}: {'; '.join(one.reasons)}",
        }
        for row, one in zip(found.rows, found.decisions, strict=True)
    ]
    labels = {
        "trial": "trial",
        "family": "<family",
        "before": "before",
        "after": "after, 95 % interval",
        "luck": "luck",
    }
    labels |= {"p": "p (Holm)", "verdict": "!verdict", "decision": "~decision"}
    return Section(
        "confirmation",
        "Confirmation",
        f"The finalists on {len(found.days)} days that no trial was judged on, {found.days[0]} to {found.days[-1]}. Luck is "
        "what was found before less what was found after; p-values of no lift are corrected for the number of finalists.",
        figures=[luck_figure(pd.DataFrame(list(found.rows)))],
        tables=[Table(rows, labels)],
    )


def _reviews(campaign: Campaign) -> list[Section]:
    held = campaign.round_reviews()
    if not held:
        return []
    labels = {"trial": "trial", "family": "<family", "lift": "lift, 95 % interval", "verdict": "!verdict"}
    labels |= {
        "calibration": "calibration",
        "coverage": "coverage",
        "seconds": "seconds to fit",
        "barred": "~barred by",
    }
    tables = []
    for each in held:
        rows = [
            {
                "trial": row["number"],
                "family": row["family"],
                "lift": _lift(row),
                "verdict": row["verdict"],
                "calibration": percent(row.get("calibration"), sign=True),
                "coverage": percent(row.get("coverage")),
                "seconds": number(row.get("fit_seconds"), 2),
                "barred": "; ".join(row["barred"]),
            }
            for row in each.rows
        ]
        decided = [{"what": one.what, "subject": one.subject, "why": "; ".join(one.reasons)} for one in each.decisions]
        days = f"{each.days[0]} to {each.days[-1]}"
        tables.append(Table(rows, labels, caption=f"Round {each.round}: candidates on {days}"))
        heads = {"what": "<decision", "subject": "<of", "why": "~because"}
        tables.append(Table(decided, heads, caption=f"Round {each.round}: decisions"))
    text = (
        "At the end of each week the best of each family, the best of all and the champion are judged on the same days."
    )
    return [Section("reviews", "Weekly reviews", text, tables=tables)]


def _importance(campaign: Campaign, trials: pd.DataFrame) -> Section | None:
    frame = importance_frame(trials, campaign.spec.searched(), campaign.spec.seed)
    if frame.empty:
        return None
    text = (
        "The share of the spread of values within a family that a parameter accounts for (functional ANOVA over a random "
        "forest; Hutter, Hoos and Leyton-Brown 2014). Families with fewer than ten trials that came to an end are left out; "
        "with few trials it is a hint, not a measurement."
    )
    return Section("parameters", "What mattered", text, figures=[importance_figure(frame)])


def _front(campaign: Campaign, trials: pd.DataFrame) -> Section | None:
    names = list(campaign.spec.aim.objectives[:2])
    frame = front_frame(trials, names)
    if frame.empty:
        return None
    second = names[1] if len(names) > 1 else "seconds"
    text = (
        f"No trial is better than those on the front in both {names[0]} (the value that was maximised) and "
        f"{'seconds of the trial' if second == 'seconds' else second}. What is barred by the gate is not on it."
    )
    return Section("front", "Best compromises", text, figures=[front_figure(frame, names[0], second)])


def _cost(campaign: Campaign, trials: pd.DataFrame, days: pd.DataFrame) -> Section:
    done = trials.dropna(subset=["seconds"])
    rows = [
        {
            "family": family,
            "trials": len(part),
            "ended": ", ".join(f"{count} {state}" for state, count in part["state"].value_counts().items()),
            "seconds": number(part["seconds"].sum(), 1),
            "each": number(part["seconds"].mean(), 2),
            "best": percent(part["value"].max(), sign=True),
        }
        for family, part in done.groupby("family", sort=False)
    ]
    labels = {
        "family": "<family",
        "trials": "trials",
        "ended": "<ended",
        "seconds": "seconds",
        "each": "seconds a trial",
    }
    tables = [Table(rows, {**labels, "best": "best value"})]
    failed = trials[trials["state"] == "failed"]
    if len(failed):
        heads = {"number": "trial", "family": "<family", "reason": "~reason"}
        tables.append(Table(failed[list(heads)].to_dict("records"), heads, caption="Failed trials", folded=True))
    text = f"Seconds by the clock of each day, with {campaign.spec.workers} worker(s), and those of all trials of a family."
    return Section("cost", "Cost", text, figures=[cost_figure(days)], tables=tables)


def _truth(truth: Mapping[str, Any]) -> Section:
    levels = [
        {"policy": words, **{key: percent(truth[name][key], 2) for key in TRUTH}}
        for name, words in POLICIES.items()
        if name in truth
    ]
    text = (
        f"What each policy is truly worth in the simulated shop on the month after, over {truth['requests']:,} requests. Oracles "
        "know every chance; they show the products of the most orders, or of the most clicks."
    )
    if "true_lift" in truth:
        low, high = percent(truth["promised_low"], sign=True), percent(truth["promised_high"], sign=True)
        text += (
            f" The champion was promised {percent(truth['promised_lift'], sign=True)} ({low} to {high}) in room conversion and "
            f"truly brings {percent(truth['true_lift'], sign=True)}, {percent(truth['share_of_oracle'], 0)} of the oracle's "
            f"lift; in CTR {percent(truth['promised_ctr_lift'], sign=True)} and {percent(truth['true_ctr_lift'], sign=True)}."
        )
    wanted = [
        {
            "aim": one["aim"],
            "wanted": f"{'at most' if one['at_most'] else 'at least'} {percent(one['target'], 0)}",
            "found": percent(one["value"], 2),
            "reached": "reached" if one["reached"] else "missed",
        }
        for one in truth["aims"]
    ]
    said = percent(truth["sales_deviation"]["legacy"])
    heads = {"aim": "<aim", "wanted": "wanted", "found": "found", "reached": "<reached"}
    caption = (
        f"Aims. Predicted sales against true ones, by week and category; those of the legacy scorecard miss by {said}"
    )
    return Section(
        "truth",
        "The truth on the month after",
        text,
        tables=[Table(levels, {"policy": "<policy", **TRUTH}), Table(wanted, heads, caption=caption)],
        simulated=True,
    )


def _lift(row: Mapping[str, Any]) -> str:
    if row["estimate"] is None:
        return "-"
    low, high = percent(row["ci_low"], sign=True), percent(row["ci_high"], sign=True)
    return f"{percent(row['estimate'], sign=True)} [{low}, {high}]"
