from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from beautyrec.errors import ArtifactError, ConfigError, FitError
from beautyrec.models.checkpoint import Checkpoint
from beautyrec.models.gru4rec import GRU4Rec
from beautyrec.models.losses import SampledSoftmax
from beautyrec.models.sasrec import SASRec
from beautyrec.testing.models import small_log

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'beautyrec[train]'")

from beautyrec.models.compute import Compute, deterministic  # noqa: E402
from beautyrec.models.training import TrainingPlan, train  # noqa: E402

# The loop


def line(steps=20):
    """A network of one weight, batches for it, and its loss ``(w - batch)^2``."""
    net = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.zero_()
    return net, lambda epoch: [1.0] * steps, lambda batch: (net.weight - batch).square().mean()


def test_training_goes_down_the_loss():
    net, batches, loss = line()
    record = train(net, batches, loss, TrainingPlan(epochs=30, learning_rate=0.05, warm_up=1, last_rate=1.0))
    assert abs(net.weight.item() - 1) < 1e-2
    assert record.best_epoch == 29
    assert len(record.losses) == 30
    assert record.losses[-1] < record.losses[0]


def test_training_stops_without_progress_and_keeps_the_best():
    net, batches, loss = line(1)
    metric, seen, calls = iter([1.0, 3.0, 2.0, 3.0, 1.0, 9.0]), [], []

    def validate():
        seen.append(net.weight.item())
        return next(metric)

    plan = TrainingPlan(epochs=6, learning_rate=0.05, patience=3, warm_up=1, last_rate=1.0)
    record = train(net, batches, loss, plan, validate=validate, on_progress=lambda *a: calls.append(a))
    assert record.validations == (1.0, 3.0, 2.0, 3.0, 1.0)
    assert record.best_epoch == 1
    assert net.weight.item() == seen[1] != seen[-1]
    assert calls[-1] == (6, 6)


def test_a_loss_that_is_not_finite_says_where():
    net, _, _ = line()
    losses = iter([0.0, 0.0, 0.0, float("nan")])
    with pytest.raises(FitError, match=r"loss is nan in epoch 2, step 2\. Lower the learning rate"):
        train(
            net,
            lambda epoch: [None, None],
            lambda batch: net.weight.sum() * 0 + next(losses),
            TrainingPlan(epochs=3, learning_rate=0.1),
        )


def test_a_gradient_that_is_not_finite_says_where():
    """The loss sqrt(w) is 0 at w = 0, its slope is not a number there."""
    net, batches, _ = line(2)
    with pytest.raises(FitError, match="gradient's norm is inf in epoch 1, step 1"):
        train(net, batches, lambda batch: net.weight.sum().sqrt(), TrainingPlan(epochs=1, learning_rate=0.1))


def test_a_validation_that_is_not_finite_is_an_error():
    net, batches, loss = line(2)
    with pytest.raises(FitError, match="validation is nan in epoch 1"):
        train(net, batches, loss, TrainingPlan(epochs=3, learning_rate=0.1), validate=lambda: math.nan)


def test_the_global_settings_of_torch_are_put_back():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    with deterministic(1, threads=3):
        assert torch.are_deterministic_algorithms_enabled() is not torch.cuda.is_available()
        assert torch.get_num_threads() == 3
        torch.rand(7)
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()) == before
    torch.testing.assert_close(torch.rand(3), expected)


# Devices and precision


def test_the_processor_works_in_32_bits_and_cuda_in_16():
    present = Compute.present()
    assert (present.device.type == "cuda") == torch.cuda.is_available() == (present.half is not None)
    assert Compute().moved([1]) == [1]


def test_tensors_are_moved_wherever_they_are_in_a_batch():
    batch = {"a": (torch.ones(2), [torch.zeros(3), "text"]), "b": SampledSoftmax(), "c": torch.zeros(1)}
    moved = Compute(torch.device("meta")).moved(batch)
    devices = [moved["a"][0].device.type, moved["a"][1][0].device.type, moved["c"].device.type]
    assert devices == ["meta"] * 3
    assert (type(moved["a"]), moved["a"][1][1], moved["b"]) == (tuple, "text", SampledSoftmax())


