"""The verb ``select``: scorecard, the month's list, the line-up of the next room and its run of show, from a log."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from beautyrec.data.log import EventLog
from beautyrec.errors import ConfigError, EvaluationError, SchemaError, SourceError
from beautyrec.evaluation.examination import attention_of
from beautyrec.jobs.steps import Steps
from beautyrec.selection.dimension_values import dimension_values
from beautyrec.selection.line_up import LineUp, LineUpConfig, line_up
from beautyrec.selection.monthly_list import ListConfig, MonthlyList, monthly_list
from beautyrec.selection.planned_room import at_prices, usual_prices
from beautyrec.selection.run_of_show import RunOfShow, run_of_show
from beautyrec.selection.scorecard import Scorecard
from beautyrec.selection.script import Script
from beautyrec.selection.spreadsheet import unescaped
from beautyrec.settings import from_table, read_toml
from beautyrec.types import FloatArray

_REQUESTS = 5000


@dataclass(frozen=True)
class RoomConfig:
    """The room that is planned."""

    starts_at: str
    """When it begins, ISO 8601 with a zone: ``"2026-12-01T20:00:00+08:00"``. Nothing later is looked at."""
    minutes: float = 120.0
    """How long it lasts."""
    audience: float = 1000.0
    """Viewers expected to see a product of attention 1."""
    scene: str = ""
    """Its kind: products cost their list price less what rooms of the kind took off in the 30 days before. Where it is empty,
    what they cost on the last shelf that they lay on."""
    attention: tuple[float, ...] = ()
    """Attention of one product after the other, repeated until the room ends. Where it is empty: that of the positions of
    a slate, learnt from the log's clicks; 1 everywhere where the log has no slates or not the chances they were drawn by."""

    def __post_init__(self) -> None:
        """Checks that there is a moment."""
        if self.at().tzinfo is None:
            raise ConfigError(f"room: starts_at is '{self.starts_at}'; give a time with its zone.")

    def at(self) -> pd.Timestamp:
        """When it begins."""
        try:
            return pd.Timestamp(self.starts_at)
        except ValueError:
            raise ConfigError(
                f"room: starts_at is '{self.starts_at}', which is no time. Write it as ISO 8601."
            ) from None


@dataclass(frozen=True)
class AssumedConfig:
    """What is taken where the log does not say; how often is printed. Without a value such products are left out."""

    ctr: float | None = None
    """Clicks per impression."""
    cvr: float | None = None
    """Orders per click."""
    margin: float | None = None
    """Share of the price."""
    stock: float | None = None
    """Units."""


@dataclass(frozen=True)
class SelectionConfig:
    """The selection, as one TOML file says it."""

    room: RoomConfig
    """The room that is planned."""
    weights: dict[str, float] = field(default_factory=dict[str, float])
    """What each dimension of the scorecard counts; the same for all where none is given."""
    list: ListConfig = field(default_factory=ListConfig)
    """The month's list."""
    line_up: LineUpConfig = field(default_factory=LineUpConfig)
    """The line-up, chosen from the list."""
    script: Script = field(default_factory=Script)
    """The script of the room."""
    assumed: AssumedConfig = field(default_factory=AssumedConfig)
    """What is taken where the log does not say."""
    last_list: str = ""
    """CSV of last month's list, for who stays and who leaves."""


@dataclass(frozen=True, eq=False)
class Selected:
    """What came of it."""

    listed: MonthlyList
    plan: LineUp
    show: RunOfShow


def read_selection(path: Path) -> SelectionConfig:
    """The selection that a TOML file says.

    Raises:
        ConfigError: the file is absent, is no TOML, or has an unknown key or a wrong value; says which.
    """
    return from_table(SelectionConfig, read_toml(path), str(path))


