"""Amazon product reviews (1996 to 2014), one category at a time; a review stands for a purchase.

From J. McAuley, C. Targett, Q. Shi, A. van den Hengel: Image-based recommendations on styles and substitutes, SIGIR 2015, and
R. He, J. McAuley: Ups and downs, WWW 2016. The publisher's files of a category: ``ratings_Beauty.csv`` (no header: user, item,
rating, time), ``reviews_Beauty_5.json.gz`` (one JSON object a line: ``reviewerID, asin, overall, unixReviewTime, ...``) and
``meta_Beauty.json.gz`` (one Python literal a line: ``asin, title, brand, price, categories, ...``). Times are seconds since
1970-01-01 UTC, whole days.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.schema import (
    AVAILABLE_AT,
    BRAND,
    CATEGORY,
    CATEGORY_PATH,
    EVENT,
    ITEM_ID,
    ORDER,
    PRICE,
    TITLE,
    TS,
    USER_ID,
)
from beautyrec.data.sources.delimited import Delimited, Rows
from beautyrec.data.sources.frames import SourceFrames, all_rejected, by_time, first_each, from_epoch, one_each
from beautyrec.data.sources.json_lines import JsonLines
from beautyrec.data.sources.kinds import NUMBER, TEXT, WHOLE

COLUMNS: Final[Mapping[str, str]] = {
    "reviewerID": USER_ID,
    "asin": ITEM_ID,
    "unixReviewTime": TS,
    "title": TITLE,
    "brand": BRAND,
    "price": PRICE,
    "categories": CATEGORY_PATH,
}
"""The publisher's fields to the columns of the schema; ``overall`` goes beside."""
RATING: Final = "rating"
SECONDS: Final = "seconds"

_RULES: Final = {
    "the item has no ten characters (user and item swapped?)": f"length({ITEM_ID}) = 10",
    "the time is not seconds of 1970 to 2100": f"{SECONDS} between 0 and 4102444800",
    "the rating is not 0 to 5": f"{RATING} between 0 and 5",
}
_RATINGS: Final = Delimited({USER_ID: TEXT, ITEM_ID: TEXT, RATING: NUMBER, SECONDS: WHOLE}, rules=_RULES, header=False)
_REVIEWS: Final = JsonLines(
    {
        USER_ID: ("$.reviewerID", TEXT),
        ITEM_ID: ("$.asin", TEXT),
        RATING: ("$.overall", NUMBER),
        SECONDS: ("$.unixReviewTime", WHOLE),
    },
    rules=_RULES,
)
_METADATA: Final = JsonLines(
    {
        ITEM_ID: ("$.asin", TEXT),
        TITLE: ("$.title", TEXT),
        BRAND: ("$.brand", TEXT),
        PRICE: ("$.price", NUMBER),
        CATEGORY_PATH: ("$.categories[0][*]", TEXT),
    },
    gaps=(TITLE, BRAND, PRICE, CATEGORY_PATH),
    rules={"price below 0": "price >= 0"},
)


def read_amazon(reviews: str | Path, metadata: str | Path | None = None, max_rejected: float = 0.01) -> SourceFrames:
    """The reviews of a category as orders, and the items that were reviewed.

    Reviews of one day come in the order of the file. An order is one piece and pays the item's price of the metadata, one value
    for all of the time, with a gap where there is none; the category is the last name of ``category_path``, the first path of
    ``categories``. ``beside["rating"]`` has the ratings: ``user_id, item_id, available_at, rating``.

    Args:
        reviews: ``ratings_CATEGORY.csv``, or ``reviews_CATEGORY_5.json`` or ``reviews_CATEGORY.json``, each plain or gz.
        metadata: ``meta_CATEGORY.json``, plain or gz. Without it, of the items only the ids are known.
        max_rejected: the largest share of a file's rows that may be rejected.

    Raises:
        SourceError: a file is absent, empty or cannot be read.
        SchemaError: too many rows are damaged.
    """
    path = Path(reviews)
    reader = _RATINGS if ".csv" in path.suffixes else _REVIEWS
    taken = reader.read(path, max_rejected)
    known = [_METADATA.read(Path(metadata), max_rejected)] if metadata is not None else []
    items = _items(taken.table, known)
    ts = from_epoch(taken.table.column(SECONDS), "s")
    rows = taken.table.drop_columns([SECONDS])
    rating = rows.append_column(AVAILABLE_AT, ts)
    rejected = all_rejected(part.rejected for part in (taken, *known))
    events = rows.drop_columns([RATING]).append_column(TS, ts)
    return SourceFrames(_orders(events, items), items, rejected, beside={RATING: rating})


def _items(reviews: pa.Table, known: list[Rows]) -> pa.Table:
    """The items that were reviewed, with what the metadata say of them."""
    items = pa.table({ITEM_ID: pc.unique(reviews.column(ITEM_ID)).sort()})
    for rows in known:
        path = rows.table.column(CATEGORY_PATH)
        named = rows.table.append_column(CATEGORY, pc.replace_substring_regex(path, r"^.*\|", ""))
        items = items.join(first_each(named, ITEM_ID), ITEM_ID).sort_by(ITEM_ID)
    return items


def _orders(events: pa.Table, items: pa.Table) -> pa.Table:
    """The events as orders of one piece each, in order of time, at the price of the item."""
    events = events.append_column(EVENT, pa.repeat(pa.scalar(ORDER), events.num_rows))
    if PRICE in items.column_names:
        places = pc.index_in(events.column(ITEM_ID), value_set=items.column(ITEM_ID).combine_chunks())
        events = events.append_column(PRICE, pc.take(items.column(PRICE), places))
    return by_time(one_each(events, ORDER))
