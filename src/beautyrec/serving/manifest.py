"""The manifest of an artifact: what the model is, where it comes from, and the checksum of every file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from beautyrec.errors import ArtifactError

PLAIN, INDEXED = 1, 2
"""Formats: without a word on an index, and with one."""
FORMAT = INDEXED
"""The newest format that this package reads; it writes the oldest that can hold the model."""

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 16 * 2**20
"""Bytes; a manifest is a few thousand."""


@dataclass(frozen=True)
class ModelCard:
    """What is to be known of a model besides its arrays.

    Args:
        family: the family of models, for instance ``"als"``.
        params: its hyperparameters.
        seed: with which it was fitted.
        features: fingerprint of the feature set it reads; empty where it reads none.
        trained_from: the first moment it has seen, ISO 8601; empty where that has no meaning.
        trained_until: the first moment it has not seen.
        data: fingerprint of the data it was fitted on.
        metrics: what was measured of it; None where a number is not defined.
        labels: anything else in words, for instance that the data are simulated.
    """

    family: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    features: str = ""
    trained_from: str = ""
    trained_until: str = ""
    data: str = ""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FileEntry:
    """A file of an artifact.

    Args:
        bytes: its size.
        sha256: its checksum, in hexadecimal.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says.

    Args:
        kind: which form the arrays have, for instance ``"factors"``.
        meta: plain values that belong to the arrays.
        card: what is to be known of the model.
        package: the version of the package that wrote it.
        files: every other file of the folder by name.
        index: what was asked of an index of the items and came of it; None where none was asked for.
        format: of the artifact: 2 where there is an ``index``, which readers of format 1 do not know.
    """

    kind: str
    meta: Mapping[str, Any]
    card: ModelCard
    package: str
    files: Mapping[str, FileEntry]
    index: Mapping[str, Any] | None = None
    format: int = PLAIN

    @property
    def has_index(self) -> bool:
        """Whether a file holds an index."""
        return self.index is not None and self.index["used"]

    def to_bytes(self) -> bytes:
        """The document, with a checksum of itself; the same manifest gives the same bytes.

        Raises:
            ArtifactError: a value that JSON cannot hold.
        """
        metrics = {key: _finite(value) for key, value in self.card.metrics.items()}
        card = {**vars(self.card), "metrics": metrics}
        files = {name: asdict(entry) for name, entry in self.files.items()}
        body = {**vars(self), "card": card, "files": files}
        if self.format == PLAIN:
            del body["index"]
        try:
            plain = json.dumps(body, default=_plain, allow_nan=False)
            document = json.loads(plain)
            return _signed(document)
        except (TypeError, ValueError) as error:
            raise ArtifactError(
                f"the manifest cannot be written: {error}. Give plain numbers and words in params, metrics and labels."
            ) from None

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """The manifest that gave ``content``.

        Raises:
            ArtifactError: a newer format, a document that was changed, or one that is not a manifest.

        Examples:
            >>> manifest = Manifest("factors", {}, ModelCard("als", metrics={"recall": 0.5}), "0.1.0", {})
            >>> Manifest.from_bytes(manifest.to_bytes()) == manifest
            True
            >>> Manifest.from_bytes(manifest.to_bytes().replace(b"0.5", b"0.9"))
            Traceback (most recent call last):
            beautyrec.errors.ArtifactError: manifest.json was changed after it was written, or cut. Write it again.
        """
        document = _parsed(content)
        if document["format"] > FORMAT:
            raise ArtifactError(
                f"{MANIFEST}: the format is {document['format']}; this version of beautyrec reads up to {FORMAT}. "
                "Upgrade beautyrec."
            )
        body = {key: value for key, value in document.items() if key != "checksum"}
        if document["format"] < PLAIN or not _is_signed(body, content):
            raise ArtifactError(f"{MANIFEST} was changed after it was written, or cut. Write it again.")
        try:
            return cls._of(body)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ArtifactError(f"{MANIFEST}: this is not the manifest of an artifact: {error!r}.") from None

    @classmethod
    def _of(cls, body: dict[str, Any]) -> Manifest:
        """The manifest of a document whose checksum holds."""
        files = {name: FileEntry(**_typed(entry, bytes=int, sha256=str)) for name, entry in body["files"].items()}
        words = {part.name: str for part in fields(ModelCard) if part.type == "str"}
        card = ModelCard(**_typed(body["card"], **words, params=dict, metrics=dict, labels=dict, seed=int))
        index = {"index": dict} if body["format"] == INDEXED else {}
        rest = dict(_typed(body, kind=str, meta=dict, card=dict, package=str, files=dict, format=int, **index))
        if index and type(rest["index"].get("used")) is not bool:
            raise ValueError("index: used is not true or false")
        return cls(**{**rest, "card": card, "files": files})


def _parsed(content: bytes) -> dict[str, Any]:
    """The document, if it is one with a format."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise ArtifactError(f"{MANIFEST} is not a manifest, or was cut. Write the artifact again.")
    return document


def _signed(document: dict[str, Any]) -> bytes:
    """The one way to write a document and its checksum."""
    return _canonical({**document, "checksum": hashlib.sha256(_canonical(document)).hexdigest()})


def _is_signed(body: dict[str, Any], content: bytes) -> bool:
    try:
        return _signed(body) == content
    except (ValueError, RecursionError):
        return False


def _canonical(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _typed(entry: Any, **types: type) -> dict[str, Any]:
    """``entry`` if it is a table of exactly these keys and types."""
    if not isinstance(entry, dict) or set(entry) != set(types):
        raise ValueError(f"expected the keys {sorted(types)}")
    for key, kind in types.items():
        if type(entry[key]) is not kind:
            raise ValueError(f"{key} is not of type {kind.__name__}")
    return entry


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _plain(value: Any) -> Any:
    """A mapping or a NumPy number as JSON can hold it."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is of type {type(value).__name__}")
