from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import ConfigError
from beautyrec.simulate.catalogue import CORE, synthetic_purchases


@pytest.fixture(scope="module")
def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    return synthetic_purchases(seed=0)


def test_it_has_the_size_of_the_real_set(frames):
    purchases, items = frames
    assert len(purchases) == 198_502
    assert purchases["user_id"].nunique() == 22_363
    assert purchases["item_id"].nunique() == len(items) == 12_101
    assert set(purchases["item_id"]) == set(items["item_id"])


def test_it_is_a_five_core_without_repeats(frames):
    purchases, _ = frames
    assert purchases["user_id"].value_counts().min() == CORE
    assert purchases["item_id"].value_counts().min() == CORE
    assert not purchases.duplicated(["user_id", "item_id"]).any()


def test_counts_have_a_tail_like_the_real_ones(frames):
    purchases, _ = frames
    items, users = purchases["item_id"].value_counts(), purchases["user_id"].value_counts()
    # The real set: items 9 / 34 / 111 / 431, users 6 / 14 / 43 / 204 at 50 %, 90 %, 99 % and the top.
    for counts, real in ((items, (9, 34, 111, 431)), (users, (6, 14, 43, 204))):
        ours = np.quantile(counts, [0.5, 0.9, 0.99, 1.0])
        assert (np.abs(np.log(ours / real)) < np.log(1.6)).all()


def test_gaps_and_dates(frames):
    purchases, items = frames
    assert items["price"].isna().mean() == pytest.approx(0.05, abs=0.01)
    assert items["brand"].isna().mean() == pytest.approx(0.17, abs=0.015)
    assert (items["price"].dropna() > 0).all()
    assert (items["category_path"].str.rsplit("|", n=1).str[-1] == items["category"]).all()
    ts = purchases["ts"]
    assert str(ts.dtype) == "datetime64[us, UTC]"
    assert ts.min() >= pd.Timestamp("2002-06-12", tz="UTC")
    assert ts.max() == pd.Timestamp("2014-07-23", tz="UTC")
    assert (ts == ts.dt.floor("D")).all()
    assert purchases.groupby("user_id")["ts"].is_monotonic_increasing.all()
    by_year = ts.dt.year.value_counts()
    assert by_year[2013] > by_year[2012] > by_year[2011] > by_year[2010]


def test_shoppers_stay_near_what_they_bought_last(frames):
    purchases, items = frames
    table = items.set_index("item_id").loc[purchases["item_id"]]
    same_user = purchases["user_id"].to_numpy()[1:] == purchases["user_id"].to_numpy()[:-1]
    for column, factor in (("category", 3.0), ("brand", 5.0)):
        code = pd.factorize(table[column])[0]
        known = same_user & (code[1:] >= 0) & (code[:-1] >= 0)
        share = np.bincount(code[code >= 0]) / (code >= 0).sum()
        assert (code[1:] == code[:-1])[known].mean() > factor * (share**2).sum()


def test_the_seed_decides_all():
    first, again, other = (synthetic_purchases(60, 40, 420, seed=seed) for seed in (1, 1, 2))
    for left, right in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(left, right)
    assert not first[0]["item_id"].equals(other[0]["item_id"])


@pytest.mark.parametrize(("users", "items", "events"), [(100, 40, 499), (10, 200, 999), (30, 40, 401), (100, 19, 500)])
def test_sizes_that_cannot_be(users, items, events):
    with pytest.raises(ConfigError, match="do not fit"):
        synthetic_purchases(users, items, events, seed=0)
