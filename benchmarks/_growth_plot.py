"""Draws ``docs/images/growth.png`` from the last full result of ``benchmarks.growth``; needs matplotlib (it comes with MLflow).

python -m benchmarks._growth_plot
"""

from __future__ import annotations

import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter, NullLocator

from benchmarks._harness import RESULTS, ROOT

PANELS = {
    "features by events": "events",
    "ALS by events": "events",
    "lists by users": "users (12,101 items)",
    "lists by items": "items (64 users)",
}


def main() -> None:
    mpl.use("agg")
    notes = json.loads((RESULTS / "growth.json").read_text(encoding="utf-8"))["notes"]
    figure, places = plt.subplots(1, 4, figsize=(12, 3), layout="constrained")
    for place, (name, unit) in zip(places, PANELS.items(), strict=True):
        sizes, seconds = [int(size) for size in notes[name]], list(notes[name].values())
        place.loglog(sizes, seconds, "o-", color="#1f5f8b", label="measured")
        linear = [seconds[-1] * size / sizes[-1] for size in sizes]
        place.loglog(sizes, linear, "--", color="#999999", linewidth=1, label="linear, through the last")
        place.set(title=name, xlabel=unit, ylabel="seconds")
        place.set_xticks(sizes, [f"{size // 1000:,}k" for size in sizes], fontsize=8)
        place.xaxis.set_minor_locator(NullLocator())
        place.yaxis.set_minor_formatter(NullFormatter())
        place.set_ylim(10 ** np.floor(np.log10(min(linear + seconds))), 10 ** np.ceil(np.log10(max(seconds))))
        place.grid(alpha=0.3)
    places[0].legend(frameon=False, fontsize=8)
    figure.savefig(ROOT / "docs" / "images" / "growth.png", dpi=110)


if __name__ == "__main__":
    main()
