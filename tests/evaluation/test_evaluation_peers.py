"""Ranking metrics beside those of ranx, which lives in an environment of its own (``make peers``)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from beautyrec.evaluation import ranking

ROOT = Path(__file__).parents[2]
PEER = ROOT / ".peers" / "ranx" / "bin" / "python"
METRICS = {
    "precision": ranking.precision,
    "recall": ranking.recall,
    "hit_rate": ranking.hit_rate,
    "ndcg": ranking.ndcg,
    "map": ranking.average_precision,
    "mrr": ranking.reciprocal_rank,
}
K, REQUESTS = 10, 300


@pytest.mark.skipif(not PEER.exists(), reason=f"ranx is not there: {PEER}; run `make peers`")
def test_every_request_has_the_values_that_ranx_gives_it(tmp_path):
    rng = np.random.default_rng(0)
    lists = np.argsort(rng.random((REQUESTS, 40)), axis=1)[:, :K]
    lists[np.arange(K) >= rng.integers(1, K + 1, size=(REQUESTS, 1))] = -1  # of 1 to 10 items
    relevant = [rng.choice(40, size=rng.integers(1, 25), replace=False) for _ in lists]
    given = {
        "k": K,
        "metrics": list(METRICS),
        "lists": [row[row >= 0].tolist() for row in lists],
        "relevant": [row.tolist() for row in relevant],
    }
    (tmp_path / "given.json").write_text(json.dumps(given))
    script = ROOT / "benchmarks" / "peers" / "ranx_values.py"
    command = [str(PEER), str(script), str(tmp_path / "given.json")]
    plain = os.environ | {"NUMBA_DISABLE_JIT": "1"}  # compiling would take half a minute
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=plain)
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    indptr = np.cumsum([0] + [len(row) for row in relevant])
    found = ranking.hits(lists, indptr, np.concatenate(relevant))
    for name, metric in METRICS.items():
        np.testing.assert_allclose(metric(found), theirs[name], atol=1e-9, rtol=0, err_msg=name)
