"""Self-augmentation: the backward model writes instructions that the segments of the pool would answer.

humpback generate-candidates --recipe FILE --lake URI
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.ledger import n_unanswered
from jobs.current.methods import methods_of
from jobs.current.models import model_if_trained, required_model
from jobs.current.pairs import candidates
from jobs.current.pool import planned_size, pool, segments_to_ask
from jobs.inference.ask import ask, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import candidate_sampling
from jobs.recipe.step import Parameters, Planned, Servers, Step
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.ops import MODELS, PROMPTS, RELEASES, RUNS
from schemas.silver import CANDIDATES, OVERLAPS, SEED_PAIRS, UNLABELLED
from transforms.prompting.candidates import backward_prompts, candidates_from
from transforms.prompting.prompts import BACKWARD

READS = (UNLABELLED, OVERLAPS, SEED_PAIRS, COMPLETIONS, PROMPTS, MODELS, RELEASES, RUNS)
WRITES = CANDIDATES
UNIT = "instructions"
PARAMETERS = Parameters(has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Ask for the instructions of each segment of the pool that has fewer than the recipe wants; write the answers."""
    model, methods = required_model(lake, recipe, "backward", 0), methods_of(recipe)
    known = candidates(lake, methods, model.model_id).select("segment_id", "request_id")
    n_known = known.groupBy("segment_id").agg(F.count(F.lit(1)).alias("n"))
    answered = n_known.where(F.col("n") >= recipe.generate_candidates.samples)
    segments = segments_to_ask(lake, recipe, step.at_most(recipe.generate_candidates.n_segments))
    segments = materialised(segments.join(answered, "segment_id", "left_anti"))
    if segments.isEmpty():
        return
    requests = materialised(candidate_requests(recipe, step.required_servers, model, segments))
    completions = ask(lake, step.required_servers, model, requests, BACKWARD)
    written = candidates_from(segments, requests, completions, known, method_digest=methods[CANDIDATES.name])
    # An answer that gave no candidate is counted once, by the run that got it if that run succeeded.
    ended = lake.read(RUNS).where(F.col("status") == "ok").select("run_id")
    earlier = completions.join(ended, "run_id", "left_semi").select("request_id", F.lit(True).alias("counted"))
    fresh = written.join(earlier, "request_id", "left").where("counted IS NULL OR drop_reason IS NULL")
    lake.write(CANDIDATES, fresh)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the instructions that the backward model has not written yet."""
    n_segments, tokens = planned_size(lake, recipe)
    n = n_segments * recipe.generate_candidates.samples
    model = model_if_trained(lake, recipe, "backward", 0)
    if model and not pool(lake, recipe.name).isEmpty():
        segments = segments_to_ask(lake, recipe, step.at_most(recipe.generate_candidates.n_segments))
        n = n_unanswered(lake, candidate_requests(recipe, step.required_servers, model, segments), model)
    return Planned("ask for instructions", n, None if tokens is None else n * tokens)


def candidate_requests(recipe: Recipe, servers: Servers, model: Model, segments: DataFrame) -> DataFrame:
    """Build the requests to `model` for the instructions of `segments`, by the current recipe."""
    return requests_for(
        servers,
        model,
        backward_prompts(segments),
        stage="candidates",
        template=BACKWARD,
        sampling=candidate_sampling(recipe),
        samples=recipe.generate_candidates.samples,
    )
