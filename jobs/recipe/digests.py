"""Method digests: which settings and method versions made a row, upstream ones included."""

from dataclasses import asdict

from jobs.recipe.config import Recipe
from jobs.recipe.files import read_entries
from jobs.recipe.scoring import ScorerName
from jobs.recipe.section import digest
from transforms.dedup import duplicates, signatures
from transforms.pages import segments
from transforms.scoring import scores
from transforms.scoring.scorers import SCORERS


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


def scores_digest(recipe: Recipe, name: ScorerName) -> str:
    """`method_digest` of one scorer's rows in `silver.scores`: prompt, sampling and parser.

    The model, its chat template included, is what `model_id` says.
    """
    scorer, settings = SCORERS[name], recipe.score_candidates
    kind = [type(scorer.kind).__name__, scorer.kind.samplings(settings), scorer.kind.samples(settings)]
    tag = recipe.build_training_examples.inference_tag if scorer.tagged else ""
    return digest([asdict(scorer), kind, tag, scores.PARSER])
