from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.sources import fetcher
from beautyrec.data.sources.fetch_open_bandit import download_wheel, fetch_open_bandit
from beautyrec.data.sources.open_bandit import (
    BEHAVIOURS,
    OpenBanditLog,
    action_probabilities,
    read_open_bandit,
    read_prior,
)
from beautyrec.errors import SchemaError, SourceError

ROWS = pd.DataFrame(
    {
        "timestamp": ["2019-11-24 00:00:17.004101+00:00", "2019-11-24 00:00:19+00:00", "2019-11-25 00:00:00+00:00"],
        "item_id": [1, 0, 2],
        "position": [1, 2, 3],
        "click": [0, 1, 0],
        "propensity_score": [0.25, 0.5, 1.0],
        "user_feature_0": "x",
    }
)


def write_csv(folder, behaviour="random", campaign="men", rows=ROWS):
    place = folder / behaviour / campaign
    place.mkdir(parents=True, exist_ok=True)
    rows.to_csv(place / f"{campaign}.csv")
    pd.DataFrame({"item_id": [0, 1, 2], "item_feature_0": 0.5}).to_csv(place / "item_context.csv")


def test_csv_as_published(tmp_path):
    write_csv(tmp_path)
    log = read_open_bandit(tmp_path, "random", "men")
    assert log.item_id.tolist() == [1, 0, 2]
    assert log.position.tolist() == [1, 2, 3]
    assert log.click.tolist() == [0, 1, 0]
    assert log.propensity.tolist() == [0.25, 0.5, 1.0]
    assert log.timestamp[0] == pd.Timestamp("2019-11-24 00:00:17.004101Z").value // 1000
    assert (log.n_items, log.n_positions, log.behaviour, log.campaign, len(log)) == (3, 3, "random", "men", 3)


def test_the_six_folders_of_the_full_version(tmp_path):
    """Each with the columns that the publisher describes: an unnamed index, hashed features, affinities."""
    items = {"all": 80, "men": 34, "women": 46}
    for behaviour in BEHAVIOURS:
        for campaign, n_items in items.items():
            rows = pd.DataFrame(
                {
                    "timestamp": "2019-11-24 00:00:17.004101+00:00",
                    "item_id": np.arange(n_items),
                    "position": np.arange(n_items) % 3 + 1,
                    "click": (np.arange(n_items) == 5).astype(int),
                    "propensity_score": 1 / n_items if behaviour == "random" else 0.5,
                    **{f"user_feature_{place}": "81ce123cbb5bd8ce818f60fb3586bba5" for place in range(4)},
                    **{f"user-item_affinity_{place}": 0.0 for place in range(n_items)},
                }
            )
            place = tmp_path / behaviour / campaign
            place.mkdir(parents=True)
            rows.to_csv(place / f"{campaign}.csv")
            context = pd.DataFrame({"item_id": np.arange(n_items), "item_feature_0": -0.5, "item_feature_1": "e2f3"})
            context.to_csv(place / "item_context.csv")
    for behaviour in BEHAVIOURS:
        for campaign, n_items in items.items():
            log = read_open_bandit(tmp_path, behaviour, campaign)
            assert (len(log), log.n_items, log.click.sum()) == (n_items, n_items, 1)
            assert log.propensity[0] == (1 / n_items if behaviour == "random" else 0.5)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("item_id", 3, r"men\.csv, column 'item_id': 1 of 3 rows are not 0 to 2 \(first: row 1, value 3\)"),
        ("position", 0, r"column 'position': 1 of 3 rows are not 1 to 3"),
        ("click", 2, r"column 'click': 1 of 3 rows are not 0 or 1"),
        ("propensity_score", 0.0, r"column 'propensity_score': 1 of 3 rows are not in \(0, 1\]"),
        ("propensity_score", np.nan, r"column 'propensity_score': 1 of 3 rows are not in"),
        ("click", "yes", r"'click' holds .*, not numbers"),
    ],
)
def test_bad_rows(tmp_path, column, value, says):
    rows = ROWS.astype({column: object})
    rows.loc[1, column] = value
    write_csv(tmp_path, rows=rows)
    with pytest.raises(SchemaError, match=says):
        read_open_bandit(tmp_path, "random", "men")


