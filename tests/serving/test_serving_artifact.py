from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save, save_file
from serving_models import MODELS, factors, feature_rows, funnel, similarity

from beautyrec.errors import ArtifactError
from beautyrec.models.state import ModelState
from beautyrec.serving import ModelCard, Scorer, read_artifact, write_artifact
from beautyrec.serving.artifact import ARRAYS
from beautyrec.serving.manifest import MANIFEST, FileEntry, Manifest
from beautyrec.serving.tensors import read_tensors, write_tensors
from beautyrec.serving.vocabularies import read_vocabulary

CARD = ModelCard(
    "als",
    params={"factors": np.int64(64), "alpha": 0.5},
    seed=3,
    features="abc",
    trained_from="2026-01-01T00:00:00Z",
    trained_until="2026-02-01T00:00:00Z",
    data="def",
    metrics={"recall@10": np.float32(0.5), "lift": float("nan")},
    labels={"world": "simulated"},
)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "champion"
    write_artifact(folder, similarity("string").state(), CARD)
    return folder


@pytest.fixture
def copy(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def resign(folder: Path, **changes) -> None:
    """Write a manifest that fits the files as they are, except for ``changes``: what a forger would do."""
    manifest = Manifest.from_bytes((folder / MANIFEST).read_bytes())
    files = {
        path.name: FileEntry(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
        if path.name != MANIFEST
    }
    (folder / MANIFEST).write_bytes(replace(manifest, **({"files": files} | changes)).to_bytes())


def refused(folder: Path, says: str | None = None) -> None:
    with pytest.raises(ArtifactError, match=says):
        Scorer.load(folder)


@pytest.mark.parametrize("model", [*MODELS, "funnel_trees"])
def test_states_come_back_to_the_bit(tmp_path, model):
    state = funnel().state() if model == "funnel_trees" else MODELS[model]("string").state()
    write_artifact(tmp_path / "a", state, CARD)
    back = read_artifact(tmp_path / "a").model.state()
    assert (back.kind, back.meta, sorted(back.arrays)) == (state.kind, state.meta, sorted(state.arrays))
    for name, array in state.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(back.arrays[name], array)


def test_the_files_of_an_artifact(original):
    assert names(original) == [ARRAYS, "items.parquet", MANIFEST, "users.parquet"]
    document = json.loads((original / MANIFEST).read_text())
    assert document["card"]["metrics"] == {"recall@10": 0.5, "lift": None}
    assert document["card"]["params"] == {"factors": 64, "alpha": 0.5}
    for name, entry in document["files"].items():
        content = (original / name).read_bytes()
        assert entry == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    users = pq.read_table(original / "users.parquet")["id"].to_pylist()
    assert users == similarity("string").users.ids.tolist()
    assert set(load_file(original / ARRAYS)) == {
        *("history_weight", "indptr", "neighbour_ix", "similarity"),
        *("popularity", "seen_indptr", "seen_item_ix"),
    }


def test_the_manifest_returned_is_the_manifest_read(tmp_path):
    written = write_artifact(tmp_path / "a", factors().state(), CARD)
    assert read_artifact(tmp_path / "a").manifest == written


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for place in ("a", "b"):
        write_artifact(tmp_path / place, factors("string").state(), CARD)
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_arrays_are_mapped_not_copied(original):
    model = read_artifact(original).model
    assert not model.similarity.flags.owndata
    assert not model.similarity.flags.writeable


# Damage: the manifest is not written anew.


@pytest.mark.parametrize("seed", range(80))
def test_flipped_bytes_are_found(copy, seed):
    rng = np.random.default_rng(seed)
    path = copy / names(copy)[seed % 4]
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, len(content), 1 + seed % 3):
        content[place] ^= 1 << int(rng.integers(0, 8))
    path.write_bytes(content)
    refused(copy)


@pytest.mark.parametrize("seed", range(40))
def test_cut_and_grown_files_are_found(copy, seed):
    path = copy / names(copy)[seed % 4]
    content = path.read_bytes()
    rng = np.random.default_rng(seed)
    path.write_bytes(content + rng.bytes(1 + seed) if seed % 3 == 2 else content[: rng.integers(0, len(content))])
    refused(copy)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("how", ["removed", "renamed", "doubled", "linked", "folder", "pipe", "emptied"])
def test_files_that_are_not_what_they_should_be(copy, tmp_path, number, how):
    path = copy / names(copy)[number]
    if how == "renamed":
        path.rename(path.with_name("renamed"))
    elif how == "doubled":
        shutil.copy(path, path.with_name(path.name + ".bak"))
    elif how == "emptied":
        path.write_bytes(b"")
    else:
        target = Path(shutil.move(path, tmp_path / "elsewhere"))
        makers = {"linked": lambda: path.symlink_to(target), "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}
        makers.get(how, lambda: None)()
    refused(copy)


@pytest.mark.parametrize("pair", [(0, 1), (1, 3), (0, 3)])
def test_swapped_files_are_found(copy, pair):
    one, two = (copy / names(copy)[place] for place in pair)
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    refused(copy, "changed or cut")


def test_swapped_hashes_are_found_though_the_manifest_is_signed(copy):
    files = dict(Manifest.from_bytes((copy / MANIFEST).read_bytes()).files)
    files["users.parquet"], files["items.parquet"] = files["items.parquet"], files["users.parquet"]
    resign(copy, files=files)
    refused(copy, "changed or cut")


# Manifests that are signed and hostile.


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/b", "..", ".", "", "x\x00y", "C:\\x", "MANIFEST.JSON", "manifest.json", "a" * 5000],
)
def test_names_that_leave_the_folder_are_refused(copy, tmp_path, name):
    (tmp_path / "secret").write_bytes(b"secret")
    entry = FileEntry(6, hashlib.sha256(b"secret").hexdigest())
    files = dict(Manifest.from_bytes((copy / MANIFEST).read_bytes()).files)
    resign(copy, files=files | {name: entry})
    refused(copy, "the manifest names the files")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "pickle"}, "kind 'pickle' is unknown"),
        ({"kind": "factors"}, "user_factors"),
        ({"kind": "funnel_trees"}, "features"),
        ({"format": 3}, "reads up to 2"),
        ({"format": 2}, "not the manifest"),
        ({"format": 0}, "changed"),
        ({"files": {}}, "names the files"),
    ],
)
def test_manifests_that_say_something_else(copy, changes, says):
    resign(copy, **changes)
    refused(copy, says)


