"""The tables of ``README.md`` and the plots, from ``benchmarks/results/beauty.json``.

``python experiments/beauty-leave-last-out/report.py`` puts the tables between their marks in ``README.md`` and draws
``pareto.png``: quality against seconds of the processor and memory, both protocols. It needs matplotlib, which comes with mlflow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
RESULT = HERE.parents[1] / "benchmarks" / "results" / "beauty.json"
HEAD = ["model", "recall@10", "NDCG@10", "fit, s", "ranking, s", "processor, s", "memory, MiB"]


def value(row: dict[str, Any], key: str) -> str:
    """A metric with its interval, without the zero before the point."""
    low, high = row[f"{key}_ci_low"], row[f"{key}_ci_high"]
    return f"{row[key]:.4f} ({low:.4f} .. {high:.4f})".replace("0.", ".")


def best_so_far(rows: list[dict[str, Any]], cost: Callable[[dict[str, Any]], float]) -> set[str]:
    """The models that no other beats in NDCG at as low a cost."""
    found, best = set(), -1.0
    for row in sorted(rows, key=lambda one: (cost(one), -one["ndcg"])):
        if row["ndcg"] > best:
            found.add(row["model"])
            best = row["ndcg"]
    return found


def seconds(row: dict[str, Any]) -> float:
    """Of the processor, with the fits that a blend took over from rows of their own."""
    return float(row["whole_processor_seconds"])


def with_whole_cost(rows: list[dict[str, Any]], parts: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Each row with the seconds of the processor that it costs without the other rows."""
    own = {row["model"]: row["processor_seconds_in_this_run"] for row in rows}

    def whole(row: dict[str, Any]) -> float:
        took_over = row["fit_seconds"] + row["rank_seconds"] > row["seconds_in_this_run"] + 0.1
        return float(own[row["model"]] + sum(own[part] for part in parts.get(row["model"], []) if took_over))

    return [row | {"whole_processor_seconds": whole(row)} for row in rows]


def table(rows: list[dict[str, Any]], not_worth: list[str]) -> str:
    """A row a model, the best first; those on the front are bold, those that windowed popularity beats are marked."""
    front = best_so_far(rows, seconds)
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for row in sorted(rows, key=lambda one: -one["ndcg"]):
        name = f"**{row['model']}**" if row["model"] in front else row["model"]
        name += " (not worth its cost)" if row["model"] in not_worth else ""
        cost = (row["fit_seconds"], row["rank_seconds"], seconds(row), row["peak_mib"] or float("nan"))
        cells = [name, value(row, "recall"), value(row, "ndcg"), *(f"{n:.1f}" for n in cost[:3]), f"{cost[3]:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def wanted(checks: list[dict[str, Any]]) -> str:
    """What was wanted beside what was found."""
    lines = ["| what | found | wanted | |", "|---|---|---|---|"]
    for check in checks:
        verdict = "reached" if check["holds"] else "**missed**"
        lines.append(f"| {check['name']}, {check['unit']} | {check['value']:g} | {check['target']} | {verdict} |")
    return "\n".join(lines)


COSTS: dict[str, Callable[[dict[str, Any]], float]] = {
    "seconds of the processor, fit and ranking": lambda row: max(seconds(row), 0.1),
    "memory of the process, MiB": lambda row: float(row["peak_mib"]),
}
"""What a model costs, by the text on the axis."""


def draw(protocols: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """NDCG@10 with its interval against seconds and against memory; a line along the front of each."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(COSTS), len(protocols), figsize=(7.5 * len(protocols), 6 * len(COSTS)))
    for row_of_axes, (label, cost) in zip(axes, COSTS.items(), strict=True):
        for axis, (name, rows) in zip(row_of_axes, protocols.items(), strict=True):
            plot_front(axis, rows, cost)
            axis.set(xscale="log", title=name, xlabel=label, ylabel="NDCG@10")
            axis.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def plot_front(axis: Axes, rows: list[dict[str, Any]], cost: Callable[[dict[str, Any]], float]) -> None:
    """The models, those on the front blue, their names beside them and clear of one another."""
    front = best_so_far(rows, cost)
    names = spread([row["ndcg"] for row in rows], 0.032 * max(row["ndcg_ci_high"] for row in rows))
    right = max(map(cost, rows)) * 1.25
    for row, height in zip(rows, names, strict=True):
        x, y = cost(row), row["ndcg"]
        colour = "#1b6ca8" if row["model"] in front else "#8a8a8a"
        axis.errorbar(x, y, [[y - row["ndcg_ci_low"]], [row["ndcg_ci_high"] - y]], fmt="o", color=colour, capsize=2)
        axis.plot([x, right], [y, height], color=colour, linewidth=0.4, alpha=0.6)
        axis.annotate(row["model"], (right, height), va="center", fontsize=8, color=colour)
    line = sorted((cost(row), row["ndcg"]) for row in rows if row["model"] in front)
    axis.plot(*zip(*line, strict=True), color="#1b6ca8", linewidth=1.2, alpha=0.6)
    low = min(map(cost, rows))
    axis.set_xlim(low / 1.3, right * (right / low) ** 0.3)


def spread(heights: list[float], apart: float) -> list[float]:
    """The heights, moved up until neighbours are ``apart``."""
    found, last = dict.fromkeys(range(len(heights)), 0.0), float("-inf")
    for place in sorted(range(len(heights)), key=heights.__getitem__):
        last = max(heights[place], last + apart)
        found[place] = last
    return list(found.values())


def main() -> None:
    """Fill in the tables and draw."""
    import tomllib

    result = json.loads(RESULT.read_text())
    spec = tomllib.loads((HERE / "beauty.toml").read_text())
    parts = {row["name"]: row["parts"] for row in (*spec["blend"], *spec["reranked"])}
    protocols = {
        name: with_whole_cost(notes["rows"], parts) for name, notes in sorted(result["notes"].items(), reverse=True)
    }
    text = (HERE / "README.md").read_text()
    not_worth = {name: notes.get("not_worth_their_cost", []) for name, notes in result["notes"].items()}
    filled = {name: table(rows, not_worth[name]) for name, rows in protocols.items()}
    filled["wanted"] = wanted([check for check in result["checks"] if check["name"].startswith("leave-last-out")])
    for name, new in filled.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = mark.sub(lambda found, new=new: f"{found[1]}{new}\n{found[2]}", text)
    (HERE / "README.md").write_text(text)
    draw(protocols, HERE / "pareto.png")


if __name__ == "__main__":
    main()
