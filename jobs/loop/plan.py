"""What `humpback run` would do: new inputs, requests to send, tokens, trainings; nothing is written."""

from dataclasses import replace

from pyspark.sql import DataFrame

from jobs.lake.tables import Lake
from jobs.loop.state import inputs_digest
from jobs.loop.steps import steps
from jobs.recipe.config import Recipe
from jobs.recipe.step import Servers

PLAN = "step string, iteration int, would_do string, n bigint, tokens bigint"


def plan(lake: Lake, recipe: Recipe, servers: Servers, limit: int | None = None) -> DataFrame:
    """One row per step of the loop: how many files, trainings or requests it would take on, at most.

    `tokens` (read, not generated) is null where the pool that they come from is not drawn yet.

    Raises:
        JobError, ModelFolderError: an input that the loop needs is not there.
    """
    inputs_digest(recipe, limit)  # raises where one is missing
    rows = []
    for step in steps(recipe):
        planned = step.job.plan(lake, recipe, replace(step, limit=limit, servers=servers))
        rows.append((step.name, step.iteration, planned.would_do, planned.n, planned.tokens))
    return lake.spark.createDataFrame(rows, PLAN)
