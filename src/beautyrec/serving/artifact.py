"""A fitted model as a folder of files: no pickle, no code, every byte checked before any is used.

======================  ===============================================================================================
``manifest.json``       format, kind and family of the model, where it comes from, size and SHA-256 of every file
``arrays.safetensors``  the arrays of the model
``users.parquet``       the ids of the users, in the order of the arrays (recommenders only)
``items.parquet``       the ids of the items, likewise
``index.safetensors``   the graph of an index of the items, where one was asked for and is good enough
======================  ===============================================================================================

The folder is written under another name, flushed and renamed, and never changed afterwards: a new model is a new
folder. Checksums find damage; they are no signature, so read artifacts from places that you trust.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import beautyrec
from beautyrec.errors import ArtifactError, BeautyrecError
from beautyrec.files import atomic_folder
from beautyrec.models.base import Recommender
from beautyrec.models.blended import BlendRecommender, part_states
from beautyrec.models.recommenders import RECOMMENDERS
from beautyrec.models.reranked import RerankRecommender, first_state
from beautyrec.models.state import ModelState
from beautyrec.serving.index_plan import IndexPlan, plan_index
from beautyrec.serving.item_index import INDEX, ItemIndex, read_index
from beautyrec.serving.manifest import INDEXED, LARGEST_MANIFEST, MANIFEST, PLAIN, FileEntry, Manifest, ModelCard
from beautyrec.serving.soundness import check_funnel, check_numbers, check_recommender, check_trees
from beautyrec.serving.tensors import read_tensors, write_tensors
from beautyrec.serving.vocabularies import NAMES, array_names, read_vocabulary, write_vocabulary

if TYPE_CHECKING:
    from beautyrec.models.funnel import FunnelModel

ARRAYS = "arrays.safetensors"


@dataclass(frozen=True, eq=False)
class Artifact:
    """A model that was read back.

    Args:
        folder: where it lies.
        manifest: what is known of it.
        fingerprint: SHA-256 of its manifest, which names the checksums of all else: of two artifacts with the same one
            every byte is the same.
        model: a ``Recommender`` or a ``FunnelModel``; its arrays are read-only views of the files.
        index: of the items, where it has one and the extra ``index`` is installed.
    """

    folder: Path
    manifest: Manifest
    fingerprint: str
    model: Any
    index: ItemIndex | None = None


def write_artifact(
    folder: str | Path, state: ModelState, card: ModelCard, *, index: IndexPlan | None = None
) -> Manifest:
    """Write a model as an artifact, whole or not at all. The same state and card give the same files.

    Args:
        folder: where to; a folder that is there is replaced.
        state: of the model, from its ``state()``.
        card: what is to be known of it.
        index: what an index of the items has to be; none is built where it is None. It takes about a quarter of a
            millisecond of one processor an item.

    Returns:
        What was written into the manifest; its ``index`` says what came of the plan.

    Raises:
        ArtifactError: an array or a value that cannot be stored, or a state of an unknown kind.
        MissingExtraError: an index is to be built and ``faiss`` is not installed.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> vocabularies = {"users_ids": np.array([7]), "items_ids": np.array([1, 2])}
        >>> seen = {"seen_indptr": np.array([0, 1]), "seen_item_ix": np.array([0])}
        >>> numbers = {name: np.ones(2, np.float32) for name in ("popularity", "item_score")}
        >>> state = ModelState("item_scores", {**vocabularies, **seen, **numbers}, {})
        >>> with tempfile.TemporaryDirectory() as place:
        ...     manifest = write_artifact(f"{place}/champion", state, ModelCard("popularity"))
        ...     read_artifact(f"{place}/champion").manifest == manifest
        True
    """
    model = build(state)
    if Path(folder).is_file():
        raise ArtifactError(f"'{folder}' is a file; an artifact is a folder. Remove it or name another place.")
    indexed = None if index is None else plan_index(model, index)
    with atomic_folder(folder) as temporary:
        stored = {name: array for name, array in state.arrays.items() if not _in_vocabulary(name)}
        write_tensors(temporary / ARRAYS, stored)
        for name in NAMES:
            if array_names(name) & set(state.arrays):
                write_vocabulary(temporary / f"{name}.parquet", name, state.arrays)
        if indexed and indexed.graph is not None:
            write_tensors(temporary / INDEX, indexed.graph)
        files = {path.name: _entry(path.read_bytes()) for path in sorted(temporary.iterdir())}
        facts, format_ = (None, PLAIN) if indexed is None else (indexed.facts, INDEXED)
        manifest = Manifest(state.kind, dict(state.meta), card, beautyrec.__version__, files, facts, format_)
        content = manifest.to_bytes()
        (temporary / MANIFEST).write_bytes(content)
    return Manifest.from_bytes(content)


def read_artifact(folder: str | Path) -> Artifact:
    """The model that was written to ``folder``; the arrays are mapped, not copied.

    Raises:
        ArtifactError: there is no artifact, a file is missing, unexpected, a link, cut or changed, the format is newer,
            the kind is unknown, or the arrays do not fit together.
    """
    place = Path(folder)
    try:
        with _opened(place) as inside:
            signed = bytes(_content(inside, MANIFEST, LARGEST_MANIFEST))
            manifest = Manifest.from_bytes(signed)
            _check_names(inside, manifest)
            contents = {name: _checked(inside, name, entry) for name, entry in manifest.files.items()}
        graph = read_tensors(contents.pop(INDEX)) if INDEX in contents else None
        arrays = read_tensors(contents.pop(ARRAYS))
        for name in NAMES:
            if f"{name}.parquet" in contents:
                arrays |= read_vocabulary(bytes(contents[f"{name}.parquet"]), name, _ids_of(name, arrays))
        model = build(ModelState(manifest.kind, arrays, manifest.meta))
        found = None if graph is None else read_index(graph, manifest.index or {}, model)
        return Artifact(place, manifest, hashlib.sha256(signed).hexdigest(), model, found)
    except ArtifactError as error:
        raise ArtifactError(f"artifact '{place}': {error}") from None


def build(state: ModelState) -> Any:
    """The model of a state, after checks of all that a wrong state could do harm with.

    Returns:
        A ``Recommender``, or a ``FunnelModel`` for a kind of those.

    Raises:
        ArtifactError: the kind is unknown, or the arrays do not fit together.
    """
    try:
        check_numbers(state)
        return _recommender(state) if state.kind in RECOMMENDERS else _funnel(state)
    except ArtifactError:
        raise
    except (BeautyrecError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise ArtifactError(f"the arrays are not those of a model of the kind '{state.kind}': {error!r}.") from None


def _recommender(state: ModelState) -> Recommender:
    model = RECOMMENDERS[state.kind].from_state(state)
    for vocabulary in (model.users, model.items):
        if not vocabulary.ids.is_unique:
            raise ArtifactError("a vocabulary has an id twice.")
    if isinstance(model, RerankRecommender):
        check_trees(state, "trees_", model.n_features)
        state = first_state(state)
    for part in part_states(state) if state.kind == BlendRecommender.kind else (state,):
        check_recommender(part, len(model.users), len(model.items))
    return model


def _funnel(state: ModelState) -> FunnelModel:
    """A funnel model; what those need is imported here, as services that rank by factors do without it."""
    from beautyrec.models.funnel import TreeFunnelModel
    from beautyrec.models.funnel_kinds import FUNNEL_MODELS

    if state.kind not in FUNNEL_MODELS:
        raise ArtifactError(f"the kind '{state.kind}' is unknown; known are {sorted([*RECOMMENDERS, *FUNNEL_MODELS])}.")
    features = state.meta.get("features")
    if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
        raise ArtifactError("the names of the features are missing.")
    check_funnel(state)
    if state.kind == TreeFunnelModel.kind:
        for prefix in ("click_", "order_"):
            check_trees(state, prefix, len(features))
    return FUNNEL_MODELS[state.kind].from_state(state)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A handle on the folder: all files are those of one and the same folder, though another may take its name meanwhile."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise ArtifactError(f"it cannot be opened: {problem}. Check the path; {MANIFEST} lies in a folder.") from None
    try:
        yield handle
    finally:
        os.close(handle)


def _check_names(folder: int, manifest: Manifest) -> None:
    """Raise unless the folder holds the files of the manifest and no other."""
    needed = {ARRAYS, INDEX} if manifest.has_index else {ARRAYS}
    known = needed | {f"{name}.parquet" for name in NAMES}
    if not needed <= set(manifest.files) <= known:
        raise ArtifactError(f"the manifest names the files {sorted(manifest.files)}; known are {sorted(known)}.")
    there, wanted = set(os.listdir(folder)), {MANIFEST, *manifest.files}
    if there != wanted:
        raise ArtifactError(
            f"files are missing: {sorted(wanted - there)}, or too many: {sorted(there - wanted)}. Write it again."
        )


def _ids_of(name: str, arrays: Mapping[str, Any]) -> int | None:
    """How many ids arrays are for: one a user with a history, one an item with a popularity; None where none says."""
    array = arrays.get("seen_indptr" if name == "users" else "popularity")
    return None if array is None or array.ndim != 1 else len(array) - (name == "users")


def _checked(folder: int, name: str, entry: FileEntry) -> Any:
    """A map of a file that has the size and the checksum of its entry."""
    content = _content(folder, name, None)
    if _entry(content) != entry:
        raise ArtifactError(
            f"'{name}' was changed or cut after it was written: it has {len(content)} bytes, the manifest says "
            f"{entry.bytes}, or the checksum is another. Write the artifact again."
        )
    return content


def _content(folder: int, name: str, largest: int | None) -> Any:
    """A read-only map of a plain file in an open folder; links, devices and empty files are refused."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise ArtifactError(f"'{name}' cannot be opened: {error.strerror}. Check the path.") from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or not found.st_size or found.st_size > (largest or found.st_size):
            raise ArtifactError(f"'{name}' is no plain file, is empty, or is too large ({found.st_size} bytes).")
        content = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # a product with 100 MB of factors is an eighth faster on large pages
            with suppress(OSError):
                content.madvise(mmap.MADV_HUGEPAGE)
        return content
    finally:
        os.close(handle)


def _entry(content: Any) -> FileEntry:
    return FileEntry(len(content), hashlib.sha256(content).hexdigest())


def _in_vocabulary(array: str) -> bool:
    return any(array in array_names(name) for name in NAMES)
