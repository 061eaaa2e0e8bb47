"""A scorer that goes over to a new champion while others are scoring.

What answers a call is read once, at its beginning, so every answer is of one champion. The next one is read and checked
whole before a single assignment puts it in the place of the old one; one that is damaged never gets there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from beautyrec.errors import ArtifactError, BeautyrecError, ConfigError
from beautyrec.serving.artifact import Artifact, read_artifact
from beautyrec.serving.manifest import MANIFEST
from beautyrec.serving.scorer import Scorer

ATTEMPTS = 5
"""Readings before a folder counts as damaged: it may have been replaced while it was read."""

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where champions come from."""

    def version(self) -> tuple[Any, ...]:
        """What changes when there is a new champion; quick to ask.

        Raises:
            BeautyrecError: nothing can be found out now.
        """
        ...

    def folder(self, version: tuple[Any, ...]) -> AbstractContextManager[Path]:
        """The folder of the artifact of that version, while the block is open."""
        ...


class FolderSource:
    """A folder that is replaced as a whole, or a link to one.

    Args:
        path: where.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def version(self) -> tuple[Any, ...]:
        """Which file the manifest is, and when it was last written."""
        try:
            found = (self._path / MANIFEST).stat()
        except OSError as error:
            raise ArtifactError(f"artifact '{self._path}': {MANIFEST} cannot be found: {error.strerror}.") from None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def folder(self, version: tuple[Any, ...]) -> AbstractContextManager[Path]:  # noqa: ARG002 (there is one folder only)
        """The folder itself."""
        return nullcontext(self._path)


class Watch:
    """Holds the champion of now, and looks for the next one on a thread of its own until it is closed.

    Args:
        source: where champions come from.
        every: seconds from one look to the next.

    Raises:
        ArtifactError: there is no sound artifact now.
    """

    def __init__(self, source: Source, every: float) -> None:
        self._source, self._every = source, every
        self._one_at_a_time, self._closed = threading.Lock(), threading.Event()
        self.trouble: BeautyrecError | None = None
        self._version = source.version()
        self.artifact = self._read(self._version)
        self._thread = threading.Thread(target=self._look_on, name="beautyrec-watch", daemon=True)
        self._thread.start()

    def check(self) -> bool:
        """Looks now; whether there was a new champion. One that cannot be read leaves the old one where it is.

        Raises:
            BeautyrecError: there is a new one and it cannot be read, or nothing can be found out.
        """
        with self._one_at_a_time:
            try:
                version = self._source.version()
                if version == self._version:
                    self.trouble = None
                    return False
                artifact = self._read(version)
            except BeautyrecError as error:
                self.trouble = error
                raise
            changed = artifact.fingerprint != self.artifact.fingerprint
            self.artifact, self._version, self.trouble = artifact, version, None
            return changed

    def close(self) -> None:
        """Stops looking; what is there goes on answering."""
        self._closed.set()
        self._thread.join()

    def _read(self, version: tuple[Any, ...]) -> Artifact:
        """The artifact, which may have been replaced by a newer one while it was read."""
        for attempt in range(ATTEMPTS):
            try:
                with self._source.folder(version) as folder:
                    return read_artifact(folder)
            except ArtifactError:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("not reached")

    def _look_on(self) -> None:
        said = ""
        while not self._closed.wait(self._every):
            try:
                if self.check():
                    _log.info("new champion %s", self.artifact.fingerprint[:12])
                said = ""
            except BeautyrecError as error:
                if str(error) != said:  # once, not at every look
                    _log.warning("the champion of before goes on: %s", error)
                said = str(error)
            except Exception:  # noqa: BLE001 (the thread must not end: the next look may find something)
                _log.exception("looking for a new champion failed")


class WatchedScorer(Scorer):
    """A scorer whose champion changes; made by :meth:`Scorer.watch`.

    One call is answered by one champion. To have several calls answered by the same one, take it out for their time:
    ``now = Scorer(watched.artifact)``.

    Args:
        watch: what holds the champion.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._traced = self._exact = False

    @property
    def artifact(self) -> Artifact:
        """The champion of now."""
        return self._watch.artifact

    @property
    def trouble(self) -> BeautyrecError | None:
        """Why the last look brought no answer, and the champion of before goes on; None where it did."""
        return self._watch.trouble

    def check(self) -> bool:
        """Looks for a new champion now; whether there was one.

        Raises:
            BeautyrecError: it cannot be read; the one of before goes on.
        """
        return self._watch.check()

    def close(self) -> None:
        """Stops looking; the champion of now goes on answering."""
        self._watch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def watched(address: str, every: float, store: str | None) -> WatchedScorer:
    """The scorer of :meth:`Scorer.watch`.

    Raises:
        ArtifactError: there is no sound artifact now.
        ConfigError: ``every`` is not above 0.
        MissingExtraError: a registry is to be watched and ``mlflow`` is not installed.
    """
    if not every > 0:
        raise ConfigError(f"watch: every is {every!r}; give seconds above 0.")
    return WatchedScorer(Watch(_source(address, store), every))


@contextmanager
def folder_of(address: str, store: str | None = None) -> Iterator[Path]:
    """The folder of the artifact at an address as :meth:`Scorer.watch` takes it, while the block is open.

    Raises:
        ArtifactError: there is none.
        MissingExtraError: it is in a registry and ``mlflow`` is not installed.
    """
    source = _source(address, store)
    with source.folder(source.version()) as folder:
        yield folder


def _source(address: str, store: str | None) -> Source:
    if not address.startswith("models:/"):
        return FolderSource(Path(address))
    from beautyrec.serving.flavour import RegistrySource

    return RegistrySource(address, store)
