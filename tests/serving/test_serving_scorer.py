from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from serving_models import MODELS, N_ITEMS, N_USERS, factors, feature_rows, funnel, stored

from beautyrec.errors import ArtifactError, ConfigError, SchemaError, UnknownIdError
from beautyrec.serving import ModelCard, Scorer, write_artifact

HEAVY = ["torch", "mlflow", "scipy", "sklearn", "ibis", "duckdb", "optuna", "implicit", "lightfm", "pandera"]


def pairs(model) -> pd.DataFrame:
    """Every user with every item, shuffled."""
    user, item = (part.ravel() for part in np.meshgrid(np.arange(N_USERS), np.arange(N_ITEMS)))
    order = np.random.default_rng(0).permutation(len(user))
    frame = pd.DataFrame({"user_id": model.users.ids_at(user), "item_id": model.items.ids_at(item)})
    return frame.iloc[order]


@pytest.mark.parametrize("ids", ["integer", "string"])
@pytest.mark.parametrize("kind", MODELS)
def test_what_is_read_back_scores_the_same_to_the_bit(tmp_path, kind, ids):
    model = MODELS[kind](ids)
    scorer = stored(tmp_path / "a", model)
    every = np.arange(-1, N_USERS)
    np.testing.assert_array_equal(scorer.artifact.model.scores(every), model.scores(every))
    users = [*model.users.ids[:9], model.users.ids[3]]
    for options in ({}, {"exclude_seen": False, "candidates": model.items.ids[5:30]}):
        expected = model.recommend(users, 7, **options)
        pd.testing.assert_frame_equal(scorer.recommend(users, 7, **options), expected, check_exact=True)


def test_a_process_without_training_packages_gives_the_same_scores(tmp_path):
    """In a fresh process, in which importing any of the heavy packages would fail."""
    models = {kind: maker("string") for kind, maker in MODELS.items()} | {"funnel_trees": funnel()}
    for kind, model in models.items():
        write_artifact(tmp_path / kind, model.state(), ModelCard(kind))
    feature_rows().to_parquet(tmp_path / "rows.parquet")
    code = f"""
    import sys
    for name in {HEAVY}:
        sys.modules[name] = None
    import pandas as pd
    from beautyrec.serving import Scorer
    for kind in {list(MODELS)}:
        Scorer.load(kind).recommend(["ü003", "ü005", "nobody"], 20, on_unknown="fallback").to_parquet(kind + ".parquet")
    Scorer.load("funnel_trees").score(pd.read_parquet("rows.parquet")).to_parquet("funnel_trees.parquet")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, check=True, capture_output=True)
    for kind in MODELS:
        expected = models[kind].recommend(["ü003", "ü005", "nobody"], 20, on_unknown="fallback")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{kind}.parquet"), expected, check_exact=True)
    predicted = pd.read_parquet(tmp_path / "funnel_trees.parquet")
    pd.testing.assert_frame_equal(predicted, funnel().predict(feature_rows()), check_exact=True)


def test_importing_serving_loads_little_and_quickly():
    code = f"""
    import sys, time
    import beautyrec.serving
    seconds = time.process_time()
    print(seconds, [name for name in {HEAVY} if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)]
    assert all(run.strip().endswith("[]") for run in runs)
    # Seconds of the processor, the start of Python included: others may be using this machine.
    assert min(float(run.split()[0]) for run in runs) < 0.6


