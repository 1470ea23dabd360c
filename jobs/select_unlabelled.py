"""Draw the experiment's pool of unique, current, decontaminated segments, `silver.unlabelled`.

    humpback select-unlabelled --recipe FILE --lake URI [--limit N: at most N segments in the pool]

What it finds in common with seed and evaluation sets lands beside, in `silver.overlaps`: the
evidence of its own verdict, found in the same pass over the texts. What was drawn before a set
came is looked at again; it stays, and `generate-candidates` and `curate` leave it out.
"""

from collections.abc import Iterator

from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.digests import duplicates_digest, segments_digest
from jobs.errors import RecipeError
from jobs.lake import Lake
from jobs.prompt_sets import kept_out, prompt_id, read_prompts
from jobs.section import digest
from jobs.text_files import read_lines
from schemas.bronze import DOCUMENTS
from schemas.ops import RUNS
from schemas.silver import DUPLICATES, OVERLAPS, SEED_PAIRS, SEGMENTS, UNLABELLED
from transforms.evaluation_prompts import prompt_texts
from transforms.unlabelled import METHOD_VERSION, SEED, overlaps_from, superseded_from, unlabelled_from

READS = (DOCUMENTS, SEGMENTS, DUPLICATES, SEED_PAIRS)
WRITES = UNLABELLED
UNIT = "segments"

Known = tuple[str, str, str]


def run(lake: Lake, recipe: Recipe) -> None:
    """Fill the pool up to the recipe's size, unless nothing has changed; what has been drawn once stays."""
    settings, prompts = recipe.select_unlabelled, list(evaluation_texts(recipe))
    methods = [segments_digest(recipe), duplicates_digest(recipe)]
    versions = [lake.version(table) for table in READS]
    facts = [METHOD_VERSION, settings.model_dump(), methods, versions, prompts, lake.run.limit]
    state = f"{UNLABELLED.name}@{digest(facts)}"
    mine = F.col("experiment") == recipe.name
    drawn = lake.latest(UNLABELLED).where(mine).select("segment_id", "text")
    n_drawn = drawn.count()
    if not lake.latest(RUNS).where(mine & (F.col("status") == "ok") & (F.col("inputs")[state] == n_drawn)).isEmpty():
        return
    room = min(settings.size, lake.run.limit or settings.size) - n_drawn
    kept = (F.col("method_digest") == segments_digest(recipe)) & F.col("drop_reason").isNull()
    segments = lake.read(SEGMENTS).where(kept)
    repeated = lake.read(DUPLICATES).where(F.col("method_digest") == duplicates_digest(recipe))
    pool = segments.join(repeated.select("segment_id").union(drawn.select("segment_id")), "segment_id", "left_anti")

    texts = F.explode(F.array("instruction", "response")).alias("text")
    seed = lake.read(SEED_PAIRS).select(F.lit(SEED).alias("known_set"), F.col("pair_id").alias("known_id"), texts)
    known = seed.union(lake.spark.createDataFrame(prompts, seed.schema))
    looked_at = pool.select("segment_id", "text").union(drawn) if room > 0 else drawn
    words = settings.model_dump(include={"ngram_words", "short_ngram_words"})
    overlaps = lake.staged(overlaps_from(looked_at, known, experiment=recipe.name, **words))
    lake.write(OVERLAPS, overlaps, computed=True)
    lake.run.inputs[state] = n_drawn
    if room <= 0:
        return

    documents = lake.read(DOCUMENTS).select("document_id", "url", "crawled_at")
    superseded = superseded_from(segments, repeated, documents)
    rules = settings.model_dump(include={"sample_seed", "exclude_url_prefixes"})
    rows = unlabelled_from(pool, kept_out(lake, recipe), superseded, experiment=recipe.name, room=room, **rules)
    lake.write(UNLABELLED, rows)
    lake.run.inputs[state] += lake.run.n_out


def evaluation_texts(recipe: Recipe) -> Iterator[Known]:
    """(set, prompt's id, text) of every evaluation set that the recipe names, the one it answers included.

    Raises:
        JobError: a file cannot be read, or a line that holds no prompt; names the line.
    """
    for path in recipe.select_unlabelled.evaluation_paths:
        yield from _texts(path)
    answers = recipe.generate_answers
    yield from ((answers.prompt_set, name, text) for name, text in read_prompts(answers.prompts))


def _texts(path: str) -> Iterator[Known]:
    key = "select_unlabelled.evaluation_paths"
    for number, line in enumerate(read_lines(key, path), start=1):
        try:
            texts = list(prompt_texts(line)) if line.strip() else []
        except ValueError as error:
            raise RecipeError(f"{key}: {path}, line {number}: {error}") from error
        yield from ((path, prompt_id(line, texts[0]), text) for text in texts)
