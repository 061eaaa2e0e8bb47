"""Where the public data lies on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from beautyrec.errors import SourceError

ENVIRONMENT_VARIABLE: Final = "BEAUTYREC_DATA"
BESIDE: Final = Path("..") / "shared" / "data"


def find_data(explicit: Path | None = None) -> Path | None:
    """The folder of public data: ``explicit``, else that of ``BEAUTYREC_DATA``, else ``../shared/data``, else None.

    Args:
        explicit: a folder that the user named.

    Raises:
        SourceError: a folder that was named, as an argument or by the variable, is not there.

    Examples:
        >>> find_data(Path("/nowhere"))
        Traceback (most recent call last):
            ...
        beautyrec.errors.SourceError: '/nowhere' is not a folder. Name the one that holds the public data, or none.
    """
    if explicit is not None:
        return _folder(explicit, "")
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return _folder(Path(named), f" ({ENVIRONMENT_VARIABLE})")
    return BESIDE if BESIDE.is_dir() else None


def _folder(path: Path, by: str) -> Path:
    if not path.is_dir():
        raise SourceError(f"'{path}'{by} is not a folder. Name the one that holds the public data, or none.")
    return path
