from __future__ import annotations

import gzip
import json

import duckdb
import pandas as pd
import pytest

from beautyrec.data.sources.amazon import read_amazon
from beautyrec.errors import SchemaError, SourceError

DAY = 86_400
REVIEWS = [
    {
        "reviewerID": "A1YJEY40YUW4SE",
        "asin": "7806397051",
        "overall": 1.0,
        "reviewText": 'It\'s "so" so',
        "unixReviewTime": 2 * DAY,
    },
    {"reviewerID": "A1YJEY40YUW4SE", "asin": "B000000001", "overall": 5.0, "summary": None, "unixReviewTime": DAY},
    {"reviewerID": "A60XNB876KYML", "asin": "B000000001", "overall": 3.0, "helpful": [0, 1], "unixReviewTime": DAY},
]
METADATA = [
    {
        "asin": "7806397051",
        "title": 'WAWO\'s "15" \\ Color\n\x85',
        "price": 2.7,
        "categories": [["Beauty", "Makeup", "Palettes & 'Sets'"]],
    },
    {
        "asin": "B000000001",
        "categories": [["Beauty"], ["Other", "Deeper"]],
        "brand": "Aster",
        "salesRank": {"Beauty": 5},
        "n": None,
    },
    {"asin": "B000000002", "title": "nobody's", "price": 1.0, "categories": [[]]},
]
RATINGS = "".join(f"{row['reviewerID']},{row['asin']},{row['overall']},{row['unixReviewTime']}\n" for row in REVIEWS)


def write(path, text):
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.write(text)
    return path


def json_text(rows=REVIEWS):
    return "".join(json.dumps(row) + "\n" for row in rows)


def python_text(rows=METADATA):
    return "".join(f"{row!r}\n" for row in rows)


@pytest.fixture(
    params=["reviews_Beauty_5.json.gz", "reviews_Beauty.json", "ratings_Beauty.csv", "ratings_Beauty.csv.gz"]
)
def reviews(tmp_path, request):
    return write(tmp_path / request.param, RATINGS if "csv" in request.param else json_text())


def test_reviews_are_orders_in_order_of_time(reviews):
    source = read_amazon(reviews)
    events = source.events.to_pandas()
    assert events["event_id"].tolist() == [0, 1, 2]
    assert events["user_id"].tolist() == ["A1YJEY40YUW4SE", "A60XNB876KYML", "A1YJEY40YUW4SE"]
    assert events["item_id"].tolist() == ["B000000001", "B000000001", "7806397051"]
    assert (events["event"] == "order").all()
    assert (events["quantity"] == 1).all()
    assert events["ts"].tolist() == [pd.Timestamp(day * DAY, unit="s", tz="UTC") for day in (1, 1, 2)]
    assert source.items.to_pydict() == {"item_id": ["7806397051", "B000000001"]}
    assert source.beside["rating"].to_pydict()["rating"] == [1, 5, 3]
    assert source.rejected.num_rows == 0


@pytest.mark.parametrize("text", [python_text(), json_text(METADATA)], ids=["python", "json"])
def test_metadata_of_what_was_reviewed(tmp_path, text):
    reviews = write(tmp_path / "ratings_Beauty.csv", RATINGS)
    source = read_amazon(reviews, write(tmp_path / "meta_Beauty.json.gz", text))
    assert source.items.to_pylist() == [
        {
            "item_id": "7806397051",
            "title": METADATA[0]["title"],
            "brand": None,
            "price": 2.7,
            "category_path": "Beauty|Makeup|Palettes & 'Sets'",
            "category": "Palettes & 'Sets'",
        },
        {
            "item_id": "B000000001",
            "title": None,
            "brand": "Aster",
            "price": None,
            "category_path": "Beauty",
            "category": "Beauty",
        },
    ]
    assert source.events.to_pandas()["price"].fillna(-1).tolist() == [-1, -1, 2.7]
    assert source.log().describe()["items"] == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (json_text(REVIEWS[:1])[:40], "not a JSON object"),
        ("[1]", "not a JSON object"),
        (json.dumps({**REVIEWS[0], "asin": None}), "no item_id"),
        (json.dumps({"asin": "B000000001"}), "no user_id"),
        (json.dumps({**REVIEWS[0], "unixReviewTime": "today"}), "seconds is not a whole number"),
        (json.dumps({**REVIEWS[0], "unixReviewTime": DAY * 10**9}), "the time is not seconds of 1970 to 2100"),
        (json.dumps({**REVIEWS[0], "overall": 9}), "the rating is not 0 to 5"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, why):
    path = write(tmp_path / "reviews_Beauty_5.json.gz", json_text(REVIEWS[:2]) + f"\n{line}\n" + json_text(REVIEWS[2:]))
    source = read_amazon(path, max_rejected=0.25)
    assert source.events.num_rows == 3
    assert source.rejected.to_pylist() == [{"file": str(path), "line": 4, "reason": why, "text": line.rstrip("\n")}]
    with pytest.raises(
        SchemaError, match=r"5\.json\.gz: 1 of 4 rows are damaged, more than 0\.01 of them \(first: line 4, "
    ):
        read_amazon(path)


def test_ratings_with_user_and_item_swapped_are_refused(tmp_path):
    swapped = "".join(
        ",".join((line.split(",")[1], line.split(",")[0], *line.split(",")[2:])) for line in RATINGS.splitlines(True)
    )
    with pytest.raises(SchemaError, match=r"3 of 3 rows are damaged.*swapped"):
        read_amazon(write(tmp_path / "Beauty.csv", swapped))


@pytest.mark.parametrize("name", ["ratings_Beauty.csv", "reviews_Beauty_5.json"])
def test_absent_and_empty_files(tmp_path, name):
    with pytest.raises(SourceError, match="is not there"):
        read_amazon(tmp_path / name)
    with pytest.raises(SourceError, match=r"has no sound rows|is empty"):
        read_amazon(write(tmp_path / name, ""))
    with pytest.raises(SourceError, match="cannot be read"):
        read_amazon((write(tmp_path / name, RATINGS)).rename(tmp_path / f"{name}.gz"))


def test_beauty_as_the_publisher_writes_it(shared_data, tmp_path):
    """The real reviews and catalogue, written in the publisher's layout."""
    folder = shared_data / "amazon-beauty-2014"
    reviews, metadata = tmp_path / "reviews_Beauty_5.json.gz", tmp_path / "meta_Beauty.json.gz"
    with duckdb.connect() as connection:
        connection.read_parquet(str(folder / "items.parquet")).create("items")
        connection.read_parquet(str(folder / "interactions.parquet")).create("taken")
        connection.execute(
            """create table reviews as select 'A' || user_id as "reviewerID", asin, 5.0 as overall,
            epoch(ts)::bigint as "unixReviewTime" from taken join items using (item_id) order by user_id, pos"""
        )
        connection.execute(
            """create table metadata as
            select asin, title, brand, price, [string_split(category_path, '|')] as categories from items"""
        )
        for name, path in (("reviews", reviews), ("metadata", metadata)):
            connection.execute(f"copy {name} to '{path}' (format json)")
        known = connection.table("items").order("asin").df()
    source = read_amazon(reviews, metadata)
    assert source.events.num_rows == 198_502
    assert source.rejected.num_rows == 0
    items = source.items.to_pandas()
    assert items["item_id"].tolist() == known["asin"].tolist()
    assert items["category_path"].tolist() == known["category_path"].tolist()
    pd.testing.assert_series_equal(items["price"], known["price"])
