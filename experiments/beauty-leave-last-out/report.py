"""The tables of ``README.md`` and the plots, from ``benchmarks/results/beauty.json``.

``python experiments/beauty-leave-last-out/report.py`` puts the tables between their marks in ``README.md`` and draws
``pareto.png``: quality against seconds of the processor, both protocols. It needs matplotlib, which comes with mlflow.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULT = HERE.parents[1] / "benchmarks" / "results" / "beauty.json"
HEAD = ["model", "recall@10", "NDCG@10", "fit, s", "ranking, s", "processor, s", "memory, MiB"]


def value(row: dict[str, Any], key: str) -> str:
    """A metric with its interval, without the zero before the point."""
    low, high = row[f"{key}_ci_low"], row[f"{key}_ci_high"]
    return f"{row[key]:.4f} ({low:.4f} .. {high:.4f})".replace("0.", ".")


def best_so_far(rows: list[dict[str, Any]]) -> set[str]:
    """The models that no other beats in NDCG at as few seconds."""
    found, best = set(), -1.0
    for row in sorted(rows, key=lambda one: (seconds(one), -one["ndcg"])):
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
    return [
        row | {"whole_processor_seconds": own[row["model"]] + sum(own[part] for part in parts.get(row["model"], []))}
        for row in rows
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """A row a model, the best first; those on the front are bold."""
    front = best_so_far(rows)
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for row in sorted(rows, key=lambda one: -one["ndcg"]):
        name = f"**{row['model']}**" if row["model"] in front else row["model"]
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


def draw(protocols: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """NDCG@10 with its interval against seconds, on a logarithmic axis; a line along the front."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(protocols), figsize=(7 * len(protocols), 5.2), squeeze=False)
    for axis, (name, rows) in zip(axes[0], protocols.items(), strict=True):
        front = best_so_far(rows)
        for row in rows:
            x, y = max(seconds(row), 0.1), row["ndcg"]
            colour = "#1b6ca8" if row["model"] in front else "#9a9a9a"
            axis.errorbar(x, y, [[y - row["ndcg_ci_low"]], [row["ndcg_ci_high"] - y]], fmt="o", color=colour, capsize=2)
            axis.annotate(row["model"], (x, y), xytext=(6, 5), textcoords="offset points", fontsize=8, color="#333333")
        line = sorted((max(seconds(row), 0.1), row["ndcg"]) for row in rows if row["model"] in front)
        axis.plot(*zip(*line, strict=True), color="#1b6ca8", linewidth=1, alpha=0.5)
        axis.set(xscale="log", title=name, xlabel="seconds of the processor, fit and ranking", ylabel="NDCG@10")
        axis.set_xlim(0.07, max(seconds(row) for row in rows) * 4)
        axis.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Fill in the tables and draw."""
    import tomllib

    result = json.loads(RESULT.read_text())
    spec = tomllib.loads((HERE / "beauty.toml").read_text())
    parts = {row["name"]: row["parts"] for row in spec["blend"]}
    protocols = {
        name: with_whole_cost(notes["rows"], parts) for name, notes in sorted(result["notes"].items(), reverse=True)
    }
    text = (HERE / "README.md").read_text()
    filled = {name: table(rows) for name, rows in protocols.items()}
    filled["wanted"] = wanted([check for check in result["checks"] if check["name"].startswith("leave-last-out")])
    for name, new in filled.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = mark.sub(lambda found, new=new: f"{found[1]}{new}\n{found[2]}", text)
    (HERE / "README.md").write_text(text)
    draw(protocols, HERE / "pareto.png")


if __name__ == "__main__":
    main()
