"""A page of figures and tables that needs no network: what reports are written with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import pandas as pd

from beautyrec.errors import MissingExtraError
from beautyrec.evaluation import figures

_KINDS = {"<": "text", "!": "verdict", "~": "wrap"}


def percent(value: Any, digits: int = 1, *, sign: bool = False) -> str:
    """A share in per cent, a dash where there is none.

    Examples:
        >>> percent(0.1234, sign=True), percent(None)
        ('+12.3 %', '-')
    """
    return "-" if value is None or pd.isna(value) else f"{100 * value:{'+' if sign else ''}.{digits}f} %"


def number(value: Any, digits: int = 4) -> str:
    """A number, a dash where there is none.

    Examples:
        >>> number(1234.5, 1), number(float("nan"))
        ('1,234.5', '-')
    """
    return "-" if value is None or pd.isna(value) else f"{value:,.{digits}f}"


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Args:
        rows: a mapping a row, from the key of a column to what stands in the cell.
        columns: key of a column to its label. A label that starts with ``<`` is of text, with ``!`` of verdicts, with ``~``
            of text that is wrapped; others are of numbers.
        caption: what stands above it.
        folded: whether it is shown only when asked for.
    """

    rows: Sequence[Mapping[Any, Any]]
    columns: Mapping[str, str]
    caption: str = ""
    folded: bool = False

    def context(self) -> dict[str, Any]:
        """As the template reads it."""
        columns = [
            {"key": key, "label": label.lstrip("<!~"), "kind": _KINDS.get(label[:1], "number")}
            for key, label in self.columns.items()
        ]
        return {"columns": columns, "rows": self.rows, "caption": self.caption, "folded": self.folded}


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Args:
        anchor: its id; figures are named after it.
        title: its heading.
        text: what stands below it.
        figures: plotly's figures.
        tables: tables.
        simulated: whether what it shows comes out of the simulated world, which is then said.
    """

    anchor: str
    title: str
    text: str
    figures: Sequence[Any] = ()
    tables: Sequence[Table] = ()
    simulated: bool = False

    def context(self) -> dict[str, Any]:
        """As the template reads it."""
        from markupsafe import Markup

        drawn = [figures.html(figure, f"figure-{self.anchor}-{at}") for at, figure in enumerate(self.figures)]
        return {
            "anchor": self.anchor,
            "title": self.title,
            "text": self.text,
            "simulated": self.simulated,
            "figures": [Markup(figure) for figure in drawn],  # noqa: S704 (plotly escapes its own text)
            "tables": [table.context() for table in self.tables],
        }


@dataclass(frozen=True)
class Card:
    """A number at the top of the page.

    Args:
        label: what it is.
        value: the number.
        note: its unit, interval or reason.
    """

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Page:
    """A whole page.

    Args:
        title: its heading.
        subtitle: what it is about.
        cards: numbers at the top.
        sections: in their order.
        footer: at its end.
    """

    title: str
    subtitle: str
    cards: Sequence[Card]
    sections: Sequence[Section]
    footer: str

    def render(self) -> str:
        """The page as HTML, scripts included.

        Raises:
            MissingExtraError: jinja2 or plotly is not installed.
        """
        try:
            from jinja2 import Environment, StrictUndefined
            from markupsafe import Markup
        except ImportError:
            raise MissingExtraError("jinja2", "report") from None
        source = (files("beautyrec") / "evaluation" / "templates" / "page.html").read_text(encoding="utf-8")
        environment = Environment(autoescape=True, undefined=StrictUndefined)
        return environment.from_string(source).render(
            title=self.title,
            subtitle=self.subtitle,
            cards=[asdict(card) for card in self.cards],
            sections=[section.context() for section in self.sections],
            plotly_js=Markup(figures.plotly_js()),  # noqa: S704 (plotly's own script)
            footer=self.footer,
        )