def test_absent_and_damaged_files(tmp_path):
    with pytest.raises(
        SourceError, match=r"neither .*bts-all\.parquet' nor .*all\.csv' is there.*data fetch open-bandit"
    ):
        read_open_bandit(tmp_path, "bts", "all")
    write_csv(tmp_path, rows=ROWS.drop(columns="click"))
    with pytest.raises(SourceError, match=r"men\.csv' cannot be read as CSV with columns .*'click'"):
        read_open_bandit(tmp_path, "random", "men")
    (tmp_path / "random" / "men" / "item_context.csv").unlink()
    write_csv(tmp_path, campaign="all")
    (tmp_path / "random" / "all" / "item_context.csv").unlink()
    with pytest.raises(SourceError, match=r"item_context\.csv' is not there"):
        read_open_bandit(tmp_path, "random", "all")


def test_probabilities_are_time_averages_of_a_drifting_policy(rng):
    # two items; the chance of the first is .2 in one half of the time and .8 in the other: its time average is .5
    n = 40_000
    chance = np.where(np.arange(n) < n / 2, 0.2, 0.8)
    first = rng.random(n) < chance
    item = np.where(first, 0, 1)
    zeros = np.zeros(n, np.int64)
    log = OpenBanditLog(item, zeros + 1, zeros, np.where(first, chance, 1 - chance), zeros, 2, "bts", "all", 1)
    assert action_probabilities(log)[:, 0] == pytest.approx([0.5, 0.5], abs=0.015)


def test_probabilities_sum_to_one_and_are_zero_where_nothing_was_seen():
    log = OpenBanditLog(
        item_id=np.array([0, 0, 1, 2]),
        position=np.array([1, 2, 2, 2]),
        click=np.zeros(4, np.int64),
        propensity=np.array([0.3, 0.2, 0.2, 0.1]),
        timestamp=np.zeros(4, np.int64),
        n_items=3,
        behaviour="bts",
        campaign="men",
        n_positions=2,
    )
    expected = np.array([[1, 0.4], [0, 0.4], [0, 0.2]])
    np.testing.assert_allclose(action_probabilities(log), expected)
    with pytest.raises(SchemaError, match=r"no rows at positions \[3\] of 4 rows"):
        action_probabilities(OpenBanditLog(**{**vars(log), "n_positions": 3}))


@pytest.mark.shared
def test_the_real_logs(shared_data):
    folder = shared_data / "open-bandit-small"
    random, bts = (read_open_bandit(folder, behaviour, "all") for behaviour in ("random", "bts"))
    assert (len(random), random.n_items, random.click.sum(), bts.click.sum()) == (10_000, 80, 38, 42)
    np.testing.assert_allclose(action_probabilities(random), 1 / 80)
    target = action_probabilities(bts)
    assert (target > 0).sum() == 239
    weight = target[random.item_id, random.position - 1] / random.propensity
    # from the chances that the policy logged itself; its own Monte Carlo gives 0.004553: `benchmarks/open_bandit.py`
    assert (weight * random.click).mean() == pytest.approx(0.004553, rel=0.01)
    women = read_open_bandit(folder, "bts", "women")
    weight = 1 / women.n_items / women.propensity
    assert weight.sum() ** 2 / (weight**2).sum() == pytest.approx(2.08, abs=0.01)
    assert weight.max() == pytest.approx(21_739, abs=1)


PRIOR = """all:
  alpha:
    - 47.0
    - 8.0
  beta:
    - 12198.0
    - 3566.5

men:
  alpha:
    - 1.0
  beta:
    - 2
women:
  alpha:
    - 3e1
  beta:
    - 4.0
"""


