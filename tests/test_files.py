from __future__ import annotations

import os
import stat

import pytest

from beautyrec import files
from beautyrec.files import atomic_file, atomic_folder


def names(folder):
    return sorted(place.name for place in folder.iterdir())


def fail_after_writing(path):
    path.write_text("half")
    raise ZeroDivisionError


def test_file_appears_only_at_the_end_and_makes_its_folder(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.suffix == ".txt"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    assert names(path.parent) == ["b.txt"]


def test_file_that_was_there_is_replaced(tmp_path):
    path = tmp_path / "b.txt"
    path.write_text("old")
    with atomic_file(str(path)) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_error_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "b.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as temporary:
        fail_after_writing(temporary)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["b.txt"]


def test_block_that_writes_nothing_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing was written for .*b\.txt"), atomic_file(tmp_path / "b.txt"):
        pass


def test_file_has_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "b.txt") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "b.txt").stat().st_mode) == 0o640


def test_folder_replaces_the_old_one_as_a_whole(tmp_path):
    path = tmp_path / "model"
    for name in ("one", "two"):
        with atomic_folder(path) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / name).write_text(name)
    assert names(tmp_path) == ["model"]
    assert names(path / "deep") == ["two"]


def test_error_leaves_the_old_folder_and_no_rest(tmp_path):
    path = tmp_path / "model"
    with atomic_folder(path) as temporary:
        (temporary / "one").write_text("1")
    with pytest.raises(ZeroDivisionError), atomic_folder(path) as temporary:
        fail_after_writing(temporary / "two")
    assert names(tmp_path) == ["model"]
    assert names(path) == ["one"]


def test_old_folder_comes_back_when_the_rename_fails(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "one").write_text("1")
    with pytest.raises(FileNotFoundError):
        files._swap(tmp_path / "absent", path)
    assert names(path) == ["one"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_folder_is_replaced_with_and_without_the_exchange_in_one_step(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    path = tmp_path / "model"
    path.mkdir()
    (path / "one").write_text("1")
    with atomic_folder(path) as temporary:
        (temporary / "two").write_text("2")
    assert names(path) == ["two"]
    assert names(tmp_path) == ["model"]


def test_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "model").write_text("a file")
    with pytest.raises(NotADirectoryError, match="is a file"), atomic_folder(tmp_path / "model"):
        pass
    assert names(tmp_path) == ["model"]
