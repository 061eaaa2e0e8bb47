"""`python -m benchmarks._deviation_sizes`: how the miss of predicted sales falls with the size of the shop, on seeds 200 and 201.

A shop of three times the size is the same month with three viewers like each who came, whose clicks and orders are drawn anew
from the world's chances. Levels learn from all of them; the model of click and order stays that of the small shop, so a real shop
of the size may do somewhat better.
"""

from __future__ import annotations

import sys

import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks._deviation_weeks import Weeks
from benchmarks.deviation import SIZE, cells, told

SEEDS = (200, 201)
COPIES = (1, 3, 10, 30)


def main() -> None:
    rows = []
    for seed in [int(each) for each in sys.argv[1:]] or SEEDS:
        with threadpool_limits(1):
            weeks = Weeks.of(seed, SIZE)
            rows += [{"seed": seed, "copies": copies} | told(cells(weeks, copies)) for copies in COPIES]
    table = pd.DataFrame(rows).groupby("copies").mean()
    print(table.filter(regex="^predicted_misses_true|^part_of").round(3).to_string())


if __name__ == "__main__":
    main()
