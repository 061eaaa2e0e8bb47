"""The page of all features, written from their declarations: ``python -m beautyrec.features.catalogue > docs/features.md``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

from beautyrec.data.external import ExternalSource
from beautyrec.features.builder import Feature
from beautyrec.features.external import External
from beautyrec.features.family import full_family
from beautyrec.features.sequences import LastEvents

_HEAD: Final = """\
# The feature catalogue

Every value at a row is made of events with `available_at` before the row's `as_of`, of the catalogue and of the rooms; an event
of the same moment is not seen. Windows count back from `as_of` in days of 24 hours. A missing value is NaN. Defaults are shown;
scenes, hosts, price bands and the external source are examples. *Version* rises whenever the same settings come to give
other values, and goes into the fingerprint that a model keeps.

This page is written from the code: `python -m beautyrec.features.catalogue > docs/features.md`.
"""
_SECTION: Final = re.compile(r"\n\s*(Args|Examples|Raises):\n", re.MULTILINE)
_ROLE: Final = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")


def page() -> str:
    """The catalogue of all builders, in Markdown."""
    family = full_family(("evening", "launch"), ("Lin", "Mei"), (5.0, 10.0, 20.0))
    panel = ExternalSource("panel", "user_id", "delivered_at", "30D", ("visits",))
    parts = [
        _part(builder, builder.features, ", ".join(builder.entity) or "the moment alone", builder.version)
        for builder in (*family.builders, External.of(panel))
    ]
    return "\n".join([_HEAD, *parts, _part(LastEvents(), LastEvents().features, "user_id", None)])


def _part(builder: Any, features: Sequence[Feature], entity: str, version: int | None) -> str:
    """One builder: what it means, what it hangs on, and its columns."""
    words = _ROLE.sub(r"`\1`", _SECTION.split(inspect.getdoc(type(builder)) or "")[0]).replace("``", "`").strip()
    about = f"By {entity}" + (f"; version {version}." if version is not None else "; arrays for networks, not columns.")
    rows = [f"| `{each.name}` | {each.unit} | {each.window} | {each.missing} |" for each in features]
    table = "\n".join(["| feature | unit | window | missing |", "|---|---|---|---|", *rows])
    return f"## {type(builder).__name__}\n\n{words}\n\n{about}\n\n{table}\n"


if __name__ == "__main__":
    sys.stdout.write(page())
