"""README and docs say what the code does: their commands, recipes, queries, links and generated pages."""

import re
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from deltalake import write_deltalake

from benchmarks import results
from jobs.__main__ import parser
from jobs.demo.sources import python_source
from jobs.lake.conform import arrow_of
from jobs.lake.session import DELTA
from jobs.recipe.loading import load_recipe
from jobs.recipe.reference import reference
from schemas.__main__ import dictionary
from schemas.gold import CURATED
from tests.documented import DOCS, PAGES, README, ROOT, Block, anchors, blocks, commands, links, sql_queries

MAX_README_LINES = 150
REQUIRED = {"name": "x", "base_model": "m"}
PAIR = {
    "experiment": "demo", "iteration": 1, "pair_id": "p", "instruction": "What is Delta?", "response": "A format.",
    "origin": "backtranslated", "score": 0.5, "scorer": "likelihood_gain", "model_id": "m", "method_digests": ["d"],
    "threshold": 0.1, "segment_id": "s", "url": "https://a.org/",
}  # fmt: skip


@pytest.mark.parametrize(
    ("page", "made", "command"),
    [
        ("tables.md", dictionary, "python -m schemas"),
        ("recipe-reference.md", reference, "python -m jobs.recipe.reference"),
        ("numbers.md", lambda: results.page(results.figures()), "python -m benchmarks.results"),
    ],
)
def test_generated_pages_are_current(page: str, made: object, command: str) -> None:
    assert callable(made)
    assert (DOCS / page).read_text(encoding="utf-8") == made(), f"{command} > docs/{page}"


def test_the_readmes_figures_are_current() -> None:
    assert results.headlines(results.figures()) in README.read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


def test_every_page_is_part_of_the_site_and_linked_from_the_readme() -> None:
    names = {page.stem for page in PAGES[1:]}
    assert names <= set((DOCS / "index.md").read_text(encoding="utf-8").split())
    assert {f"docs/{name}.md" for name in names} <= set(links(README))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
        assert page != README or path.startswith(("docs/", "jobs/report/")), f"{link}: the site has no such file"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_is_there(page: Path) -> None:
    named = r"`((?:jobs|schemas|transforms|model_ops|deploy|benchmarks|tests)/[\w/.]+\.\w+)`"
    for name in re.findall(named, page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("line", commands())
def test_every_command_parses(line: str) -> None:
    options = parser().parse_args(shlex.split(line)[1:])
    if getattr(options, "recipe", None) and (ROOT / options.recipe).exists():
        load_recipe(ROOT / options.recipe, options.overrides)


@pytest.mark.parametrize("line", commands())
def test_commands_are_of_the_demo_or_of_a_recipe_of_ones_own(line: str) -> None:
    options = parser().parse_args(shlex.split(line)[1:])
    if options.command == "board" and options.lake is None:
        return  # it reads a folder of results
    recipe = getattr(options, "recipe", None) or "jobs/recipes/demo.toml"
    assert (recipe, options.lake) in (("jobs/recipes/demo.toml", "demo/lake"), ("ours.toml", "lake"))


def test_there_are_commands_and_queries() -> None:
    assert len(commands()) >= 30
    assert len(sql_queries()) >= 12


def test_pages_to_explain_are_in_every_demo() -> None:
    """Of Python's documentation the demo takes every page of its patterns: there are fewer than its limit."""
    source = python_source("python3.11-doc")
    urls = [words[2] for words in map(shlex.split, commands()) if words[1] == "explain"]
    assert {url for url in urls if url != "$url"} == {f"{source.url}tutorial/datastructures.html"}
    assert "tutorial/*.html" in source.pages


def test_spark_submit_names_the_versions_of_this_release() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    text = (DOCS / "cluster.md").read_text(encoding="utf-8")
    assert f"--packages {DELTA} --py-files dist/humpback-{version}-py3-none-any.whl" in text


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_every_recipe_is_one(block: Block, tmp_path: Path) -> None:
    text = block.text
    lacking = "".join(f'{key} = "{value}"\n' for key, value in REQUIRED.items() if key not in tomllib.loads(text))
    (tmp_path / "recipe.toml").write_text(lacking + text)
    load_recipe(tmp_path / "recipe.toml")


def test_the_readmes_recipe_has_ten_lines() -> None:
    [recipe] = [block.text for block in blocks("toml") if block.page == "README.md"]
    assert len([line for line in recipe.splitlines() if line]) <= 10


def test_every_benchmark_named_is_there() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    names = {name for text in texts for name in re.findall(r"python -m benchmarks\.(\w+)", text)}
    assert len(names) > 8
    for name in names:
        assert callable(import_module(f"benchmarks.{name}").main)


def test_python_blocks_read_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "demo" / "lake" / CURATED.path
    for _ in range(2):
        write_deltalake(str(place), arrow_of(CURATED, [PAIR]), mode="append")
    monkeypatch.chdir(tmp_path)
    found = blocks("python")
    assert len(found) >= 3
    for block in found:
        exec(block.text, {})
        assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("command", ["run", "score-candidates", "sql", "doctor"])
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args([command, "--help"])
    assert f"usage: humpback {command}" in capsys.readouterr().out
