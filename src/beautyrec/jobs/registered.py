"""The registered models of a month, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from beautyrec.campaign.registry import champion, promote, roll_back
from beautyrec.errors import SourceError
from beautyrec.jobs.month_crown import EXPERIMENT

_PROMISED: Final = ("estimate", "ci_low", "ci_high")


def address(store: str) -> str:
    """The address of a store: as it is, or that of ``mlflow.db`` in a folder.

    Raises:
        SourceError: the folder holds none.
    """
    if "://" in store:
        return store
    place = Path(store).resolve() / "mlflow.db"
    if not place.is_file():
        raise SourceError(f"'{place}' is not there. Name the folder of a month, or the address of an MLflow store.")
    return f"sqlite:///{place}"


def versions(store: str) -> str:
    """Champion and challenger in words, a line each."""
    lines = []
    for alias in ("champion", "challenger"):
        held = champion(address(store), EXPERIMENT, alias)
        if held is None:
            lines.append(f"{alias}: none; the policy of the log is kept")
            continue
        ends = [f"{float(held.tags[key]):+.1%}" for key in _PROMISED if key in held.tags]
        promised = f"promised {ends[0]} [{ends[1]}, {ends[2]}]" if len(ends) == len(_PROMISED) else "nothing promised"
        lines.append(f"{alias}: version {held.version}, {held.tags.get('family', '')}, {promised}, in {held.path}")
    return "\n".join(lines)


def make_champion(store: str, version: int | None) -> str:
    """Promote a version, or roll back where it is None; in words what is champion now."""
    uri = address(store)
    held = roll_back(uri, EXPERIMENT) if version is None else promote(uri, version, EXPERIMENT)
    return f"champion: version {held.version}, {held.tags.get('family', '')}, in {held.path}"
