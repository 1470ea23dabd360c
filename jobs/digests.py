"""The method digests of the corpus: which settings and method versions made a row, upstream ones included."""

from jobs.config import Recipe
from transforms import duplicates, segments, signatures


def segments_digest(recipe: Recipe) -> str:
    """`method_digest` of this recipe's rows in `silver.segments`."""
    return recipe.extract_segments.digest(segments.METHOD_VERSION)


def signatures_digest(recipe: Recipe) -> str:
    """`method_digest` of this recipe's rows in `silver.signatures`."""
    return recipe.sign_segments.digest(signatures.METHOD_VERSION, segments_digest(recipe))


def duplicates_digest(recipe: Recipe) -> str:
    """`method_digest` of this recipe's rows in `silver.duplicates`."""
    return recipe.find_duplicates.digest(duplicates.METHOD_VERSION, signatures_digest(recipe))
