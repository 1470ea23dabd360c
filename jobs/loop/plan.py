"""The dry run of `humpback run`: new inputs, requests, tokens and trainings; nothing is written."""

from dataclasses import replace

from pyspark.sql import DataFrame

from jobs.lake.tables import Lake
from jobs.loop.state import inputs_digest
from jobs.loop.steps import steps
from jobs.recipe.config import Recipe
from jobs.recipe.step import Servers

PLAN = "step string, iteration int, would_do string, n bigint, tokens bigint"


def plan(lake: Lake, recipe: Recipe, servers: Servers, limit: int | None = None) -> DataFrame:
    """Return one row per step of the loop: the maximum number of files, trainings or requests that it would process.

    `tokens` (read, not generated) is null until the pool of segments is drawn.

    Raises:
        JobError, ModelFolderError: an input that the loop needs is missing.
    """
    inputs_digest(recipe, limit)  # raises where one is missing
    rows = []
    for step in steps(recipe):
        planned = step.job.plan(lake, recipe, replace(step, limit=limit, servers=servers))
        rows.append((step.name, step.iteration, planned.would_do, planned.n, planned.tokens))
    return lake.spark.createDataFrame(rows, PLAN)
