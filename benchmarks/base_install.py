"""The base install alone: how large it is, that the scorer works on it, and that nothing that trains is there or imported.

``pip install .`` into a new environment, where an artifact that this process has written is read, asked and served to the
command line's batch. The quick form installs nothing: a new process of this Python in which training packages cannot be imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beautyrec.serving import ModelCard, Scorer, write_artifact
from benchmarks import _harness
from benchmarks.scorer_agreement import model

USERS, K = 200, 50
TRAINING = (
    "torch",
    "implicit",
    "lightfm",
    "scipy",
    "sklearn",
    "mlflow",
    "optuna",
    "duckdb",
    "ibis",
    "plotly",
    "pyspark",
)
SIZE_MIB = 500
ASK = """
import importlib.util, json, sys
training = {training}
present = [name for name in training if importlib.util.find_spec(name)]
if {blocked}:
    sys.modules.update(dict.fromkeys(training))
import numpy as np
from beautyrec.serving import Scorer
users = np.load("users.npy", allow_pickle=False)
found = Scorer.load("model").recommend(users, {k})
np.save("items.npy", found["item_id"].astype("U"))
np.save("scores.npy", found["score"])
from beautyrec.cli import main
try:
    main(["score", "--model", "model", "--users", "users.parquet", "--out", "lists", "--k", "{k}"])
except SystemExit as done:
    code = done.code
imported = [name for name in training if sys.modules.get(name)]
print(json.dumps({{"present": present, "imported": imported, "code": code, "modules": len(sys.modules)}}))
"""


def measure(seed: int, quick: bool) -> _harness.Measured:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        recommender = model(np.random.default_rng(seed), USERS)
        write_artifact(folder / "model", recommender.state(), ModelCard("als"))
        users = np.array(recommender.users.ids.tolist())
        np.save(folder / "users.npy", users)
        pq.write_table(pa.table({"user_id": users.tolist()}), folder / "users.parquet")
        python, size = (sys.executable, 0.0) if quick else installed(folder)
        said = asked(python, folder, blocked=quick)
        expected = Scorer.load(folder / "model").recommend(users, K)
        items, scores = (np.load(folder / f"{name}.npy") for name in ("items", "scores"))
        rows = sum(pq.read_metadata(path).num_rows for path in (folder / "lists").glob("part-*"))
    checks = [
        _harness.at_most("items that differ from those here", int((items != expected["item_id"]).sum()), "items", 0),
        _harness.at_most("largest difference of a score", float(np.abs(scores - expected["score"]).max()), "", 1e-5),
        _harness.at_most("rows that the batch left out", K * USERS - rows, "rows", 0),
        _harness.at_most("training packages imported", len(said["imported"]), "packages", 0),
    ]
    if not quick:
        checks += [
            _harness.at_most("training packages installed", len(said["present"]), "packages", 0),
            _harness.at_most("size of site-packages", size, "MiB", SIZE_MIB),
        ]
    return checks, {"modules_imported": said["modules"], "site_packages_mib": round(size, 1)}


def installed(folder: Path) -> tuple[str, float]:
    """The Python of a new environment with the package, and MiB of what lies in it without pip."""
    place = folder / "environment"
    venv.create(place, with_pip=True)
    python = str(place / "bin" / "python")
    constraints = str(_harness.ROOT / "constraints.txt")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints, "."]
    subprocess.run(command, cwd=_harness.ROOT, check=True)
    packages = next(place.glob("lib/python*/site-packages"))
    own = (path for path in packages.iterdir() if path.name.split("-")[0] not in ("pip", "setuptools", "pkg_resources"))
    files = (file for path in own for file in ([path] if path.is_file() else path.rglob("*")))
    return python, sum(file.stat().st_blocks * 512 for file in files if file.is_file()) / 2**20


def asked(python: str, folder: Path, *, blocked: bool) -> dict[str, list[str] | int]:
    """What a new process says of itself once it has answered."""
    code = ASK.format(training=list(TRAINING), blocked=blocked, k=K)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if blocked:
        environment["PYTHONPATH"] = str(_harness.ROOT / "src")
    done = subprocess.run(
        [python, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the scorer does not work there: {done.stderr[-2000:]}")
    said: dict[str, list[str] | int] = json.loads(done.stdout.splitlines()[-1])
    return said


if __name__ == "__main__":
    _harness.main("base_install", measure)
