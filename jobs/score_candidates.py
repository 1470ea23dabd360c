"""Self-curation: what the current forward model thinks of every candidate, by each scorer.

humpback score-candidates --iteration 1 --recipe FILE --lake URI
"""

from jobs.generate_candidates import current_candidates
from jobs.inference.rating import judges, rate
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.silver import CANDIDATES, SCORES, UNLABELLED

READS = (CANDIDATES, UNLABELLED)
WRITES = SCORES
UNIT = "ratings"


def run(lake: Lake, recipe: Recipe) -> None:
    """Rate the candidates of M_yx with the model of the iteration before."""
    config, models = recipe.score_candidates, judges(lake, recipe, lake.run.needed_iteration - 1)
    candidates = current_candidates(lake, recipe, models["backward"])
    candidates = candidates.select("candidate_id", "instruction", "response")
    pairs = {}
    for scorer in config.scorers:
        most = lake.run.at_most(config.limits.get(scorer))
        pairs[scorer] = candidates.orderBy("candidate_id").limit(most) if most else candidates
    rate(lake, recipe, models, pairs)
