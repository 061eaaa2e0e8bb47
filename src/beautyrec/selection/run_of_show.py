"""The run of show: a line-up laid on the clock of a room, for those who stand in front of the camera."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pandas as pd

from beautyrec.errors import ConfigError, MissingExtraError
from beautyrec.files import atomic_file
from beautyrec.selection.line_up import LineUp
from beautyrec.selection.script import Part, Script
from beautyrec.selection.spreadsheet import write_csv

COLUMNS = (
    *("time", "minute_from", "minute_to", "minutes", "part", "slot", "item_id", "title", "brand", "category"),
    *("price", "stock", "expected_orders", "expected_revenue", "expected_margin", "note"),
)
"""The columns of :attr:`RunOfShow.table`."""

_OF_PRODUCTS = COLUMNS[5:15]


@dataclass(frozen=True, eq=False)
class RunOfShow:
    """What happens in a room from its first second to its last.

    Args:
        table: one row a part, in order and without a gap: ``time`` (of the clock, or from the start of the room),
            ``minute_from``, ``minute_to``, ``minutes``, ``part``, of products what the line-up says, and ``note``.
        title: of the page.
    """

    table: pd.DataFrame
    title: str

    def to_csv(self, path: str | Path) -> None:
        """Write the table as CSV that spreadsheets open as it is (UTF-8 with its mark), whole or not at all."""
        write_csv(self.table, path)

    def to_html(self) -> str:
        """A page to print.

        Raises:
            MissingExtraError: jinja2 is not installed.
        """
        rows = self.table.astype(object).where(self.table.notna(), None).to_dict("records")
        products = self.table[self.table["part"] == Part.PRODUCT]
        return render(
            "run_of_show.html",
            title=self.title,
            rows=rows,
            minutes=float(self.table["minutes"].sum()),
            products=len(products),
            orders=float(products["expected_orders"].sum()),
            margin=float(products["expected_margin"].sum()),
        )

    def write_html(self, path: str | Path) -> None:
        """Write the page, whole or not at all."""
        with atomic_file(path) as temporary:
            temporary.write_text(self.to_html(), encoding="utf-8")


def run_of_show(
    plan: LineUp,
    script: Script,
    minutes: float,
    starts_at: pd.Timestamp | None = None,
    heroes: tuple[int | str, ...] = (),
) -> RunOfShow:
    """The line-up laid on the clock.

    Args:
        plan: a line-up for the clock of this script and room (``line_up(..., clock=script.clock(minutes))``).
        script: the template.
        minutes: of the room.
        starts_at: when the room begins, in the shop's own time; minutes count from 0 where it is None.
        heroes: products to preview in the opening; those of the highest expected margin where there are none.

    Raises:
        ConfigError: the line-up has another number of slots, or the room is too short.
    """
    parts = script.parts(minutes)
    on_air = parts["part"] == Part.PRODUCT
    if int(on_air.sum()) != len(plan.table):
        raise ConfigError(
            f"run of show: the script has {int(on_air.sum())} slots in {minutes:g} minutes, the line-up {len(plan.table)}. "
            "Make the line-up with clock=script.clock(minutes)."
        )
    table = parts.assign(note="", **dict.fromkeys(_OF_PRODUCTS)).astype(dict.fromkeys(_OF_PRODUCTS, object))
    for name in _OF_PRODUCTS:
        table.loc[on_air, name] = plan.table[name].to_numpy(dtype=object)
    best = plan.table.sort_values("expected_margin", ascending=False, kind="stable")
    named = best[best["item_id"].isin(heroes)] if heroes else best
    table.loc[table["part"] == Part.OPENING, "note"] = _names("preview: ", named.head(script.preview))
    left = best[best["stock"] - best["expected_orders"] >= 1]
    table.loc[table["part"] == Part.CLOSING, "note"] = _names("last chance: ", left.head(1))
    table.loc[table["part"] == Part.INTERACTION, "note"] = "question, draw or coupon"
    table = table.assign(time=_times(table["minute_from"], starts_at), part=table["part"].astype(str))
    title = "Run of show" if starts_at is None else f"Run of show, {starts_at:%Y-%m-%d %H:%M}"
    numbers = dict.fromkeys(("price", "stock", "expected_orders", "expected_revenue", "expected_margin"), "float64")
    return RunOfShow(table[list(COLUMNS)].astype(numbers), title)


def _names(before: str, rows: pd.DataFrame) -> str:
    titles = rows["title"].where(rows["title"].notna(), rows["item_id"])
    return before + ", ".join(str(title) for title in titles) if len(rows) else ""


def _times(minute: pd.Series, starts_at: pd.Timestamp | None) -> list[str]:
    seconds = (minute * 60).round().astype(int)
    if starts_at is not None:
        return [f"{starts_at + pd.Timedelta(seconds=second):%H:%M:%S}" for second in seconds]
    return [f"{second // 3600:d}:{second // 60 % 60:02d}:{second % 60:02d}" for second in seconds]


def render(template: str, **context: object) -> str:
    """A page of this room's templates; everything put in is escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    source = (files("beautyrec") / "selection" / "templates" / template).read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(source).render(**context)