def small_training(half=None, checkpoint=None, stop_at=None, epochs=4, validate=True):
    """Train a small network with dropout on batches of its own; raises KeyboardInterrupt at the step ``stop_at``."""
    steps = iter(range(10**6))
    with deterministic(3):
        net = torch.nn.Sequential(
            torch.nn.Linear(6, 16),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(16, 1),
            torch.nn.BatchNorm1d(1),
        )

        def batches(epoch):
            rng = np.random.default_rng(epoch)
            return (torch.from_numpy(rng.normal(size=(8, 6)).astype(np.float32)) for _ in range(5))

        def loss(batch):
            if stop_at is not None and next(steps) == stop_at:
                raise KeyboardInterrupt
            return (net(batch)[:, 0].float() - batch.sum(dim=1)).square().mean()

        def metric():
            return -float(net(torch.ones(4, 6)).float().square().mean())

        plan = TrainingPlan(epochs, 0.02, weight_decay=0.1, patience=2, warm_up=3, compute=Compute(half=half))
        record = train(net, batches, loss, plan, validate=metric if validate else None, checkpoint=checkpoint)
    return record, net.state_dict()


def assert_same(one, other):
    (record, weights), (other_record, other_weights) = one, other
    assert record == other_record
    assert weights.keys() == other_weights.keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, other_weights[name], rtol=0, atol=0)


def test_products_in_16_bits_change_little():
    exact, rough = small_training(validate=False)[0], small_training(torch.bfloat16, validate=False)[0]
    assert rough.losses != exact.losses
    np.testing.assert_allclose(rough.losses, exact.losses, rtol=0.05)


def test_with_little_range_steps_that_overflow_are_left_out():
    """The loss is first scaled by 2^16, which is too much for float16: the scale falls, and training goes on."""
    record, _ = small_training(torch.float16, epochs=12, validate=False)
    assert record.losses[-1] < record.losses[0] / 2


# Checkpoints


@pytest.mark.parametrize("stop_at", [0, 1, 4, 5, 12])
@pytest.mark.parametrize("half", [None, torch.float16])
def test_a_training_that_was_stopped_ends_like_one_that_was_not(tmp_path, stop_at, half):
    kept = Checkpoint(tmp_path, every=0)
    with pytest.raises(KeyboardInterrupt):
        small_training(half, kept, stop_at)
    assert kept.path.exists() == (stop_at > 0)
    assert_same(small_training(half, kept), small_training(half))


def test_a_training_can_be_stopped_again_and_again(tmp_path):
    kept = Checkpoint(tmp_path, every=0)
    for _ in range(6):
        with pytest.raises(KeyboardInterrupt):
            small_training(None, kept, 2)
    assert_same(small_training(None, kept), small_training())


def test_a_finished_training_is_read_and_not_repeated(tmp_path):
    kept = Checkpoint(tmp_path)
    first = small_training(None, kept)
    assert_same(small_training(None, kept, stop_at=0), first)


def test_no_more_is_written_than_asked_for(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Checkpoint, "write", lambda *a: written.append(1))
    small_training(None, Checkpoint(tmp_path, every=3600))
    assert len(written) == 1
    small_training(None, Checkpoint(tmp_path, every=0), validate=False)
    assert len(written) == 1 + 20 + 1


def test_the_file_of_another_training_is_refused(tmp_path):
    small_training(None, Checkpoint(tmp_path).of({"seed": "1", "log": "a"}))
    with pytest.raises(ConfigError, match=r"of another training: seed is 1 there, 2 here\. Name another folder"):
        small_training(None, Checkpoint(tmp_path).of({"seed": "2", "log": "a"}))


def test_a_damaged_file_and_a_newer_one_say_so(tmp_path):
    kept = Checkpoint(tmp_path)
    small_training(None, kept)
    whole = kept.path.read_bytes()
    kept.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="not a checkpoint"):
        small_training(None, kept)
    import safetensors.torch

    safetensors.torch.save_file({}, kept.path, {"training": json.dumps({"format": 99, "run": {}, "facts": {}})})
    with pytest.raises(ArtifactError, match="format 99"):
        small_training(None, kept)


