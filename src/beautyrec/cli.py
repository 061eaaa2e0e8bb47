"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beautyrec import __version__
from beautyrec.errors import BeautyrecError

app = typer.Typer(
    help="Product selection for live rooms, with a lift that can be believed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Bring data in.", no_args_is_help=True)
app.add_typer(data_app, name="data")
champion_app = typer.Typer(help="The model that is in service.", no_args_is_help=True)
app.add_typer(champion_app, name="champion")

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder of the public data sets; else BEAUTYREC_DATA, else ../shared/data, else generated."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder to write into, instead of the one the file names.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error; may stand anywhere.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options that stand before every verb."""


@app.command()
def demo(data: DataOption = None, out: OutOption = None) -> None:
    """The main job with its own settings: from a log to a line-up, with a report."""
    from beautyrec.jobs.config import packaged

    run(packaged("demo.toml"), data, out)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="A TOML file, for instance configs/demo.toml.")],
    data: DataOption = None,
    out: OutOption = None,
) -> None:
    """The main job as a TOML file says it."""
    from beautyrec.jobs.config import read_config
    from beautyrec.jobs.main_job import run_job

    run_job(read_config(config), data_folder=data, output=out, console=_console())


@app.command()
def score(
    users: Annotated[Path, typer.Option("--users", help="Parquet with user_id, or a folder of it.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the answers; a job that was cut off goes on there.")],
    model: Annotated[str, typer.Option("--model", help="Folder of an artifact, or models:/name@alias.")],
    k: Annotated[int, typer.Option("--k", min=1, help="Items for each user.")] = 50,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also what the user took in training.")] = False,
    on_unknown: Annotated[str, typer.Option(help="Users not in training: fallback, skip or raise.")] = "fallback",
    shard_users: Annotated[int, typer.Option("--shard-users", min=1, help="Users in a file.")] = 20_000,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
    engine: Annotated[str, typer.Option("--engine", help="local, or spark: where its session runs.")] = "local",
) -> None:
    """Everyone's list: the scorer over a table of users, in shards."""
    from beautyrec.jobs.score import engine_named, score_all
    from beautyrec.serving.batch import BatchPlan

    plan = BatchPlan(k, not include_seen, on_unknown, shard_users)  # type: ignore[arg-type]  # it checks the text
    console = _console()
    score_all(model, users, out, plan, engine_named(engine, workers, console), console)


@app.command()
def tune(
    config: Annotated[Path, typer.Argument(help="A TOML file, for instance configs/month.toml.")],
    data: DataOption = None,
    out: OutOption = None,
    day: Annotated[str | None, typer.Option("--day", help="Only this day, as 2026-11-22; for a live month.")] = None,
    worker: Annotated[bool, typer.Option("--worker", help="Join the month as a worker, until it is over.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Only show the month that others run, until it is over.")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Only write report.html of the month as it stands.")] = False,
) -> None:
    """The tuning month: weekly rounds of trials over a log, then a confirmation; goes on where it was left."""
    from beautyrec.errors import ConfigError
    from beautyrec.jobs.month_config import read_month
    from beautyrec.jobs.month_job import join_month, report_month, run_month
    from beautyrec.jobs.month_watch import watch_month

    if sum([day is not None, worker, watch, report]) > 1:
        raise ConfigError("--day, --worker, --watch and --report exclude each other. Give one of them.")
    if watch:
        watch_month(read_month(config), Console(), out)
        return
    if report:
        Console().print(f"[bold]report:[/] {report_month(read_month(config), out)}")
        return

    if worker:
        Console().print(f"{join_month(read_month(config), out)} trials done")
        return
    run_month(read_month(config), data_folder=data, output=out, day=day, console=_console())


StoreOption = Annotated[
    str, typer.Option("--store", help="Address of an MLflow store, or the folder of a month that holds mlflow.db.")
]


@champion_app.command("show")
def champion_show(store: StoreOption = "experiments/beauty-month/run") -> None:
    """Which version is champion, which is challenger, and what was promised of them."""
    from beautyrec.jobs.registered import versions

    Console().print(versions(store))


@champion_app.command("promote")
def champion_promote(
    version: Annotated[int, typer.Argument(help="The version that shall be champion.")],
    store: StoreOption = "experiments/beauty-month/run",
) -> None:
    """Make a registered version the champion."""
    from beautyrec.jobs.registered import make_champion

    Console().print(make_champion(store, version))


@champion_app.command("roll-back")
def champion_roll_back(store: StoreOption = "experiments/beauty-month/run") -> None:
    """Make the version champion that was it before."""
    from beautyrec.jobs.registered import make_champion

    Console().print(make_champion(store, None))


@app.command()
def select(
    config: Annotated[Path, typer.Argument(help="A TOML file, for instance configs/selection.toml.")],
    log: Annotated[Path, typer.Option("--log", help="Folder of the log.")] = Path("data/log"),
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")] = Path("experiments/selection"),
) -> None:
    """The month's selection list, the line-up of the next room and its run of show, from a log."""
    from beautyrec.jobs.select import read_selection, select_products

    select_products(read_selection(config), log, out, console=_console())


@data_app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="What to fetch: open-bandit.")],
    into: Annotated[Path, typer.Option("--into", help="Folder to put it in.")] = Path("data"),
) -> None:
    """Fetch a small public data set from its publisher's package."""
    from beautyrec.data.sources import fetcher

    Console().print(f"[bold]{name}[/] lies in {fetcher(name)(into)}")