def test_pairs_are_scored_as_in_the_full_matrix(tmp_path, monkeypatch):
    model = factors("string")
    scorer, rows = stored(tmp_path / "a", model), pairs(model)
    full = model.scores(np.arange(N_USERS))
    expected = full[model.users.indices(rows["user_id"]), model.items.indices(rows["item_id"])]
    scores = scorer.score(rows)
    assert scores.index.equals(rows.index)
    np.testing.assert_allclose(scores["score"], expected, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr("beautyrec.serving.ranked.CHUNK_SCORES", 7 * N_ITEMS)  # blocks of 7 users
    np.testing.assert_allclose(scorer.score(rows)["score"], expected, rtol=1e-5, atol=1e-6)
    few = rows.iloc[:3]
    np.testing.assert_allclose(scorer.score(few)["score"], expected[:3], rtol=1e-5, atol=1e-6)
    assert len(scorer.score(rows.iloc[:0])) == 0


def test_unknown_users_are_raised_scored_by_popularity_or_left_out(tmp_path):
    model = factors()
    scorer = stored(tmp_path / "a", model)
    rows = pd.DataFrame({"user_id": [0, -5, 7], "item_id": [3, 3, 4]}, index=["a", "b", "c"])
    with pytest.raises(UnknownIdError, match="1 of 3"):
        scorer.score(rows)
    fallback = scorer.score(rows, on_unknown="fallback")["score"]
    assert fallback["b"] == model.popularity[3]
    skipped = scorer.score(rows, on_unknown="skip")["score"]
    pd.testing.assert_series_equal(skipped, fallback[["a", "c"]])


def test_unknown_items_are_named(tmp_path):
    scorer = stored(tmp_path / "a", factors())
    with pytest.raises(UnknownIdError, match=r"column 'item_id'.*1 of 2.*-9"):
        scorer.score(pd.DataFrame({"user_id": [0, 7], "item_id": [1, -9]}), on_unknown="skip")


def test_missing_columns_are_named(tmp_path):
    scorer = stored(tmp_path / "a", factors())
    with pytest.raises(SchemaError, match="'item_id' is missing"):
        scorer.score(pd.DataFrame({"user_id": [0], "item": [1]}))
    tree = stored(tmp_path / "b", funnel())
    with pytest.raises(SchemaError, match="heat"):
        tree.score(feature_rows().drop(columns="heat"))


def test_a_funnel_scores_chances_and_does_not_rank(tmp_path):
    scorer = stored(tmp_path / "a", funnel())
    rows = feature_rows()
    chances = scorer.score(rows)
    pd.testing.assert_frame_equal(chances, funnel().predict(rows), check_exact=True)
    np.testing.assert_array_equal(chances["ctcvr"], chances["ctr"] * chances["cvr"])
    with pytest.raises(ConfigError, match=r"funnel_trees.*score\(rows\)"):
        scorer.recommend([1], 5)


def test_info_says_what_the_model_is(tmp_path):
    info = stored(tmp_path / "a", factors()).info
    assert (info.kind, info.card.family, info.card.params) == ("factors", "test", {"d": 8})
    assert info.card.metrics == {"recall@10": 0.25}


def test_nothing_of_a_scorer_can_be_changed(tmp_path):
    scorer = stored(tmp_path / "a", factors())
    with pytest.raises(AttributeError):
        scorer.artifact = None
    with pytest.raises(ValueError, match="read-only"):
        scorer.artifact.model.item_factors[0, 0] = 1.0


def test_sixteen_threads_get_what_one_gets(tmp_path):
    model = factors("string")
    scorer, users = stored(tmp_path / "a", model), list(model.users.ids)
    expected = [scorer.recommend([user], 10) for user in users]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda user: scorer.recommend([user], 10), users * 5))
    for number, frame in enumerate(found):
        pd.testing.assert_frame_equal(frame, expected[number % len(users)], check_exact=True)


def test_a_scorer_outlives_its_folder(tmp_path):
    """A champion is replaced on the disk while an old one is still scoring."""
    model = factors()
    scorer = stored(tmp_path / "a", model)
    stored(tmp_path / "a", MODELS["item_scores"]())
    np.testing.assert_array_equal(scorer.artifact.model.scores(np.arange(5)), model.scores(np.arange(5)))


def test_there_is_no_artifact(tmp_path):
    with pytest.raises(ArtifactError, match=r"nowhere.*manifest.json"):
        Scorer.load(tmp_path / "nowhere")
