"""The example service, as a real process on loopback, under several clients and through ten new champions."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from serving_models import least_squares, stored

from beautyrec.models.recommenders import LeastSquaresRecommender
from beautyrec.serving import ModelCard, write_artifact

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

EXAMPLES = Path(__file__).parents[2] / "examples"


def champion(number: int) -> LeastSquaresRecommender:
    """The same lists for every champion, scores that tell which one it was."""
    model = least_squares("string")
    return LeastSquaresRecommender(
        model.known,
        model.user_factors * np.float32(number),
        model.item_factors,
        regularization=model.regularization,
        alpha=model.alpha,
        decay=model.decay,
    )


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, dict]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.fixture
def port(tmp_path):
    stored(tmp_path / "champion", champion(1))
    found = free_port()
    settings = {
        "BEAUTYREC_MODEL": str(tmp_path / "champion"),
        "BEAUTYREC_WATCH_SECONDS": "0.02",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(found), "--log-level", "warning"]
    with subprocess.Popen(command, cwd=EXAMPLES, env=os.environ | settings) as service:
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    http.client.HTTPConnection("127.0.0.1", found, timeout=5).connect()
                    break
                except OSError:
                    assert service.poll() is None
                    assert time.monotonic() < end
                    time.sleep(0.05)
            yield found
        finally:
            service.terminate()
            service.wait(20)


def test_the_service_answers_through_ten_champions_without_an_error(port, tmp_path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    model = champion(1)
    expected = model.recommend(["ü003"], 5)
    status, said = get(connection, "/recommend/%C3%BC003?k=5")
    assert status == 200
    assert said["item_id"] == expected["item_id"].tolist()
    np.testing.assert_allclose(said["score"], expected["score"], rtol=1e-5)
    assert set(said["path"]) == {"model"}

    status, said = get(connection, "/recommend/nobody?k=3&took=%E5%93%813,%E5%93%814")
    assert (status, set(said["path"])) == (200, {"fold_in"})
    assert not {"品3", "品4"} & set(said["item_id"])
    assert set(get(connection, "/recommend/nobody?k=3")[1]["path"]) == {"fallback"}
    assert get(connection, "/recommend/nobody?k=0")[0] == 422
    status, said = get(connection, "/recommend/nobody?k=3&took=unknown")
    assert (status, set(said["path"])) == (200, {"fallback"})

    over, answers, errors = threading.Event(), [], []

    def ask() -> None:
        mine = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not over.is_set():
            status, said = get(mine, "/recommend/%C3%BC005?k=5")
            (answers if status == 200 and len(set(said["artifact"])) == 1 else errors).append(said)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(2, 12):
        manifest = write_artifact(tmp_path / "champion", champion(number).state(), ModelCard(f"champion {number}"))
        end = time.monotonic() + 30
        while get(connection, "/health")[1]["family"] != manifest.card.family:
            assert time.monotonic() < end
            time.sleep(0.01)
    over.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(answers) > 40
    assert len({said["artifact"][0] for said in answers}) > 5
    assert {tuple(said["item_id"]) for said in answers} == {tuple(model.recommend(["ü005"], 5)["item_id"])}
    assert get(connection, "/health")[1]["trouble"] is None


def test_the_example_is_short():
    assert len((EXAMPLES / "service.py").read_text(encoding="utf-8").splitlines()) <= 60
