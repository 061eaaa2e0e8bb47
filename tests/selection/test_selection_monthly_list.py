from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import ConfigError, InfeasibleError
from beautyrec.selection.limits import Quota
from beautyrec.selection.monthly_list import ListConfig, monthly_list
from beautyrec.selection.scorecard import Scorecard

pytest.importorskip("scipy")


def shelf(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "item_id": np.arange(n),
            "title": [f"product {i}" for i in range(n)],
            "category": rng.choice(list("abc"), n),
            "brand": rng.choice([*"xyz", None], n),
            "supplier": rng.choice(list("pq"), n),
            "price": rng.choice([5.0, 15.0, 40.0], n),
            "novelty": rng.choice([3.0, 90.0], n),
            "margin": rng.random(n),
            "heat": rng.gamma(1, 30, n),
        }
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 4),
    per_category=st.integers(1, 3),
    quota=st.sampled_from([(), (Quota("is_new", True, 2),), (Quota("price_band", 1, 1, 1), Quota("brand", "x", 1))]),
    churn=st.sampled_from([0.0, 0.5, 1.0]),
    last=st.lists(st.integers(0, 8), max_size=3, unique=True),
)
def test_no_list_is_better_by_trying_all(seed, size, per_category, quota, churn, last):
    table = shelf(8, seed)
    table.loc[0, "price"] = np.nan
    scores = Scorecard().score(table)
    config = ListConfig(size, per_category, per_supplier=3, price_edges=(10.0,), quotas=quota, churn=churn)
    band = np.where(table["price"] < 10, 1, 2)
    there = [item for item in last if 0 < item < 8]

    def holds(chosen: tuple[int, ...]) -> bool:
        rows, places = table.iloc[list(chosen)], list(chosen)
        counts = {
            "is_new": int((rows["novelty"] <= 30).sum()),
            "price_band": int((band[places] == 1).sum()),
            "brand": int((rows["brand"] == "x").sum()),
        }
        return (
            rows["category"].value_counts().max() <= per_category
            and rows["supplier"].value_counts().max() <= 3
            and all(q.at_least <= counts[q.column] <= (q.at_most or 99) for q in quota)
            and len(set(there) - set(chosen)) <= churn * len(there) + 1e-9
        )

    best = [scores.total[list(c)].sum() for c in itertools.combinations(range(1, 8), size) if holds(c)]
    if not best:
        with pytest.raises(InfeasibleError, match=r"cannot all hold.*smallest change"):
            monthly_list(scores, table, config, last)
        return
    chosen = monthly_list(scores, table, config, last)
    assert chosen.total == pytest.approx(max(best))
    assert holds(tuple(chosen.entries["item_id"]))
    assert sorted([*chosen.left["item_id"], *(i for i in chosen.entries["item_id"] if i in last)]) == sorted(last)
    assert (chosen.entries["status"] == "kept").sum() == len(set(last) & set(chosen.entries["item_id"]))


def test_entries_say_why_and_their_parts_add_up():
    table = shelf(300)
    chosen = monthly_list(Scorecard().score(table), table, ListConfig(50, per_brand=20), last=range(40))
    entries = chosen.entries
    assert entries["rank"].tolist() == list(range(1, 51))
    assert entries["total"].is_monotonic_decreasing
    np.testing.assert_allclose(entries.filter(like="part_").sum(axis=1), entries["total"])
    first = entries.iloc[0]
    for name in ("margin", "heat"):
        assert f"{name} {first[f'part_{name}']:+.2f}" in first["reasons"]


def test_what_left_says_why():
    table = shelf(6).assign(category=["a", "a", "a", "b", "b", "b"], margin=[0.9, 0.8, 0.7, 0.5, 0.4, 0.1], stock=9.0)
    table = table.drop(columns=["heat", "novelty"])
    table.loc[4, "stock"] = 0
    scores = Scorecard().score(table)
    left = monthly_list(scores, table, ListConfig(3, per_category=2), [1, 2, 4, 5, 99]).left.set_index("item_id")[
        "reason"
    ]
    assert left[2] == "at most 2 of a category: a better one has its place"
    assert left[4] == "out of stock"
    assert "rank 6 of 6; the list has 3" in left[5]
    assert left[99] == "no longer in the catalogue"
    assert 1 not in left


def test_quotas_that_contradict_each_other_are_named_with_the_smallest_relaxation():
    table = shelf(60).assign(brand=["x"] * 5 + ["y"] * 55)
    config = ListConfig(20, per_brand=4, per_category=15, quotas=(Quota("brand", "x", 8),))
    with pytest.raises(InfeasibleError) as caught:
        monthly_list(Scorecard().score(table), table, config)
    message = str(caught.value)
    assert "at least 8 of brand 'x'" in message
    assert "'at least 8 of brand 'x'' by 3" in message  # there are 5 of it
    assert "at most 15 of a category" not in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": 0}, "size is 0"),
        ({"churn": 1.5}, "churn"),
        ({"price_edges": (9.0, 3.0)}, "rising"),
        ({"per_brand": 0}, "per_brand"),
    ],
)
def test_wrong_settings_are_named(change, says):
    with pytest.raises(ConfigError, match=says):
        ListConfig(**change)


def test_columns_and_products_that_do_not_fit_are_named():
    table = shelf(30)
    scores = Scorecard().score(table)
    with pytest.raises(ConfigError, match="no column 'supplier'"):
        monthly_list(scores, table.drop(columns="supplier"), ListConfig(3, per_supplier=1))
    with pytest.raises(ConfigError, match="no column 'country'"):
        monthly_list(scores, table, ListConfig(3, quotas=(Quota("country", "FR", 1),)))
    with pytest.raises(ConfigError, match="29 products for 30 scores"):
        monthly_list(scores, table.iloc[1:], ListConfig(3))
    with pytest.raises(ConfigError, match="at least 5 and at most 2"):
        Quota("brand", "x", 5, 2)


def test_the_list_is_written_whole(tmp_path):
    table = shelf(40)
    table.loc[7, "title"] = "<i>美白</i>"
    table.loc[7, ["margin", "heat"]] = [5.0, 5000.0]
    chosen = monthly_list(Scorecard().score(table), table, ListConfig(5), last=[7, 98])
    chosen.to_csv(tmp_path / "list.csv")
    chosen.to_parquet(tmp_path / "list.parquet")
    chosen.write_html(tmp_path / "list.html")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "list.parquet"), chosen.entries)
    assert (tmp_path / "list.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert pd.read_csv(tmp_path / "list.csv")["item_id"].tolist() == chosen.entries["item_id"].tolist()
    page = (tmp_path / "list.html").read_text(encoding="utf-8")
    assert "&lt;i&gt;美白&lt;/i&gt;" in page
    assert "no longer in the catalogue" in page
