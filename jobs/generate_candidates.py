"""Self-augmentation: the instruction that each segment of the pool would answer, by the backward model.

humpback generate-candidates --recipe FILE --lake URI
"""

from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.inference import ask, requests_for
from jobs.lake import Lake
from jobs.models import the_model
from jobs.prompt_sets import kept_out
from schemas.silver import CANDIDATES, OVERLAPS, UNLABELLED
from transforms.candidates import backward_prompts, candidates_from
from transforms.prompts import BACKWARD

READS = (UNLABELLED, OVERLAPS)
WRITES = CANDIDATES
UNIT = "segments"


def run(lake: Lake, recipe: Recipe) -> None:
    """Ask once for every segment of the pool that has no instruction yet, and write what was answered."""
    config, model = recipe.generate_candidates, the_model(lake, recipe, "backward", 0)
    drawn = lake.read(UNLABELLED).where(F.col("experiment") == recipe.name)
    segments = drawn.join(kept_out(lake, recipe), "segment_id", "left_anti")
    if config.max_chars:
        segments = segments.where(F.col("n_chars") <= config.max_chars)
    if n := lake.run.limit or config.n_segments:
        segments = segments.orderBy("sample_hash").limit(n)
    sampling = {"temperature": config.temperature, "top_p": config.top_p, "max_tokens": config.max_tokens}
    requests = requests_for(
        recipe, model, backward_prompts(segments), stage="candidates", template=BACKWARD, sampling=sampling
    )
    requests = requests.join(lake.latest(CANDIDATES).select("request_id"), "request_id", "left_anti")
    if requests.isEmpty():
        return
    drawn, requests = lake.staged(segments), lake.staged(requests)
    completions = ask(lake, recipe, model, requests, BACKWARD)
    candidates = candidates_from(drawn, requests, completions)
    # An answer that made no candidate is counted by the run that got it, not by every later one.
    earlier = completions.where(F.col("run_id") != lake.run.run_id).select("request_id", F.lit(True).alias("counted"))
    fresh = candidates.join(earlier, "request_id", "left").where("counted IS NULL OR drop_reason IS NULL")
    lake.write(CANDIDATES, fresh)
