"""Draw the experiment's pool of unique, current, decontaminated segments, `silver.unlabelled`.

    humpback select-unlabelled --recipe FILE --lake URI [--limit N: at most N segments in the pool]

The same pass over the texts writes the overlaps with seed and evaluation sets, the evidence for
its verdicts, to `silver.overlaps`. Segments drawn before a set was added are compared with it
later; they stay in the pool, and `generate-candidates` and `curate` leave them out.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.bookmarks import news
from jobs.current.methods import methods_of, of_method
from jobs.current.pool import kept_out, pool
from jobs.current.seed import seed_pairs
from jobs.lake import conform, jvm
from jobs.lake.materialised import few, materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.prompts import Known, evaluation_texts
from jobs.recipe.section import digest
from jobs.recipe.step import Parameters, Planned, Step
from schemas.bronze import DOCUMENTS
from schemas.ops import RUNS
from schemas.silver import DUPLICATES, OVERLAPS, SEED_PAIRS, SEGMENTS, UNLABELLED
from transforms.dedup.unlabelled import METHOD_VERSION, SEED_SET, Draw, overlaps_from, superseded_from, unlabelled_from

READS = (DOCUMENTS, SEGMENTS, DUPLICATES, SEED_PAIRS, OVERLAPS, RUNS)
DECIDING = (DOCUMENTS, SEGMENTS, DUPLICATES, SEED_PAIRS)
"""The tables whose change may give the draw new segments."""
WRITES = UNLABELLED
UNIT = "segments"
FEW_FILES = 1000
IS_KEPT = "drop_reason IS NULL"
WORDS = {"ngram_words", "short_ngram_words"}
PARAMETERS = Parameters(has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Fill the pool up to the recipe's size, unless nothing has changed; drawn segments stay in it."""
    settings, prompts = recipe.select_unlabelled, list(evaluation_texts(recipe))
    state = _state(lake, recipe, step, prompts)
    drawn = pool(lake, recipe.name).select("segment_id", "text")
    n_drawn = drawn.count()
    if _was_run(lake, recipe, state, n_drawn):
        return
    n_wanted = min(settings.size, step.limit or settings.size) - n_drawn
    methods = methods_of(recipe)
    repeated = of_method(lake, DUPLICATES, methods)
    # If the method has changed since the draw, drawn segments may duplicate others, which count as taken too.
    excluded = repeated.join(drawn, "segment_id", "left_semi").select(F.col("keeper_id").alias("segment_id"))
    excluded = excluded.union(repeated.select("segment_id")).union(drawn.select("segment_id"))
    segments = of_method(lake, SEGMENTS, methods).where(IS_KEPT)
    available = segments.select("segment_id", "document_id", "url", "_metadata.file_name")
    available = materialised(available.join(excluded, "segment_id", "left_anti"))

    lake.write(OVERLAPS, _overlaps(lake, recipe, prompts, available if n_wanted > 0 else None), computed=True)
    lake.run.bookmarks[state] = n_drawn
    if n_wanted <= 0 or available.isEmpty():
        return

    ids = few(available.drop("file_name"))
    documents = lake.read(DOCUMENTS).select("document_id", "url", "crawled_at")
    superseded = superseded_from(ids, segments, repeated, documents, lambda rows: few(materialised(rows)))
    draw = Draw(recipe.name, n_wanted, settings.sample_seed, settings.exclude_url_prefixes)
    texts = _in_files_of(lake, available, segments)
    lake.write(UNLABELLED, unlabelled_from(ids, texts, kept_out(lake, recipe), superseded, draw))
    lake.run.bookmarks[state] += lake.run.n_out


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")


def _state(lake: RunLake, recipe: Recipe, step: Step, prompts: list[Known]) -> str:
    """Digest everything that the draw depends on, except the segments drawn before."""
    methods = methods_of(recipe)
    digests = [methods[SEGMENTS.name], methods[DUPLICATES.name]]
    versions = [lake.version(table) for table in DECIDING]
    return digest([METHOD_VERSION, recipe.select_unlabelled.model_dump(), digests, versions, prompts, step.limit])


def _was_run(lake: RunLake, recipe: Recipe, state: str, n_drawn: int) -> bool:
    """Return whether a run has succeeded in this state with the same number of drawn segments."""
    is_success = (F.col("experiment") == recipe.name) & (F.col("status") == "ok")
    return not lake.read(RUNS).where(is_success & (F.col("bookmarks")[state] == n_drawn)).isEmpty()


def _overlaps(lake: RunLake, recipe: Recipe, prompts: list[Known], available: DataFrame | None) -> DataFrame:
    """Find the overlaps of drawn and `free` segments with seed and evaluation texts, and stage them.

    A segment is compared once with a given set of texts; later runs compare only the segments added since.
    """
    methods, words = methods_of(recipe), recipe.select_unlabelled.model_dump(include=WORDS)
    digests = [methods[SEGMENTS.name], methods[DUPLICATES.name]]
    bookmark = digest([METHOD_VERSION, recipe.name, words, digests, lake.version(SEED_PAIRS), prompts])
    new_rows = news(lake, SEGMENTS, UNLABELLED, bookmark, is_all=available is not None)
    drawn = new_rows.made.where(F.col("experiment") == recipe.name).select("segment_id", "text")
    if available is None:
        texts, ids = drawn, drawn.select("segment_id")
    else:
        kept = new_rows.source.where(IS_KEPT).where(F.col("method_digest") == methods[SEGMENTS.name])
        texts = drawn.union(kept.select("segment_id", "text"))
        ids = drawn.select("segment_id").union(available.select("segment_id"))
    known = _known_texts(lake, recipe, prompts)
    overlaps = overlaps_from(texts, known, experiment=recipe.name, **words)
    return materialised(overlaps.join(ids, "segment_id", "left_semi"))  # overlaps are few, and no text is shuffled


def _in_files_of(lake: RunLake, available: DataFrame, segments: DataFrame) -> DataFrame:
    """Read the segments in the data files that hold the `free` ones; all segments if those files are many."""
    names = [row.file_name for row in available.select("file_name").distinct().limit(FEW_FILES + 1).collect()]
    rows = jvm.of_files(lake.spark, lake.path(SEGMENTS), names) if len(names) <= FEW_FILES else None
    return segments if rows is None else conform.widened(SEGMENTS, rows)


def _known_texts(lake: RunLake, recipe: Recipe, prompts: list[Known]) -> DataFrame:
    """Collect the seed and evaluation texts as `known_set`, `known_id`, `text`."""
    texts = F.explode(F.array("instruction", "response")).alias("text")
    seed = seed_pairs(lake, recipe.name)
    seed = seed.select(F.lit(SEED_SET).alias("known_set"), F.col("pair_id").alias("known_id"), texts)
    return seed.union(lake.spark.createDataFrame(prompts, seed.schema))
