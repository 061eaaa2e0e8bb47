"""Worker processes of a campaign beside the one that plans; those that die are started again."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False)
class Crew:
    """Spawned processes that do a campaign's trials for as long as the block lasts.

    Each has one thread for arithmetic, and ends by itself when the process that started it does.

    Args:
        folder: of the campaign.
        size: how many there are; 0 for none.
    """

    folder: Path
    size: int
    _hands: list[BaseProcess] = field(default_factory=list, init=False)

    def __enter__(self) -> Crew:
        self.tend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hand in self._hands:
            hand.terminate()
        for hand in self._hands:
            hand.join()

    def tend(self) -> None:
        """Start those that are missing."""
        self._hands = [hand for hand in self._hands if hand.is_alive()]
        context = multiprocessing.get_context("spawn")
        with _one_thread_each():
            while len(self._hands) < self.size:
                hand = context.Process(target=_work, args=(str(self.folder), os.getpid()), daemon=True)
                hand.start()
                self._hands.append(hand)


def _work(folder: str, parent: int) -> None:
    """What a spawned worker does."""
    from beautyrec.campaign.month import join_campaign

    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    join_campaign(folder)


def _watch(parent: int) -> None:
    """End this process when its parent is gone: what it was at is done again by others."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """The environment in which workers start; as it was afterwards."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
