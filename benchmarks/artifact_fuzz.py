"""Damaged and hostile artifacts: every one is refused with ``ArtifactError``, nothing in it is run, and the process lives on.

Four artifacts, one with an index, are damaged at random: bytes flipped, files cut, grown, renamed, exchanged, replaced by
links, pipes and pickles; and, as a forger would, changed with checksums that fit: hashes of other files, paths that leave the
folder, shapes and types of arrays that cannot be, indices and graphs that point nowhere, tables that unpack to gigabytes. One
process reads them all, while a hook of the interpreter notes whatever is run, imported by an odd way, or written. A crash would
end it, and show.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _harness

ARTIFACTS, QUICK_ARTIFACTS = 500, 150
MEMORY = 4 * 2**30
"""Bytes of addresses that the reading process may take."""

RUNS = (
    "exec",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "ctypes.dlopen",
)
"""What the interpreter tells of when something is run."""

INSTALLED = (sys.prefix, sys.base_prefix, str(_harness.ROOT / "src"))
"""Where modules lie that may be imported late."""


def measure(seed: int, quick: bool) -> _harness.Measured:
    count = QUICK_ARTIFACTS if quick else ARTIFACTS
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "benchmarks.artifact_fuzz", "--read", place, str(count), str(seed)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=_harness.ROOT, env=environment, check=False)
    lines = done.stdout.strip().splitlines()
    found: dict[str, Any] = (
        json.loads(lines[-1]) if done.returncode == 0 else {"refused": 0, "by": {}, "run": [], "other": []}
    )
    checks = [
        _harness.at_least("refused with ArtifactError", found["refused"], "artifacts", count),
        _harness.at_most("things that were run or written", len(found["run"]), "events", 0),
        _harness.at_most("exit of the process that read them", abs(done.returncode), "", 0),
    ]
    return checks, {"artifacts": count, "by_damage": found["by"], "otherwise": found["other"], "run": found["run"]}


def read_all(place: Path, count: int, seed: int) -> dict[str, Any]:
    """Damages copies of artifacts and reads each; what came of it."""
    from beautyrec.errors import ArtifactError
    from beautyrec.serving import Scorer

    rng = np.random.default_rng(seed)
    originals = write_originals(place, rng)
    for original in originals:
        Scorer.load(original)  # sound, and all that is imported late is there
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    watch = Watch()
    sys.addaudithook(watch)
    found: dict[str, Any] = {"refused": 0, "other": []}
    by: Counter[str] = Counter()
    for number in range(count):
        name, damage = list(DAMAGES.items())[number % len(DAMAGES)]
        folder = place / "damaged" / str(number)
        shutil.copytree(originals[int(rng.integers(len(originals)))], folder)
        damage(folder, rng)
        watch.on = True
        try:
            Scorer.load(folder)
            found["other"].append(f"{number} {name}: it was read")
        except ArtifactError:
            found["refused"] += 1
            by[name] += 1
        except BaseException as error:  # noqa: BLE001 (told in the result)
            found["other"].append(f"{number} {name}: {error!r:.200}")
        watch.on = False
    if (place / "executed").exists():
        watch.seen.append("a pickle was run")
    return {**found, "by": dict(by), "run": watch.seen}


class Watch:
    """A hook that notes what is run, and what is opened to be written."""

    def __init__(self) -> None:
        self.on, self.seen = False, []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        written = (
            event == "open"
            and isinstance(arguments[2], int)
            and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        )
        imported = event == "exec" and str(getattr(arguments[0], "co_filename", "")).startswith(INSTALLED)
        if written or (event in RUNS and not imported):
            self.seen.append(f"{event} {arguments!r:.100}")


def write_originals(place: Path, rng: np.random.Generator) -> list[Path]:
    from beautyrec.models.recommenders import ItemSimilarityRecommender
    from beautyrec.serving import ModelCard, write_artifact
    from benchmarks.scorer import factors, network

    texts = factors(rng, 30, 40)
    entries = np.sort(rng.integers(0, 200, 39))
    similarity = ItemSimilarityRecommender(
        texts.known,
        rng.random(len(texts.seen.item_ix), dtype=np.float32),
        np.concatenate([[0], entries, [200]]).astype(np.int64),
        rng.integers(0, 40, 200),
        rng.random(200, dtype=np.float32),
    )
    models = {"factors": texts, "similarity": similarity, "network": network(rng), "indexed": texts}
    for name, model in models.items():
        write_artifact(place / name, model.state(), ModelCard(name))
    around = [[*(other for other in range(40) if other != item), -1] for item in range(40)]
    graph = {"levels": np.ones(40), "neighbours": np.ravel(around), "entry": np.zeros(1, np.int64)}
    store(
        place / "indexed",
        {name: array.astype(np.int64 if name == "entry" else np.int32) for name, array in graph.items()},
    )
    signed(place / "indexed", format=2, index={"used": True, "k": 5, "effort": 16, "neighbours": 20})
    return [place / name for name in models]


def store(folder: Path, graph: dict[str, Any]) -> None:
    from safetensors.numpy import save

    (folder / "index.safetensors").write_bytes(save(graph))


# Damage that the checksums tell.


def any_file(folder: Path, rng: np.random.Generator) -> Path:
    return sorted(folder.iterdir())[int(rng.integers(len(list(folder.iterdir()))))]


def flip(folder: Path, rng: np.random.Generator) -> None:
    path = any_file(folder, rng)
    content = bytearray(path.read_bytes())
    for at in np.unique(rng.integers(0, len(content), int(rng.integers(1, 9)))):
        content[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def cut(folder: Path, rng: np.random.Generator) -> None:
    path = any_file(folder, rng)
    os.truncate(path, int(rng.integers(path.stat().st_size)))


def grow(folder: Path, rng: np.random.Generator) -> None:
    path = any_file(folder, rng)
    path.write_bytes(path.read_bytes() + rng.bytes(int(rng.integers(1, 99))))


def remove(folder: Path, rng: np.random.Generator) -> None:
    any_file(folder, rng).unlink()


def rename(folder: Path, rng: np.random.Generator) -> None:
    path = any_file(folder, rng)
    path.rename(
        path.with_name(str(rng.choice(["model.pkl", "..data", "ARRAYS", path.name + ".bak", "users.parquet ", "-"])))
    )


def exchange(folder: Path, rng: np.random.Generator) -> None:
    one, other = (sorted(folder.iterdir())[at] for at in rng.choice(len(list(folder.iterdir())), 2, replace=False))
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])


def elsewhere(folder: Path, rng: np.random.Generator) -> None:
    path = any_file(folder, rng)
    target = path.rename(folder.with_name(folder.name + path.name))
    makers: list[Callable[[], None]] = [lambda: path.symlink_to(target), path.mkdir, lambda: os.mkfifo(path)]
    makers[int(rng.integers(3))]()


def more(folder: Path, rng: np.random.Generator) -> None:
    name = str(rng.choice(["model.pkl", "__init__.py", "users.parquet.1", ".hidden", "sitecustomize.py"]))
    (folder / name).write_bytes(payload(folder))


# Forgery: the checksums fit.


def signed(folder: Path, **changes: Any) -> None:
    from beautyrec.serving.manifest import MANIFEST, FileEntry, Manifest

    manifest = Manifest.from_bytes((folder / MANIFEST).read_bytes())
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
    entries = {name: FileEntry(len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()}
    (folder / MANIFEST).write_bytes(replace(manifest, **({"files": entries} | changes)).to_bytes())


def manifest_of(folder: Path) -> Any:
    from beautyrec.serving.manifest import MANIFEST, Manifest

    return Manifest.from_bytes((folder / MANIFEST).read_bytes())


def hashes(folder: Path, rng: np.random.Generator) -> None:
    files = dict(manifest_of(folder).files)
    names = list(files)
    if len(names) == 1:
        files[names[0]] = replace(files[names[0]], sha256=rng.bytes(32).hex())
    else:
        one, other = rng.choice(names, 2, replace=False)
        files[one], files[other] = files[other], files[one]
    signed(folder, files=files)


def paths(folder: Path, rng: np.random.Generator) -> None:
    names = [
        "../arrays.safetensors",
        "/etc/passwd",
        "..",
        "a/../../b",
        "x\x00y",
        "",
        "\\\\host\\share",
        "manifest.json",
        "z" * 4000,
    ]
    files = dict(manifest_of(folder).files)
    entry = files["arrays.safetensors"]
    if rng.random() < 0.5:
        del files["arrays.safetensors"]
    signed(folder, files=files | {str(rng.choice(names)): entry})


def header(folder: Path, rng: np.random.Generator, change: Callable[[dict[str, Any]], None]) -> None:
    """The header of the arrays with one entry changed."""
    path = folder / "arrays.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + size])
    entries.pop("__metadata__", None)
    change(entries[str(rng.choice(sorted(entries)))])
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    signed(folder)


def shapes(folder: Path, rng: np.random.Generator) -> None:
    hostile = [[-1], [2**62, 2**62], [2**31], [1.5], ["4"], None, [[3]], [0], [True], {}, [-(2**63)], [2**64, 0]]
    shape = hostile[int(rng.integers(len(hostile)))]
    header(folder, rng, lambda entry: entry.update(shape=shape))


def types(folder: Path, rng: np.random.Generator) -> None:
    hostile = ["O", "F8_E4M3", "BF16", "", None, 5, "U1", "M8", "I128", ["F32"]]
    name = hostile[int(rng.integers(len(hostile)))]
    header(folder, rng, lambda entry: entry.update(dtype=name))


def offsets(folder: Path, rng: np.random.Generator) -> None:
    hostile = [[0, 2**63], [-8, 0], [8, 0], [0], [0, 1, 2], None, "all", [0.0, 8.0], [2**40, 2**40 + 4]]
    span = hostile[int(rng.integers(len(hostile)))]
    header(folder, rng, lambda entry: entry.update(data_offsets=span))


def garbage_header(folder: Path, rng: np.random.Generator) -> None:
    path = folder / "arrays.safetensors"
    content = path.read_bytes()
    heads = [rng.bytes(8), (2**64 - 1).to_bytes(8, "little"), bytes(8), (9).to_bytes(8, "little") + b"[" * 9]
    path.write_bytes(heads[int(rng.integers(len(heads)))] + content[16:])
    signed(folder)


def arrays(folder: Path, rng: np.random.Generator) -> None:
    """One array of another length, or with values that cannot be."""
    from safetensors.numpy import load_file, save_file

    path = folder / "arrays.safetensors"
    every = load_file(path)
    name = str(rng.choice([name for name in sorted(every) if every[name].dtype != bool]))
    array = every[name].copy()
    how = int(rng.integers(3))
    at = int(rng.integers(array.size))
    if how == 0:
        every[name] = array[:-1] if array.ndim else array.reshape(1)
    elif how == 1:
        every[name] = array.astype("<f2")
    elif array.dtype.kind == "f":
        array.flat[at] = rng.choice([np.nan, np.inf, -np.inf])
        every[name] = array
    else:
        array.flat[at] = rng.choice([2**62, -(2**62), -7])
        every[name] = array
    save_file(every, path)
    signed(folder)


def numbers(folder: Path, rng: np.random.Generator) -> None:
    """Plain values of the manifest that a model is built from."""
    hostile = [None, [], "x", {"kind": "y"}, 2**70, -1, [1, "a", None]]
    meta = dict(manifest_of(folder).meta)
    if not meta:
        signed(
            folder, kind=str(rng.choice(["pickle", "../factors", "", "item_similarity", "funnel_network", "os.system"]))
        )
        return
    meta[str(rng.choice(sorted(meta)))] = hostile[int(rng.integers(4))]
    if "inputs" in meta and rng.random() < 0.5:
        meta["inputs"] = {"categories": ["a"] * 3, "buckets": hostile[int(rng.choice([0, 1, 2, 4, 5]))]}
    if "decay" in meta:
        meta["decay"] = hostile[int(rng.integers(4))]
    signed(folder, meta=meta)


def formats(folder: Path, rng: np.random.Generator) -> None:
    signed(folder, format=int(rng.choice([0, -1, 3 - manifest_of(folder).format, 3, 99])))


def graphs(folder: Path, rng: np.random.Generator) -> None:
    """Indexes whose walks would leave the items."""
    from safetensors.numpy import load_file

    path = folder / "index.safetensors"
    if not path.exists():
        documents(folder, rng)
        return
    graph = load_file(path)
    levels, around = graph["levels"], graph["neighbours"]
    hostile = [
        {"levels": levels * 0},
        {"levels": levels + 1},
        {"levels": levels.astype(np.int64)},
        {"neighbours": around + int(rng.choice([1, 2**20, -2]))},
        {"neighbours": around[:-1]},
        {"entry": rng.choice([-1, 40, 2**40], 1)},
    ]
    store(folder, graph | hostile[int(rng.integers(len(hostile)))])
    signed(folder)


def documents(folder: Path, rng: np.random.Generator) -> None:
    hostile = [
        b"[" * 99_999,
        b"{}",
        b"null",
        b'{"format": 1e999}',
        b'{"format": ' + b"9" * 5000 + b"}",
        rng.bytes(500),
        b"\x00" * 64,
    ]
    (folder / "manifest.json").write_bytes(hostile[int(rng.integers(len(hostile)))])


def tables(folder: Path, rng: np.random.Generator) -> None:
    """Vocabularies that are none: twice the same id, gaps, other columns, many rows in few bytes, no Parquet at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "items.parquet"
    if not path.exists():
        documents(folder, rng)
        return
    ids = pq.read_table(path)["id"].to_pylist()
    cases: list[Callable[[], object]] = [
        lambda: pq.write_table(pa.table({"id": [*ids[:-1], ids[0]]}), path),
        lambda: pq.write_table(pa.table({"id": [*ids[:-1], None]}), path),
        lambda: pq.write_table(pa.table({"id": ids, "more": ids}), path),
        lambda: pq.write_table(pa.table({"name": ids}), path),
        lambda: pq.write_table(pa.table({"id": [float(n) for n in range(len(ids))]}), path),
        lambda: pq.write_table(pa.table({"id": ids[:-1]}), path),
        lambda: pq.write_table(pa.table({"id": np.zeros(20_000_000, np.int64)}), path, compression="zstd"),
        lambda: pq.write_table(pa.table({"id": [*ids[:-1], "x" * 30_000_000]}), path, compression="zstd"),
        lambda: path.write_bytes(b"PAR1" + rng.bytes(400) + b"PAR1"),
        lambda: path.write_bytes(payload(folder)),
    ]
    cases[int(rng.integers(len(cases)))]()
    signed(folder)


def pickles(folder: Path, rng: np.random.Generator) -> None:
    any_data = sorted(path for path in folder.iterdir() if path.name != "manifest.json")
    any_data[int(rng.integers(len(any_data)))].write_bytes(payload(folder))
    signed(folder)


class Payload:
    """A pickle that leaves a trace where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def payload(folder: Path) -> bytes:
    return pickle.dumps(Payload(folder.parents[1] / "executed"))


DAMAGES: dict[str, Callable[[Path, np.random.Generator], None]] = {
    damage.__name__: damage
    for damage in (
        *(flip, cut, grow, remove, rename, exchange, elsewhere, more),
        *(
            hashes,
            paths,
            shapes,
            types,
            offsets,
            garbage_header,
            arrays,
            numbers,
            formats,
            documents,
            tables,
            graphs,
            pickles,
        ),
    )
}


if __name__ == "__main__":
    if "--read" in sys.argv:
        _, _, where, how_many, from_seed = sys.argv
        print(json.dumps(read_all(Path(where), int(how_many), int(from_seed))))
    else:
        _harness.main("artifact_fuzz", measure)
