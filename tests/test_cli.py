import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from beautyrec.cli import main

SMALL = (Path(__file__).parent / "jobs" / "small.toml").read_text()


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from beautyrec.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_help_lists_the_verbs_that_exist_and_no_others() -> None:
    text = run("--help").stdout
    for verb in ("demo", "run", "tune", "champion", "data", "score", "select", "board", "alerts", "review"):
        assert f" {verb} " in text
    assert " train " not in text


def test_an_unknown_verb_is_wrong_usage() -> None:
    assert run("dance").returncode == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("seed = 7", "sede = 7"), ["unknown key 'sede'", "did you mean 'seed'"]),
        (('family = "item_knn"', 'family = "item_knm"'), ["item_knm", "item_knn"]),
        (("params = { neighbours = 20 }", "params = { neighbors = 20 }"), ["neighbors", "neighbours"]),
        (("days = 8", "days = 3"), ["and days (2) and [sweep] days (2) leave nothing"]),
        (("shelf_min = 15", "shelf_min = 1"), ["shelf_min is 1"]),
        (("click__trees = { low = 5, high = 30 }", "click__trees = { low = 5 }"), ["click__trees", "high"]),
        (("seed = 7", "seed = = 7"), ["not a TOML file"]),
    ],
)
def test_a_wrong_config_is_one_message_and_exit_code_2(
    change: tuple[str, str], words: list[str], tmp_path: Path
) -> None:
    assert change[0] in SMALL
    config = tmp_path / "job.toml"
    config.write_text(SMALL.replace(*change, 1))
    done = run("run", str(config), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in ["job.toml", *words]:
        assert word in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_config_and_a_missing_data_folder_are_named(tmp_path: Path) -> None:
    done = run("run", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert "none.toml" in done.stderr
    config = tmp_path / "job.toml"
    config.write_text(SMALL)
    done = run("run", str(config), "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_purchase_file_with_a_wrong_column_is_named_with_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "amazon-beauty-2014"
    folder.mkdir(parents=True)
    pd.DataFrame({"user": [1], "item_id": [1], "pos": [0], "ts": pd.to_datetime(["2014-01-01"])}).to_parquet(
        folder / "interactions.parquet"
    )
    config = tmp_path / "job.toml"
    config.write_text(SMALL)
    done = run("run", str(config), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "interactions.parquet" in done.stderr
    assert "user_id" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_trace_wherever_it_stands(tmp_path: Path) -> None:
    for arguments in (("--debug", "run", str(tmp_path / "none.toml")), ("run", str(tmp_path / "none.toml"), "--debug")):
        done = run(*arguments)
        assert "Traceback" in done.stderr
        assert "ConfigError" in done.stderr


def test_an_unknown_data_set_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["data", "fetch", "closed-bandit"])
    assert ended.value.code == 2
    assert "open-bandit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("items", {"price": [-1.0, 2.0]}, ["items.parquet", "price", "1 of 2"]),
        ("items", {"item_id": [1, 1]}, ["items.parquet", "item_id", "1 of 2"]),
        ("items", {"price": ["dear", "cheap"]}, ["items.parquet", "price"]),
        ("interactions", {"pos": [0, 0]}, ["interactions.parquet", "pos", "1 of 2"]),
        ("interactions", {"ts": ["soon", "later"]}, ["interactions.parquet", "ts"]),
    ],
)
def test_wrong_rows_of_a_purchase_file_are_named_and_counted(
    table: str, change: dict[str, list[object]], words: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "amazon-beauty-2014"
    folder.mkdir(parents=True)
    day = pd.to_datetime(["2014-01-01", "2014-01-02"])
    frames = {
        "interactions": pd.DataFrame({"user_id": [1, 1], "item_id": [1, 2], "pos": [0, 1], "ts": day}),
        "items": pd.DataFrame(
            {"item_id": [1, 2], "title": "x", "brand": "y", "category_path": "A|B", "price": [1.0, 2.0]}
        ),
    }
    for name, frame in frames.items():
        frame.assign(**(change if name == table else {})).to_parquet(folder / f"{name}.parquet")
    config = tmp_path / "job.toml"
    config.write_text(SMALL)
    done = run("run", str(config), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "out").exists()
