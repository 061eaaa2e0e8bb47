"""The Plackett–Luce distribution of slates: sampling, and the chances that off-policy values need.

A slate is drawn without replacement: position 1 takes item ``j`` with chance ``p_j``, position 2 one of the others with
chance ``p_j / (1 - p_first)``, and so on (Plackett 1975, "The Analysis of Permutations"). The same slate is the first K
finishers of a race in which item ``j`` arrives at an exponential time of rate ``p_j``. From the race it follows that

    P(item i stands at position k) = ∫ p_i e^{-p_i t} P(exactly k - 1 others have arrived by t) dt,

where the number of arrivals is Poisson-binomial with chances ``1 - e^{-p_j t}``. The integral is taken by the
trapezoid rule in ``s``, ``t = exp(s - e^{-s})``, whose error falls exponentially with the step because the integrand
is analytic and dies doubly exponentially on both sides. Step and ends are chosen so that the relative error stays below
1e-8 (seen: 1.3e-9); very small chances get more nodes, not larger errors, down to results of about 1e-9, below which
rounding takes over (seen: relative 4e-6 at 1e-12).

Throughout, ``p`` is [B, C]: row ``b`` holds the first-draw chances of the C items on the shelf of request ``b``, sums
to one, and is 0 where there is no item. ``shown`` is [B, K]: columns of ``p``, -1 where a slate is shorter.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from beautyrec.errors import PolicyError
from beautyrec.types import FloatArray, IntArray

_STEP = 0.25  # of the trapezoid rule in s; the relative error is 1e-12 at 0.2, 1e-9 at 0.25, 7e-8 at 0.3, 1e-4 at 0.4
_LEFT = -3.15  # t = exp(s - e^{-s}) = 3e-12 there
_TAIL = 1e-11  # chance that may be lost beyond the right end
_BLOCK = 6144  # requests x nodes worked on at once, so that the recursion stays in the processor's cache


def sample(p: FloatArray, k: int, rng: np.random.Generator) -> IntArray:
    """[B, k] slates drawn without replacement, as columns of ``p``; -1 where the shelf holds fewer than ``k``.

    Args:
        p: [B, C] first-draw chances.
        k: positions to fill, at least 1.
        rng: the source of randomness; the same state gives the same slates.

    Raises:
        PolicyError: ``p`` is not a table of chances.

    Examples:
        >>> sample(np.array([[0.0, 1.0, 0.0]]), 2, np.random.default_rng(0)).tolist()
        [[1, -1]]
    """
    check_chances(p)
    with np.errstate(divide="ignore"):
        arrival = rng.standard_exponential(p.shape) / p
    k_shelf = min(k, p.shape[1])
    first = np.argpartition(arrival, k_shelf - 1, axis=1)[:, :k_shelf]
    times = np.take_along_axis(arrival, first, axis=1)
    order = np.argsort(times, axis=1, kind="stable")
    slate = np.full((len(p), k), -1, dtype=np.int64)
    slate[:, :k_shelf] = np.take_along_axis(first, order, axis=1)
    slate[:, :k_shelf][np.isinf(np.take_along_axis(times, order, axis=1))] = -1
    return slate


def conditional(p: FloatArray, shown: IntArray) -> FloatArray:
    """[B, K] the chance of each shown item given the items above it; 0 at padding.

    Args:
        p: [B, C] first-draw chances.
        shown: [B, K] slates.

    Raises:
        PolicyError: ``p`` is not a table of chances, or ``shown`` does not fit it.

    Examples:
        >>> conditional(np.array([[0.5, 0.3, 0.2]]), np.array([[0, 1]])).round(3).tolist()
        [[0.5, 0.6]]
    """
    rates, rest = _split(p, shown)
    below = np.cumsum(rates[:, ::-1], axis=1)[:, ::-1] + rest.sum(axis=1)[:, None]
    chance: FloatArray = np.divide(rates, below, out=np.zeros_like(rates), where=rates > 0)
    return chance


def joint(p: FloatArray, shown: IntArray) -> FloatArray:
    """[B] the chance of the whole slate: the product of `conditional` over its positions.

    Examples:
        >>> joint(np.array([[0.5, 0.3, 0.2]]), np.array([[0, 1]])).round(3).tolist()
        [0.3]
    """
    chance: FloatArray = np.where(shown >= 0, conditional(p, shown), 1.0).prod(axis=1)
    return chance


def position_marginals(p: FloatArray, shown: IntArray) -> FloatArray:
    """[B, K] the chance that each shown item stands at its position, whatever stands above it; 0 at padding.

    The relative error is below 1e-8 (module docstring). The work is about ``B * C * K * 40`` multiplications.

    Args:
        p: [B, C] first-draw chances.
        shown: [B, K] slates.

    Raises:
        PolicyError: ``p`` is not a table of chances, or ``shown`` does not fit it.

    Examples:
        >>> chances = position_marginals(np.array([[0.5, 0.3, 0.2]]), np.array([[0, 1]]))
        >>> bool(np.allclose(chances, [[0.5, 0.5 * 0.3 / 0.5 + 0.2 * 0.3 / 0.8]]))
        True
    """
    rates, rest = _split(p, shown)
    rest = -np.sort(-rest, axis=1)
    marginals = np.zeros_like(rates)
    for rows, times, weights in _blocks(p, shown.shape[1], _BLOCK):
        marginals[rows] = _block_marginals(rates[rows], rest[rows], times, weights)
    return marginals


def marginals_at_all_positions(p: FloatArray, shown: IntArray) -> FloatArray:
    """[B, K, K] the chance that each shown item [b, j] stands at each position [.., l]; 0 for padding.

    The diagonal is `position_marginals`, and the error the same. The work is about ``B * K * (C + K^2 / 2) * 40``
    multiplications.

    Args:
        p: [B, C] first-draw chances.
        shown: [B, K] slates.

    Raises:
        PolicyError: ``p`` is not a table of chances, or ``shown`` does not fit it.

    Examples:
        >>> chances = marginals_at_all_positions(np.array([[0.5, 0.3, 0.2]]), np.array([[0, 1]]))
        >>> chances.round(3).tolist()
        [[[0.5, 0.339], [0.3, 0.375]]]
    """
    rates, rest = _split(p, shown)
    rest = -np.sort(-rest, axis=1)
    k = shown.shape[1]
    marginals = np.zeros((*rates.shape, k))
    for rows, times, weights in _blocks(p, k, _BLOCK):
        for position, before, after, stays in _leave_one_out(rates[rows], rest[rows], times):
            density = stays * weights.ravel()
            for at in range(k):
                exactly = np.einsum("jn,jn->n", before[: at + 1], after[at::-1])
                chance = (exactly * density).reshape(len(rows), -1).sum(axis=1)
                marginals[rows, position, at] = rates[rows, position] * chance
    return marginals


def position_means(p: FloatArray, values: FloatArray, k: int) -> FloatArray:
    """[B, k, V] the mean of ``values`` over the item that stands at each position; 0 where no item can stand.

    ``sum_i P(i at position k) values_i`` for all positions in one recursion, with the error of `position_marginals` and
    without drawing slates. With ``values`` the appeal of the items it is what a policy gets at each position.

    Args:
        p: [B, C] first-draw chances.
        values: [B, C, V] one or more numbers an item, finite; entries where ``p`` is 0 are not read.
        k: positions.

    Raises:
        PolicyError: ``p`` is not a table of chances, or ``values`` has another shape.

    Examples:
        >>> p = np.array([[0.5, 0.3, 0.2]])
        >>> position_means(p, np.array([[[1.0], [0.0], [0.0]]]), 1)[0, 0].round(6).tolist()
        [0.5]
    """
    _check_values(p, values)
    order = np.argsort(-p, axis=1, kind="stable")
    rates = np.take_along_axis(p, order, axis=1)
    ordered = np.take_along_axis(values, order[:, :, None], axis=1)
    means = np.zeros((len(p), k, values.shape[2]))
    for rows, times, weights in _blocks(p, k, _BLOCK // (1 + values.shape[2])):
        means[rows] = _block_means(rates[rows], ordered[rows], times, weights, k)
    return means


def sampled_means(p: FloatArray, values: FloatArray, k: int, rng: np.random.Generator, *, draws: int = 8) -> FloatArray:
    """[B, k, V] `position_means` estimated without bias from ``draws`` slates a request, at a fraction of the work.

    For sums over many requests: 8 draws of 120 items take a fifteenth of the time of the integral, and what their noise adds
    to a mean over clicks is far below the noise of the clicks.

    Args:
        p: [B, C] first-draw chances; ``values`` and ``k`` are likewise those of `position_means`.
        values: [B, C, V] one or more numbers an item.
        k: positions.
        rng: the source of randomness.
        draws: slates drawn for each request.

    Examples:
        >>> means = sampled_means(np.array([[0.0, 1.0]]), np.array([[[5.0], [3.0]]]), 2, np.random.default_rng(0))
        >>> means[0, :, 0].tolist()
        [3.0, 0.0]
    """
    _check_values(p, values)
    total = np.zeros((len(p), k, values.shape[2]))
    for _ in range(draws):
        slate = sample(p, k, rng)
        drawn = np.take_along_axis(values, np.maximum(slate, 0)[:, :, None], axis=1)
        total += np.where(slate[:, :, None] >= 0, drawn, 0.0)
    return total / draws


def _check_values(p: FloatArray, values: FloatArray) -> None:
    check_chances(p)
    if values.ndim != 3 or values.shape[:2] != p.shape:
        raise PolicyError(f"values have shape {values.shape}; expected {p.shape} and a last axis. Add the axis.")


def check_chances(p: FloatArray) -> None:
    """Checks that ``p`` is [B, C], finite, not negative, and that its rows sum to one.

    Raises:
        PolicyError: says how many rows are wrong and which is the first.
    """
    if p.ndim != 2 or p.shape[1] == 0:
        raise PolicyError(f"chances must have shape [B, C]; got {p.shape}. Pass one row a request.")
    wrong = ~(np.abs(p.sum(axis=1) - 1) <= 1e-6) | ~(p >= 0).all(axis=1)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise PolicyError(
            f"{int(wrong.sum())} of {len(p)} rows of chances are negative, not finite or do not sum to 1; the first "
            f"is row {first}, which sums to {p[first].sum():.6g}. Normalise each request over its shelf."
        )


def _split(p: FloatArray, shown: IntArray) -> tuple[FloatArray, FloatArray]:
    """[B, K] rates of the shown items, and [B, C] rates with those set to zero; checks both inputs."""
    check_chances(p)
    if shown.ndim != 2 or len(shown) != len(p) or shown.min(initial=0) < -1 or shown.max(initial=0) >= p.shape[1]:
        raise PolicyError(
            f"shown must have shape [{len(p)}, K] with columns -1..{p.shape[1] - 1}; got shape {shown.shape}, "
            f"values {shown.min(initial=0)}..{shown.max(initial=0)}."
        )
    ordered = np.sort(shown, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise PolicyError(
            f"{int(twice.sum())} of {len(p)} slates show an item twice; the first is row {twice.argmax()}."
        )
    request, position = np.nonzero(shown >= 0)
    rates, rest = np.zeros(shown.shape), np.array(p, dtype=np.float64)
    rates[request, position] = p[request, shown[request, position]]
    rest[request, shown[request, position]] = 0.0
    return rates, rest


def _blocks(p: FloatArray, k: int, block: int) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Rows that need equally many nodes, with nodes t and weights, both [n, Q], block by block."""
    size = (p > 0).sum(axis=1)
    right = _right_end(p, size, k)
    nodes = 4 * np.ceil((right - _LEFT) / (4 * _STEP)).astype(np.int64)
    order = np.lexsort((size, nodes))
    starts = np.flatnonzero(np.diff(nodes[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        count = int(nodes[order[start]])
        rows_at_once = max(1, block // count)
        for first in range(start, stop, rows_at_once):
            rows = order[first : min(first + rows_at_once, stop)]
            step = (right[rows, None] - _LEFT) / count
            s = _LEFT + step * (np.arange(count) + 0.5)
            times = np.exp(s - np.exp(-s))
            yield rows, times, step * times * (1 + np.exp(-s))


def _right_end(p: FloatArray, size: IntArray, k: int) -> FloatArray:
    """[B] where the integral over s may stop: more than k arrivals are certain, or everyone has arrived.

    The lower tail of a Poisson-binomial count is below that of the Poisson count of the same mean (Hoeffding 1956), so
    a mean of ``k + 6 sqrt(k) + 18`` leaves less than the tail allowed.
    """
    target = np.minimum(k + 6 * np.sqrt(k) + 18, size - _TAIL)
    low = np.log(target)
    high = np.log((np.log(size / _TAIL) + 1) / np.where(p > 0, p, np.inf).min(axis=1))
    for _ in range(int(np.ceil(np.log2(max(float((high - low).max(initial=1)), 1) / 0.05)))):
        middle = (low + high) / 2
        missing = np.exp(-p * np.exp(middle)[:, None]).sum(axis=1) - (p.shape[1] - size)
        enough = size - missing >= target
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    right: FloatArray = high + np.exp(-high)
    return right


def _add(count: FloatArray, stays: FloatArray, arrives: FloatArray) -> None:
    """One more item in the distribution ``count`` [..., K, n] of the number of arrivals, in place."""
    shifted = count[..., :-1, :] * arrives
    count *= stays
    count[..., 1:, :] += shifted


def _leave_one_out(
    rates: FloatArray, rest: FloatArray, times: FloatArray
) -> Iterator[tuple[int, FloatArray, FloatArray, FloatArray]]:
    """For each position the counts [K, nQ] of arrivals of the others, and that its own item stays away [nQ].

    The others come as two counts that are still to be joined: of those off the slate and above the position, and of
    those below it. The first is worked on in place.
    """
    k = rates.shape[1]
    rest = rest[:, : int((rest > 0).sum(axis=1).max(initial=0))]
    before = np.zeros((k, times.size))
    before[0] = 1.0
    for rate in rest.T:
        stays = np.exp(-rate[:, None] * times).ravel()
        _add(before, stays, 1 - stays)
    stays = np.exp(-rates.T[:, :, None] * times).reshape(k, -1)
    after = np.zeros((k, k, times.size))  # [position, count]: of the shown items below that position
    after[:, 0] = 1.0
    for position in range(k - 2, -1, -1):
        after[position] = after[position + 1]
        _add(after[position], stays[position + 1], 1 - stays[position + 1])
    for position in range(k):
        yield position, before, after[position], stays[position]
        _add(before, stays[position], 1 - stays[position])


def _block_marginals(rates: FloatArray, rest: FloatArray, times: FloatArray, weights: FloatArray) -> FloatArray:
    """[n, K] for one block; leaves one item out by joining the counts of those before it and those after it."""
    n, k = rates.shape
    marginals = np.zeros((n, k))
    for position, before, after, stays in _leave_one_out(rates, rest, times):
        exactly = np.einsum("jn,jn->n", before[: position + 1], after[position::-1])
        density = exactly * stays * weights.ravel()
        marginals[:, position] = rates[:, position] * density.reshape(n, -1).sum(axis=1)
    return marginals


def _block_means(rates: FloatArray, values: FloatArray, times: FloatArray, weights: FloatArray, k: int) -> FloatArray:
    """[n, k, V] for one block: the count of arrivals and, beside it, that count marked by one arrival's value."""
    (n, nodes), wide = times.shape, values.shape[2]
    counts = np.zeros((1 + wide, k, times.size))
    counts[0, 0] = 1.0
    marks = np.where(rates > 0, rates * values.transpose(2, 0, 1), 0.0)  # [V, n, C]
    for item in range(int((rates > 0).sum(axis=1).max(initial=0))):
        stays = np.exp(-rates[:, item, None] * times)
        arrival = (marks[:, :, item, None] * stays).reshape(wide, 1, -1) * counts[0]
        stays = stays.ravel()
        _add(counts, stays, 1 - stays)
        counts[1:] += arrival
    density = counts[1:].reshape(wide, k, n, nodes)
    means: FloatArray = np.einsum("vknq,nq->nkv", density, weights)
    return means
