"""The current methods of an experiment by its recipe; `notes` has those that its runs noted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake.tables import Lake
from jobs.recipe import digests
from jobs.recipe.config import Recipe
from jobs.recipe.scoring import ScorerName
from schemas.gold import GENERATIONS, JUDGEMENTS
from schemas.silver import CANDIDATES, DUPLICATES, SEGMENTS, SIGNATURES
from schemas.table import Table

OF_TABLE: Mapping[str, Callable[[Recipe], str]] = {
    SEGMENTS.name: digests.segments_digest,
    SIGNATURES.name: digests.signatures_digest,
    DUPLICATES.name: digests.duplicates_digest,
    CANDIDATES.name: digests.candidates_digest,
    GENERATIONS.name: digests.answers_digest,
    JUDGEMENTS.name: digests.verdicts_digest,
}


@dataclass(frozen=True)
class Methods:
    """An experiment, and the current method digest or model id of each of its tables, scorers and models."""

    experiment: str
    find: Callable[[str], str]

    def __getitem__(self, name: str) -> str:
        """Return the method digest of a table (`silver.segments`) or of a scorer (`scores/rubric`)."""
        return self.find(name)


def methods_of(recipe: Recipe) -> Methods:
    """Return the current methods by a recipe; a digest is computed on access."""
    return Methods(recipe.name, partial(_digest_by_recipe, recipe))


def _digest_by_recipe(recipe: Recipe, name: str) -> str:
    if name in OF_TABLE:
        return OF_TABLE[name](recipe)
    scorer: ScorerName = name.removeprefix("scores/")
    return digests.scores_digest(recipe, scorer)


def noted_method(lake: Lake, table: Table, methods: Methods) -> str:
    """Return the digest of a table's current method, and record it in `lake.methods_read`."""
    lake.methods_read[table.name] = methods[table.name]
    return lake.methods_read[table.name]


def of_method(lake: Lake, table: Table, methods: Methods) -> DataFrame:
    """Return the rows of a table that the current method made, and record the method in `lake.methods_read`."""
    return lake.read(table).where(F.col("method_digest") == noted_method(lake, table, methods))
