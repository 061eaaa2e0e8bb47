"""Fetching the Open Bandit Dataset, small version, from the publisher's own wheel."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from beautyrec.data.sources.open_bandit import BEHAVIOURS, CAMPAIGNS, PRIOR, read_open_bandit, read_prior
from beautyrec.errors import SourceError
from beautyrec.files import atomic_folder

REQUIREMENT: Final = "obp==0.4.1"
FOLDER: Final = "open-bandit"
NOTE: Final = "README.md"
SECONDS: Final = 180
LARGEST: Final = 16 * 2**20

_INSIDE: Final = "obp/dataset/obd/"
_FILES: Final = tuple(
    f"{behaviour}/{campaign}/{file}"
    for behaviour in BEHAVIOURS
    for campaign in CAMPAIGNS
    for file in (f"{campaign}.csv", "item_context.csv")
)
_PRIOR_INSIDE: Final = f"obp/policy/conf/{PRIOR}"
_NOTE_TEXT: Final = f"""Open Bandit Dataset, small version: six logs of 10,000 impressions each, and the items of each.
{PRIOR}: the beliefs that Bernoulli Thompson sampling started from, for each item of each campaign.

By ZOZO, Inc., from the wheel of the Open Bandit Pipeline ({REQUIREMENT}), which is under Apache-2.0: see LICENSE.
Y. Saito, S. Aihara, M. Matsutani, Y. Narita: Open Bandit Dataset and Pipeline, NeurIPS 2021 Datasets and Benchmarks.
The files are as published. Nothing of that package was installed.
"""


def download_wheel(into: Path) -> Path:
    """Have pip download the publisher's wheel, with the index that pip is set to; it is not installed.

    Raises:
        SourceError: pip is absent, fails, as it does offline, or takes longer than ``SECONDS``.
    """
    options = ["--no-deps", "--only-binary", ":all:", "--retries", "1", "--timeout", "20"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *options]
    try:
        subprocess.run(  # noqa: S603 (no part of it comes from outside)
            [*command, REQUIREMENT, "-d", str(into)], check=True, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()] or ["no message"]
        raise SourceError(_failed(lines[-1].strip())) from None
    except subprocess.TimeoutExpired:
        raise SourceError(_failed(f"it took longer than {SECONDS} seconds")) from None
    wheels = sorted(into.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceError(_failed(f"it left {len(wheels)} wheels, not one"))
    return wheels[0]


def _failed(why: str) -> str:
    return (
        f"pip could not download {REQUIREMENT} (1.3 MB), which holds the Open Bandit logs: {why}. "
        f"Go online, or set pip to an index that has it; or put the logs into the folder of public data yourself."
    )


def fetch_open_bandit(into: str | Path, download: Callable[[Path], Path] = download_wheel) -> Path:
    """Put the six logs and the prior into ``into/open-bandit``, whole or not at all; where they are already, nothing happens.

    Args:
        into: the folder of public data; it is made if it is absent.
        download: puts the wheel into a folder and gives its path.

    Returns:
        ``into/open-bandit``, for :func:`beautyrec.data.sources.open_bandit.read_open_bandit` and ``read_prior``.

    Raises:
        SourceError: the wheel cannot be had or is not what it should be.
        SchemaError: a log or the prior in it is not as published.
    """
    target = Path(into) / FOLDER
    if all((target / name).is_file() for name in (*_FILES, PRIOR, NOTE)):
        return target
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(Path(folder))
        with atomic_folder(target) as temporary:
            _unpack(wheel, temporary)
            for behaviour in BEHAVIOURS:
                for campaign in CAMPAIGNS:
                    read_open_bandit(temporary, behaviour, campaign)
                    read_prior(temporary, campaign)
            (temporary / NOTE).write_text(_NOTE_TEXT, encoding="utf-8")
    return target


def _unpack(wheel: Path, into: Path) -> None:
    """The logs, the items, the prior and the license out of the wheel, and nothing else.

    Raises:
        SourceError: it is no wheel, lacks one of them, or has one that is empty or far too large.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            licenses = [name for name in sizes if name.endswith(".dist-info/LICENSE")][:1]
            wanted = {f"{_INSIDE}{name}": name for name in _FILES} | {_PRIOR_INSIDE: PRIOR}
            wanted |= dict.fromkeys(licenses, "LICENSE")
            bad = sorted(name for name in wanted if not 0 < sizes.get(name, 0) <= LARGEST)
            if bad:
                raise SourceError(
                    f"{wheel.name}: {len(bad)} files are absent, empty or too large, the first '{bad[0]}'."
                )
            for inside, name in wanted.items():
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                (into / name).write_bytes(archive.read(inside))
    except zipfile.BadZipFile:
        raise SourceError(
            f"{wheel.name}: is damaged or no wheel. Remove it from pip's cache and fetch again."
        ) from None
