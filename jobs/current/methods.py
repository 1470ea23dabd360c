"""The current methods of an experiment by its recipe; `notes` has those that its runs noted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.notes import part_method
from jobs.lake.tables import Lake
from jobs.recipe import digests
from jobs.recipe.config import Recipe
from jobs.recipe.evaluation import Evaluation
from jobs.recipe.scoring import ScorerName
from schemas.gold import GENERATIONS, JUDGEMENTS
from schemas.silver import CANDIDATES, DUPLICATES, REWRITES, SEGMENTS, SIGNATURES
from schemas.table import Table

OF_TABLE: Mapping[str, Callable[[Recipe], str]] = {
    SEGMENTS.name: digests.segments_digest,
    SIGNATURES.name: digests.signatures_digest,
    DUPLICATES.name: digests.duplicates_digest,
    CANDIDATES.name: digests.candidates_digest,
    REWRITES.name: digests.rewrites_digest,
}
OF_EVALUATION: Mapping[str, Callable[[Recipe, Evaluation], str]] = {
    GENERATIONS.name: digests.answers_digest,
    JUDGEMENTS.name: digests.verdicts_digest,
}


@dataclass(frozen=True)
class Methods:
    """An experiment, and the current method digest or model id of each of its tables, scorers and models."""

    experiment: str
    find: Callable[[str], str]

    def __getitem__(self, name: str) -> str:
        """Return the digest of a table (`silver.segments`), a scorer (`scores/rubric`) or an evaluation's table."""
        return self.find(name)


def methods_of(recipe: Recipe) -> Methods:
    """Return the current methods by a recipe; a digest is computed on access."""
    return Methods(recipe.name, partial(_digest_by_recipe, recipe))


def _digest_by_recipe(recipe: Recipe, name: str) -> str:
    if name in OF_TABLE:
        return OF_TABLE[name](recipe)
    of, _, label = name.partition("/")
    if of in OF_EVALUATION:
        return OF_EVALUATION[of](recipe, next(entry for entry in recipe.evaluation if entry.label == label))
    scorer: ScorerName = name.removeprefix("scores/")
    return digests.scores_digest(recipe, scorer)


def noted_method(lake: Lake, table: Table, methods: Methods, part: str | None = None) -> str:
    """Return the digest of a table's current method, and record it in `lake.methods_read`.

    `part` is the evaluation of a table whose method each evaluation has of its own.
    """
    name = part_method(table.name, part) if part else table.name
    lake.methods_read[name] = methods[name]
    return lake.methods_read[name]


def of_method(lake: Lake, table: Table, methods: Methods, part: str | None = None) -> DataFrame:
    """Return the rows of a table that the current method made, and record the method in `lake.methods_read`."""
    return lake.read(table).where(F.col("method_digest") == noted_method(lake, table, methods, part))
