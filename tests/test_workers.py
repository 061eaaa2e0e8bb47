from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from beautyrec.workers import over_blocks, usable_threads


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("n", "size"), [(0, 3), (1, 3), (10, 0), (40, 3)])
def test_every_place_is_worked_on_once(n, size, threads):
    times = np.zeros(n, dtype=int)

    def work(rows):
        times[rows] += 1

    over_blocks(work, n, size, threads=threads)
    assert (times == 1).all()


def test_blas_has_one_thread_meanwhile_and_what_it_had_afterwards():
    def blas():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, during = blas(), []
    over_blocks(lambda rows: during.extend(blas()), 8, 1, threads=2)
    assert set(during) == {1}
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
