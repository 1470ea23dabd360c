"""The README's data dictionary, commands and SQL are those of the code."""

import re
import shlex
from pathlib import Path

import pytest

from jobs.__main__ import parser
from jobs.recipe.config import Recipe
from jobs.recipe.loading import load_recipe
from schemas.__main__ import dictionary
from tests.readme import TEXT, blocks

ROOT = Path(__file__).parents[2]


def test_the_data_dictionary_is_current() -> None:
    text = (ROOT / "schemas" / "README.md").read_text(encoding="utf-8")
    assert text == dictionary(), "write the output of `python -m schemas` there"


COMMANDS = [
    line.partition("  #")[0]
    for block in blocks("sh")
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("humpback ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line: str) -> None:
    parser().parse_args(shlex.split(line)[1:])


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 10


def test_the_worked_recipe_is_one(tmp_path: Path) -> None:
    recipe, *sections = blocks("toml")
    (tmp_path / "r.toml").write_text(recipe)
    assert isinstance(load_recipe(tmp_path / "r.toml"), Recipe)
    for section in sections:
        (tmp_path / "p.toml").write_text('name = "x"\nbase_model = "m"\n' + section)
        load_recipe(tmp_path / "p.toml")


def test_every_file_named_is_there() -> None:
    for name in re.findall(r"`((?:jobs|schemas|transforms|deploy|benchmarks)/[\w/.]+\.\w+)[`)]", TEXT):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("command", ["run", "score-candidates", "sql", "doctor"])
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args([command, "--help"])
    assert f"usage: humpback {command}" in capsys.readouterr().out
