"""Where alerts go, each once: a file, a webhook, the terminal."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rich.console import Console
from rich.markup import escape

from beautyrec.board.alerts import Alert
from beautyrec.errors import ConfigError, SourceError
from beautyrec.files import atomic_file

Sink = Callable[[Sequence[Alert]], None]
"""Takes alerts, or raises `OSError` where it cannot."""

_TIMEOUT_SECONDS = 10.0


def to_file(path: Path) -> Sink:
    """Appends one JSON object a line."""

    def write(alerts: Sequence[Alert]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(alert.as_dict(), ensure_ascii=False) + "\n" for alert in alerts))

    return write


def to_webhook(url: str) -> Sink:
    """Posts one JSON object: ``text``, all messages a line each, as chat services read it, and ``alerts``.

    Raises:
        ConfigError: the address is not one of http or https.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise ConfigError(f"webhook: '{url}' is not an address of http or https. Correct it.")

    def post(alerts: Sequence[Alert]) -> None:
        body = {"text": "\n".join(alert.message for alert in alerts), "alerts": [alert.as_dict() for alert in alerts]}
        data = json.dumps(body, ensure_ascii=False).encode()
        request = Request(url, data, {"Content-Type": "application/json; charset=utf-8"})  # noqa: S310 (checked above)
        with urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            pass

    return post


def to_terminal(console: Console) -> Sink:
    """Prints one line an alert."""

    def show(alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            console.print(f"{alert.day}  [bold]{alert.kind}[/]  {escape(alert.message)}", highlight=False)

    return show


def tell(alerts: Sequence[Alert], sinks: Mapping[str, Sink], state: Path) -> dict[str, int]:
    """Sends to each sink what it has not had yet, and notes it; two runs at a time take turns.

    A sink that fails has had nothing: it gets the same alerts next time, the other sinks do not.

    Args:
        alerts: all that hold now.
        sinks: by a name under which the state file knows them.
        state: file of what was told to whom; made if absent.

    Returns:
        How many alerts each sink got now.

    Raises:
        SourceError: a sink could not be reached (the others have been served), or the state file is damaged.
    """
    sent, failed = {}, {}
    with _held(state.with_name(f".{state.name}.lock")):
        known = _read(state)
        for name, sink in sinks.items():
            had = known.setdefault(name, {})
            news = [alert for alert in alerts if alert.id not in had]
            try:
                if news:
                    sink(news)
            except (OSError, URLError) as error:
                failed[name] = f"{name}: {error} ({len(news)} alerts wait for the next run)"
                continue
            had.update({alert.id: datetime.now(UTC).isoformat(timespec="seconds") for alert in news})
            sent[name] = len(news)
            if news:
                with atomic_file(state) as temporary:
                    temporary.write_text(json.dumps(known, indent=1, ensure_ascii=False), encoding="utf-8")
    if failed:
        raise SourceError(
            f"alerts could not be sent to {len(failed)} of {len(sinks)} sinks: {'; '.join(failed.values())}."
        )
    return sent


def _read(state: Path) -> dict[str, dict[str, str]]:
    try:
        known: Any = json.loads(state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SourceError(
            f"'{state}' is not a state of alerts: {error}. Remove it; all alerts are then told again."
        ) from None
    return dict(known)


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """Only one process at a time is inside."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
