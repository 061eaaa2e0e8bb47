"""What is written is what is computed."""

from __future__ import annotations

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from beautyrec.errors import SchemaError
from beautyrec.features.buyers import UserOrders, UserWithItem
from beautyrec.features.context import Hour, Position
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import ItemHeat, PriceInCategory, SmoothedCTR
from beautyrec.features.users import UserBrandAffinity, UserCategoryAffinity
from beautyrec.testing.features import START, shops

SETS = {
    "viewers with products": FeatureSet(
        (UserCategoryAffinity(), UserWithItem(), SmoothedCTR(), ItemHeat(), Position())
    ),
    "viewers alone": FeatureSet((UserBrandAffinity(), Hour(utc_offset=8), UserOrders())),
    "rooms": FeatureSet((PriceInCategory(), Hour())),
}


def written(features, log, keys, folder):
    path = folder / "features.parquet"
    features.write(log, log.engine.table(keys), path)
    return pq.read_table(path).to_pandas().set_index("number").sort_index()


@pytest.mark.parametrize("name", SETS)
@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
@given(shop=shops(least_events=30, least_keys=10))
def test_the_file_has_the_values_of_the_frame(name, shop, tmp_path_factory):
    features = SETS[name]
    keys = pd.concat([shop.keys, shop.keys.iloc[:2]], ignore_index=True)  # keys may be there twice
    keys = keys.assign(number=range(len(keys)), as_of=keys["as_of"].dt.tz_convert("UTC").dt.as_unit("us"))
    expected = features.compute(shop.log, keys)
    found = written(features, shop.log, keys, tmp_path_factory.mktemp("written"))
    assert list(found) == [
        *(name for name in keys if name not in (*features.names, "number")),
        *features.names,
    ]
    pd.testing.assert_frame_equal(found[list(features.names)], expected, check_names=False, rtol=1e-12)


def test_a_gap_in_a_key_is_a_key(tiny_log, tmp_path):
    keys = pd.DataFrame({"item_id": ["item-00", None], "as_of": START + pd.Timedelta("2D"), "number": [0, 1]})
    heat = FeatureSet((ItemHeat(),))
    found = written(heat, tiny_log, keys, tmp_path)
    assert found["item_heat_30d"].tolist() == heat.compute(tiny_log, keys)["item_heat_30d"].tolist()
    assert found["item_heat_30d"].tolist()[1] == 0


def test_tables_made_on_the_way_are_dropped(tiny_log, tmp_path):
    def tables():
        return tiny_log.engine.connection.raw_sql("SELECT table_name FROM duckdb_tables()").fetchall()

    before = tables()
    keys = tiny_log.events.select("user_id", "item_id", "position", as_of=tiny_log.events["ts"])
    SETS["viewers with products"].write(tiny_log, keys, tmp_path / "f.parquet")
    assert tables() == before


def test_progress_counts_what_is_asked_of_and_the_end(tiny_log, tmp_path):
    seen = []
    keys = tiny_log.events.select("user_id", "item_id", as_of=tiny_log.events["ts"])
    SETS["viewers alone"].write(tiny_log, keys, tmp_path / "f.parquet", lambda *done: seen.append(done))
    assert seen == [(n, 5) for n in range(1, 6)]  # all, brand, viewer, viewer with brand, the end


def test_wrong_keys_are_named_and_nothing_is_written(tiny_log, tmp_path):
    keys = tiny_log.events.select("item_id", as_of=tiny_log.events["ts"])
    with pytest.raises(SchemaError, match="column 'user_id' is missing; the table has"):
        SETS["viewers alone"].write(tiny_log, keys, tmp_path / "f.parquet")
    with pytest.raises(SchemaError, match="'item_id' is int64, the log has string: cast it"):
        FeatureSet((ItemHeat(),)).write(
            tiny_log, keys.mutate(item_id=1).cast({"item_id": "int64"}), tmp_path / "f.parquet"
        )
    assert not list(tmp_path.iterdir())
