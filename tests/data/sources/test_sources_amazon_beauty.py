from __future__ import annotations

import pandas as pd
import pytest

from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.errors import SchemaError, SourceError


@pytest.fixture
def folder(tmp_path):
    """Two users and three items in the publisher's columns, rows out of order."""
    days = pd.to_datetime(["2012-02-02", "2011-10-18", "2011-10-18", "2010-01-01"])
    pd.DataFrame(
        {"user_id": [1, 1, 1, 2], "item_id": [3, 2, 1, 3], "pos": [2, 1, 0, 0], "ts": days, "asin": "x"}
    ).to_parquet(tmp_path / "interactions.parquet")
    pd.DataFrame(
        {
            "item_id": [1, 2, 3],
            "title": ["Balm", None, "Serum"],
            "brand": ["Aster", None, "Birch"],
            "category_path": ["Beauty|Makeup|Lips", "Beauty", "Beauty|Skin Care"],
            "price": [3.5, None, 8.0],
            "sales_rank": 1.0,
        }
    ).to_parquet(tmp_path / "items.parquet")
    return tmp_path


def test_reviews_become_orders_in_the_order_of_pos(folder):
    log = read_amazon_beauty(folder)
    events = log.engine.frame(log.events)
    assert events["event_id"].tolist() == [0, 1, 2, 3]
    assert events["user_id"].tolist() == [1, 1, 1, 2]
    assert events["item_id"].tolist() == [1, 2, 3, 3]
    assert events["price"].fillna(-1).tolist() == [3.5, -1, 8.0, 8.0]
    assert (events["event"] == "order").all()
    assert (events["quantity"] == 1).all()
    assert events["ts"].iloc[0] == pd.Timestamp("2011-10-18T00:00Z")
    items = log.engine.frame(log.items)
    assert items["category"].tolist() == ["Lips", "Beauty", "Skin Care"]


def test_missing_file_and_column(folder):
    items = pd.read_parquet(folder / "items.parquet")
    items.drop(columns="price").to_parquet(folder / "items.parquet")
    with pytest.raises(SchemaError, match=r"items\.parquet: columns \['price'\] are missing"):
        read_amazon_beauty(folder)
    (folder / "items.parquet").unlink()
    with pytest.raises(SourceError, match=r"items\.parquet' is not there"):
        read_amazon_beauty(folder)
    with pytest.raises(SourceError, match=r"interactions\.parquet' is not there"):
        read_amazon_beauty(folder / "absent")


def test_bad_rows(folder):
    items = pd.read_parquet(folder / "items.parquet")
    items.assign(price=[3.5, -2.0, 8.0]).to_parquet(folder / "items.parquet")
    with pytest.raises(SchemaError, match="column 'price': 1 of"):
        read_amazon_beauty(folder)
    items.assign(item_id=[1, 1, 3]).to_parquet(folder / "items.parquet")
    with pytest.raises(SchemaError, match="column 'item_id': 1 of 3 rows repeat"):
        read_amazon_beauty(folder)
    events = pd.read_parquet(folder / "interactions.parquet")
    events.assign(pos=[0, 0, 1, 0]).to_parquet(folder / "interactions.parquet")
    with pytest.raises(SchemaError, match="1 of 4 rows repeat a 'pos' of their user"):
        read_amazon_beauty(folder)


@pytest.mark.shared
def test_the_published_counts(shared_data):
    found = read_amazon_beauty(shared_data / "amazon-beauty-2014").describe()
    assert found["events"] == {"order": 198_502}
    assert (found["users"], found["items"]) == (22_363, 12_101)
    assert (str(found["start"].date()), str(found["end"].date())) == ("2002-06-12", "2014-07-23")
