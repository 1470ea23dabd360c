"""Evaluation prompts, from a JSON-lines file or the project's own small set, and what is kept out for them."""

import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.errors import JobError, RecipeError
from jobs.lake import Lake
from jobs.text_files import read_lines
from schemas.silver import OVERLAPS, SEED_PAIRS
from transforms.evaluation_prompts import prompt_texts
from transforms.unlabelled import SEED

Known = tuple[str, str, str]
"""Set, prompt's id, text."""

OWN = files("jobs") / "data" / "evaluation_prompts.jsonl"  # may lie in a wheel


def read_prompts(file: str | None) -> list[tuple[str, str]]:
    """(prompt id, prompt) of every line; the id is the line's own `id`, `question_id` or `key`, or a hash.

    Of a prompt with several turns the first is asked.

    Raises:
        JobError: no such file, or a line that holds no prompt.
    """
    path = Path(file) if file else OWN
    if not path.is_file():
        raise JobError(f"generate_answers.prompts: no such file: {path}")
    prompts: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            text = next(prompt_texts(line))
        except ValueError as error:
            raise JobError(f"{path}, line {number}: no evaluation prompt: {error}") from error
        prompts[prompt_id(line, text)] = text
    return sorted(prompts.items())


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
        JobError: a file cannot be read, or a line that holds no prompt; names the line.
    """
    for path in recipe.select_unlabelled.evaluation_paths:
        yield from _texts(path)
    answers = recipe.generate_answers
    yield from ((answers.prompt_set, name, text) for name, text in read_prompts(answers.prompts))


def _texts(path: str) -> Iterator[Known]:
    key = "select_unlabelled.evaluation_paths"
    for number, line in enumerate(read_lines(key, path), start=1):
        try:
            texts = list(prompt_texts(line)) if line.strip() else []
        except ValueError as error:
            raise RecipeError(f"{key}: {path}, line {number}: {error}") from error
        yield from ((path, prompt_id(line, texts[0]), text) for text in texts)


def kept_out(lake: Lake, recipe: Recipe) -> DataFrame:
    """The rows of `silver.overlaps` by the seed pairs that there are and the prompts that the recipe names now.

    A segment in them may have been drawn before; what once had a number of words in common stays out.
    """
    seed = lake.read(SEED_PAIRS).select(F.lit(SEED).alias("known_set"), F.col("pair_id").alias("known_id"))
    named = {(known_set, known_id) for known_set, known_id, _ in evaluation_texts(recipe)}
    known = seed.union(lake.spark.createDataFrame(sorted(named), seed.schema)) if named else seed
    mine = lake.read(OVERLAPS).where(F.col("experiment") == recipe.name)
    return mine.join(known.distinct(), ["known_set", "known_id"], "left_semi")
