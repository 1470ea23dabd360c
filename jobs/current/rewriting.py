"""The model that rewrites responses in an iteration, and the rewrites that count."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.methods import methods_of, of_method
from jobs.current.models import REWRITER, named_model, required_model
from jobs.errors import RecipeError
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.rewriting import FORWARD_MODEL
from schemas.silver import REWRITES


def required_rewriter(recipe: Recipe) -> str:
    """Return the name of the recipe's rewriter.

    Raises:
        RecipeError: the recipe names none.
    """
    name = recipe.rewrite_responses.rewriter
    if name is None:
        raise RecipeError(f"{REWRITER} is unset; name the model that rewrites, for example {FORWARD_MODEL}")
    return name


def rewriter_id(lake: Lake, recipe: Recipe, iteration: int) -> str:
    """Return the model_id of the rewriter of an iteration.

    Raises:
        RecipeError: the recipe names none, or one that the lake does not have.
    """
    name = required_rewriter(recipe)
    if name == FORWARD_MODEL:
        return required_model(lake, recipe, "forward", iteration - 1).model_id
    outside = recipe.outside_models.get(name)
    return outside.model_id if outside else named_model(lake, name, REWRITER).model_id


def rewrites(lake: Lake, recipe: Recipe, rewriter: str) -> DataFrame:
    """Return all rewrites by a model, dropped ones included, by the method that counts."""
    return of_method(lake, REWRITES, methods_of(recipe)).where(F.col("model_id") == rewriter)


def current_rewrites(lake: Lake, recipe: Recipe, iteration: int) -> DataFrame:
    """Return the kept rewrites of an iteration's rewriter: `rewrite_id`, `parent_id` and `response`."""
    kept = rewrites(lake, recipe, rewriter_id(lake, recipe, iteration)).where("drop_reason IS NULL")
    return kept.select("rewrite_id", "parent_id", "response")
