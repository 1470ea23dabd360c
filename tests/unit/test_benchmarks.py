"""Every benchmark of the README starts: what it imports is there, and it says what it wants."""

from importlib import import_module
from pathlib import Path

import pytest

import benchmarks

FOLDER = Path(benchmarks.__file__).parent
# Those for datatrove are scripts with an environment of their own.
NAMES = sorted(f.stem for f in FOLDER.glob("*.py") if f'prog="python -m benchmarks.{f.stem}"' in f.read_text())


def test_benchmarks_are_found() -> None:
    assert len(NAMES) > 5


@pytest.mark.parametrize("name", NAMES)
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        import_module(f"benchmarks.{name}").main(["--help"])
    assert ended.value.code == 0
    assert f"python -m benchmarks.{name}" in capsys.readouterr().out
