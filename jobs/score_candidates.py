"""Self-curation: what the current forward model thinks of every candidate, by each scorer.

humpback score-candidates --iteration 1 --recipe FILE --lake URI
"""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.inference import ask, requests_for
from jobs.lake import Lake
from jobs.models import Model, the_model
from schemas.silver import CANDIDATES, SCORES, SEED_PAIRS
from transforms.scores import TEMPLATES, dev_pairs_from, score_prompts, score_sampling, scores_from

READS = (CANDIDATES, SEED_PAIRS)
WRITES = SCORES
UNIT = "ratings"


def run(lake: Lake, recipe: Recipe) -> None:
    """Rate the candidates of M_yx, and the held-out pairs, with the model of the iteration before."""
    config, model = recipe.score_candidates, the_model(lake, recipe, "forward", lake.run.needed_iteration - 1)
    backward = the_model(lake, recipe, "backward", 0)
    candidates = lake.read(CANDIDATES).where(F.col("model_id") == backward.model_id)
    candidates = candidates.select("candidate_id", "instruction", "response")
    if lake.run.limit:
        candidates = candidates.orderBy("candidate_id").limit(lake.run.limit)
    n_dev = config.dev_pairs if lake.run.iteration in (config.dev_iterations or (lake.run.iteration,)) else 0
    held_out = dev_pairs_from(lake.read(SEED_PAIRS), n=n_dev)
    known = lake.latest(SCORES).where(F.col("model_id") == model.model_id)
    rated = []
    for scorer in config.scorers:
        pairs = candidates
        if scorer in config.limits:
            pairs = candidates.orderBy("candidate_id").limit(config.limits[scorer])
        if scorer in config.dev_scorers:
            pairs = pairs.unionByName(held_out)
        unrated = lake.staged(pairs.join(known.where(F.col("scorer") == scorer), "candidate_id", "left_anti"))
        if not unrated.isEmpty():
            rated.append(_scores(lake, recipe, model, unrated, scorer))
    if rated:
        lake.write(SCORES, reduce(DataFrame.unionByName, rated))


def _scores(lake: Lake, recipe: Recipe, model: Model, pairs: DataFrame, scorer: str) -> DataFrame:
    config = recipe.score_candidates
    requests = requests_for(
        recipe, model,
        score_prompts(pairs, scorer=scorer, system=recipe.build_training_examples.inference_tag),
        stage=f"scores/{scorer}",
        template=TEMPLATES[scorer],
        sampling=score_sampling(scorer, temperature=config.rubric_temperature, rationale_chars=config.rationale_chars),
    )  # fmt: skip
    completions = ask(lake, recipe, model, requests, TEMPLATES[scorer])
    return scores_from(requests, completions, scorer=scorer, model_id=model.model_id)
