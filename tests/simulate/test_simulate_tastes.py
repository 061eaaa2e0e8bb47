from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.tastes import Bought, ContentTastes, RandomTastes, on_unit_spread, shrunk_means


@pytest.fixture(scope="module")
def shop() -> tuple[pd.DataFrame, pd.DataFrame]:
    return synthetic_purchases(users=1500, items=400, events=12_000, seed=5)


def bought(purchases: pd.DataFrame, users: int) -> Bought:
    return Bought(purchases["user_id"].to_numpy() - 1, purchases["item_id"].to_numpy() - 1, users)


def test_taste_has_mean_zero_for_each_product_and_spread_one():
    tastes = RandomTastes(3)(Bought(np.zeros(0, int), np.zeros(0, int), 40), pd.DataFrame(index=range(25)), seed=1)
    rows = np.arange(5, 25)
    scaled = on_unit_spread(tastes, rows)
    table = scaled.users.astype(float) @ scaled.items.astype(float).T  # [users, items], all pairs
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-6)
    assert table.std() == pytest.approx(1, abs=1e-6)


def test_shrunk_means_by_hand():
    values = np.array([[2.0, 0.0], [4.0, 3.0], [1.0, 1.0]])
    rows = Bought(np.array([0, 0, 2]), np.zeros(3, int), 3)
    np.testing.assert_allclose(shrunk_means(values, rows, 1.0), [[2.0, 1.0], [0.0, 0.0], [0.5, 0.5]])


def test_a_shopper_likes_the_next_thing_they_will_buy(shop):
    purchases, items = shop
    last = ~purchases.duplicated("user_id", keep="last")
    before, after = purchases[~last], purchases[last]
    scaled = on_unit_spread(ContentTastes()(bought(before, 1500), items, seed=0), np.arange(len(items)))
    user, row = after["user_id"].to_numpy() - 1, after["item_id"].to_numpy() - 1
    taste = (scaled.users[user] * scaled.items[row]).sum(axis=1)
    assert taste.mean() / (taste.std() / np.sqrt(len(taste))) > 4  # over all pairs the mean is 0


def test_content_tastes_read_words_only(shop):
    purchases, items = shop
    silent = items.assign(price=np.nan, item_id=items["item_id"] + 7)
    first, again = (ContentTastes(8)(bought(purchases, 1500), table, seed=0) for table in (items, silent))
    np.testing.assert_array_equal(first.users, again.users)
    np.testing.assert_array_equal(first.items, again.items)
