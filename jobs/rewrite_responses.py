"""Have a model rewrite the responses of the pairs that pass a first selection, close to their segments.

humpback rewrite-responses --iteration 1 --recipe FILE --lake URI
"""

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.methods import methods_of
from jobs.current.models import REWRITER, required_model
from jobs.current.ratings import judges, trained_judges
from jobs.current.rewriting import required_rewriter, rewriter_id, rewrites
from jobs.current.selection import selected, selection_of
from jobs.inference.ask import ask, requests_for
from jobs.inference.outside import OutsideServers, asked_by_name
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import rewrite_rules
from jobs.recipe.rewriting import FORWARD_MODEL
from jobs.recipe.step import Parameters, Planned, Servers, Step
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.ops import MODELS, OUTSIDE_MODELS, PROMPTS, RELEASES
from schemas.silver import CANDIDATES, OVERLAPS, REWRITES, SCORES, SEED_PAIRS, UNLABELLED
from transforms.dedup.drawing import first_by_hash
from transforms.prompting.prompts import REWRITE
from transforms.rewriting.responses import rewrite_prompts, rewrites_from
from transforms.rewriting.rewrites import UNPARSED, samplings
from transforms.scoring.answer_kinds import Sampling

READS = (
    *(CANDIDATES, SCORES, REWRITES, UNLABELLED, OVERLAPS, SEED_PAIRS),
    *(COMPLETIONS, PROMPTS, MODELS, OUTSIDE_MODELS, RELEASES),
)
WRITES = REWRITES
UNIT = "responses"
PARAMETERS = Parameters(first_iteration=1, has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Ask once for each selected pair, and once more, under a grammar, if the reply has no markers.

    Raises:
        RecipeError: the recipe names no rewriter, or an unknown one.
    """
    iteration, name = step.required_iteration, required_rewriter(recipe)
    chosen = _selected(lake, recipe, iteration)
    if name == FORWARD_MODEL:
        model, servers = required_model(lake, recipe, "forward", iteration - 1), step.required_servers
    else:
        model, servers = asked_by_name(lake, recipe, step.required_servers, name, REWRITER)
    done = rewrites(lake, recipe, model.model_id).select("parent_id")
    pairs = chosen.join(done, chosen.pair_id == done.parent_id, "left_anti")
    pairs = materialised(first_by_hash(pairs, "pair_id", step.limit) if step.limit else pairs)
    if pairs.isEmpty():
        return
    found = _rewritten(lake, recipe, servers, model, pairs)
    # A stored row counts as done, and a missing reply may still come: ops.runs counts the failure.
    lake.write(REWRITES, found.where("NOT drop_reason <=> 'failed'"))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the pairs to rewrite; None before the models that score them are trained."""
    iteration = step.required_iteration
    if len(trained_judges(lake, recipe, iteration - 1)) < 2:
        return Planned("ask for rewritten responses")
    chosen = _selected(lake, recipe, iteration)
    done = rewrites(lake, recipe, rewriter_id(lake, recipe, iteration))
    n = chosen.join(done, chosen.pair_id == done.parent_id, "left_anti").count()
    return Planned("ask for rewritten responses", step.at_most(n) if n else 0)


def _selected(lake: Lake, recipe: Recipe, iteration: int) -> DataFrame:
    """Return the pairs that pass the first selection: `pair_id`, `segment_id`, `instruction` and `response`."""
    models, settings = judges(lake, recipe, iteration - 1), recipe.rewrite_responses
    selection = replace(selection_of(lake, recipe, models), max_pairs=None)  # curation draws from what is rewritten
    if settings.threshold is not None or settings.top_fraction is not None:
        selection = replace(selection, threshold=settings.threshold, top_fraction=settings.top_fraction)
    found = selected(lake, recipe, iteration, models, selection).where("drop_reason IS NULL")
    return found.select("pair_id", "segment_id", "instruction", "response")


def _rewritten(lake: RunLake, recipe: Recipe, servers: Servers, model: Model, pairs: DataFrame) -> DataFrame:
    """Return a row of `silver.rewrites` for each pair."""
    settings = recipe.rewrite_responses
    free, constrained = samplings(settings.temperature, settings.max_tokens)

    def asked(pairs: DataFrame, sampling: Sampling) -> DataFrame:
        sampling = sampling | {"top_p": settings.top_p}
        rendered = rewrite_prompts(pairs)
        requests = requests_for(servers, model, rendered, stage="rewrites", template=REWRITE, sampling=sampling)
        completions = ask(lake, servers, model, materialised(requests), REWRITE)
        digest = methods_of(recipe)[REWRITES.name]
        return materialised(
            rewrites_from(pairs, requests, completions, rules=rewrite_rules(recipe), method_digest=digest)
        )

    found = asked(pairs, free)
    unread = found.where(F.col("drop_reason") == UNPARSED).select(F.col("parent_id").alias("pair_id"))
    if isinstance(servers, OutsideServers) or unread.isEmpty():  # a chat API has no grammars
        return found
    again = asked(materialised(pairs.join(unread, "pair_id", "left_semi")), constrained)
    return found.join(unread, found.parent_id == unread.pair_id, "left_anti").unionByName(again)
