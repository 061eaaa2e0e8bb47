"""Readers of public data sets in their publishers' formats, one file a publisher."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from beautyrec.errors import ConfigError


def fetcher(name: str) -> Callable[[Path], Path]:
    """What fetches the data set ``name`` into a folder and gives the place where it lies.

    Raises:
        ConfigError: there is no such data set to fetch.

    Examples:
        >>> fetcher("open-bandits")
        Traceback (most recent call last):
            ...
        beautyrec.errors.ConfigError: there is no data set 'open-bandits' to fetch; there are: open-bandit.
    """
    from beautyrec.data.sources.fetch_open_bandit import fetch_open_bandit

    fetchers: dict[str, Callable[[Path], Path]] = {"open-bandit": fetch_open_bandit}
    if name not in fetchers:
        raise ConfigError(f"there is no data set '{name}' to fetch; there are: {', '.join(fetchers)}.")
    return fetchers[name]
