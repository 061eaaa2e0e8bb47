import re
import subprocess
import sys
from pathlib import Path

import pytest

from beautyrec.data.log import EventLog
from beautyrec.serving import ModelCard, write_artifact
from beautyrec.simulate.world import World

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a log as the README has it, and a champion."""
    log = World.tiny(seed=3).log()
    tables = {name: log.engine.frame(getattr(log, name)) for name in ("events", "items", "rooms", "shelves")}
    tables["events"]["user_id"] = "viewer-" + tables["events"]["user_id"].astype(str)
    named = EventLog.from_frames(**tables)
    named.write(tmp_path / "my-log")
    from beautyrec.models.popularity import Popularity

    state = Popularity().fit(named.interactions(), seed=0).state()
    write_artifact(tmp_path / "experiments" / "demo" / "champion", state, ModelCard("popularity"))
    return tmp_path


def test_every_python_example_of_the_readme_runs(shop: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 2
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], cwd=shop, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_make_target_that_is_named_exists() -> None:
    pages = [
        README,
        *(page.read_text(encoding="utf-8") for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"]),
    ]
    named = {target for page in pages for target in re.findall(r"(?:`|^)make ([a-z]+)", page, flags=re.MULTILINE)} - {
        "install"
    }
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    assert {"demo", "test"} <= named & targets
    assert named <= targets


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) >= 5
    for link in links:
        assert (ROOT / link).exists(), link
