"""Self-curation: the current forward model rates every candidate, by each scorer.

humpback score-candidates --iteration 1 --recipe FILE --lake URI
"""

from jobs.current.methods import methods_of
from jobs.current.pairs import pairs
from jobs.current.pool import planned_size
from jobs.current.ratings import judges, trained_judges
from jobs.inference.rating import n_requests_to_send, rate
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.bronze import COMPLETIONS
from schemas.ops import MODELS, PROMPTS, RELEASES
from schemas.silver import CANDIDATES, SCORES, UNLABELLED
from transforms.dedup.drawing import first_by_hash
from transforms.scoring.scorers import SCORERS

READS = (CANDIDATES, UNLABELLED, COMPLETIONS, PROMPTS, MODELS, RELEASES)
WRITES = SCORES
UNIT = "ratings"
PARAMETERS = Parameters(first_iteration=1, has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Rate the pairs with the model of the iteration before."""
    models = judges(lake, recipe, step.required_iteration - 1)
    existing = pairs(lake, methods_of(recipe), models["backward"].model_id).select("pair_id", "instruction", "response")
    rated = {}
    for scorer in recipe.score_candidates.scorers:
        limit = step.at_most(recipe.score_candidates.limits.get(scorer))
        rated[scorer] = first_by_hash(existing, "pair_id", limit) if limit else existing
    rate(lake, recipe, step.required_servers, models, rated)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the ratings of the existing pairs, and of those to come from instructions not yet written."""
    models = trained_judges(lake, recipe, step.required_iteration - 1)
    n_segments, tokens = planned_size(lake, recipe)
    backward = models.get("backward")
    existing = pairs(lake, methods_of(recipe), backward.model_id if backward else "")
    n_existing = existing.count()
    n_pairs = n_segments * recipe.generate_candidates.samples
    n_expected = max(0, n_pairs - n_existing)
    n, config = 0, recipe.score_candidates
    for scorer in config.scorers:
        limit = config.limits.get(scorer, n_pairs)
        sample = first_by_hash(existing, "pair_id", limit)
        n += n_requests_to_send(lake, recipe, step.required_servers, models, {scorer: sample})
        n += max(0, min(n_expected, limit - n_existing)) * SCORERS[scorer].requests_per_pair(config)
    return Planned("ask for ratings", n, None if tokens is None else n * tokens)
