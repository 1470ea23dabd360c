"""The prompt sets of a recipe: their files, or the project's own small set."""

from collections.abc import Iterator
from importlib.resources import files

from jobs.errors import RecipeError
from jobs.recipe.config import Recipe
from jobs.recipe.evaluation import BUILT_IN
from jobs.recipe.files import read_text
from jobs.recipe.section import digest
from transforms.evaluation.evaluation_prompts import EvaluationPrompt, evaluation_prompts

Known = tuple[str, str, str]
"""(prompt set, prompt id, text)."""

BUILT_IN_FILE = files("jobs") / "data" / "evaluation_prompts.jsonl"  # may be inside a wheel


def read_set(recipe: Recipe, name: str) -> list[EvaluationPrompt]:
    """Return the prompts of a set, sorted by id.

    Raises:
        RecipeError: the file cannot be read, or a value holds no prompt; the message names the line.
    """
    path, key = recipe.ingest_prompts.sets.get(name), f"ingest_prompts.sets.{name}"
    if path is None:
        assert name == BUILT_IN, name
        return evaluation_prompts(BUILT_IN_FILE.read_text(encoding="utf-8"))
    try:
        return evaluation_prompts(read_text(key, path))
    except ValueError as error:
        raise RecipeError(f"{key}: {path}: {error}") from error


def set_digest(prompts: list[EvaluationPrompt]) -> str:
    """Return the digest that identifies one version of a prompt set."""
    return digest([[prompt.prompt_id, prompt.record] for prompt in prompts])


def evaluation_texts(recipe: Recipe) -> Iterator[Known]:
    """Yield every text of every prompt set of the recipe.

    Raises:
        RecipeError: a file cannot be read, or a value holds no prompt; the message names the line.
    """
    for name in recipe.prompt_sets:
        for prompt in read_set(recipe, name):
            yield from ((name, prompt.prompt_id, text) for text in (prompt.prompt, *prompt.other_texts))
