"""Self-augmentation: the instruction that each segment of the pool would answer, by the backward model.

humpback generate-candidates --recipe FILE --lake URI
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.models import Model, the_model
from jobs.current.prompts import kept_out
from jobs.inference.ask import ask, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.ops import RUNS
from schemas.silver import CANDIDATES, OVERLAPS, SEED_PAIRS, UNLABELLED
from transforms.prompting.candidates import backward_prompts, candidates_from
from transforms.prompting.prompts import BACKWARD

READS = (UNLABELLED, OVERLAPS, SEED_PAIRS)
WRITES = CANDIDATES
UNIT = "segments"

ASKED = ["model_id", "request_id"]  # two models of the same weights share requests


def run(lake: Lake, recipe: Recipe) -> None:
    """Ask once for every segment of the pool that has no instruction yet, and write what was answered."""
    model = the_model(lake, recipe, "backward", 0)
    segments = wanted_segments(lake, recipe)
    answered = lake.latest(CANDIDATES).select(*ASKED)
    requests = materialised(candidate_requests(recipe, model, segments).join(answered, ASKED, "left_anti"))
    if requests.isEmpty():
        return
    segments = materialised(segments)
    completions = ask(lake, recipe, model, requests, BACKWARD)
    candidates = candidates_from(segments, requests, completions)
    # An answer that made no candidate is counted once: by the run that got it, if it came to that.
    ended = lake.latest(RUNS).where(F.col("status") == "ok").select("run_id")
    earlier = completions.join(ended, "run_id", "left_semi").select("request_id", F.lit(True).alias("counted"))
    fresh = candidates.join(earlier, "request_id", "left").where("counted IS NULL OR drop_reason IS NULL")
    lake.write(CANDIDATES, fresh)


def wanted_segments(lake: Lake, recipe: Recipe) -> DataFrame:
    """The segments of the recipe's pool that go to the models."""
    config = recipe.generate_candidates
    segments = _pool(lake, recipe).join(kept_out(lake, recipe), "segment_id", "left_anti")
    if config.max_chars:
        segments = segments.where(F.col("n_chars") <= config.max_chars)
    n = lake.run.at_most(config.n_segments)
    return segments.orderBy("sample_hash").limit(n) if n else segments


def candidate_requests(recipe: Recipe, model: Model, segments: DataFrame) -> DataFrame:
    """What `model` is asked about segments, as the recipe asks now."""
    sampling = recipe.generate_candidates.model_dump(include={"temperature", "top_p", "max_tokens"})
    return requests_for(
        recipe, model, backward_prompts(segments), stage="candidates", template=BACKWARD, sampling=sampling
    )


def current_candidates(lake: Lake, recipe: Recipe, model: Model) -> DataFrame:
    """The candidates that `model` wrote for the recipe's pool, asked as the recipe asks now."""
    asked = candidate_requests(recipe, model, _pool(lake, recipe)).select(*ASKED)
    return lake.read(CANDIDATES).join(asked, ASKED, "left_semi")


def _pool(lake: Lake, recipe: Recipe) -> DataFrame:
    return lake.read(UNLABELLED).where(F.col("experiment") == recipe.name)
