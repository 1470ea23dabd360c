"""Draw the experiment's pool of unique, decontaminated segments, `silver.unlabelled`.

humpback select-unlabelled --recipe FILE --lake URI [--limit N: at most N segments in the pool]
"""

from pathlib import Path

from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.digests import duplicates_digest, segments_digest
from jobs.errors import RecipeError
from jobs.lake import Lake
from schemas.silver import DUPLICATES, SEED_PAIRS, SEGMENTS, UNLABELLED
from transforms.evaluation_prompts import prompt_texts
from transforms.unlabelled import unlabelled_from

READS = (SEGMENTS, DUPLICATES, SEED_PAIRS)
WRITES = UNLABELLED
UNIT = "segments"


def run(lake: Lake, recipe: Recipe) -> None:
    """Fill the pool up to the recipe's size; what has been drawn once stays."""
    settings = recipe.select_unlabelled
    drawn = lake.latest(UNLABELLED).where(F.col("experiment") == recipe.name).select("segment_id")
    room = min(settings.size, lake.run.limit or settings.size) - drawn.count()
    if room <= 0:
        return
    kept = (F.col("method_digest") == segments_digest(recipe)) & F.col("drop_reason").isNull()
    repeated = lake.read(DUPLICATES).where(F.col("method_digest") == duplicates_digest(recipe)).select("segment_id")
    pool = lake.read(SEGMENTS).where(kept).join(repeated.union(drawn), "segment_id", "left_anti")
    texts = F.explode(F.array("instruction", "response")).alias("text")
    seed = lake.read(SEED_PAIRS).select(texts, F.lit("seed_overlap").alias("reason"))
    prompts = [(text, "evaluation_overlap") for path in settings.evaluation_paths for text in read_prompts(path)]
    known = seed.union(lake.spark.createDataFrame(prompts, "text string, reason string"))
    rules = settings.model_dump(exclude={"size", "evaluation_paths"})
    lake.write(UNLABELLED, unlabelled_from(pool, known, experiment=recipe.name, room=room, **rules))


def read_prompts(path: str) -> list[str]:
    """The prompts in a JSONL file.

    Raises:
        RecipeError: no such file, or a line that holds no prompt; names the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"select_unlabelled.evaluation_paths: {path}: {error}") from error
    texts: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            texts.extend(prompt_texts(line) if line.strip() else ())
        except ValueError as error:
            raise RecipeError(f"select_unlabelled.evaluation_paths: {path}, line {number}: {error}") from error
    return texts
