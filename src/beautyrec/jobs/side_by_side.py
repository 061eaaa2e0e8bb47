"""Independent pieces of work in processes side by side, results in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from beautyrec.errors import MissingExtraError
from beautyrec.types import Progress

Work = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a module, and what it is called with."""


def side_by_side(work: Sequence[Work], workers: int, on_progress: Progress | None = None) -> Iterator[Any]:
    """The result of each piece of work, in order; an error of one is raised here.

    Processes are started anew (never forked: OpenMP threads do not survive a fork) and end with the last result.

    Args:
        work: functions with their arguments, all of which can be pickled.
        workers: processes at most; with 1, all is done in this one.
        on_progress: called as results come.

    Examples:
        >>> list(side_by_side([(abs, (-1,)), (max, (2, 3))], workers=1))
        [1, 3]
    """
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise MissingExtraError("joblib", "train") from None
    done = on_progress or (lambda _done, _total: None)
    done(0, len(work))
    calls = (delayed(function)(*arguments) for function, arguments in work)
    workers = max(1, min(workers, len(work)))
    results = Parallel(n_jobs=workers, return_as="generator", max_nbytes=None, batch_size=1)(calls)
    for number, result in enumerate(results):
        done(number + 1, len(work))
        yield result
