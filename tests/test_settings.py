import dataclasses
from pathlib import Path

import pytest

from beautyrec.errors import ConfigError
from beautyrec.settings import from_table, read_toml


@dataclasses.dataclass(frozen=True)
class Inner:
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError("share must lie between 0 and 1")


@dataclasses.dataclass(frozen=True)
class Outer:
    days: int = 7
    names: tuple[str, ...] = ()
    inner: Inner = Inner()
    parts: tuple[Inner, ...] = ()
    named: dict[str, Inner] = dataclasses.field(default_factory=dict)


def test_a_full_table_becomes_nested_dataclasses() -> None:
    table = {"days": 30, "names": ["a", "b"], "inner": {"share": 0.25}}
    assert from_table(Outer, table, "x") == Outer(30, ("a", "b"), Inner(0.25))


def test_an_integer_stands_for_a_float_and_absent_keys_take_defaults() -> None:
    assert from_table(Outer, {"inner": {}}, "x") == Outer()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"dayz": 3}, ["x: unknown key 'dayz'", "did you mean 'days'"]),
        ({"inner": {"sharee": 3}}, ["unknown key 'inner.sharee'", "did you mean 'share'"]),
        ({"parts": [{"share": 0.1}, {"sharee": 3}]}, ["unknown key 'parts.sharee'", "did you mean 'share'"]),
        ({"named": {"one": {"sharee": 3}}}, ["unknown key 'named.sharee'", "did you mean 'share'"]),
        ({"days": "3"}, ["key 'days'", "'3'"]),
        ({"days": 2.5}, ["key 'days'", "2.5"]),
        ({"inner": {"share": 2.0}}, ["key 'inner'", "between 0 and 1"]),
        ({"inner": 3}, ["key 'inner'"]),
    ],
)
def test_each_wrong_table_names_the_key(table: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        from_table(Outer, table, "x")
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_absent_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_toml(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = 1")
    with pytest.raises(ConfigError, match=r"broken.toml: this is not a TOML file: .*line 1"):
        read_toml(broken)
