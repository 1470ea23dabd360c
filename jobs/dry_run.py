"""What `humpback run` would do: new inputs, requests to send, tokens, trainings; nothing is written."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.config import Direction, Recipe
from jobs.errors import JobError
from jobs.lake import Lake
from jobs.models import trained_model
from jobs.pipeline import job_name, steps
from schemas.bronze import DOCUMENTS
from schemas.gold import GENERATIONS
from schemas.silver import CANDIDATES, SCORES, UNLABELLED
from schemas.table import Table

PLAN = "step string, iteration int, would_do string, n bigint, tokens bigint"
CHARS_PER_TOKEN = 4  # English under a 50,000-word vocabulary; good enough to plan with

Row = tuple[str, int | None, str, int | None, int | None]


def plan(lake: Lake, recipe: Recipe) -> list[Row]:
    """One row per step of the loop, with what can be known of it now.

    A step behind an untrained model is counted as if that model were new: all its requests.
    """
    rows: list[Row] = [("documents in the lake", None, "kept", lake.latest(DOCUMENTS).count(), None)]
    pool = lake.latest(UNLABELLED).where(F.col("experiment") == recipe.name)
    if recipe.generate_candidates.max_chars:
        pool = pool.where(F.col("n_chars") <= recipe.generate_candidates.max_chars)
    n_pool, n_chars = _size(pool.select("n_chars"))
    n_asked = min(n_pool, recipe.generate_candidates.n_segments or n_pool)
    tokens = n_asked * n_chars // max(n_pool, 1) // CHARS_PER_TOKEN
    trained: dict[tuple[str, int], str | None] = {}
    for step in steps(recipe):
        name = job_name(step.job)
        if name == "finetune":
            assert step.direction is not None
            assert step.iteration is not None
            model_id = _model_id(lake, recipe, step.direction, step.iteration)
            trained[step.direction, step.iteration] = model_id
            rows.append(
                (
                    name,
                    step.iteration,
                    f"have {model_id}" if model_id else f"train {step.direction}",
                    int(not model_id),
                    None,
                )
            )
        elif name == "generate-candidates":
            done = _count(lake, CANDIDATES, trained["backward", 0])
            rows.append((name, None, "ask for instructions", max(0, n_asked - done), tokens if done < n_asked else 0))
        elif name == "score-candidates":
            assert step.iteration is not None
            calls = n_asked * sum(2 if s == "likelihood_gain" else 1 for s in recipe.score_candidates.scorers)
            done = _count(lake, SCORES, trained["forward", step.iteration - 1])
            rows.append(
                (
                    name,
                    step.iteration,
                    "ask for ratings",
                    0 if done else calls,
                    0 if done else calls * 2 * tokens // max(n_asked, 1),
                )
            )
        elif name == "generate-answers":
            assert step.iteration is not None
            done = _count(lake, GENERATIONS, trained["forward", step.iteration])
            rows.append((name, step.iteration, "have answers" if done else "ask for answers", int(not done), None))
        else:
            rows.append((name, step.iteration, "look for new inputs", None, None))
    return rows


def _size(chars: DataFrame) -> tuple[int, int]:
    row = chars.agg(F.count(F.lit(1)), F.coalesce(F.sum("n_chars"), F.lit(0))).first()
    assert row is not None
    return int(row[0]), int(row[1])


def _model_id(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> str | None:
    try:
        model = trained_model(lake, recipe, direction, iteration)
    except JobError:  # its training set is not published yet
        return None
    return model.model_id if model else None


def _count(lake: Lake, table: Table, model_id: str | None) -> int:
    """Rows that a model has in a table already."""
    return lake.latest(table).where(F.col("model_id") == model_id).count() if model_id else 0
