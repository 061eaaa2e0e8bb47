"""Open Bandit Dataset, small version: real impressions of a fashion shop whose chances are known.

Two policies, ``random`` and ``bts`` (Bernoulli Thompson sampling), each on three campaigns; 10,000 impressions each, at
three positions. From Y. Saito, S. Aihara, M. Matsutani, Y. Narita: Open Bandit Dataset and Pipeline, NeurIPS 2021
Datasets and Benchmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from beautyrec.data.parquet import read_parquet
from beautyrec.data.sources.rules import Rules, refuse_rows
from beautyrec.errors import SchemaError, SourceError
from beautyrec.types import FloatArray, IntArray

Behaviour = Literal["random", "bts"]
Campaign = Literal["all", "men", "women"]

BEHAVIOURS: Final[tuple[Behaviour, ...]] = ("random", "bts")
CAMPAIGNS: Final[tuple[Campaign, ...]] = ("all", "men", "women")
N_POSITIONS: Final = 3

PRIOR: Final = "prior_bts.yaml"
"""The publisher's file of the beliefs that Bernoulli Thompson sampling started from."""

ITEM_ID: Final = "item_id"
POSITION: Final = "position"
CLICK: Final = "click"
PROPENSITY: Final = "propensity_score"
TIMESTAMP: Final = "timestamp"
_COLUMNS: Final = (TIMESTAMP, ITEM_ID, POSITION, CLICK, PROPENSITY)


@dataclass(frozen=True, eq=False)
class OpenBanditLog:
    """n impressions, each of one item at one position.

    Args:
        item_id: [n] the item, 0 to ``n_items`` - 1.
        position: [n] where it stood, 1 to ``n_positions``.
        click: [n] 1 where it was clicked, else 0.
        propensity: [n] the policy's chance of that item at that position at that time.
        timestamp: [n] when, microseconds since 1970-01-01 UTC.
        n_items: how many items the campaign has.
        behaviour: the policy that chose.
        campaign: what was advertised.
        n_positions: how many positions there are.
    """

    item_id: IntArray
    position: IntArray
    click: IntArray
    propensity: FloatArray
    timestamp: IntArray
    n_items: int
    behaviour: str
    campaign: str
    n_positions: int = N_POSITIONS

    def __len__(self) -> int:
        return len(self.item_id)


class BetaPrior(NamedTuple):
    """What Bernoulli Thompson sampling held of each item's click rate when the log began: ``Beta(alpha, beta)``."""

    alpha: FloatArray
    """[n_items], in the order of ``item_id``."""
    beta: FloatArray
    """[n_items] likewise."""


def read_prior(folder: str | Path, campaign: Campaign) -> BetaPrior:
    """The publisher's prior of Bernoulli Thompson sampling for one campaign.

    The file is a list of numbers under ``campaign:`` and ``alpha:`` or ``beta:``; no more of YAML than that is read.

    Args:
        folder: holds ``prior_bts.yaml``, as `fetch_open_bandit` leaves it.
        campaign: ``"all"``, ``"men"`` or ``"women"``.

    Raises:
        SourceError: the file is not there.
        SchemaError: it is not of that form, or lacks the campaign.
    """
    path = Path(folder) / PRIOR
    if not path.exists():
        raise SourceError(f"'{path}' is not there. Get it with: beautyrec data fetch open-bandit")
    lists: dict[tuple[str, str], list[float]] = {}
    part, kind = "", ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        word = line.strip()
        if word.startswith("- "):
            lists.setdefault((part, kind), []).append(_number(word[2:], path, number))
        elif word.endswith(":") and line.startswith(" "):
            kind = word[:-1]
        elif word:
            part, kind = word.rstrip(":"), ""
    alpha, beta = (np.array(lists.get((campaign, name), [])) for name in ("alpha", "beta"))
    if len(alpha) == 0 or alpha.shape != beta.shape or not ((alpha > 0) & (beta > 0)).all():
        raise SchemaError(
            f"{path}: {len(alpha)} alphas and {len(beta)} betas of campaign '{campaign}', not as many of both and all "
            "above 0. Take the original."
        )
    return BetaPrior(alpha, beta)