def document_of(folder: Path) -> dict:
    document = json.loads((folder / MANIFEST).read_text())
    del document["checksum"]
    return document


@pytest.mark.parametrize("seed", range(30))
def test_documents_of_another_shape_are_refused(copy, seed):
    """One value of the document, at any depth, is replaced by something of another type, and it is signed again."""
    from beautyrec.serving.manifest import _signed

    rng = np.random.default_rng(seed)
    document = document_of(copy)
    place, key = document, rng.choice(["kind", "meta", "card", "package", "files", "format"])
    while (
        isinstance(place[key], dict)
        and place[key]
        and key not in ("params", "metrics", "labels")
        and rng.random() < 0.7
    ):
        place, key = place[key], rng.choice(sorted(place[key]))
    old = place[key]
    others = [value for value in (None, True, [1], "x", {"y": 1}, 1.5) if type(value) is not type(old)]
    place[key] = others[rng.integers(len(others))]
    (copy / MANIFEST).write_bytes(_signed(document))
    refused(copy)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": 1e999}',
        b'{"format": true}',
        b'{"format": 1, "format": 1, "checksum": "x"}',
        b'{"format": ' + b"9" * 5000 + b"}",
        b'{"format": 1, "kind": NaN}',
    ],
)
def test_documents_that_are_no_manifest(copy, content):
    (copy / MANIFEST).write_bytes(content)
    refused(copy)


