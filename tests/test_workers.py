from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from beautyrec.workers import over_blocks, usable_threads


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("n", "size"), [(0, 3), (1, 3), (10, 0), (40, 3)])
def test_every_place_is_worked_on_once(n, size, threads):
    times = np.zeros(n, dtype=int)

    def work(rows):
        times[rows] += 1

    over_blocks(work, n, size, threads=threads)
    assert (times == 1).all()


def blas() -> list[int]:
    """Threads of each BLAS that has one count for the process; that of OpenMP, as ``faiss`` brings along, has one a thread."""
    return [pool["num_threads"] for pool in threadpool_info() if pool.get("threading_layer") == "pthreads"]


def test_blas_has_one_thread_meanwhile_and_what_it_had_afterwards():
    before, during = blas(), []
    over_blocks(lambda rows: during.extend(blas()), 8, 1, threads=2)
    assert before
    assert set(during) == {1}
    assert blas() == before


def test_callers_at_the_same_time_leave_blas_as_it_was():
    """One that comes second and leaves last would otherwise put back the one thread that it found."""
    first_in, second_done, at_work = threading.Event(), threading.Event(), set()

    def first(rows):
        first_in.set()
        assert second_done.wait(30)

    def second():
        assert first_in.wait(30)
        over_blocks(lambda rows: at_work.add(threading.get_ident()), 8, 1, threads=2)
        second_done.set()
        return threading.get_ident()

    with threadpool_limits(2, "blas"), ThreadPoolExecutor(1) as other:
        before = blas()
        own = other.submit(second)
        over_blocks(first, 8, 1, threads=2)
        assert at_work == {own.result()}  # it had no threads of its own meanwhile
        assert blas() == before


def test_an_error_in_a_block_comes_out():
    def work(rows):
        raise ValueError(f"block {rows.start}")

    for threads in (1, 2):
        with pytest.raises(ValueError, match="block 0"):
            over_blocks(work, 10, 1, threads=threads)


def test_threads_follow_the_setting_of_blas(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert usable_threads() >= 1
