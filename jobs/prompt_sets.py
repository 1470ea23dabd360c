"""Evaluation prompts, from a JSON-lines file or the project's own small set, and what is kept out for them."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.errors import JobError
from jobs.lake import Lake
from schemas.silver import OVERLAPS
from transforms.evaluation_prompts import prompt_texts
from transforms.unlabelled import SEED

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


def kept_out(lake: Lake, recipe: Recipe) -> DataFrame:
    """The rows of `silver.overlaps` that hold for the seed and the evaluation sets that the recipe names now.

    A segment in them may have been drawn before such a set was named.
    """
    sets = (SEED, recipe.generate_answers.prompt_set, *recipe.select_unlabelled.evaluation_paths)
    return lake.read(OVERLAPS).where((F.col("experiment") == recipe.name) & F.col("known_set").isin(*sets))
