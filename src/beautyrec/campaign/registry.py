"""The champion: which trial it is, and where it is registered."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pandas as pd

from beautyrec.campaign.mlflow_store import mlflow_client, texts
from beautyrec.errors import EvaluationError, SourceError
from beautyrec.serving.flavour import artifact_in, save_model
from beautyrec.serving.manifest import MANIFEST

FINGERPRINT_TAG = "beautyrec.artifact"
BEFORE_TAG = "beautyrec.before"


@dataclass(frozen=True, eq=False)
class Choice:
    """The trial to promote, or why there is none.

    Args:
        trial: its row of the table of trials; None where the legacy policy is to be kept.
        reason: in words.
    """

    trial: pd.Series | None
    reason: str


@dataclass(frozen=True)
class Champion:
    """A registered version of a model.

    Args:
        name: of the model in the registry.
        version: 1, 2, ... within the name.
        path: the folder of its artifact, or its address where it lies on a server.
        run_id: the run it came from.
        tags: what was noted when it was registered.
    """

    name: str
    version: int
    path: str
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)


def choose_champion(trials: pd.DataFrame) -> Choice:
    """The trial with the highest lower bound of its lift in room conversion, if that bound is above zero.

    Trials that failed, and those whose verdict is ``refuse``, are not considered. Among equals the first is taken.

    Args:
        trials: columns ``number``, ``family``, ``value`` (the lower bound; NaN where the trial failed) and
            ``verdict``, as in :attr:`beautyrec.campaign.study.StudyResult.trials`.

    Raises:
        EvaluationError: a column is missing.

    Examples:
        >>> table = pd.DataFrame({"number": [0, 1, 2], "family": ["als", "bpr", "als"],
        ...                       "value": [0.2, 0.9, 0.3], "verdict": ["trust", "refuse", "caution"]})
        >>> int(choose_champion(table).trial["number"])
        2
    """
    missing = [column for column in ("number", "family", "value", "verdict") if column not in trials]
    if missing:
        raise EvaluationError(f"choose_champion: columns {missing} are missing; the table has {list(trials)}.")
    done = trials[trials["value"].notna()]
    believed = done[done["verdict"] != "refuse"]
    counts = f"{len(trials)} trials, {len(trials) - len(done)} failed, {len(done) - len(believed)} refused"
    if believed.empty:
        return Choice(None, f"Keep the legacy policy: no trial can be believed ({counts}).")
    best = believed.sort_values(["value", "number"], ascending=[False, True], kind="stable").iloc[0]
    bound = f"the lower bound of the lift of trial {best['number']} ({best['family']}) is {best['value']:+.1%}"
    if best["value"] <= 0:
        return Choice(
            None, f"Keep the legacy policy: {bound}, the best of those believed, and not above zero ({counts})."
        )
    return Choice(best, f"Promote: {bound}, the best of those believed ({counts}).")


def register_champion(
    uri: str,
    artifact: str | Path,
    run_id: str,
    *,
    name: str = "beautyrec",
    alias: str = "champion",
    tags: Mapping[str, Any] | None = None,
) -> Champion:
    """Put an artifact into the registry of an MLflow store as a model that ``mlflow.pyfunc`` loads, under an alias.

    The files are copied to the run, under a name that is derived from the manifest of the artifact. An artifact that
    has the alias already is not registered again.

    Args:
        uri: of the store, as in :class:`beautyrec.campaign.tracking.MlflowTracker`.
        artifact: a folder that :func:`beautyrec.serving.artifact.write_artifact` has written.
        run_id: the run it came from.
        name: of the model in the registry; it is made if it is absent.
        alias: which is moved to the new version.
        tags: what to note beside it, for instance its metrics.

    Raises:
        MissingExtraError: ``mlflow`` is not installed.
        SourceError: the folder has no manifest, or the store cannot be used.
        ArtifactError: what lies in the folder is not sound.
    """
    manifest = Path(artifact) / MANIFEST
    if not manifest.is_file():
        raise SourceError(f"'{artifact}' has no {MANIFEST}: it is not an artifact. Write one with write_artifact.")
    fingerprint = hashlib.sha256(manifest.read_bytes()).hexdigest()
    held = champion(uri, name=name, alias=alias)
    if held is not None and held.tags.get(FINGERPRINT_TAG) == fingerprint:
        return held
    with mlflow_client(uri) as client, tempfile.TemporaryDirectory() as scratch:
        place = f"model-{fingerprint[:12]}"
        save_model(Path(scratch) / place, artifact)
        client.log_artifacts(run_id, str(Path(scratch) / place), place)
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        source = f"{client.get_run(run_id).info.artifact_uri}/{place}"
        marks = texts({FINGERPRINT_TAG: fingerprint, **(tags or {})})
        version = client.create_model_version(name, source=source, run_id=run_id, tags=marks)
        _move(client, name, alias, str(version.version))
        return _champion(client.get_model_version(name, str(version.version)))


def promote(uri: str, version: int, name: str = "beautyrec", alias: str = "champion") -> Champion:
    """Give the alias to another version; :func:`roll_back` undoes it.

    Raises:
        MissingExtraError: ``mlflow`` is not installed.
        SourceError: there is no such version, or the store cannot be used.
    """
    with mlflow_client(uri) as client:
        found = client.get_model_version(name, str(version))
        _move(client, name, alias, str(version))
    return _champion(found)


def roll_back(uri: str, name: str = "beautyrec", alias: str = "champion") -> Champion:
    """Give the alias back to the version that had it before.

    Raises:
        MissingExtraError: ``mlflow`` is not installed.
        SourceError: no version has the alias, none had it before, or the store cannot be used.
    """
    held = champion(uri, name, alias)
    before = None if held is None else held.tags.get(BEFORE_TAG)
    if held is None or not before:
        what = f"no version is {alias}" if held is None else f"version {held.version} is the first {alias}"
        raise SourceError(f"model '{name}': {what}, so there is nothing to go back to. Promote a version instead.")
    with mlflow_client(uri) as client:
        client.set_registered_model_alias(name, alias, before)
        return _champion(client.get_model_version(name, before))


def withdraw(uri: str, name: str, tag: str, value: str, alias: str = "champion") -> Champion | None:
    """Take an alias from the versions that carry a tag: it goes back to the last version before them, or to none.

    Args:
        uri: of the store.
        name: of the model.
        tag: what marks the versions.
        value: of the tag.
        alias: to be taken.

    Returns:
        The version that has the alias now; None where none has.

    Raises:
        MissingExtraError: ``mlflow`` is not installed.
        SourceError: the store cannot be used.
    """
    held, seen = champion(uri, name, alias), set[str]()
    while held is not None and held.tags.get(tag) == value:
        seen.add(str(held.version))
        before = held.tags.get(BEFORE_TAG)
        with mlflow_client(uri) as client:
            if before and before not in seen:
                client.set_registered_model_alias(name, alias, before)
            else:
                client.delete_registered_model_alias(name, alias)
        held = champion(uri, name, alias)
    return held


def _move(client: Any, name: str, alias: str, version: str) -> None:
    """Give a version the alias, and note on it which one had it before."""
    before = client.get_registered_model(name).aliases.get(alias)
    if before is not None and str(before) != version:
        client.set_model_version_tag(name, version, BEFORE_TAG, str(before))
    client.set_registered_model_alias(name, alias, version)


def champion(uri: str, name: str = "beautyrec", alias: str = "champion") -> Champion | None:
    """The version of the model ``name`` that has the alias; None where none has.

    Raises:
        MissingExtraError: ``mlflow`` is not installed.
        SourceError: the store cannot be used.
    """
    with mlflow_client(uri) as client:
        models = client.search_registered_models(f"name = '{name}'")
        if not models or alias not in models[0].aliases:
            return None
        return _champion(client.get_model_version_by_alias(name, alias))


def _champion(version: Any) -> Champion:
    address = urlparse(version.source)
    path = str(artifact_in(Path(unquote(address.path)))) if address.scheme in ("", "file") else version.source
    return Champion(version.name, int(version.version), path, version.run_id or "", dict(version.tags))
