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
