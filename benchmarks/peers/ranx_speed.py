"""Runs in the peers' environment: implicit's recommend, then ranx's evaluate. Prints one JSON object.

Arguments: an .npz file of arrays, the length of the lists, how often to run.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from ranx import evaluate
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

SHOWN = 2_000  # lists that are handed back, to compare values


def main() -> None:
    arrays = np.load(sys.argv[1])
    k, runs = int(sys.argv[2]), int(sys.argv[3])
    users, items = arrays["user_factors"], arrays["item_factors"]
    model = AlternatingLeastSquares(factors=users.shape[1])
    model.user_factors, model.item_factors = users, items
    ones = np.ones(len(arrays["item_ix"]), dtype=np.float32)
    seen = csr_matrix((ones, arrays["item_ix"], arrays["indptr"]), shape=(len(users), len(items)))
    metrics = ["precision", "recall", "hit_rate", "ndcg", "map", "mrr", "f1", "hits", "r-precision", "bpref"]
    qrels = np.stack([arrays["relevant"], np.ones(len(users))], axis=1)[:, None, :]
    laps: dict[str, list[float]] = {"recommend": [], "evaluate": []}
    with threadpool_limits(1, "blas"):
        for run in range(runs + 1):  # the first compiles
            start = time.perf_counter()
            ids, scores = model.recommend(np.arange(len(users)), seen, N=k, filter_already_liked_items=True)
            ranked = time.perf_counter()
            evaluate(qrels, np.stack([ids, scores], axis=2), metrics, make_comparable=False)
            judged = time.perf_counter()
            laps["recommend"] += [ranked - start] * (run > 0)
            laps["evaluate"] += [judged - ranked] * (run > 0)
    part = np.stack([ids, scores], axis=2)[:SHOWN]
    values = evaluate(qrels[:SHOWN], part, metrics[:6], make_comparable=False)
    found = {
        **laps,
        "values": {name: float(value) for name, value in values.items()},
        "lists": ids[:SHOWN].tolist(),
        "versions": {name: version(name) for name in ("implicit", "ranx", "numpy")},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
