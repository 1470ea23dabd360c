"""Evaluation prompts, from a JSON-lines file or the project's own small set, and what is kept out for them."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib.resources import files

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.errors import RecipeError
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.files import read_lines
from jobs.select_seed import seed_of
from schemas.silver import OVERLAPS
from transforms.dedup.unlabelled import SEED_SET
from transforms.evaluation.evaluation_prompts import prompt_texts

Known = tuple[str, str, str]
"""Set, prompt's id, text."""

OWN = files("jobs") / "data" / "evaluation_prompts.jsonl"  # may lie in a wheel


def read_prompts(file: str | None) -> list[tuple[str, str]]:
    """(prompt id, prompt) of every line; the id is the line's own `id`, `question_id` or `key`, or a hash.

    Of a prompt with several turns the first is asked.

    Raises:
        RecipeError: the file cannot be read, or a line holds no prompt; names the line.
    """
    key = "generate_answers.prompts"
    lines = read_lines(key, file) if file else OWN.read_text(encoding="utf-8").split("\n")
    return sorted({name: texts[0] for name, texts in _prompts(key, file or str(OWN), lines)}.items())


def _prompts(key: str, path: str, lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """The id and the texts of each line that is not empty."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            texts = list(prompt_texts(line))
        except ValueError as error:
            raise RecipeError(f"{key}: {path}, line {number}: no evaluation prompt: {error}") from error
        yield prompt_id(line, texts[0]), texts


def prompt_id(line: str, text: str) -> str:
    """The id of a JSON line whose prompt is `text`: its own, or a hash of the prompt."""
    value = json.loads(line)
    own = (
        next((value[k] for k in ("id", "question_id", "key") if k in value), None) if isinstance(value, dict) else None
    )
    return str(own) if own is not None else hashlib.sha256(text.encode()).hexdigest()[:16]


def evaluation_texts(recipe: Recipe) -> Iterator[Known]:
    """(set, prompt's id, text) of every evaluation set that the recipe names, the one it answers included.

    Raises:
        RecipeError: a file cannot be read, or a line holds no prompt; names the line.
    """
    key = "select_unlabelled.evaluation_paths"
    for path in recipe.select_unlabelled.evaluation_paths:
        for name, texts in _prompts(key, path, read_lines(key, path)):
            yield from ((path, name, text) for text in texts)
    answers = recipe.generate_answers
    yield from ((answers.prompt_set, name, text) for name, text in read_prompts(answers.prompts))


def kept_out(lake: Lake, recipe: Recipe) -> DataFrame:
    """The rows of `silver.overlaps` by the seed pairs that there are and the prompts that the recipe names now.

    A segment in them may have been drawn before; what once had a number of words in common stays out.
    """
    seed = seed_of(lake, recipe).select(F.lit(SEED_SET).alias("known_set"), F.col("pair_id").alias("known_id"))
    named = {(known_set, known_id) for known_set, known_id, _ in evaluation_texts(recipe)}
    known = seed.union(lake.spark.createDataFrame(sorted(named), seed.schema)) if named else seed
    mine = lake.read(OVERLAPS).where(F.col("experiment") == recipe.name)
    return mine.join(known.distinct(), ["known_set", "known_id"], "left_semi")
