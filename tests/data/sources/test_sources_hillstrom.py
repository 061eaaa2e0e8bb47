from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.sources.hillstrom import ARMS, features, read_hillstrom
from beautyrec.errors import SchemaError, SourceError

PUBLISHED = """recency,history_segment,history,mens,womens,zip_code,newbie,channel,segment,visit,conversion,spend
10,2) $100 - $200,142.44,1,0,Surburban,0,Phone,Womens E-Mail,0,0,0
6,3) $200 - $350,329.08,1,1,Rural,1,Web,No E-Mail,0,0,0
7,2) $100 - $200,180.65,0,1,Urban,1,Multichannel,Mens E-Mail,1,1,29.99
"""
NAME = "Kevin_Hillstrom_MineThatData_E-MailAnalytics_DataMiningChallenge_2008.03.20.csv"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / NAME).write_text(PUBLISHED)
    return tmp_path


def test_the_csv_as_published(folder):
    log = read_hillstrom(folder)
    assert [ARMS[arm] for arm in log.arm] == ["Womens E-Mail", "No E-Mail", "Mens E-Mail"]
    assert (log.visit.tolist(), log.conversion.tolist(), log.spend.tolist()) == ([0, 0, 1], [0, 0, 1], [0, 0, 29.99])
    assert log.customers["history"].tolist() == [142.44, 329.08, 180.65]
    assert len(log) == 3


def test_parquet_gives_the_same(folder, tmp_path):
    from_csv = read_hillstrom(folder)
    pd.read_csv(folder / NAME).to_parquet(tmp_path / "customers.parquet")
    from_parquet = read_hillstrom(tmp_path)
    pd.testing.assert_frame_equal(from_csv.customers, from_parquet.customers)
    np.testing.assert_array_equal(from_csv.arm, from_parquet.arm)


def test_features_by_hand(folder):
    x = features(read_hillstrom(folder).customers)
    assert x.shape == (3, 12)
    first = [1, 10 / 12, np.log(143.44) / 5, 1, 0, 0, 1, 0, 0, 0, 1, 0]
    np.testing.assert_allclose(x[0], first)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("segment", "Pets E-Mail", r"column 'segment': 1 of 3 rows are not one of .*first: row 1, value Pets"),
        ("visit", 2, r"column 'visit': 1 of 3 rows are not 0 or 1"),
        ("conversion", np.nan, r"column 'conversion': 1 of 3 rows are not 0 or 1"),
        ("spend", -1.0, r"column 'spend': 1 of 3 rows are not 0 or more"),
        ("recency", 500, r"column 'recency': 1 of 3 rows are not months"),
        ("history", "much", r"columns \['history'\] do not hold numbers"),
    ],
)
def test_bad_rows_are_named(folder, tmp_path, column, value, says):
    frame = pd.read_csv(folder / NAME).astype({column: object})
    frame.loc[1, column] = value
    frame.to_csv(folder / NAME, index=False)
    with pytest.raises(SchemaError, match=says):
        read_hillstrom(folder)


def test_absent_and_cut_files(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SourceError, match=r"holds neither 'customers\.parquet' nor"):
        read_hillstrom(empty)
    pd.read_csv(folder / NAME).drop(columns="spend").to_csv(folder / NAME, index=False)
    with pytest.raises(SchemaError, match=r"columns \['spend'\] are missing"):
        read_hillstrom(folder)


def test_the_real_experiment(shared_data):
    log = read_hillstrom(shared_data / "hillstrom-2008")
    assert len(log) == 64_000
    assert log.conversion.sum() == 578
    rates = [round(100 * log.visit[log.arm == arm].mean(), 2) for arm in range(3)]
    assert rates == [18.28, 15.14, 10.62]
