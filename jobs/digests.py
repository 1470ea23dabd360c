"""The method digests of the corpus: which settings and method versions made a row, upstream ones included."""

from jobs.config import Recipe
from jobs.section import digest
from jobs.text_files import read_entries
from transforms import duplicates, segments, signatures


def segments_digest(recipe: Recipe) -> str:
    """`method_digest` of this recipe's rows in `silver.segments`; of its lists what they say, not where they lie.

    Raises:
        RecipeError: a list cannot be read.
    """
    settings = recipe.extract_segments.model_dump(mode="json")
    for key in ("url_block_lists", "word_block_lists"):
        settings[key] = digest(read_entries(key, settings[key]))
    return digest([settings, segments.METHOD_VERSION])


def signatures_digest(recipe: Recipe) -> str:
    """`method_digest` of this recipe's rows in `silver.signatures`."""
    return recipe.sign_segments.digest(signatures.METHOD_VERSION, segments_digest(recipe))


def duplicates_digest(recipe: Recipe) -> str:
    """`method_digest` of this recipe's rows in `silver.duplicates`."""
    return recipe.find_duplicates.digest(duplicates.METHOD_VERSION, signatures_digest(recipe))
