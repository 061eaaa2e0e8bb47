"""The tables of ``README.md``, from ``summary.json``: ``python experiments/beauty-month/report.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
POLICIES = {
    "legacy": "legacy",
    "champion": "**champion**",
    "oracle": "oracle of orders",
    "oracle_of_clicks": "oracle of clicks",
}


def table(head: list[str], rows: list[list[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def lift(row: dict[str, Any], low: str = "ci_low", high: str = "ci_high", at: str = "estimate") -> str:
    """With its interval."""
    return f"{row[at]:+.1%} [{row[low]:+.1%}, {row[high]:+.1%}]"


def truth(summary: dict[str, Any]) -> str:
    """Levels of each policy, and its lift."""
    told = summary["truth"]
    legacy = told["legacy"]["room_conversion"]
    return table(
        ["policy", "CTR", "CVR", "room conversion", "lift in room conversion"],
        [
            [
                words,
                *(f"{told[name][key]:.2%}" for key in ("ctr", "cvr", "room_conversion")),
                f"{told[name]['room_conversion'] / legacy - 1:+.1%}",
            ]
            for name, words in POLICIES.items()
            if name in told
        ],
    )


def aims(summary: dict[str, Any]) -> str:
    """What was wanted beside what was found."""
    rows = []
    for one in summary["truth"]["aims"]:
        wanted = f"{'at most' if one['at_most'] else 'at least'} {one['target']:.0%}"
        found = "-" if one["value"] is None else f"{one['value']:.2%}"
        rows.append([one["aim"], wanted, found, "reached" if one["reached"] else "**missed**"])
    return table(["aim", "wanted", "found", ""], rows)


def promise(summary: dict[str, Any]) -> str:
    """What was said of the champion at each stage."""
    told, row = summary["truth"], summary["champion"]
    return table(
        ["lift of the champion", "room conversion", "CTR"],
        [
            [
                f"before the confirmation (trial {row['number']})",
                lift(row, "before_low", "before_high", "before_estimate"),
                "-",
            ],
            ["promised: on the fresh days", lift(row), f"{told['promised_ctr_lift']:+.1%}"],
            ["true, on the month after", f"{told['true_lift']:+.1%}", f"{told['true_ctr_lift']:+.1%}"],
            ["oracle of orders", f"{told['oracle_lift']:+.1%}", "-"],
        ],
    )


def rounds(summary: dict[str, Any]) -> str:
    """What each review and the confirmation decided."""
    rows = []
    for one in summary["campaign"]["decisions"]:
        reasons = one["reasons"] if isinstance(one["reasons"], str) else "; ".join(one["reasons"])
        name = "confirmation" if one["round"] == 0 else f"round {one['round']}"
        rows.append([name, one["what"], one["subject"], reasons])
    return table(["when", "decision", "of", "because"], rows)


PARTS = {"truth": truth, "aims": aims, "promise": promise, "rounds": rounds}


def main() -> None:
    """Puts the tables between their marks."""
    summary = json.loads((HERE / "summary.json").read_text(encoding="utf-8"))
    page = (HERE / "README.md").read_text(encoding="utf-8")
    for name, made in PARTS.items():
        block = f"<!-- {name} -->\n{made(summary)}\n<!-- end -->"
        page = re.sub(f"<!-- {name} -->.*?<!-- end -->", lambda _found, text=block: text, page, flags=re.DOTALL)
    (HERE / "README.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
