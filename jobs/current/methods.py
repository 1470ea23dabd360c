"""Which methods count for an experiment now, by its recipe; `notes` has what its runs say."""

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
    """An experiment and, for each table, scorer and model of it, the method digest or model id that counts."""

    experiment: str
    find: Callable[[str], str]

    def __getitem__(self, name: str) -> str:
        """The method digest of a table (`silver.segments`) or of a scorer (`scores/rubric`)."""
        return self.find(name)


def methods_of(recipe: Recipe) -> Methods:
    """What counts by a recipe; a digest is computed when it is asked for."""
    return Methods(recipe.name, partial(_by_recipe, recipe))


def _by_recipe(recipe: Recipe, name: str) -> str:
    if name in OF_TABLE:
        return OF_TABLE[name](recipe)
    scorer: ScorerName = name.removeprefix("scores/")
    return digests.scores_digest(recipe, scorer)


def noted_method(lake: Lake, table: Table, methods: Methods) -> str:
    """The digest of the method that counts now for a table; notes that it counted."""
    lake.methods_read[table.name] = methods[table.name]
    return lake.methods_read[table.name]


def of_method(lake: Lake, table: Table, methods: Methods) -> DataFrame:
    """The rows of a table that the method that counts now has made; notes that it counted."""
    return lake.read(table).where(F.col("method_digest") == noted_method(lake, table, methods))
