import subprocess
import sys

import pytest

import beautyrec as br


@pytest.mark.parametrize("name", br.__all__)
def test_every_public_name_is_there_and_from_its_room(name: str) -> None:
    found = getattr(br, name)
    assert found.__name__ == name
    assert found.__module__.startswith("beautyrec.")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = br.Nothing


def test_importing_the_package_loads_nothing_that_trains() -> None:
    code = "import sys, beautyrec; print(sorted({'torch', 'pandas', 'ibis', 'mlflow', 'optuna'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
