"""Rating of pairs by the recipe's scorers into the run's table; a pair already rated is not asked about again."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.ledger import n_unanswered
from jobs.current.methods import methods_of
from jobs.current.ratings import Judges, scores
from jobs.inference.ask import ask, note_prompts, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import scores_digest
from jobs.recipe.scoring import ScorerName
from jobs.recipe.step import Servers
from model_ops.serving.model import Model
from transforms.scoring.answer_kinds import UNREAD, Sampling
from transforms.scoring.scorers import SCORERS, ModelFreeScorer, Scorer, asking
from transforms.scoring.scores import computed_scores, score_prompts, scores_from


def rate(
    lake: RunLake, recipe: Recipe, servers: Servers, models: Judges, pairs: Mapping[ScorerName, DataFrame]
) -> None:
    """Rate each scorer's `pairs` (`pair_id`, `instruction`, `response`) and write the scores to the run's table."""
    known = scores(lake, lake.run.writes, methods_of(recipe), models, pairs).select("pair_id", "scorer")
    frames = (frame.withColumn("scorer", F.lit(name)) for name, frame in pairs.items())
    unrated = materialised(reduce(DataFrame.unionByName, frames).join(known, ["pair_id", "scorer"], "left_anti"))
    unrated_scorers = {row.scorer for row in unrated.select("scorer").distinct().collect()}
    # The backward model first, since it is the one that was served before.
    names = sorted((name for name in pairs if name in unrated_scorers), key=lambda name: SCORERS[name].direction)
    if not names:
        return
    rater = _Rater(lake, recipe, servers, models)
    asked = [(name, scorer) for name in names if isinstance(scorer := SCORERS[name], Scorer)]
    note_prompts(lake, servers, [(rater.model(name), scorer.template) for name, scorer in asked])
    rated = [rater.rated(unrated.where(F.col("scorer") == name).drop("scorer"), name) for name in names]
    lake.write(lake.run.writes, reduce(DataFrame.unionByName, rated))


@dataclass(frozen=True)
class _Rater:
    """The recipe's scorers, with the models that they ask."""

    lake: RunLake
    recipe: Recipe
    servers: Servers
    models: Judges

    def model(self, name: ScorerName) -> Model:
        """Return the model of a scorer's direction, whose id its rows carry."""
        return self.models[SCORERS[name].direction]

    def rated(self, pairs: DataFrame, name: ScorerName) -> DataFrame:
        """Score all pairs by one scorer; ask again, with the next sampling, where an answer could not be read."""
        scorer = SCORERS[name]
        if isinstance(scorer, ModelFreeScorer):
            return computed_scores(
                pairs,
                scorer=scorer,
                seed=self.recipe.score_candidates.random_seed,
                model_id=self.model(name).model_id,
                method_digest=scores_digest(self.recipe, name),
            )
        *samplings, last_sampling = scorer.kind.samplings(self.recipe.score_candidates)
        rated = []
        for sampling in samplings:
            scored = materialised(self._scored_answers(pairs, name, sampling))
            is_unread = F.col("status").isin(*UNREAD)
            rated.append(scored.where(~is_unread))
            pairs = materialised(pairs.join(scored.where(is_unread).select("pair_id"), "pair_id", "left_semi"))
            if pairs.isEmpty():
                return reduce(DataFrame.unionByName, rated)
        return reduce(DataFrame.unionByName, [*rated, self._scored_answers(pairs, name, last_sampling)])

    def _scored_answers(self, pairs: DataFrame, name: ScorerName, sampling: Sampling) -> DataFrame:
        scorer, model = asking(name), self.model(name)
        requests = score_requests(self.recipe, self.servers, model, pairs, name, sampling)
        completions = ask(self.lake, self.servers, model, requests, scorer.template)
        digest = scores_digest(self.recipe, name)
        return scores_from(requests, completions, scorer=scorer, model_id=model.model_id, method_digest=digest)


def score_requests(
    recipe: Recipe, servers: Servers, model: Model, pairs: DataFrame, name: ScorerName, sampling: Sampling | None = None
) -> DataFrame:
    """Build a scorer's requests to `model` about pairs, with the scorer's first sampling unless another is given."""
    scorer, settings = asking(name), recipe.score_candidates
    return requests_for(
        servers,
        model,
        score_prompts(pairs, scorer=scorer, system=recipe.build_training_examples.inference_tag),
        stage=f"scores/{name}",
        template=scorer.template,
        sampling=sampling or scorer.kind.samplings(settings)[0],
        samples=scorer.kind.samples(settings),
    )


def n_requests_to_send(
    lake: Lake, recipe: Recipe, servers: Servers, models: Judges, pairs: Mapping[ScorerName, DataFrame]
) -> int:
    """Count the unanswered requests about pairs; a request that several pairs share counts once.

    All requests to a model that is not trained yet count.
    """
    n = 0
    for name, frame in pairs.items():
        scorer = SCORERS[name]
        if isinstance(scorer, ModelFreeScorer):
            continue
        model = models.get(scorer.direction)
        if model is None:
            system = recipe.build_training_examples.inference_tag
            prompts = score_prompts(frame, scorer=scorer, system=system).drop("subject_id").distinct().count()
            n += prompts * scorer.kind.samples(recipe.score_candidates)
        else:
            n += n_unanswered(lake, score_requests(recipe, servers, model, frame, name), model)
    return n