def _number(text: str, path: Path, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise SchemaError(f"{path}, line {line}: '{text}' is no number. Take the original.") from None


def read_open_bandit(folder: str | Path, behaviour: Behaviour, campaign: Campaign) -> OpenBanditLog:
    """One of the six logs.

    Args:
        folder: holds ``BEHAVIOUR-CAMPAIGN.parquet`` and ``BEHAVIOUR-CAMPAIGN-items.parquet``, or, as published,
            ``BEHAVIOUR/CAMPAIGN/CAMPAIGN.csv`` and ``item_context.csv`` beside it.
        behaviour: the policy that chose, ``"random"`` or ``"bts"``.
        campaign: ``"all"``, ``"men"`` or ``"women"``.

    Raises:
        SourceError: neither is there, or a file cannot be read.
        SchemaError: a column is missing or has rows that it must not have.
    """
    folder = Path(folder)
    name = f"{behaviour}-{campaign}"
    parquet, csv = folder / f"{name}.parquet", folder / behaviour / campaign / f"{campaign}.csv"
    if parquet.exists():
        path, table, items = parquet, read_parquet(parquet), read_parquet(folder / f"{name}-items.parquet")
    elif csv.exists():
        path, table, items = csv, _read_csv(csv, _COLUMNS), _read_csv(csv.with_name("item_context.csv"), (ITEM_ID,))
    else:
        raise SourceError(f"neither '{parquet}' nor '{csv}' is there. Get them with: beautyrec data fetch open-bandit")
    frame, n_items = _frame(table, str(path)), items.num_rows
    _check(frame, n_items, str(path))
    timestamp = np.asarray(pd.to_datetime(frame[TIMESTAMP], utc=True).dt.as_unit("us").astype("int64"), dtype=np.int64)
    return OpenBanditLog(
        item_id=frame[ITEM_ID].to_numpy(np.int64),
        position=frame[POSITION].to_numpy(np.int64),
        click=frame[CLICK].to_numpy(np.int64),
        propensity=frame[PROPENSITY].to_numpy(np.float64),
        timestamp=timestamp,
        n_items=n_items,
        behaviour=behaviour,
        campaign=campaign,
    )


def action_probabilities(log: OpenBanditLog) -> FloatArray:
    """[n_items, n_positions] how often the policy shows an item at a position, estimated from its own log.

    The logged chances of an item drift in time, and the item is seen more when they are high. With chance p(t) at time
    t it is seen in proportion to p(t), so over the rows where it is seen the mean of 1 / p(t) is 1 over the time
    average of p: their harmonic mean estimates that average. Then each position is brought to sum 1. An item that was
    never seen at a position gets 0 there, although its chance is only small: what is computed with it misses that part.

    Raises:
        SchemaError: the log has no row at a position.

    Examples:
        >>> rows = np.array([0, 0, 1])
        >>> log = OpenBanditLog(rows, rows * 0 + 1, rows, np.array([.9, .6, .3]), rows, 2, "bts", "all", n_positions=1)
        >>> action_probabilities(log).round(3).tolist()  # harmonic means .72 and .3, over their sum
        [[0.706], [0.294]]
    """
    shape = (log.n_items, log.n_positions)
    cell = log.item_id * log.n_positions + log.position - 1
    seen = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    inverse = np.bincount(cell, 1 / log.propensity, minlength=shape[0] * shape[1]).reshape(shape)
    if not seen.any(axis=0).all():
        bare = (np.flatnonzero(~seen.any(axis=0)) + 1).tolist()
        raise SchemaError(
            f"open bandit {log.behaviour}-{log.campaign}: no rows at positions {bare} of {len(log)} rows."
        )
    mean = np.divide(seen, inverse, out=np.zeros(shape), where=seen > 0)
    probabilities: FloatArray = mean / mean.sum(axis=0)
    return probabilities


def _read_csv(path: Path, columns: tuple[str, ...]) -> pa.Table:
    try:
        return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(include_columns=list(columns)))
    except FileNotFoundError:
        raise SourceError(f"'{path}' is not there. Get it with: beautyrec data fetch open-bandit") from None
    except (pa.ArrowException, KeyError, OSError) as error:
        raise SourceError(f"'{path}' cannot be read as CSV with columns {list(columns)}: {error}") from None


def _frame(table: pa.Table, source: str) -> pd.DataFrame:
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise SchemaError(f"{source}: columns {missing} are missing. They are named as the publisher names them.")
    frame: pd.DataFrame = table.select(list(_COLUMNS)).to_pandas()
    return frame


def _check(frame: pd.DataFrame, n_items: int, source: str) -> None:
    """Refuse what the publisher's log never has."""
    numbers = frame[[ITEM_ID, POSITION, CLICK, PROPENSITY]]
    wrong = [
        f"'{name}' holds {kind}" for name, kind in numbers.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)
    ]
    if wrong:
        raise SchemaError(f"{source}: {', '.join(wrong)}, not numbers, in its {len(frame)} rows. Take the original.")
    rules: Rules = {
        ITEM_ID: (frame[ITEM_ID].between(0, n_items - 1), f"0 to {n_items - 1}"),
        POSITION: (frame[POSITION].between(1, N_POSITIONS), f"1 to {N_POSITIONS}"),
        CLICK: (frame[CLICK].isin([0, 1]), "0 or 1"),
        PROPENSITY: ((frame[PROPENSITY] > 0) & (frame[PROPENSITY] <= 1), "in (0, 1]"),
    }
    refuse_rows(frame, rules, source)
