"""Runs in the peers' environment: ranx's values of ranking metrics, one for each request. Prints one JSON object.

Argument: a JSON file with ``k``, ``metrics``, and for each request ``lists`` (items, best first) and ``relevant``.
"""

import json
import sys
from pathlib import Path

from ranx import Qrels, Run, evaluate


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text())
    relevant = {str(row): {str(item): 1 for item in items} for row, items in enumerate(given["relevant"])}
    lists = {
        str(row): {str(item): float(len(items) - place) for place, item in enumerate(items)}
        for row, items in enumerate(given["lists"])
    }
    names = [f"{name}@{given['k']}" for name in given["metrics"]]
    run = Run(lists)
    evaluate(Qrels(relevant), run, names, make_comparable=False)
    print(
        json.dumps(
            {
                name: [run.scores[full][str(row)] for row in range(len(given["lists"]))]
                for name, full in zip(given["metrics"], names, strict=True)
            }
        )
    )


if __name__ == "__main__":
    main()