def test_a_manifest_of_gigabytes_is_not_read(copy):
    with (copy / MANIFEST).open("r+b") as handle:
        handle.truncate(2**31)
    refused(copy, "too large")


# Arrays that are signed and hostile.


def store(folder: Path, **changes) -> None:
    """Replace arrays of an artifact, or remove those that are None, and sign it again."""
    arrays = load_file(folder / ARRAYS) | changes
    save_file({name: array for name, array in arrays.items() if array is not None}, folder / ARRAYS)
    resign(folder)


def edited(folder: Path, name: str, place, value) -> None:
    array = load_file(folder / ARRAYS)[name]
    array[place] = value
    store(folder, **{name: array})


@pytest.mark.parametrize(
    "name", ["history_weight", "indptr", "neighbour_ix", "similarity", "popularity", "seen_indptr"]
)
@pytest.mark.parametrize("how", ["missing", "short", "flat", "float", "text"])
def test_arrays_of_another_shape_or_type(copy, name, how):
    array = load_file(copy / ARRAYS)[name]
    other = {
        "missing": None,
        "short": array[:-1],
        "flat": array[None, :],
        "float": array.astype(np.float64),
        "text": array.view(np.uint8),
    }
    store(copy, **{name: other[how]})
    refused(copy)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("neighbour_ix", 0, 10_000),
        ("neighbour_ix", -1, -1),
        ("seen_item_ix", 5, 2**62),
        ("seen_item_ix", 5, -(2**62)),
        ("indptr", 0, 1),
        ("indptr", 3, 2**40),
        ("indptr", -1, 0),
        ("seen_indptr", 4, -7),
        ("seen_indptr", -1, 2**63 - 1),
        ("similarity", 0, np.nan),
        ("popularity", 3, np.inf),
    ],
)
def test_indices_that_point_nowhere_and_numbers_that_are_none(copy, name, place, value):
    edited(copy, name, place, value)
    refused(copy, name)


def header(entries: dict, data: bytes) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + data


FLOATS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 8,
        b"\xff" * 16,
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
        b"\x02\x00\x00\x00\x00\x00\x00\x00{x",
        header({"a": FLOATS}, b"1234567"),
        header({"a": FLOATS}, b"123456789"),
        header({"a": FLOATS | {"shape": [3]}}, b"12345678"),
        header({"a": FLOATS | {"shape": [-2]}}, b"12345678"),
        header({"a": FLOATS | {"shape": [2**40, 2**40]}}, b"12345678"),
        header({"a": FLOATS | {"shape": ["2"]}}, b"12345678"),
        header({"a": FLOATS | {"shape": 2}}, b"12345678"),
        header({"a": FLOATS | {"dtype": "O"}}, b"12345678"),
        header({"a": FLOATS | {"dtype": ["F32"]}}, b"12345678"),
        header({"a": FLOATS | {"data_offsets": [8, 0]}}, b"12345678"),
        header({"a": FLOATS | {"data_offsets": [-8, 0]}}, b"12345678"),
        header({"a": FLOATS | {"data_offsets": [0]}}, b"12345678"),
        header({"a": FLOATS, "b": FLOATS}, b"12345678"),
        header({"a": FLOATS, "b": FLOATS | {"data_offsets": [4, 12]}}, b"123456789012"),
        header({"a": FLOATS | {"data_offsets": [4, 12]}}, b"123456789012"),
        header({"a": [1]}, b""),
    ],
)
def test_tensors_that_do_not_fit_their_file(copy, content):
    (copy / ARRAYS).write_bytes(content)
    resign(copy)
    refused(copy, "arrays")


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "a", "b"]),
        pa.array(["a", None, "b"]),
        pa.array([1.5, 2.5]),
        pa.array([b"a", b"b"]),
        pa.array([["a"], ["b"]]),
        pa.array(["only one"]),
        pa.array([], pa.string()),
    ],
)
@pytest.mark.parametrize("name", ["id", "ids"])
def test_vocabularies_that_do_not_fit(copy, column, name):
    pq.write_table(pa.table({name: column}), copy / "items.parquet")
    resign(copy)
    refused(copy)


