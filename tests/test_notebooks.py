from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    done = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    cells = [cell for cell in done.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)


def test_lift_runs_for_a_newcomer_without_data_and_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be had is said in a sentence, and the rest runs."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "no-data").mkdir()
    monkeypatch.setenv("BEAUTYREC_DATA", str(tmp_path / "no-data"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    notebook = nbformat.read(NOTEBOOKS[0].with_name("off_policy_lift.ipynb"), as_version=4)
    where = {"metadata": {"path": str(tmp_path / "notebooks")}}
    done = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "The Open Bandit half is skipped" in said
    assert "This half is skipped" in said
    assert "lift from the log" in str(outputs[-1].data), "the simulated shop needs no data"


def test_models_are_compared_on_made_up_purchases_where_there_are_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no-data").mkdir()
    monkeypatch.setenv("BEAUTYREC_DATA", str(tmp_path / "no-data"))
    notebook = nbformat.read(NOTEBOOKS[0].with_name("compare_models.ipynb"), as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("shoppers = 800", "shoppers = 300")
    where = {"metadata": {"path": str(tmp_path)}}
    done = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "made-up purchases: 3,000 purchases, 300 shoppers" in said
    figures = [output.data for output in outputs if "application/vnd.plotly.v1+json" in output.get("data", {})]
    assert len(figures) == 5, "two rankings, two of quality against seconds, one lift"
    shown = {
        text
        for data in figures[2:4]
        for trace in data["application/vnd.plotly.v1+json"]["data"]
        for text in trace["text"]
    }
    assert {"popularity", "popularity, 60 days", "re-ranked blend"} <= shown


def test_selection_runs_on_a_made_up_catalogue_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no-data").mkdir()
    monkeypatch.setenv("BEAUTYREC_DATA", str(tmp_path / "no-data"))
    notebook = nbformat.read(NOTEBOOKS[0].with_name("selection.ipynb"), as_version=4)
    done = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "a made-up catalogue: the real one was not found" in said
    assert "products have no price" in said
    assert "of the best" in said
    assert "more_than_noise" in str([output.data for output in outputs if "data" in output])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_no_functions_and_keeps_no_outputs(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert not any(line.startswith(("def ", "class ")) for cell in cells for line in cell.source.splitlines())
    assert not any(cell.outputs for cell in cells)
