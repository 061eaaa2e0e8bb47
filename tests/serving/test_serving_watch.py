"""A champion that changes while others are scoring, in a folder and in the registry of an MLflow store."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from serving_models import factors, feature_rows, funnel, stored

from beautyrec.errors import ArtifactError, ConfigError
from beautyrec.models.factors import FactorRecommender
from beautyrec.serving import ModelCard, Scorer, write_artifact
from beautyrec.serving.artifact import ARRAYS


def champion(number: int) -> FactorRecommender:
    """Scores that tell which champion gave them: every one of them is the number."""
    model = factors()
    nothing = [np.zeros_like(array) for array in (model.user_factors, model.item_factors)]
    return FactorRecommender(model.known, *nothing, np.full(len(model.items), number, np.float32))


def write(folder: Path, number: int) -> None:
    write_artifact(folder, champion(number).state(), ModelCard("test"))


def number_of(scorer: Scorer) -> int:
    found = scorer.recommend([7, 14], 5)
    assert len(set(found["score"])) == 1
    return int(found["score"].iloc[0])


def until(holds, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_folder_that_is_replaced_is_gone_over_to_by_itself(tmp_path):
    write(tmp_path / "a", 1)
    with Scorer.watch(tmp_path / "a", every=0.01) as scorer:
        assert number_of(scorer) == 1
        write(tmp_path / "a", 2)
        until(lambda: number_of(scorer) == 2)
        assert scorer.trouble is None
    write(tmp_path / "a", 3)
    time.sleep(0.05)
    assert number_of(scorer) == 2  # closed: it goes on with what it has
    assert scorer.check()
    assert number_of(scorer) == 3
    assert not scorer.check()


def test_a_link_that_is_turned_is_gone_over_to(tmp_path):
    for number in (1, 2):
        write(tmp_path / str(number), number)
    (tmp_path / "now").symlink_to(tmp_path / "1")
    with Scorer.watch(tmp_path / "now", every=60) as scorer:
        (tmp_path / "next").symlink_to(tmp_path / "2")
        (tmp_path / "next").rename(tmp_path / "now")
        assert scorer.check()
        assert number_of(scorer) == 2


def test_the_same_model_written_again_is_no_new_champion(tmp_path):
    write(tmp_path / "a", 1)
    with Scorer.watch(tmp_path / "a", every=60) as scorer:
        write(tmp_path / "a", 1)
        assert not scorer.check()


def test_sixteen_threads_see_whole_champions_through_many_swaps(tmp_path):
    """Each answer is of one champion, though ids, kinds and numbers change; no call fails, and none sees an older one."""
    write(tmp_path / "a", 1)
    seen: list[list[int]] = [[] for _ in range(16)]
    errors: list[BaseException] = []
    over = threading.Event()
    swaps = 5

    with Scorer.watch(tmp_path / "a", every=0.005) as scorer:
        traced = scorer.traced()

        def ask(mine: list[int]) -> None:
            try:
                while not over.is_set():
                    found = traced.recommend([7, 14, 21], 5)
                    assert len(set(found["artifact"])) == 1
                    assert len(set(found["score"])) == 1
                    mine.append(int(found["score"].iloc[0]))
                    time.sleep(0.002)  # sixteen that never rest leave the watch no time
            except BaseException as error:  # noqa: BLE001 (told below)
                errors.append(error)

        threads = [threading.Thread(target=ask, args=(mine,)) for mine in seen]
        for thread in threads:
            thread.start()
        for number in range(2, swaps + 2):
            write(tmp_path / "a", number)
            until(lambda number=number: number_of(scorer) == number)
        until(lambda: all(mine and mine[-1] == swaps + 1 for mine in seen))
        over.set()
        for thread in threads:
            thread.join()
    assert not errors
    for mine in seen:
        assert mine == sorted(mine)


def test_a_damaged_champion_never_gets_there(tmp_path, caplog):
    write(tmp_path / "a", 1)
    with caplog.at_level(logging.WARNING), Scorer.watch(tmp_path / "a", every=0.01) as scorer:
        arrays = tmp_path / "a" / ARRAYS
        content = bytearray(arrays.read_bytes())
        content[-1] ^= 1
        write(tmp_path / "b", 2)
        (tmp_path / "b" / ARRAYS).write_bytes(content)
        (tmp_path / "a").rename(tmp_path / "old")
        (tmp_path / "b").rename(tmp_path / "a")
        until(lambda: "changed or cut" in str(scorer.trouble))
        assert number_of(scorer) == 1
        with pytest.raises(ArtifactError, match="changed or cut"):
            scorer.check()
        write(tmp_path / "a", 3)
        until(lambda: number_of(scorer) == 3)
        assert scorer.trouble is None
    said = [record.message for record in caplog.records if "the champion of before goes on" in record.message]
    assert 1 <= len(said) <= 3  # not at every look


def test_a_champion_that_is_gone_goes_on_scoring(tmp_path):
    write(tmp_path / "a", 1)
    with Scorer.watch(tmp_path / "a", every=60) as scorer:
        (tmp_path / "a").rename(tmp_path / "b")
        with pytest.raises(ArtifactError, match=r"manifest\.json cannot be found"):
            scorer.check()
        assert number_of(scorer) == 1


def test_one_kind_may_follow_another(tmp_path):
    write(tmp_path / "a", 1)
    with Scorer.watch(tmp_path / "a", every=60) as scorer:
        stored(tmp_path / "a", funnel())
        assert scorer.check()
        assert list(scorer.score(feature_rows())) == ["ctr", "cvr", "ctcvr"]


def test_what_cannot_be_watched_is_said_at_once(tmp_path):
    with pytest.raises(ArtifactError, match=r"manifest\.json cannot be found"):
        Scorer.watch(tmp_path / "nowhere")
    write(tmp_path / "a", 1)
    with pytest.raises(ConfigError, match="every is 0"):
        Scorer.watch(tmp_path / "a", every=0)
    for wrong in ("models:/name", "models:/name@", "models:/@alias", "models:/a/b@c"):
        with pytest.raises(ArtifactError, match="models:/name@alias"):
            Scorer.watch(wrong)


def test_the_watch_does_not_keep_a_process_alive(tmp_path):
    import subprocess
    import sys

    write(tmp_path / "a", 1)
    code = f"from beautyrec.serving import Scorer; Scorer.watch({str(tmp_path / 'a')!r}, every=0.01)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=os.environ)


# The registry of an MLflow store, and the flavour.


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    pytest.importorskip("mlflow")
    from beautyrec.campaign.tracking import MlflowTracker

    return MlflowTracker.in_folder(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def run_id(store) -> str:
    from beautyrec.campaign.mlflow_store import mlflow_client

    with mlflow_client(store.uri) as client:
        experiment = client.create_experiment("flavour", artifact_location=None)
        return client.create_run(experiment).info.run_id


def test_the_alias_of_a_registry_is_followed_and_loads_as_any_model(store, run_id, tmp_path):
    import mlflow

    from beautyrec.campaign.registry import register_champion

    write(tmp_path / "one", 1)
    register_champion(store.uri, tmp_path / "one", run_id, name="shop")
    with Scorer.watch("models:/shop@champion", every=60, store=store.uri) as scorer:
        assert number_of(scorer) == 1
        write(tmp_path / "two", 2)
        register_champion(store.uri, tmp_path / "two", run_id, name="shop")
        assert number_of(scorer) == 1
        assert scorer.check()
        assert number_of(scorer) == 2
    with pytest.raises(ArtifactError, match="models:/shop@nobody"):
        Scorer.watch("models:/shop@nobody", store=store.uri)
    before = mlflow.get_tracking_uri()
    try:
        mlflow.set_tracking_uri(store.uri)
        loaded = mlflow.pyfunc.load_model("models:/shop@champion")
    finally:
        mlflow.set_tracking_uri(before)
    assert set(loaded.predict(pd.DataFrame({"user_id": [7]}))["score"]) == {2.0}


def test_a_saved_model_gives_the_same_lists(tmp_path):
    pytest.importorskip("mlflow")
    import mlflow

    from beautyrec.serving.flavour import save_model

    scorer = stored(tmp_path / "artifact", factors("string"))
    save_model(tmp_path / "model", tmp_path / "artifact")
    assert not list((tmp_path / "model").rglob("*.pkl"))
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    users = pd.DataFrame({"user_id": [*scorer.artifact.model.users.ids, "nobody"]})
    for k, exclude_seen in ((10, True), (3, False)):
        expected = scorer.recommend(users, k, exclude_seen=exclude_seen, on_unknown="fallback")
        params = {} if k == 10 else {"params": {"k": k, "exclude_seen": exclude_seen}}
        found = loaded.predict(users, **params)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    assert [column.name for column in loaded.metadata.signature.outputs] == ["user_id", "item_id", "score", "rank"]
    assert {param.name: param.default for param in loaded.metadata.signature.params} == {
        "k": 10,
        "exclude_seen": True,
        "on_unknown": "fallback",
    }
    assert loaded.metadata.metadata["beautyrec.artifact"] == scorer.artifact.fingerprint
    assert list(loaded.input_example["user_id"]) == scorer.artifact.model.users.ids[:1].tolist()


def test_a_saved_funnel_gives_the_same_chances(tmp_path):
    pytest.importorskip("mlflow")
    import mlflow

    from beautyrec.serving.flavour import save_model

    scorer = stored(tmp_path / "artifact", funnel())
    save_model(tmp_path / "model", tmp_path / "artifact")
    found = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(feature_rows())
    pd.testing.assert_frame_equal(found, scorer.score(feature_rows()), rtol=1e-6)
