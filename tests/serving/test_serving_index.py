from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from serving_models import factors, item_scores, least_squares

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ArtifactError, ConfigError, MissingExtraError
from beautyrec.models.factors import FactorRecommender
from beautyrec.models.known import History, Known
from beautyrec.serving import Context, IndexPlan, ModelCard, Scorer, read_artifact, write_artifact
from beautyrec.serving.index_plan import plan_index
from beautyrec.serving.item_index import INDEX
from beautyrec.serving.manifest import INDEXED, MANIFEST, FileEntry, Manifest
from beautyrec.serving.tensors import write_tensors

CARD = ModelCard("test")
USERS, ITEMS, WIDTH, K = 300, 3000, 24, 20
PLAN = IndexPlan(least_items=ITEMS, recall=0.9, k=K, queries=200, neighbours=12)


def large(seed: int = 0, *, biased: bool = True) -> FactorRecommender:
    """Factors with few strong directions, as fits leave them; user 0 has no history."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(6, WIDTH))
    parts = (
        (rng.normal(size=(n, 6)) @ mix + 0.5 * rng.normal(size=(n, WIDTH))).astype(np.float32) for n in (USERS, ITEMS)
    )
    indptr = np.concatenate([[0, 0], np.cumsum(rng.integers(1, 30, USERS - 1))]).astype(np.int64)
    seen = History(indptr, rng.integers(0, ITEMS, indptr[-1]))
    users, items = (
        Vocabulary(pd.Index([f"{name}{n}" for n in range(size)])) for name, size in (("u", USERS), ("i", ITEMS))
    )
    bias = rng.normal(size=ITEMS).astype(np.float32) if biased else None
    return FactorRecommender(Known(users, items, seen, rng.random(ITEMS, dtype=np.float32)), *parts, bias)


def complete(folder: Path, **changes) -> None:
    """An artifact of 60 items whose graph joins each of them with all others, so a walk finds all; made without faiss."""
    model, around = factors(), np.arange(60)
    write_artifact(folder, model.state(), CARD)
    others = np.array([np.delete(around, item) for item in around])
    graph = {
        "levels": np.ones(60, np.int32),
        "neighbours": np.column_stack([others, np.full(60, -1)]).astype(np.int32).ravel(),
        "entry": np.zeros(1, np.int64),
    }
    write_tensors(folder / INDEX, graph | changes.pop("graph", {}))
    sign(folder, index={"used": True, "k": 10, "effort": 16, "neighbours": 30} | changes)


def sign(folder: Path, **changes) -> None:
    manifest = Manifest.from_bytes((folder / MANIFEST).read_bytes())
    paths = [path for path in folder.iterdir() if path.name != MANIFEST]
    files = {path.name: FileEntry(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths}
    (folder / MANIFEST).write_bytes(replace(manifest, files=files, format=INDEXED, **changes).to_bytes())


def every(scorer: Scorer, k: int = K, **options) -> dict[str, np.ndarray]:
    return scorer.traced().recommend({"user_id": [f"u{n}" for n in range(USERS)]}, k, **options)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory) -> Path:
    pytest.importorskip("faiss", reason="needs the extra 'index'")
    folder = tmp_path_factory.mktemp("indexed") / "champion"
    write_artifact(folder, large().state(), CARD, index=PLAN)
    return folder


# With faiss.


def test_the_recall_in_the_manifest_is_that_of_the_held_users(indexed):
    """Counted by sets over the lists of a loaded scorer, for the second half of the users that the plan draws."""
    facts, scorer = Scorer.load(indexed).info.index, Scorer.load(indexed)
    drawn = np.random.default_rng(PLAN.seed).permutation(np.arange(1, USERS))[: PLAN.queries]
    shares = []
    for user in drawn[PLAN.queries // 2 :]:
        found, wanted = (set(one.recommend([f"u{user}"], K)["item_id"]) for one in (scorer, scorer.exact()))
        shares.append(len(found & wanted) / K)
    assert facts["used"] is True
    assert facts["queries"] == 100
    assert facts["recall"] == pytest.approx(np.mean(shares), abs=1e-12)
    assert facts["recall_asked"] == 0.9 <= facts["recall"]


def test_scores_and_order_are_those_of_an_exact_search(indexed):
    scorer = Scorer.load(indexed)
    found, exact = every(scorer), every(scorer.exact())
    keys = ["user_id", "item_id"]
    both = pd.DataFrame(found)[[*keys, "score"]].merge(pd.DataFrame(exact)[[*keys, "score"]], on=keys)
    assert len(both) > 0.9 * len(exact["score"])
    np.testing.assert_allclose(both["score_x"], both["score_y"], rtol=1e-6, atol=1e-6)
    assert (np.diff(found["score"].reshape(USERS, K), axis=1) <= 0).all()


def test_nothing_seen_is_found_unless_it_may_be(indexed):
    scorer = Scorer.load(indexed)
    model = scorer.artifact.model
    past = model.seen
    seen = {
        (f"u{n}", f"i{item}")
        for n in range(USERS)
        for item in past.item_ix[past.indptr[n] : past.indptr[n + 1]].tolist()
    }
    answers = every(scorer), every(scorer, exclude_seen=False)
    pairs = [set(zip(found["user_id"], found["item_id"], strict=True)) for found in answers]
    assert not pairs[0] & seen
    assert pairs[1] & seen


def test_lists_do_not_depend_on_who_else_is_asked_for(indexed):
    scorer = Scorer.load(indexed)
    together = every(scorer)
    alone = [scorer.recommend({"user_id": [f"u{n}"]}, K) for n in range(USERS)]
    for name in ("item_id", "score"):
        np.testing.assert_array_equal(together[name], np.concatenate([one[name] for one in alone]))


def test_answers_say_how_they_were_found(indexed):
    """Users without a history, candidates and long lists are searched for exactly."""
    scorer = Scorer.load(indexed)
    found = every(scorer)
    assert set(found["search"][found["user_id"] == "u0"]) == {"exact"}
    assert set(found["search"][found["user_id"] != "u0"]) == {"index"}
    for options in ({"candidates": ["i1", "i2"]}, {"k": K + 1}):
        assert set(every(scorer, **options)["search"]) == {"exact"}
    assert set(every(scorer.exact())["search"]) == {"exact"}
    assert "search" not in scorer.recommend({"user_id": ["u1"]}, K)


def test_the_same_model_gives_the_same_bytes(indexed, tmp_path):
    write_artifact(tmp_path / "again", large().state(), CARD, index=PLAN)
    for path in indexed.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_below_the_recall_asked_for_it_stays_exact(tmp_path):
    """Random factors without structure, few neighbours, and a recall that cannot be reached."""
    pytest.importorskip("faiss", reason="needs the extra 'index'")
    model = large(biased=False)
    rng = np.random.default_rng(5)
    spread = replace(model, item_factors=rng.normal(size=(ITEMS, WIDTH)).astype(np.float32))
    plan = replace(PLAN, recall=1.0, neighbours=2, effort=2)
    facts = write_artifact(tmp_path / "a", spread.state(), CARD, index=plan).index
    assert facts["used"] is False
    assert facts["recall"] < 1
    assert "below the 1.0 asked for" in facts["reason"]
    assert not (tmp_path / "a" / INDEX).exists()
    assert set(every(Scorer.load(tmp_path / "a"))["search"]) == {"exact"}


def test_a_graph_that_joins_all_finds_what_an_exact_search_finds(tmp_path):
    pytest.importorskip("faiss", reason="needs the extra 'index'")
    complete(tmp_path / "a")
    scorer = Scorer.load(tmp_path / "a")
    users = {"user_id": scorer.artifact.model.users.ids.to_numpy()}
    found, exact = (one.recommend(users, 10) for one in (scorer, scorer.exact()))
    np.testing.assert_array_equal(found["item_id"], exact["item_id"])
    np.testing.assert_allclose(found["score"], exact["score"], rtol=1e-6, atol=1e-6)


def test_a_user_who_took_nearly_all_is_searched_for_exactly(tmp_path):
    """The walk finds 12 items, all of them taken, as the graph joins only those with one another."""
    pytest.importorskip("faiss", reason="needs the extra 'index'")
    complete(tmp_path / "a")
    model = factors()
    taken = np.arange(50)
    seen = History(np.array([0, 50] + [50] * 39), taken)
    around = np.full((60, 60), -1, dtype=np.int32)
    around[:50, :49] = [np.delete(taken, item) for item in taken]
    write_artifact(tmp_path / "a", replace(model, known=replace(model.known, seen=seen)).state(), CARD)
    graph = {"levels": np.ones(60, np.int32), "neighbours": around.ravel(), "entry": np.zeros(1, np.int64)}
    write_tensors(tmp_path / "a" / INDEX, graph)
    sign(tmp_path / "a", index={"used": True, "k": 10, "effort": 16, "neighbours": 30})
    found = Scorer.load(tmp_path / "a").traced().recommend(model.users.ids[:1].to_numpy(), 10)
    assert sorted(found["item_id"]) == sorted(model.items.ids[50:])
    assert set(found["search"]) == {"exact"}


def test_folded_users_are_found_by_the_index_too(tmp_path):
    pytest.importorskip("faiss", reason="needs the extra 'index'")
    complete(tmp_path / "a")
    model = least_squares()
    graph, facts = load_file(tmp_path / "a" / INDEX), Scorer.load(tmp_path / "a").info.index
    write_artifact(tmp_path / "b", model.state(), CARD)
    write_tensors(tmp_path / "b" / INDEX, graph)
    sign(tmp_path / "b", index=dict(facts))
    scorer = Scorer.load(tmp_path / "b").traced()
    asked = {"user_id": [-5]}, 10
    context = Context(events={"user_id": [-5, -5], "item_id": model.items.ids[[3, 7]].to_numpy()})
    found, exact = (one.recommend(*asked, context=context) for one in (scorer, scorer.exact()))
    assert set(found["path"]) == {"fold_in"}
    assert set(found["search"]) == {"index"}
    np.testing.assert_array_equal(found["item_id"], exact["item_id"])


# With and without.


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (item_scores(), "no factors"),
        (factors(), "60 items are fewer than 200000"),
        (
            replace(
                factors(), known=replace(factors().known, seen=History(np.zeros(41, np.int64), np.zeros(0, np.int64)))
            ),
            "0 users",
        ),
    ],
)
def test_where_none_is_built_the_manifest_says_why(tmp_path, model, reason):
    plan = IndexPlan() if reason.startswith("60") else IndexPlan(least_items=1)
    written = write_artifact(tmp_path / "a", model.state(), CARD, index=plan)
    assert written.index["used"] is False
    assert reason in written.index["reason"]
    assert read_artifact(tmp_path / "a").manifest == written
    assert json.loads((tmp_path / "a" / MANIFEST).read_text())["format"] == 2


def test_without_faiss_none_can_be_built(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match="index"):
        plan_index(large(), PLAN)


def test_without_faiss_answers_are_exact_and_it_is_said_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "faiss", None)
    complete(tmp_path / "a")
    write_artifact(tmp_path / "b", factors().state(), CARD)
    with caplog.at_level(logging.WARNING):
        scorer, exact = Scorer.load(tmp_path / "a"), Scorer.load(tmp_path / "b")
        users = scorer.artifact.model.users.ids.to_numpy()
        for _ in range(3):
            found = scorer.traced().recommend(users, 10)
    np.testing.assert_array_equal(found["item_id"], exact.recommend(users, 10)["item_id"])
    assert set(found["search"]) == {"exact"}
    assert [record.message for record in caplog.records if "index" in record.message] == [
        "the artifact has an index of its items, but every search stays exact: "
        + str(MissingExtraError("faiss", "index"))
    ]


@pytest.mark.parametrize("how", ["flipped", "cut", "missing"])
def test_a_damaged_index_is_refused_before_it_is_opened(tmp_path, monkeypatch, how):
    complete(tmp_path / "a")
    content = bytearray((tmp_path / "a" / INDEX).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a" / INDEX).unlink()
    if how != "missing":
        (tmp_path / "a" / INDEX).write_bytes(content if how == "flipped" else content[:-8])
    monkeypatch.setattr("beautyrec.serving.artifact.read_tensors", lambda _: pytest.fail("it was opened"))
    with pytest.raises(ArtifactError, match=r"changed or cut|missing"):
        Scorer.load(tmp_path / "a")


ODD = np.ones(60, np.int32)
ODD[5] = 2


@pytest.mark.parametrize(
    "graph",
    [
        {"levels": np.zeros(60, np.int32)},
        {"levels": np.ones(59, np.int32)},
        {"levels": np.ones(60, np.int64)},
        {"levels": ODD},
        {"neighbours": np.zeros(3599, np.int32)},
        {"neighbours": np.full(3600, 60, np.int32)},
        {"neighbours": np.full(3600, -2, np.int32)},
        {"levels": ODD, "neighbours": np.zeros(3630, np.int32)},
        {"levels": ODD, "neighbours": np.zeros(3630, np.int32), "entry": np.array([5])},
        {"entry": np.array([60])},
        {"entry": np.array([-1])},
        {"other": np.zeros(1)},
    ],
)
def test_graphs_that_would_lead_astray_are_refused_though_they_are_signed(tmp_path, graph):
    complete(tmp_path / "a", graph=graph)
    with pytest.raises(ArtifactError, match="index: the graph is damaged"):
        Scorer.load(tmp_path / "a")


@pytest.mark.parametrize(
    "facts", [{"k": 0}, {"k": "10"}, {"effort": 2**40}, {"neighbours": True}, {"neighbours": 29}, {"used": 1}]
)
def test_hostile_settings_of_an_index_are_refused(tmp_path, facts):
    complete(tmp_path / "a", **facts)
    with pytest.raises(ArtifactError):
        Scorer.load(tmp_path / "a")


def test_an_index_for_a_model_without_factors_is_refused(tmp_path):
    complete(tmp_path / "a")
    graph = shutil.copy(tmp_path / "a" / INDEX, tmp_path / "graph")
    facts = read_artifact(tmp_path / "a").manifest.index
    write_artifact(tmp_path / "a", item_scores().state(), CARD)
    shutil.copy(graph, tmp_path / "a" / INDEX)
    sign(tmp_path / "a", index=dict(facts))
    with pytest.raises(ArtifactError, match="has no factors"):
        Scorer.load(tmp_path / "a")


def test_a_file_that_the_manifest_does_not_speak_of_is_refused(tmp_path):
    """Also where it is listed: without `used` there is no index."""
    complete(tmp_path / "a")
    sign(tmp_path / "a", index={"used": False})
    with pytest.raises(ArtifactError, match="the manifest names the files"):
        Scorer.load(tmp_path / "a")


@pytest.mark.parametrize(
    "wrong", [{"recall": 0}, {"recall": 1.1}, {"k": 0}, {"k": 4000}, {"queries": 1}, {"neighbours": 1}]
)
def test_plans_that_cannot_be(wrong):
    with pytest.raises(ConfigError):
        IndexPlan(**wrong)
