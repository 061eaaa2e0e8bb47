"""``mlflow models serve`` on a saved model, asked over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from serving_models import factors, stored

from beautyrec.serving.flavour import save_model


def asked(port: int, method: str, path: str, body: dict | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple]:
    """The scorer, and the port at which MLflow serves it with the packages that are there."""
    pytest.importorskip("mlflow")
    pytest.importorskip("uvicorn")
    folder = tmp_path_factory.mktemp("served")
    scorer = stored(folder / "champion", factors("string"))
    save_model(folder / "model", folder / "champion")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tools = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    options = ["-m", str(folder / "model"), "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    command = [sys.executable, "-m", "mlflow", "models", "serve", *options]
    log = (folder / "log").open("w")
    with log, subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True) as process:
        try:
            wait(process, port, folder / "log")
            yield scorer, port
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # the server is a child of the command


def wait(process: subprocess.Popen, port: int, log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            if asked(port, "GET", "/ping")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"it does not serve:\n{log.read_text()[-2000:]}")


def test_mlflow_serves_what_the_scorer_says(served):
    scorer, port = served
    users = ["ü003", "ü011", "nobody"]
    body = {"dataframe_split": {"columns": ["user_id"], "data": [[user] for user in users]}}
    status, text = asked(port, "POST", "/invocations", body | {"params": {"k": 3, "exclude_seen": False}})
    assert status == 200
    expected = scorer.recommend(users, 3, exclude_seen=False, on_unknown="fallback")
    found = pd.DataFrame(json.loads(text)["predictions"])
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)


def test_bad_input_is_an_error_of_the_caller_and_the_service_stays_up(served):
    _, port = served
    status, text = asked(port, "POST", "/invocations", {"dataframe_records": [{"user_id": 7}]})
    assert status == 400
    assert "user_id" in text
    assert asked(port, "POST", "/invocations", {"dataframe_records": [{"user_id": "ü003"}]})[0] == 200
