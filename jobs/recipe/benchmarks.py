"""The benchmarks that `run_harness` names, read from local files; nothing is downloaded."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.errors import RecipeError
from jobs.recipe.config import Recipe
from jobs.recipe.files import read_text
from transforms.evaluation.harness import (
    IFEVAL,
    MMLU,
    OPENBOOKQA,
    BenchmarkError,
    chosen,
    ifeval_prompts,
    mmlu_items,
    openbookqa_items,
    rows_of,
)

MMLU_FILE = re.compile(r"(?:.*/)?(?P<split>dev|test)/(?P<subject>\w+)_(?P=split)\.csv")
Rows = list[dict[str, Any]]


def benchmark_files(recipe: Recipe) -> list[str]:
    """Return the files of the recipe's benchmarks; for a folder, the CSV files in it."""
    settings = recipe.run_harness
    paths = [Path(path) for path in (settings.mmlu, settings.openbookqa, settings.ifeval) if path]
    return [str(file) for path in paths for file in (sorted(path.rglob("*.csv")) if path.is_dir() else [path])]


def read_benchmarks(recipe: Recipe) -> dict[str, Rows]:
    """Return the rows of each benchmark of the recipe, at most `run_harness.limit` of each, with `id` and `prompt`.

    Raises:
        RecipeError: the recipe names no benchmark, or a file is missing or does not have the form of its benchmark.
    """
    settings, found = recipe.run_harness, dict[str, Rows]()
    for name in (MMLU, OPENBOOKQA, IFEVAL):
        if path := getattr(settings, name):
            try:
                found[name] = chosen(_rows(name, path, settings.few_shot), settings.limit)
            except (OSError, UnicodeDecodeError, tarfile.TarError, BenchmarkError) as error:
                raise RecipeError(f"run_harness.{name}: {path}: {error}") from error
    if not found:
        raise RecipeError("run_harness names no benchmark; set run_harness.mmlu, .openbookqa or .ifeval to a file")
    return found


def _rows(name: str, path: str, few_shot: int) -> Rows:
    if name == MMLU:
        return rows_of(mmlu_items(dict(_mmlu_files(Path(path))), few_shot))
    text = read_text(f"run_harness.{name}", path)
    return ifeval_prompts(text.split("\n")) if name == IFEVAL else rows_of(openbookqa_items(text))


def _mmlu_files(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield ((dev or test, subject), text) of the CSV files in a folder or a tar archive."""
    if path.is_dir():
        for file in sorted(path.rglob("*.csv")):
            if match := MMLU_FILE.fullmatch(file.as_posix()):
                yield (match["split"], match["subject"]), file.read_text(encoding="utf-8")
        return
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content and (match := MMLU_FILE.fullmatch(member.name)):
                yield (match["split"], match["subject"]), content.read().decode()
