"""MineThatData e-mail experiment (2008): 64,000 customers, three letters drawn at random, what came of them in two weeks.

From K. Hillstrom: The MineThatData E-Mail Analytics and Data Mining Challenge, 2008. A third of the customers got a letter
with men's products, a third one with women's, a third none; so the chance of each letter is known, and what a policy
that chooses letters would bring can be told from an experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from beautyrec.data.parquet import read_parquet
from beautyrec.data.sources.rules import Rules, refuse_rows
from beautyrec.errors import SchemaError, SourceError
from beautyrec.types import FloatArray, IntArray

PARQUET: Final = "customers.parquet"
CSV_PATTERN: Final = "*Hillstrom*.csv"
ARMS: Final = ("Mens E-Mail", "Womens E-Mail", "No E-Mail")
PROPENSITY: Final = 1 / len(ARMS)
"""Chance of each letter, for every customer."""

SEGMENT: Final = "segment"
VISIT: Final = "visit"
CONVERSION: Final = "conversion"
SPEND: Final = "spend"
COVARIATES: Final = (
    "recency",
    "history_segment",
    "history",
    "mens",
    "womens",
    "zip_code",
    "newbie",
    "channel",
)
"""What was known of a customer before: months since the last purchase, money spent in the past year (as a class and in
dollars), whether men's and women's products were bought, kind of neighbourhood, new in the past year, way of buying."""
_COLUMNS: Final = (*COVARIATES, SEGMENT, VISIT, CONVERSION, SPEND)


@dataclass(frozen=True, eq=False)
class HillstromLog:
    """n customers, each with one letter.

    Args:
        customers: n rows with the columns `COVARIATES`.
        arm: [n] index of the letter in `ARMS`.
        visit: [n] 1 where the customer came to the site.
        conversion: [n] 1 where the customer bought.
        spend: [n] dollars, 0 without a purchase.
    """

    customers: pd.DataFrame
    arm: IntArray
    visit: FloatArray
    conversion: FloatArray
    spend: FloatArray

    def __len__(self) -> int:
        return len(self.arm)


def read_hillstrom(folder: str | Path) -> HillstromLog:
    """The experiment, customers in the order of the file.

    Args:
        folder: holds ``customers.parquet`` or the publisher's CSV file (its name has *Hillstrom* in it).

    Raises:
        SourceError: neither is there, or the file cannot be read.
        SchemaError: a column is missing or has rows that it must not have.
    """
    folder = Path(folder)
    published = sorted(folder.glob(CSV_PATTERN))
    if (folder / PARQUET).exists():
        path, table = folder / PARQUET, read_parquet(folder / PARQUET)
    elif published:
        path, table = published[0], _read_csv(published[0])
    else:
        raise SourceError(
            f"'{folder}' holds neither '{PARQUET}' nor a file '{CSV_PATTERN}'. Put the publisher's CSV file there."
        )
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise SchemaError(f"{path}: columns {missing} are missing. They are named as the publisher names them.")
    frame = table.select(list(_COLUMNS)).to_pandas()
    _check(frame, str(path))
    return HillstromLog(
        customers=frame[list(COVARIATES)],
        arm=pd.Index(ARMS).get_indexer(frame[SEGMENT]).astype(np.int64),
        visit=frame[VISIT].to_numpy(np.float64),
        conversion=frame[CONVERSION].to_numpy(np.float64),
        spend=frame[SPEND].to_numpy(np.float64),
    )


def features(customers: pd.DataFrame) -> FloatArray:
    """[n, 12] the covariates as numbers of a similar size, a constant first.

    The class of the past spend is left out, as the spend is there; months are divided by 12, dollars go in as
    ``log(1 + dollars) / 5``; kinds of neighbourhood and ways of buying are one column each.
    """
    columns = [np.ones(len(customers)), customers["recency"] / 12, np.log1p(customers["history"]) / 5]
    columns += [customers[name] for name in ("mens", "womens", "newbie")]
    columns += [customers["zip_code"] == kind for kind in ("Surburban", "Urban", "Rural")]
    columns += [customers["channel"] == way for way in ("Web", "Phone", "Multichannel")]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def _read_csv(path: Path) -> pa.Table:
    try:
        return pa.csv.read_csv(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"'{path}' cannot be read as CSV: {error}") from None


def _check(frame: pd.DataFrame, source: str) -> None:
    """Refuse what the publisher's file never has."""
    numbers = frame.drop(columns=[SEGMENT, "history_segment", "zip_code", "channel"])
    texts = [name for name, kind in numbers.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    if texts:
        raise SchemaError(f"{source}: columns {texts} do not hold numbers, in {len(frame)} rows. Take the original.")
    rules: Rules = {
        SEGMENT: (frame[SEGMENT].isin(ARMS), f"one of {list(ARMS)}"),
        VISIT: (frame[VISIT].isin([0, 1]), "0 or 1"),
        CONVERSION: (frame[CONVERSION].isin([0, 1]), "0 or 1"),
        SPEND: ((frame[SPEND] >= 0) & (frame[SPEND] < np.inf), "0 or more"),
        "history": ((frame["history"] >= 0) & (frame["history"] < np.inf), "0 or more"),
        "recency": (frame["recency"].between(0, 120), "months, 0 to 120"),
    }
    refuse_rows(frame, rules, source)
