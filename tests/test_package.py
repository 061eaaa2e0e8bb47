import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


def test_a_wheel_holds_all_that_the_demo_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for needed in (
        "configs/demo.toml",
        "configs/board.toml",
        "evaluation/templates/page.html",
        "py.typed",
        "serving/scorer.py",
        "models/nn/sasrec.py",
    ):
        assert f"beautyrec/{needed}" in names
    assert not any(name.startswith(("tests", "benchmarks", "notebooks")) for name in names)


def test_the_packaged_demo_is_the_one_in_configs(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel).read("beautyrec/configs/demo.toml").decode()
    assert packed == (ROOT / "configs" / "demo.toml").read_text(encoding="utf-8")


def test_no_file_names_the_address_of_an_index() -> None:
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "index-url" not in text
        assert "find-links" not in text
        assert "://" not in text.replace("https://example.invalid", "")


def test_the_documentation_builds_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "api" / "evaluation" / "index.html").exists()
