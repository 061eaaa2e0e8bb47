import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if not path.stem.startswith("_"))


@pytest.mark.parametrize("name", NAMES)
def test_the_quick_form_of_a_benchmark_runs_and_its_checks_hold(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 1 and "could not run: the data folder" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["name"] == name
    assert result["quick"] is True
    assert result["checks"]
    missed = [check for check in result["checks"] if not check["holds"]]
    assert not missed


@pytest.mark.parametrize("name", NAMES)
def test_the_last_full_result_is_kept_and_says_what_was_measured(name: str) -> None:
    result = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    assert result["name"] == name
    assert result["quick"] is False
    for check in result["checks"]:
        assert {"name", "value", "unit", "target", "holds"} <= check.keys()