MappingsOption = Annotated[
    list[Path] | None,
    typer.Option("--mapping", help="A TOML file that says how files become a table; may be given more than once."),
]
MemoryOption = Annotated[str, typer.Option("--memory", help="What DuckDB may use; work beyond it goes to the disk.")]


@data_app.command("import")
def import_data(
    paths: Annotated[list[Path], typer.Argument(help="Files, folders or patterns.")],
    mapping: MappingsOption = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the log.")] = Path("data/log"),
    max_rejected: Annotated[
        float, typer.Option("--max-rejected", min=0, max=1, help="Greatest share of rows that may not pass.")
    ] = 0.01,
    memory: MemoryOption = "2GB",
) -> None:
    """Files of any shop into a log, as mappings say; rows that do not pass go to rejected/."""
    from beautyrec.jobs.bring_in import bring_in

    bring_in(mapping or [], paths, out, max_rejected=max_rejected, memory=memory, console=_console())


@data_app.command("describe")
def describe_data(
    path: Annotated[Path, typer.Argument(help="Folder of a log; with --mapping any files.")],
    mapping: MappingsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    memory: MemoryOption = "2GB",
) -> None:
    """Counts, ranges, funnel, gaps, duplicates and clock problems of a log."""
    from beautyrec.jobs.bring_in import look_at

    look_at(path, mapping or [], as_json=as_json, memory=memory, console=_console())


@data_app.command("check")
def check_data(
    path: Annotated[Path, typer.Argument(help="Folder of a log, or a Parquet or CSV file of training rows.")],
    label: Annotated[
        str, typer.Option("--label", help="Of a file: what is to be predicted, true or false.")
    ] = "clicked",
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="Of a file: an id; may be given more than once.")
    ] = None,
    row: Annotated[list[str] | None, typer.Option("--row", help="Of a file: what names a row, likewise.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Of a file: the moment a row looks back from.")] = None,
    times: Annotated[list[str] | None, typer.Option("--time", help="Of a file: when a value became known.")] = None,
    test: Annotated[Path | None, typer.Option("--test", help="A file with the rows of the test side.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Leaks and gaps in what models learn from; exit code 2 with the evidence where something leaks."""
    from beautyrec.evaluation.leaks import Columns
    from beautyrec.jobs.data_check import check_path

    named = tuple(tuple(names or ()) for names in (ids, row, times))
    columns = Columns(label, ids=named[0], row=named[1], as_of=as_of, times=named[2])
    check_path(path, columns, test=test, as_json=as_json, console=_console())


LogArgument = Annotated[Path, typer.Argument(help="Folder of a log.")]
BoardOption = Annotated[Path | None, typer.Option("--config", help="A TOML file like configs/board.toml.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder of the counts; else a hidden one beside the log.")
]


@app.command()
def board(
    log: LogArgument,
    config: BoardOption = None,
    cache: CacheOption = None,
    port: Annotated[int, typer.Option("--port", help="Where the page is served, on this machine only.")] = 8501,
) -> None:
    """The KPI board of a log, as a page in the browser."""
    from beautyrec.board.serve import serve

    serve(log, config, cache, port)


@app.command()
def alerts(
    log: LogArgument,
    config: BoardOption = None,
    cache: CacheOption = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and end, as for cron.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Minutes between two looks.")] = 15.0,
    file: Annotated[Path | None, typer.Option("--file", help="Add them to this file, a JSON object a line.")] = None,
    webhook: Annotated[str | None, typer.Option("--webhook", help="Post them to this address.")] = None,
    state: Annotated[Path | None, typer.Option("--state", help="What was told; else beside the log.")] = None,
) -> None:
    """What changed, is missing, or runs out in a log; each alert once."""
    from beautyrec.board.watch import Places, watch

    places = Places(log, config, cache, file, webhook, state)
    watch(places, _console(), minutes=None if once else every)


@app.command()
def review(
    log: LogArgument,
    config: BoardOption = None,
    cache: CacheOption = None,
    days: Annotated[int, typer.Option("--days", min=1, help="How many days; 7 for a week, 30 for a month.")] = 7,
    end: Annotated[str | None, typer.Option("--end", help="The last of them, YYYY-MM-DD; else the log's.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("review.html"),
) -> None:
    """A week or a month of a log beside its targets, as one HTML file."""
    from beautyrec.board.review import write_review

    typer.echo(write_review(log, out, days=days, end=end, config=config, cache=cache))


def main(argv: list[str] | None = None) -> None:
    """Runs the command line; exit code 2 and one message for an error raised on purpose, or for wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        app(args=[argument for argument in arguments if argument != "--debug"])
    except BeautyrecError as error:
        if debug:
            raise
        Console(stderr=True).print(f"[bold red]error:[/] {_escaped(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _console() -> Console:
    """The terminal, or a wide page where there is none, so that tables keep one line a row."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def _escaped(text: str) -> str:
    """Text whose square brackets are not markup."""
    from rich.markup import escape

    return escape(text)
