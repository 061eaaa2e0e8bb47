"""Blocks of work on several threads: worth it for numpy, which lets go of the interpreter in whatever takes time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

_ONE_AT_A_TIME = threading.Lock()
"""The number of BLAS threads belongs to the whole process, so only one caller at a time may change it and put it back."""


def usable_threads() -> int:
    """How many threads to work with: ``OMP_NUM_THREADS`` where it is set, as BLAS does, else the cores there are."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_blocks(work: Callable[[slice], None], n: int, size: int, *, threads: int) -> None:
    """Call ``work`` on slices that cover ``range(n)``, each of at most ``size`` and at least 1, in any order.

    With several threads BLAS is held to one meanwhile, for the whole process: its own threads and these would wait for
    each other. That takes ``threadpoolctl``; without it, with fewer blocks than pay for it, or while another caller in this
    process has its threads already, the caller's own thread does all.

    Args:
        work: called with each slice; must not depend on the order.
        n: how much there is.
        size: of a block.
        threads: how many at most.
    """
    step = max(1, size)
    blocks = [slice(start, min(start + step, n)) for start in range(0, n, step)]
    if threads < 2 or len(blocks) < 2 * threads or not _ONE_AT_A_TIME.acquire(blocking=False):
        _drain(map(work, blocks))
        return
    try:
        single_blas = _single_blas()
        if single_blas is None:
            _drain(map(work, blocks))
            return
        with single_blas, ThreadPoolExecutor(threads) as pool:
            _drain(pool.map(work, blocks))
    finally:
        _ONE_AT_A_TIME.release()


def _drain(results: Iterable[None]) -> None:
    for _ in results:
        pass


def _single_blas() -> AbstractContextManager[object] | None:
    """Holds BLAS to one thread while it is open; None where that cannot be done."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return None
    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits
