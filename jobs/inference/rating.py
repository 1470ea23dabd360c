"""Ratings: pairs in, rows of the run's table out, by the recipe's scorers; what is rated is not asked again."""

from collections.abc import Iterable, Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.models import Model, the_model
from jobs.inference.ask import ask, note_prompts, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.recipe.config import Direction, Recipe
from jobs.recipe.digests import scores_digest
from jobs.recipe.scoring import ScorerName
from transforms.scoring.answer_kinds import UNREAD, Sampling
from transforms.scoring.scorers import SCORERS
from transforms.scoring.scores import made_by, score_prompts, scores_from

Judges = Mapping[Direction, Model]


def judges(lake: Lake, recipe: Recipe, iteration: int) -> Judges:
    """The models that rate: the forward one of `iteration`, and M_yx for the scorers that read backwards."""
    return {
        "forward": the_model(lake, recipe, "forward", iteration),
        "backward": the_model(lake, recipe, "backward", 0),
    }


def methods(recipe: Recipe, models: Judges, scorers: Iterable[ScorerName]) -> dict[str, tuple[str, str]]:
    """Scorer -> the model and the method digest of the scores that count for the recipe now."""
    return {name: (models[SCORERS[name].direction].model_id, scores_digest(recipe, name)) for name in scorers}


def rate(lake: Lake, recipe: Recipe, models: Judges, pairs: Mapping[ScorerName, DataFrame]) -> None:
    """Write what each scorer says of its `pairs` (`pair_id`, `instruction`, `response`)."""
    known = made_by(lake.latest(lake.run.writes), methods(recipe, models, pairs)).select("pair_id", "scorer")
    each = (frame.withColumn("scorer", F.lit(name)) for name, frame in pairs.items())
    unrated = materialised(reduce(DataFrame.unionByName, each).join(known, ["pair_id", "scorer"], "left_anti"))
    waiting = {row.scorer for row in unrated.select("scorer").distinct().collect()}
    # The backward model first: it is the one that was served before.
    names = sorted((name for name in pairs if name in waiting), key=lambda name: SCORERS[name].direction)
    if not names:
        return
    note_prompts(lake, recipe, [(models[SCORERS[name].direction], SCORERS[name].template) for name in names])
    rated = [
        _rated(lake, recipe, models, unrated.where(F.col("scorer") == name).drop("scorer"), name) for name in names
    ]
    lake.write(lake.run.writes, reduce(DataFrame.unionByName, rated))


def _rated(lake: Lake, recipe: Recipe, models: Judges, pairs: DataFrame, name: ScorerName) -> DataFrame:
    """The scores of pairs; what one way of sampling leaves unread is asked again in the next."""
    model = models[SCORERS[name].direction]
    *ways, last = SCORERS[name].kind.samplings(recipe.score_candidates)
    rated = []
    for way in ways:
        scores = materialised(_answered(lake, recipe, model, score_requests(recipe, model, pairs, name, way), name))
        is_unread = F.col("status").isin(*UNREAD)
        rated.append(scores.where(~is_unread))
        pairs = materialised(pairs.join(scores.where(is_unread).select("pair_id"), "pair_id", "left_semi"))
        if pairs.isEmpty():
            return reduce(DataFrame.unionByName, rated)
    rated.append(_answered(lake, recipe, model, score_requests(recipe, model, pairs, name, last), name))
    return reduce(DataFrame.unionByName, rated)


def _answered(lake: Lake, recipe: Recipe, model: Model, requests: DataFrame, name: ScorerName) -> DataFrame:
    """The scores in a model's answers to a scorer's requests, which are sent where they have none yet."""
    scorer = SCORERS[name]
    completions = ask(lake, recipe, model, requests, scorer.template)
    return scores_from(
        requests, completions, scorer=scorer, model_id=model.model_id, method_digest=scores_digest(recipe, name)
    )


def score_requests(
    recipe: Recipe, model: Model, pairs: DataFrame, name: ScorerName, sampling: Sampling | None = None
) -> DataFrame:
    """What a scorer asks `model` about pairs, with its first way of sampling unless another is given."""
    scorer, settings = SCORERS[name], recipe.score_candidates
    return requests_for(
        recipe,
        model,
        score_prompts(pairs, scorer=scorer, system=recipe.build_training_examples.inference_tag),
        stage=f"scores/{name}",
        template=scorer.template,
        sampling=scorer.kind.samplings(settings)[0] if sampling is None else sampling,
        samples=scorer.kind.samples(settings),
    )