def test_vocabularies_that_are_no_tables(copy):
    (copy / "users.parquet").write_bytes(b"PAR1" + b"\x00" * 64 + b"PAR1")
    resign(copy)
    refused(copy, "vocabulary 'users'")


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("click_left", 0, 0),  # a tree that is its own child never ends
        ("click_right", 1, 2),  # one child of two parents
        ("click_left", 5, 7),
        ("order_right", 0, 2**40),
        ("order_left", 1, -1),
        ("click_feature", 0, 2),
        ("click_feature", 0, -2),
        ("click_feature", 0, -1),
        ("click_start", 1, 0),
        ("click_start", -1, 9),
        ("click_value", 2, np.nan),
        ("click_line_line", (0,), np.inf),
    ],
)
def test_trees_that_are_none(tmp_path, name, place, value):
    write_artifact(tmp_path / "a", funnel().state(), CARD)
    Scorer.load(tmp_path / "a").score(feature_rows())
    edited(tmp_path / "a", name, place, value)
    refused(tmp_path / "a", "is damaged|not finite|nodes")


# Writing.


def test_a_state_that_does_not_fit_is_not_written(tmp_path):
    state = factors().state()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")
    bad = [
        ModelState("unknown", state.arrays, {}),
        ModelState("factors", state.arrays | {"popularity": state.arrays["popularity"][:-1]}, {}),
        ModelState("factors", state.arrays | {"user_factors": state.arrays["user_factors"] * np.nan}, {}),
        ModelState("factors", state.arrays | {"items_ids": np.zeros_like(state.arrays["items_ids"])}, {}),
        ModelState("factors", state.arrays | {"more": np.array(["text"])}, {}),
        ModelState("factors", state.arrays, {"function": print}),
    ]
    for wrong in bad:
        with pytest.raises(ArtifactError):
            write_artifact(tmp_path / "a", wrong, CARD)
    with pytest.raises(ArtifactError, match="cannot be written"):
        write_artifact(tmp_path / "a", state, replace(CARD, params={"alpha": float("nan")}))
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["old"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(ArtifactError, match="is a file"):
        write_artifact(tmp_path / "a", factors().state(), CARD)
    assert (tmp_path / "a").read_text() == "mine"


def test_tensors_of_every_type_and_shape_come_back(tmp_path):
    rng = np.random.default_rng(0)
    kinds = ["bool", *(f"{kind}{bits}" for kind in ("uint", "int", "float") for bits in (16, 32, 64)), "uint8", "int8"]
    arrays = {
        f"{kind} {shape}": rng.integers(0, 2, shape).astype(kind) for kind in kinds for shape in ((), (0, 3), (2, 3))
    }
    arrays["a view"] = np.arange(12.0).reshape(3, 4).T[::2]
    write_tensors(tmp_path / "t", arrays)
    back = read_tensors((tmp_path / "t").read_bytes())
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(back[name], array)
    assert read_tensors(save(arrays | {"a view": arrays["a view"].copy()})).keys() == arrays.keys()


def test_string_vocabularies_are_read_from_any_arrow_layout():
    texts = ["é", "", "品", "plain"]
    whole = pa.chunked_array([pa.array(["x", *texts[:2]]).slice(1), pa.array(texts[2:])])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": whole}), sink)
    arrays = read_vocabulary(sink.getvalue().to_pybytes(), "items")
    assert arrays["items_utf8"].tobytes().decode() == "é品plain"
    assert arrays["items_ends"].tolist() == [2, 2, 5, 10]