def test_the_prior_as_published(tmp_path):
    (tmp_path / "prior_bts.yaml").write_text(PRIOR)
    prior = read_prior(tmp_path, "all")
    assert prior.alpha.tolist() == [47.0, 8.0]
    assert prior.beta.tolist() == [12198.0, 3566.5]
    assert [part.tolist() for part in read_prior(tmp_path, "women")] == [[30.0], [4.0]]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("all:", "rest:", "0 alphas and 0 betas of campaign 'all'"),
        ("    - 8.0\n", "", "1 alphas and 2 betas"),
        ("- 8.0", "- 0.0", "2 alphas and 2 betas .* all above 0"),
        ("- 8.0", "- many", "line 4: 'many' is no number"),
    ],
)
def test_a_wrong_prior(tmp_path, before, after, says):
    (tmp_path / "prior_bts.yaml").write_text(PRIOR.replace(before, after, 1))
    with pytest.raises(SchemaError, match=says):
        read_prior(tmp_path, "all")


def test_no_prior(tmp_path):
    with pytest.raises(SourceError, match=r"prior_bts\.yaml' is not there.*data fetch open-bandit"):
        read_prior(tmp_path, "all")


def make_wheel(path, tmp_path, leave_out=None, license_too=True):
    source = tmp_path / "source"
    for behaviour in ("random", "bts"):
        for campaign in ("all", "men", "women"):
            write_csv(source, behaviour, campaign)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(source.rglob("*.csv")):
            name = f"obp/dataset/obd/{file.relative_to(source)}"
            if name != leave_out:
                archive.write(file, name)
        archive.writestr("obp/dataset/obd/random/.DS_Store", "rest")
        archive.writestr("obp/__init__.py", "raise SystemExit")
        archive.writestr("obp/policy/conf/prior_bts.yaml", PRIOR)
        if license_too:
            archive.writestr("obp-0.4.1.dist-info/LICENSE", "Apache License")
    return path


def test_fetch_takes_the_logs_and_nothing_else(tmp_path):
    calls = []

    def download(into):
        calls.append(into)
        return make_wheel(into / "obp.whl", tmp_path)

    place = fetch_open_bandit(tmp_path / "data", download)
    names = {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}
    tables = {
        f"{b}/{c}/{f}"
        for b in ("random", "bts")
        for c in ("all", "men", "women")
        for f in (f"{c}.csv", "item_context.csv")
    }
    assert names == tables | {"LICENSE", "README.md", "prior_bts.yaml"}
    assert len(read_open_bandit(place, "bts", "women")) == 3
    assert "Apache-2.0" in (place / "README.md").read_text()
    assert fetch_open_bandit(tmp_path / "data", download) == place
    assert len(calls) == 1
    shutil.rmtree(place / "bts")
    fetch_open_bandit(tmp_path / "data", download)
    assert len(calls) == 2
    assert (place / "bts" / "all" / "all.csv").is_file()


def test_fetch_leaves_nothing_half_done(tmp_path):
    absent = "obp/dataset/obd/bts/men/men.csv"
    with pytest.raises(SourceError, match=f"1 files are absent, empty or too large, the first '{absent}'"):
        fetch_open_bandit(tmp_path / "data", lambda into: make_wheel(into / "obp.whl", tmp_path, absent))
    assert list((tmp_path / "data").iterdir()) == []

    def damaged(into):
        (into / "obp.whl").write_text("no archive")
        return into / "obp.whl"

    with pytest.raises(SourceError, match=r"obp\.whl: is damaged"):
        fetch_open_bandit(tmp_path / "data", damaged)
    assert list((tmp_path / "data").iterdir()) == []


def test_fetch_without_an_index_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(SourceError, match=r"pip could not download obp==0\.4\.1 .*No matching distribution"):
        fetch_open_bandit(tmp_path / "data", download_wheel)
    assert not (tmp_path / "data" / "open-bandit").exists()


def test_fetcher_by_name():
    assert fetcher("open-bandit") is fetch_open_bandit
