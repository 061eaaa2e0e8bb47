from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.external import ExternalSource
from beautyrec.errors import SchemaError
from beautyrec.features.external import External, coverage_by_day, coverage_by_scene
from beautyrec.features.feature_set import FeatureSet
from beautyrec.testing.features import START, FeatureContract

DAY = pd.Timedelta(days=1)
SOURCE = ExternalSource("panel", "user_id", "delivered", "10D", ("visits", "spend"))
ROWS = pd.DataFrame(
    {
        "user_id": [0, 0, 0, 1, 1, 2, 9],
        "delivered": START + np.array([0, 5, 30, 10, 10.5, 20, 1]) * DAY,
        "visits": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0, 7.0],
        "spend": [0.5, 1.5, 2.5, np.nan, 4.5, 5.5, 6.5],
    }
)


class TestExternal(FeatureContract):
    builder = External.of(SOURCE)

    def compute(self, shop):
        log = SOURCE.read(ROWS).join(shop.log)
        return FeatureSet((self.builder,)).compute(log, shop.keys)

    def oracle(self, known, key, shop):
        rows = ROWS[(ROWS["user_id"] == key.user_id) & (ROWS["delivered"] < key.as_of)]
        rows = rows[key.as_of - rows["delivered"] <= 10 * DAY].sort_values("delivered")
        if rows.empty:
            return dict.fromkeys(("panel_visits", "panel_spend", "panel_age"), math.nan)
        last = rows.iloc[-1]
        return {
            "panel_visits": last["visits"],
            "panel_spend": last["spend"],
            "panel_age": (key.as_of - last["delivered"]) / DAY,
        }


def test_a_log_without_the_source_is_named(tiny_log):
    keys = pd.DataFrame({"user_id": [100], "as_of": [START]})
    with pytest.raises(SchemaError, match=r"external 'panel': the log has \[\]"):
        FeatureSet((External.of(SOURCE),)).compute(tiny_log, keys)


def test_coverage_counts_impressions_known_at_their_moment(tiny_frames, tiny_log):
    """Known of two viewers from the second room's day on."""
    rows = pd.DataFrame(
        {"user_id": [100, 101], "delivered": START + 30 * pd.Timedelta(hours=1), "visits": 1, "spend": 1}
    )
    log = SOURCE.read(rows).join(tiny_log)
    shown = tiny_frames["events"].query("event == 'impression'")
    covered = shown["user_id"].isin([100, 101]) & (shown["ts"] > START + 30 * pd.Timedelta(hours=1))
    days = coverage_by_day(log, SOURCE)
    assert days["impressions"].tolist() == shown.groupby(shown["ts"].dt.floor("D")).size().tolist()
    assert days["covered"].tolist() == covered.groupby(shown["ts"].dt.floor("D")).sum().tolist()
    assert days["covered"].tolist()[0] == 0 < days["covered"].tolist()[1]
    scenes = coverage_by_scene(log, SOURCE).set_index("scene")
    assert scenes.loc["evening", "share"] == 0
    assert scenes.loc["flash sale", "share"] == days["share"].iloc[1]
