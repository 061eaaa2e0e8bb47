"""How far are off-policy values from the truth, beside Open Bandit Pipeline's published figures and its own estimators?

Relative error is ``|estimate / truth - 1|``, averaged over the runs. "No worse within one standard error": the mean less its
standard error over the runs is at most the published mean. The automatic choice has bounds of its own, without that
allowance. Every choice is made from the log; the truth is only compared with.

The published runs were in sight while the automatic choice was designed (its rule and its controls were decided on other
logs, but their figures had been seen). So it is also held against the best of the published estimators on logs of seeds
from 770,000 on, which were looked at only when everything was fixed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.off_policy import (
    AUTOMATIC,
    CLIPPED_IPS,
    DM,
    DR,
    IPS,
    SHRUNK_DR,
    SNDR,
    SNIPS,
    SUB_GAUSSIAN_DR,
    SWITCH_DR,
    Chosen,
    Estimator,
    RegressedDR,
    choice,
    per_row,
    slope,
)
from benchmarks import _bandit_worlds as worlds
from benchmarks import _harness

PEER = _harness.ROOT / ".peers" / "obp" / "bin" / "python"
PEER_SCRIPT = Path(__file__).parent / "peers" / "obp_values.py"
QUICK_RUNS = 3
QUICK_ERRORS = 3
"""Standard errors allowed for in the quick form, whose few runs are noisy; the full form allows for one, or for none."""
QUICK_RATIO = 1.5
"""The quick form's bound on the ratio over fresh logs; that of the full form is 1."""
FRESH = 770_000
SLOPED = (
    Chosen("switch_dr by slope", lambda _: [DR()], choice.switched, slope),
    Chosen("shrunk_dr by slope", lambda _: [DR()], choice.shrunk, slope),
)
ESTIMATORS: tuple[Estimator, ...] = (
    *(DM(), IPS(), SNIPS(), DR(), SNDR(), SWITCH_DR, SHRUNK_DR, AUTOMATIC),
    *(CLIPPED_IPS, SUB_GAUSSIAN_DR, RegressedDR(), *SLOPED),
)


@dataclass(frozen=True)
class Setting:
    """One published setting: how a run is made, how many there are, the published errors and the bound of the choice."""

    name: str
    make: Callable[[int], worlds.World]
    runs: int
    published: dict[str, float]
    automatic: float
    fresh: int


SETTINGS = (
    Setting(
        "digits",
        worlds.digits,
        30,
        {
            "dm": 0.4365,
            "ips": 0.0303,
            "snips": 0.0228,
            "dr": 0.0162,
            "sndr": 0.0221,
            "switch_dr": 0.0347,
            "shrunk_dr": 0.0159,
        },
        0.0155,
        60,
    ),
    Setting(
        "synthetic",
        worlds.synthetic,
        20,
        {
            "dm": 0.0744,
            "ips": 0.0095,
            "snips": 0.0067,
            "dr": 0.0062,
            "sndr": 0.0061,
            "switch_dr": 0.0062,
            "shrunk_dr": 0.0220,
        },
        0.0061,
        80,
    ),
)


def errors(world: worlds.World) -> dict[str, float]:
    """Relative error of each estimator on one log."""
    evidence = world.evidence()
    return {each.name: abs(value(each, evidence) / world.truth - 1) for each in ESTIMATORS}


def value(estimator: Estimator, evidence: SlateEvidence) -> float:
    return float(per_row(estimator, evidence, "clicked").mean())


def peer_errors(logs: list[worlds.World]) -> list[dict[str, float]]:
    """The same by Open Bandit Pipeline's estimators on the same logs, in its own environment."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, world in enumerate(logs):
            arrays = {name: getattr(world, name) for name in ("action", "reward", "logging", "target", "expected")}
            np.savez(Path(folder) / f"{number}.npz", **arrays)
        command = [str(PEER), str(PEER_SCRIPT), folder, str(len(logs))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for world, values in zip(logs, json.loads(done.stdout.splitlines()[-1]), strict=True):
            found.append({name: abs(number / world.truth - 1) for name, number in values.items()})
    return found


def spread(found: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and standard error of each estimator's errors over the runs."""
    table = {name: np.array([run[name] for run in found]) for name in found[0]}
    return {name: (float(e.mean()), float(e.std(ddof=1) / len(e) ** 0.5)) for name, e in table.items()}


def measure_setting(setting: Setting, seed: int, quick: bool) -> tuple[list[_harness.Check], dict[str, Any]]:
    runs = QUICK_RUNS if quick else setting.runs
    logs = []
    for number in range(runs):
        logs.append(setting.make(1000 * seed + number))
        _harness.progress(number + 1, runs)
    ours = spread([errors(world) for world in logs])
    checks = []
    for name, published in setting.published.items():
        mean, error = ours[name]
        allowed = published + (QUICK_ERRORS if quick else 1) * error
        target = f"<= {allowed:.4f} (published {published:g}, {QUICK_ERRORS if quick else 1} standard errors)"
        label = f"{setting.name}: relative error of {name}"
        checks.append(_harness.Check(label, round(mean, 6), f"mean of {runs} runs", target, mean <= allowed))
    label = f"{setting.name}: relative error of the automatic choice"
    mean, error = ours["automatic"]
    allowed = setting.automatic + (QUICK_ERRORS * error if quick else 0)
    checks.append(_harness.at_most(label, mean, f"mean of {runs} runs", allowed))
    picks = [AUTOMATIC.pick(world.evidence(), "clicked") for world in logs]
    notes = {"ours": rounded(ours), "automatic_picks": {str(p): picks.count(p) for p in dict.fromkeys(picks)}}
    return checks, notes | peer_notes(logs)


def measure_fresh(setting: Setting, seed: int, quick: bool) -> tuple[_harness.Check, dict[str, Any]]:
    """The automatic choice against the best published estimator, found in hindsight, on logs nobody designed for."""
    runs = QUICK_RUNS if quick else setting.fresh
    ours = spread([errors(setting.make(FRESH + 1000 * seed + number)) for number in range(runs)])
    best = min(setting.published, key=lambda name: ours[name][0])
    label = f"{setting.name}, fresh logs: error of the automatic choice over that of {best}, the best of the published"
    check = _harness.at_most(
        label, ours["automatic"][0] / ours[best][0], f"ratio over {runs} runs", QUICK_RATIO if quick else 1.0
    )
    return check, {"fresh": rounded(ours)}


def peer_notes(logs: list[worlds.World]) -> dict[str, Any]:
    """What Open Bandit Pipeline says to the same logs, or why it does not."""
    if not PEER.exists():
        return {"obp": "skipped: no environment at .peers/obp (make peers)"}
    try:
        return {"obp 0.5.7 on the same logs": rounded(spread(peer_errors(logs)))}
    except subprocess.CalledProcessError as error:
        return {"obp": f"skipped: it failed with {error.stderr.strip().splitlines()[-1:]}"}


def rounded(table: dict[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    return {name: {"mean": round(m, 6), "standard_error": round(e, 6)} for name, (m, e) in table.items()}


def measure(seed: int, quick: bool) -> _harness.Measured:
    checks: list[_harness.Check] = []
    notes: dict[str, Any] = {}
    for setting in SETTINGS:
        found, about = measure_setting(setting, seed, quick)
        fresh, about_fresh = measure_fresh(setting, seed, quick)
        checks += [*found, fresh]
        notes[setting.name] = about | about_fresh
    return checks, notes


if __name__ == "__main__":
    _harness.main("ope_accuracy", measure)