def select_products(config: SelectionConfig, log: Path, out: Path, *, console: Console | None = None) -> Selected:
    """Chooses and writes ``list.csv``, ``list.parquet``, ``list.html``, ``line_up.csv``, ``run_of_show.csv``, ``.html``.

    Raises:
        BeautyrecError: anything wrong with what came in; no file is left half-written.
    """
    console = console or Console(quiet=True)
    steps = Steps(console)
    last = _last_list(config.last_list)
    with steps.step("what was known of each product"):
        events = EventLog.read(log)
        products = dimension_values(events, config.room.at())
        if config.room.scene:
            products = at_prices(products, usual_prices(events, config.room.at(), config.room.scene))
    with steps.step("scorecard and the month's list"):
        scores = Scorecard(config.weights or None).score(products)
        listed = monthly_list(scores, products, config.list, last)
    candidates = _candidates(products[products["item_id"].isin(listed.entries["item_id"])], config, console)
    with steps.step("line-up of the room"):
        clock = config.script.clock(config.room.minutes)
        attention = np.resize(_attention(events, config, console), len(clock))
        asked = replace(config.line_up, minutes=config.room.minutes)
        plan = line_up(candidates, config.room.audience, asked, attention, clock=clock)
        show = run_of_show(plan, config.script, config.room.minutes, config.room.at())
    listed.to_csv(out / "list.csv")
    listed.to_parquet(out / "list.parquet")
    listed.write_html(out / "list.html", f"Selection list, {config.room.at():%Y-%m}")
    plan.to_csv(out / "line_up.csv")
    show.to_csv(out / "run_of_show.csv")
    show.write_html(out / "run_of_show.html")
    _say(listed, plan, out, console)
    return Selected(listed, plan, show)


def _attention(log: EventLog, config: SelectionConfig, console: Console) -> FloatArray:
    """What the configuration gives, or what slates of the 30 days before the room show, or 1; says which."""
    if config.room.attention:
        return np.array(config.room.attention)
    try:
        at = config.room.at()
        slates = log.before(at).between(at - pd.Timedelta(days=30), at).slates()
        learnt = attention_of(slates, requests=_REQUESTS, rng=np.random.default_rng(0))
    except (EvaluationError, SchemaError) as error:
        console.print(f"[yellow]assumed:[/] the same attention for every slot ({error})", highlight=False)
        return np.ones(1)
    console.print(f"attention, learnt from the log: {', '.join(f'{value:.2f}' for value in learnt)}", highlight=False)
    return learnt


def _last_list(path: str) -> list[object] | None:
    if not path:
        return None
    if not Path(path).is_file():
        raise SourceError(f"'{path}' (last_list) is not there. Name the CSV of last month's list, or leave it out.")
    table = pd.read_csv(path, encoding="utf-8-sig")
    if "item_id" not in table:
        raise SourceError(f"'{path}' (last_list) has no column item_id; it has {list(table)}.")
    return list(unescaped(table["item_id"]))


def _candidates(products: pd.DataFrame, config: SelectionConfig, console: Console) -> pd.DataFrame:
    """The listed products with margins in money, gaps filled as assumed; says how many."""
    filled = products.copy()
    for name in ("ctr", "cvr", "margin", "stock"):
        value, gaps = getattr(config.assumed, name), filled[name].isna()
        if value is not None and gaps.any():
            filled[name] = filled[name].fillna(value)
            console.print(f"[yellow]assumed:[/] {name} {value:g} for {int(gaps.sum())} of {len(filled)} products")
    return filled.assign(margin=filled["margin"] * filled["price"], is_new=filled["novelty"] <= config.list.new_days)


def _say(listed: MonthlyList, plan: LineUp, out: Path, console: Console) -> None:
    kept = int((listed.entries["status"] == "kept").sum())
    console.print(
        f"[bold]list:[/] {len(listed.entries)} products, {kept} kept, {len(listed.left)} of last month's left",
        highlight=False,
    )
    table = Table(title=f"line-up: margin {plan.expected_margin:,.2f} expected, within {plan.gap:.2%} of the best")
    for name, side in (
        ("slot", "right"),
        ("minute", "right"),
        ("product", "left"),
        ("orders", "right"),
        ("margin", "right"),
    ):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for row in plan.table.head(10).itertuples():
        title = row.title if isinstance(row.title, str) else str(row.item_id)
        table.add_row(
            f"{row.slot}",
            f"{row.minute_from:g}",
            title[:60],
            f"{row.expected_orders:.2f}",
            f"{row.expected_margin:.2f}",
        )
    console.print(table)
    if plan.left_out:
        console.print(f"left out: {', '.join(f'{n} {why}' for why, n in plan.left_out.items())}", highlight=False)
    console.print(f"written to {out}", highlight=False)
