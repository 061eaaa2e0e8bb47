"""What a service may send, and what it gets: kinds of tables, new users, unknown items, bad input."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from serving_models import (
    MODELS,
    N_ITEMS,
    N_USERS,
    factors,
    feature_rows,
    funnel,
    least_squares,
    network,
    similarity,
    stored,
)

from beautyrec.data.interactions import Interactions
from beautyrec.errors import BeautyrecError, ConfigError, SchemaError, UnknownIdError
from beautyrec.models.factors import FactorRecommender
from beautyrec.serving import Context, Scorer

USERS = [7, 14, 0, 7]


@pytest.fixture(scope="module")
def scorers(tmp_path_factory) -> dict[str, Scorer]:
    makers = {**MODELS, "least_squares": least_squares, "funnel_trees": funnel, "funnel_network": network}
    place = tmp_path_factory.mktemp("artifacts")
    return {name: stored(place / name, maker()) for name, maker in makers.items()}


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Scorer:
    return stored(tmp_path_factory.mktemp("texts") / "a", least_squares("string"))


def as_frame(found) -> pd.DataFrame:
    if isinstance(found, pa.Table):
        return found.to_pandas()
    return pd.DataFrame({name: found[name] for name in getattr(getattr(found, "dtype", None), "names", None) or found})


KINDS = {
    "list": (list, pd.DataFrame),
    "tuple": (tuple, pd.DataFrame),
    "series": (pd.Series, pd.DataFrame),
    "index": (pd.Index, pd.DataFrame),
    "array": (np.array, np.ndarray),
    "objects": (lambda ids: np.array(ids, dtype=object), np.ndarray),
    "arrow array": (pa.array, pa.Table),
    "chunked array": (lambda ids: pa.chunked_array([ids[:1], ids[1:]]), pa.Table),
    "frame": (lambda ids: pd.DataFrame({"user_id": ids}, index=[9] * len(ids)), pd.DataFrame),
    "arrow table": (lambda ids: pa.table({"user_id": ids}), pa.Table),
    "categories": (lambda ids: pd.Series(ids).astype("category"), pd.DataFrame),
    "arrow dictionary": (lambda ids: pa.array(ids).dictionary_encode(), pa.Table),
    "record batch": (lambda ids: pa.record_batch({"user_id": ids}), pa.Table),
    "dict of a list": (lambda ids: {"user_id": list(ids)}, dict),
    "dict of an array": (lambda ids: {"user_id": np.array(ids)}, dict),
    "structured": (lambda ids: pd.DataFrame({"user_id": ids}).to_records(index=False), np.ndarray),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_in_goes_out_in_the_same_kind(scorers, texts, kind):
    make, expected = KINDS[kind]
    for scorer, users in ((scorers["factors"], USERS), (texts, ["ü003", "ü005"])):
        found = scorer.recommend(make(users), 5)
        assert isinstance(found, expected)
        pd.testing.assert_frame_equal(as_frame(found), scorer.recommend(users, 5), check_dtype=False)


def test_rows_come_back_in_their_kind_for_chances_too(scorers):
    rows = feature_rows()
    expected = funnel().predict(rows).reset_index(drop=True)
    given = {
        pd.DataFrame: rows,
        pa.Table: pa.Table.from_pandas(rows, preserve_index=False),
        dict: {name: rows[name].to_numpy() for name in rows},
        np.ndarray: rows.to_records(index=False),
    }
    for kind, table in given.items():
        found = scorers["funnel_trees"].score(table)
        assert isinstance(found, kind)
        pd.testing.assert_frame_equal(as_frame(found).reset_index(drop=True), expected)


def test_the_handed_in_table_stays_as_it_was(scorers):
    rows = pd.DataFrame({"user_id": USERS, "item_id": [3, 4, 3, 5]}, index=list("abcd"))
    before = rows.copy()
    scorers["factors"].score(rows)
    scorers["factors"].rank(7, rows)
    pd.testing.assert_frame_equal(rows, before)


# One user and many, alone and together.


@pytest.mark.parametrize("kind", [*MODELS, "least_squares"])
def test_users_get_alone_what_they_get_together(scorers, kind):
    scorer, users = scorers[kind], np.arange(N_USERS) * 7
    together = scorer.recommend(users, 9)
    alone = np.concatenate([scorer.recommend(users[at : at + 1], 9) for at in range(len(users))])
    np.testing.assert_array_equal(alone[["user_id", "item_id", "rank"]], together[["user_id", "item_id", "rank"]])
    np.testing.assert_allclose(alone["score"], together["score"], rtol=1e-6, atol=1e-6)


def test_a_pair_a_rank_and_a_list_have_the_same_scores(scorers):
    scorer = scorers["factors"]
    best = scorer.recommend([14], N_ITEMS, exclude_seen=False)
    pairs = scorer.score(best[["user_id", "item_id"]])
    np.testing.assert_allclose(pairs["score"], best["score"], rtol=1e-5, atol=1e-6)
    ranked = scorer.rank(14, best["item_id"].sort_values())
    assert ranked["item_id"].tolist() == best["item_id"].tolist()
    assert ranked["rank"].tolist() == list(range(1, N_ITEMS + 1))


# New users.


def events(users, items, **more) -> pd.DataFrame:
    return pd.DataFrame({"user_id": users, "item_id": items, **more})


@pytest.mark.parametrize("kind", ["least_squares", "item_similarity", "item_scores"])
def test_new_users_are_folded_in_by_their_events(scorers, kind):
    scorer = scorers[kind].traced()
    log = events([-5, -5, 7], [3, 9, 4])
    model = scorer.artifact.model
    history = Interactions.from_frame(
        log.assign(ts=pd.date_range("2026-01-01", periods=3, tz="UTC")), items=model.items
    )
    expected = model.fold_in(history).recommend([-5, 7], 6)
    found = scorer.recommend([-5, 7], 6, context=Context(events=log))
    pd.testing.assert_frame_equal(found[list(expected)], expected)
    assert set(found["path"]) == {"fold_in"}
    assert not set(found.loc[found["user_id"] == -5, "item_id"]) & {3, 9}


def test_folding_in_the_history_of_training_changes_nothing(scorers):
    model = scorers["least_squares"].artifact.model
    entries = slice(*model.seen.indptr[3:5])
    log = {"user_id": [21] * (entries.stop - entries.start), "item_id": model.items.ids_at(model.seen.item_ix[entries])}
    folded = scorers["least_squares"].recommend([21], 10, context=Context(events=log))
    fitted = scorers["least_squares"].recommend([21], 10)
    assert folded["item_id"].tolist() == fitted["item_id"].tolist()
    np.testing.assert_allclose(folded["score"], fitted["score"], rtol=1e-4)


def test_events_are_read_in_the_order_of_their_time(scorers):
    log = events([-5, -5], [3, 9])
    ordered, turned = (
        scorers["least_squares"].score(
            {"user_id": [-5], "item_id": [4]}, context=Context(events=log.assign(ts=pd.to_datetime(ts, utc=True)))
        )["score"][0]
        for ts in (["2026-01-01", "2026-01-02"], ["2026-01-02", "2026-01-01"])
    )
    plain = scorers["least_squares"].score({"user_id": [-5], "item_id": [4]}, context=Context(events=log))["score"][0]
    assert plain == ordered != turned


def test_every_row_says_where_it_comes_from(scorers):
    scorer = scorers["least_squares"].traced()
    context = Context(events=events([-5], [3]))
    found = scorer.recommend([7, -5, -6], 2, context=context, on_unknown="fallback")
    assert found["path"].tolist() == ["model"] * 2 + ["fold_in"] * 2 + ["fallback"] * 2
    assert set(found["artifact"]) == {scorer.artifact.fingerprint}
    rows = {"user_id": [-6, 7, -5], "item_id": [1, 1, 1]}
    assert scorer.score(rows, context=context, on_unknown="fallback")["path"].tolist() == [
        "fallback",
        "model",
        "fold_in",
    ]
    assert scorer.rank(-5, [1, 2], context=context)["path"].tolist() == ["fold_in"] * 2
    assert scorer.similar_items([1], 2)["path"].tolist() == ["model"] * 2
    assert "path" not in scorers["least_squares"].recommend([7], 2)


def test_a_user_who_took_nothing_in_training_gets_what_is_popular(scorers):
    found = scorers["factors"].traced().recommend([-1], N_ITEMS, on_unknown="fallback")
    assert set(found["path"]) == {"fallback"}
    assert found["score"].is_monotonic_decreasing
    assert found["score"].iloc[0] == scorers["factors"].artifact.model.popularity.max()


def test_models_that_take_no_users_in_say_so_or_fall_back(scorers):
    context = Context(events=events([-5], [3]))
    with pytest.raises(ConfigError, match=r"context\.events.*'factors' cannot take users in"):
        scorers["factors"].recommend([-5], 3, context=context)
    found = scorers["factors"].traced().recommend([-5, 7], 3, context=context, on_unknown="fallback")
    assert found["path"].tolist() == ["fallback"] * 3 + ["model"] * 3


def test_events_on_unknown_items_are_named_or_left_out(scorers):
    log = events([-5, -5, -6], [3, 999, 998])
    with pytest.raises(UnknownIdError, match=r"context\.events: column 'item_id': 2 of 3.*999"):
        scorers["least_squares"].recommend([-5], 3, context=Context(events=log))
    found = scorers["least_squares"].traced().recommend([-5, -6], 3, context=Context(events=log), on_unknown="fallback")
    assert found["path"].tolist() == ["fold_in"] * 3 + ["fallback"] * 3
    alone = scorers["least_squares"].recommend([-5], 3, context=Context(events=log[:1]))
    assert found["item_id"][:3].tolist() == alone["item_id"].tolist()


def test_unknown_items_are_told_before_they_raise(scorers):
    assert scorers["factors"].known_items([3, 999, 4]).tolist() == [True, False, True]
    for call in (
        lambda: scorers["factors"].recommend([7], 3, candidates=[3, 999]),
        lambda: scorers["factors"].rank(7, [3, 999]),
        lambda: scorers["factors"].similar_items([999], 3),
        lambda: scorers["factors"].similar_items([3], 3, candidates=[999]),
    ):
        with pytest.raises(UnknownIdError, match=r"1 of \d ids are not among the 60.*999.*known_items"):
            call()


def test_unknown_candidates_are_left_out_where_that_is_asked_for(scorers):
    for scorer in (scorers["factors"], scorers["item_scores"]):
        some = scorer.recommend([7], 3, candidates=[3, 999, 4], on_unknown="skip")
        pd.testing.assert_frame_equal(some, scorer.recommend([7], 3, candidates=[3, 4]))
        pd.testing.assert_frame_equal(scorer.rank(7, [3, 999, 4], on_unknown="skip"), scorer.rank(7, [3, 4]))
        assert len(scorer.recommend([7], 3, candidates=[999], on_unknown="skip")) == 0
        with pytest.raises(UnknownIdError, match="candidates: 1 of 2"):
            scorer.recommend([7], 3, candidates=[3, 999], on_unknown="fallback")


# Funnel models.


def shelf(n: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(9)
    brands = rng.choice(["Aster", "Birch", None], n)
    return pd.DataFrame(
        {"item_id": np.arange(n) + 100, "heat": rng.normal(size=n), "price": rng.random(n) * 9, "brand": brands}
    )


@pytest.mark.parametrize("kind", ["funnel_trees", "funnel_network"])
@pytest.mark.parametrize("by", ["ctr", "cvr", "ctcvr", "expected_margin"])
def test_a_funnel_ranks_candidates_by_what_is_asked(scorers, kind, by):
    rows = shelf().assign(cost=2.0)
    chances = scorers[kind].artifact.model.predict(rows)
    worth = {**chances, "expected_margin": chances["ctcvr"] * (rows["price"] - 2.0)}[by]
    found = scorers[kind].rank(7, rows, by=by)
    order = np.argsort(-worth.to_numpy(), kind="stable")
    assert found["item_id"].tolist() == rows["item_id"].iloc[order].tolist()
    np.testing.assert_array_equal(found["score"], worth.iloc[order])
    np.testing.assert_array_equal(found["ctcvr"], found["ctr"] * found["cvr"])
    assert list(found) == ["item_id", "score", "rank", "ctr", "cvr", "ctcvr", "expected_margin"]


def test_expected_margin_is_there_where_price_and_cost_are(scorers):
    rows = shelf()
    assert "expected_margin" not in scorers["funnel_trees"].score(rows)
    with pytest.raises(SchemaError, match=r"'price' and 'cost' are needed for expected_margin"):
        scorers["funnel_trees"].rank(7, rows, by="expected_margin")
    found = scorers["funnel_trees"].score(rows.assign(cost=1.5))
    np.testing.assert_allclose(found["expected_margin"], found["ctcvr"] * (rows["price"] - 1.5))


def test_features_of_the_request_hold_for_all_candidates(scorers):
    rows = shelf()
    shared = scorers["funnel_trees"].rank(7, rows.drop(columns="heat"), context=Context(features={"heat": 0.5}))
    pd.testing.assert_frame_equal(shared, scorers["funnel_trees"].rank(7, rows.assign(heat=0.5)))
    with pytest.raises(ConfigError, match=r"context\.features: \['heat'\] are columns"):
        scorers["funnel_trees"].score(rows, context=Context(features={"heat": 0.5}))
    with pytest.raises(ConfigError, match=r"context\.events"):
        scorers["funnel_trees"].score(rows, context=Context(events=events([1], [2])))
    with pytest.raises(ConfigError, match=r"context\.features.*reads no features"):
        scorers["factors"].recommend([7], 3, context=Context(features={"heat": 0.5}))


# Similar items.


def test_similar_items_are_those_with_the_nearest_factors(scorers):
    model = factors()
    found = scorers["factors"].similar_items([5, 3], 4)
    for item in (5, 3):
        own = model.item_factors[item]
        cosine = [float(own @ other / np.sqrt((own @ own) * (other @ other))) for other in model.item_factors]
        cosine[item] = -np.inf
        best = np.argsort(cosine)[::-1][:4]
        rows = found[found["item_id"] == item]
        assert rows["similar_item_id"].tolist() == best.tolist()
        np.testing.assert_allclose(rows["score"], np.array(cosine)[best], rtol=1e-5)
    assert found["rank"].tolist() == [1, 2, 3, 4] * 2


def test_similar_items_of_neighbourhoods_are_the_neighbours(scorers):
    model = similarity()
    for item in range(N_ITEMS):
        entries = slice(*model.indptr[item : item + 2])
        near = {int(j): float(s) for j, s in zip(model.neighbour_ix[entries], model.similarity[entries], strict=True)}
        near.pop(item, None)
        found = scorers["item_similarity"].similar_items([item], N_ITEMS)
        assert dict(zip(found["similar_item_id"], found["score"], strict=True)) == pytest.approx(near)
    some = scorers["item_similarity"].similar_items([0], 9, candidates=[])
    assert len(some) == 0


def test_models_of_items_alone_compare_none(scorers):
    with pytest.raises(ConfigError, match="'item_scores' does not compare items"):
        scorers["item_scores"].similar_items([3], 5)


# Bad input: an error that names the field, or what is documented; the scorer stays as it was.

NAN = float("nan")
INFINITE = [np.inf, *[1.0] * 11]
UNEVEN = {"heat": [1.0], "price": [1.0, 2.0]}
BAD = {
    "k is 0": (ConfigError, "k is 0", lambda s: s.recommend([7], 0)),
    "k is negative": (ConfigError, "k is -3", lambda s: s.similar_items([3], -3)),
    "k is a fraction": (ConfigError, r"k is 2\.5", lambda s: s.recommend([7], 2.5)),
    "k is true": (ConfigError, "k is True", lambda s: s.recommend([7], True)),
    "k is text": (ConfigError, "k is '5'", lambda s: s.recommend([7], "5")),
    "users are texts": (
        SchemaError,
        "users: the ids are of the type string",
        lambda s: s.recommend(["7"], 3, on_unknown="fallback"),
    ),
    "users are floats": (SchemaError, "users: .*floating", lambda s: s.recommend([7.0, 14.0], 3)),
    "users are booleans": (SchemaError, "users: .*boolean", lambda s: s.recommend([True], 3)),
    "users are missing": (
        SchemaError,
        "users: 1 of 2 ids are missing",
        lambda s: s.recommend(pd.Series([7, None], dtype="Int64"), 3),
    ),
    "users are NaN": (SchemaError, "users: 1 of 2 ids are missing", lambda s: s.recommend([7, NAN], 3)),
    "users are mixed": (SchemaError, "users: .*mixed", lambda s: s.recommend([7, "a"], 3)),
    "one user alone": (SchemaError, "users: got 7 of type int", lambda s: s.recommend(7, 3)),
    "one text alone": (SchemaError, "users: got 'abc'", lambda s: s.recommend("abc", 3)),
    "users are nothing": (SchemaError, "users: got None", lambda s: s.recommend(None, 3)),
    "users in two dimensions": (
        SchemaError,
        "users: the ids are no column",
        lambda s: s.recommend(np.array([[7, 14]]), 3),
    ),
    "a value for a column": (
        SchemaError,
        "users: this is the single value 7",
        lambda s: s.recommend({"user_id": 7}, 3),
    ),
    "users are lists": (SchemaError, "users", lambda s: s.recommend([[7], [14]], 3)),
    "no column of users": (
        SchemaError,
        r"users: column 'user_id' is missing; there are \['user'\]",
        lambda s: s.recommend({"user": [7]}, 3),
    ),
    "candidates are texts": (
        SchemaError,
        "candidates: the ids are of the type string",
        lambda s: s.recommend([7], 3, candidates=["3"]),
    ),
    "candidates are NaN": (SchemaError, "candidates: .*missing", lambda s: s.rank(7, [3, NAN])),
    "a user to rank for is text": (SchemaError, "user: the ids are of the type string", lambda s: s.rank("7", [3])),
    "an unknown way": (ConfigError, "on_unknown is 'ignore'", lambda s: s.recommend([7], 3, on_unknown="ignore")),
    "columns of other lengths": (
        SchemaError,
        "2 user_id and 1 item_id",
        lambda s: s.score({"user_id": [7, 7], "item_id": [3]}),
    ),
    "rows are a list": (SchemaError, "rows: got .* of type list", lambda s: s.score([7, 3])),
    "events without items": (
        SchemaError,
        r"context\.events: column 'item_id' is missing",
        lambda s: s.recommend([7], 3, context=Context(events={"user_id": [7]})),
    ),
}
BAD_FUNNEL = {
    "a feature is text": (SchemaError, "rows: .*'heat'.*must be a number", lambda s, r: s.score(r.assign(heat="warm"))),
    "a feature is infinite": (SchemaError, "'price' is infinite in 1 of 12", lambda s, r: s.score(r.assign(price=INFINITE))),
    "a feature is missing": (SchemaError, r"rows: .*\['heat'\] are missing", lambda s, r: s.score(r.drop(columns="heat"))),
    "a price is text": (SchemaError, "'cost' is .*must be a number", lambda s, r: s.score(r.assign(cost="much"))),
    "lengths differ": (SchemaError, "rows: columns have different lengths", lambda s, r: s.score(UNEVEN)),
    "an unknown order": (ConfigError, "by is 'luck'", lambda s, r: s.rank(7, r, by="luck")),
    "no items": (SchemaError, "candidates: column 'item_id' is missing", lambda s, r: s.rank(7, r.drop(columns="item_id"))),
    "lists for users": (ConfigError, r"does not rank all items for a user.*score\(rows\)", lambda s, r: s.recommend([7], 3)),
    "similar items": (ConfigError, "does not rank all items", lambda s, r: s.similar_items([7], 3)),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["least_squares", "item_similarity"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_and_the_scorer_stays_up(scorers, kind, case):
    error, says, call = BAD[case]
    before = scorers[kind].recommend(USERS, 5)
    with pytest.raises(error, match=says) as found:
        call(scorers[kind])
    assert isinstance(found.value, BeautyrecError)
    pd.testing.assert_frame_equal(scorers[kind].recommend(USERS, 5), before)


@pytest.mark.parametrize("case", BAD_FUNNEL)
def test_bad_rows_of_a_funnel_are_named(scorers, case):
    error, says, call = BAD_FUNNEL[case]
    with pytest.raises(error, match=says):
        call(scorers["funnel_trees"], shelf())


def test_missing_features_are_values_like_others(scorers):
    for kind in ("funnel_trees", "funnel_network"):
        found = scorers[kind].score(shelf().assign(heat=np.nan))
        assert found.notna().all(axis=None)


def test_empty_lists_give_empty_tables(scorers):
    for users in ([], np.array([]), np.array([], dtype=object), {"user_id": []}, pa.array([], pa.int64())):
        found = scorers["factors"].recommend(users, 5)
        assert list(as_frame(found)) == ["user_id", "item_id", "score", "rank"]
        assert len(as_frame(found)) == 0
    for kind in [*MODELS, "least_squares"]:
        assert len(scorers[kind].recommend([7, 14], 5, candidates=[])) == 0
        assert len(scorers[kind].rank(7, [])) == 0
    assert len(scorers["factors"].score({"user_id": [], "item_id": []})["score"]) == 0
    assert len(scorers["factors"].similar_items([], 5)) == 0
    assert len(scorers["funnel_network"].score(shelf()[:0])) == 0
    assert len(scorers["funnel_network"].rank(7, shelf()[:0])) == 0


def test_duplicates_count_once_among_candidates_and_each_among_users(scorers):
    scorer = scorers["factors"]
    once = scorer.recommend([7], 9, candidates=[3, 4, 5, 6])
    pd.testing.assert_frame_equal(scorer.recommend([7], 9, candidates=[3, 4, 4, 5, 6, 3]), once)
    assert scorer.rank(7, [3, 4, 3])["item_id"].is_unique
    twice = pd.concat([shelf(), shelf().assign(heat=9.0)])
    pd.testing.assert_frame_equal(scorers["funnel_trees"].rank(7, twice), scorers["funnel_trees"].rank(7, shelf()))
    assert scorer.recommend([7, 7], 3)["user_id"].tolist() == [7] * 6


def test_a_million_candidates_are_ranked(scorers):
    candidates = np.random.default_rng(0).integers(0, 30, 1_000_000)
    found = scorers["factors"].recommend([7], 5, candidates=candidates)
    pd.testing.assert_frame_equal(found, scorers["factors"].recommend([7], 5, candidates=np.arange(30)))
    assert len(scorers["factors"].rank(7, candidates)) == 30
    with pytest.raises(UnknownIdError, match="candidates: 1000000 of 1000000"):
        scorers["factors"].recommend([7], 5, candidates=np.arange(1_000_000) + 60)


def test_more_items_than_there_are_give_all_and_take_no_memory(scorers):
    found = scorers["factors"].recommend([7], 10**12, exclude_seen=False)
    assert len(found) == N_ITEMS
    assert len(scorers["factors"].similar_items([3], 10**12)) == N_ITEMS - 1


def test_users_to_skip_are_left_out(scorers):
    found = scorers["factors"].recommend([7, -1, 14], 2, on_unknown="skip")
    assert found["user_id"].tolist() == [7, 7, 14, 14]
    assert len(scorers["factors"].rank(-1, [3, 4], on_unknown="skip")) == 0


def test_nearly_equal_scores_have_one_order_alone_and_together(tmp_path):
    """Items in pairs that differ by less than a 32-bit product can tell; the oracle adds exactly."""
    rng = np.random.default_rng(11)
    base = factors()
    items = np.repeat(rng.normal(size=(N_ITEMS // 2, 96)), 2, axis=0) * (1 + 1e-7 * rng.integers(0, 3, (N_ITEMS, 96)))
    users = rng.normal(size=(N_USERS, 96)).astype(np.float32)
    model = FactorRecommender(base.known, users, items.astype(np.float32))
    scorer, ids = stored(tmp_path / "a", model), model.users.ids.to_numpy()
    together = scorer.recommend(ids, 15, exclude_seen=False)["item_id"].reshape(N_USERS, 15)
    for at, row in enumerate(together):
        alone = scorer.recommend(ids[at : at + 1], 15, exclude_seen=False)["item_id"]
        score = [
            math.fsum(np.float64(a) * np.float64(b) for a, b in zip(users[at], item, strict=True))
            for item in model.item_factors
        ]
        best = sorted(range(N_ITEMS), key=lambda item, score=score: (-score[item], item))[:15]
        assert alone.tolist() == row.tolist() == model.items.ids_at(best).tolist()


def test_rows_get_the_same_chances_few_at_a_time_and_many(scorers):
    rows = pd.concat([shelf()] * 500, ignore_index=True)  # more than are hashed one by one
    some = rows.iloc[:40]
    whole, part = (scorers["funnel_network"].score(table) for table in (rows, some))
    pd.testing.assert_frame_equal(whole.iloc[:40], part, rtol=1e-6)