def test_a_time_below_zero_is_an_error():
    with pytest.raises(ConfigError, match="every is -1"):
        Checkpoint("here", every=-1)


# Killed fits

LEARNERS = {
    "sasrec": SASRec(width=8, inner=8, max_len=4, epochs=5, loss=SampledSoftmax(16), batch_events=32),
    "gru4rec": GRU4Rec(width=8, hidden=8, max_len=4, epochs=5, loss=SampledSoftmax(16), batch_events=32),
}


def fit_slowly(name, folder):
    """Runs in a process of its own, which is killed from outside."""
    torch.cuda.is_available = lambda: False
    LEARNERS[name].fit(
        small_log(), seed=4, checkpoint=Checkpoint(folder, every=0), on_progress=lambda *a: time.sleep(0.5)
    )


def fit_until_a_write_is_cut_off(name, folder):
    """Kills itself with half of its ninth checkpoint written."""
    torch.cuda.is_available = lambda: False
    write, count = Path.write_bytes, iter(range(100))

    def cut_off(path, data):
        if next(count) < 8:
            return write(path, data)
        write(path, data[: len(data) // 2])
        return os.kill(os.getpid(), signal.SIGKILL)

    Path.write_bytes = cut_off
    LEARNERS[name].fit(small_log(), seed=4, checkpoint=Checkpoint(folder, every=0))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize(("name", "work"), [("sasrec", fit_slowly), ("gru4rec", fit_until_a_write_is_cut_off)])
def test_a_killed_fit_ends_like_one_that_was_not(tmp_path, name, work, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # to the bit is a promise of the processor
    child = multiprocessing.get_context("spawn").Process(target=work, args=(name, tmp_path))
    child.start()
    kept = Checkpoint(tmp_path, every=0)
    deadline = time.monotonic() + 60
    while work is fit_slowly and not kept.path.exists():
        assert child.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if work is fit_slowly:
        child.kill()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert (len(list(tmp_path.glob(".*"))) == 1) or work is fit_slowly
    calls = []
    again = LEARNERS[name].fit(small_log(), seed=4, checkpoint=kept, on_progress=lambda *a: calls.append(a))
    whole = LEARNERS[name].fit(small_log(), seed=4)
    assert calls[0][0] <= 5
    np.testing.assert_array_equal(again.user_factors, whole.user_factors)
    np.testing.assert_array_equal(again.item_factors, whole.item_factors)
    assert [path.name for path in tmp_path.iterdir()] == [kept.path.name]


def test_a_fit_refuses_the_checkpoint_of_another(tmp_path):
    learner = replace(LEARNERS["sasrec"], epochs=1)
    learner.fit(small_log(), seed=1, checkpoint=Checkpoint(tmp_path))
    with pytest.raises(ConfigError, match="another training: seed is 1 there, 2 here"):
        learner.fit(small_log(), seed=2, checkpoint=Checkpoint(tmp_path))
    with pytest.raises(ConfigError, match="another training: learner is SASRec"):
        replace(learner, width=4).fit(small_log(), seed=1, checkpoint=Checkpoint(tmp_path))
    shorter = small_log().where(np.arange(len(small_log())) > 3)
    with pytest.raises(ConfigError, match="another training: log is"):
        learner.fit(shorter, seed=1, checkpoint=Checkpoint(tmp_path))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("name", list(LEARNERS))
def test_cuda_fits_and_resumes(tmp_path, name):
    calls = []

    def stop_after_three(done, total):
        calls.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LEARNERS[name].fit(small_log(), checkpoint=Checkpoint(tmp_path, every=0), on_progress=stop_after_three)
    model = LEARNERS[name].fit(small_log(), checkpoint=Checkpoint(tmp_path), on_progress=lambda *a: calls.append(a[0]))
    assert calls[3] == 3  # the third epoch was over, but not counted in the last checkpoint
    assert np.isfinite(model.user_factors).all()
    assert model.user_factors.any(axis=1).sum() == 59
