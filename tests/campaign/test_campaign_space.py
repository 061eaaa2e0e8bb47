from __future__ import annotations

import pickle

import pytest

from beautyrec.campaign.space import Choice, Family, Float, Int, space_from_toml
from beautyrec.errors import ConfigError


def test_ranges_of_a_toml_table():
    table = {"a": {"low": 1, "high": 8, "log": True}, "b": {"low": 0, "high": 1.0}, "c": [True, "x", 2]}
    assert space_from_toml(table) == {"a": Int(1, 8, log=True), "b": Float(0.0, 1.0), "c": Choice((True, "x", 2))}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"low": 1}, r"missing keys \['high'\]"),
        ({"low": 1, "high": 2, "step": 1}, r"unknown keys \['step'\]"),
        ({"low": 3, "high": 2}, "low is 3"),
        ({"low": 0, "high": 2, "log": True}, "above 0"),
        ({"low": "1", "high": 2}, "are numbers"),
        ({"low": True, "high": 2}, "are numbers"),
        ({"low": 1, "high": 2, "log": "yes"}, "true or false"),
        ({"low": 0.0, "high": float("inf")}, "finite"),
        ({"low": float("nan"), "high": 1.0}, "finite"),
        ([], "at least one"),
        ([1, 1], "none twice"),
        ([[1], [2]], "numbers, strings"),
        (5, "neither"),
    ],
)
def test_a_bad_range_is_named(entry, says):
    with pytest.raises(ConfigError, match=rf"demo.toml \[als\]: parameter 'factors': .*{says}"):
        space_from_toml({"factors": entry}, "demo.toml [als]")


@pytest.mark.parametrize(
    ("values", "inside", "outside"),
    [
        (Float(0.0, 1.0), [0, 0.5, 1.0], [1.5, "0.5", True, float("nan")]),
        (Int(1, 4), [1, 4], [0, 2.0, True, 5]),
        (Choice((1, "a", False)), [1, "a", False], [0, True, 1.0, "b"]),
    ],
)
def test_what_is_within_a_range(values, inside, outside):
    assert [value in values for value in inside] == [True] * len(inside)
    assert [value in values for value in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("space", "defaults", "says"),
    [
        ({"a": Int(1, 2)}, {}, "only one of"),
        ({}, {"a": 1}, "only one of"),
        ({"a": Int(1, 2)}, {"a": 3}, "outside"),
    ],
)
def test_defaults_fit_their_space(space, defaults, says):
    with pytest.raises(ConfigError, match=says):
        Family("als", space, defaults)


@pytest.mark.parametrize("name", ["", "a.b"])
def test_names_of_families(name):
    with pytest.raises(ConfigError, match="no dot"):
        Family(name)


def test_a_family_keeps_its_own_copy():
    space = {"a": Int(1, 2)}
    family = Family("als", space, {"a": 1})
    space["b"] = Int(1, 2)
    assert list(family.space) == ["a"]
    assert pickle.loads(pickle.dumps(family)) == family  # noqa: S301  as a spawned worker gets it
