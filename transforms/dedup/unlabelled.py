"""Draw `silver.unlabelled` from `silver.segments` by hash: unique, current, free of seed and evaluation text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.silver import OVERLAPS, UNLABELLED
from transforms.dedup.drawing import last_of_first
from transforms.dedup.shingles import ngrams_of, runs_of, word_count_of

METHOD_VERSION = "unlabelled-2"
SEED_SET = "seed"  # the `known_set` of seed pairs
Staged = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Draw:
    """The settings by which an experiment draws segments from the pool."""

    experiment: str
    room: int
    """The largest number of segments to draw."""
    sample_seed: str
    """The seed of `sample_hash`, which gives the order."""
    exclude_url_prefixes: Sequence[str]


def unlabelled_from(
    free: DataFrame, segments: DataFrame, overlaps: DataFrame, superseded: DataFrame, draw: Draw
) -> DataFrame:
    """Draw the first `free` segments by `sample_hash`, without those excluded; the others get a `drop_reason`, no text.

    `free` has `segment_id` and `url`; `segments`, which may hold more segments, has the texts. Reasons in
    this order: `seed_page` (address under an excluded prefix), `superseded` (in the frame of that name),
    `seed_overlap`, `evaluation_overlap` (in `overlaps`), `not_sampled`.
    """
    # A segment may overlap with both: the seed takes precedence.
    is_seed = F.max(F.col("known_set") == SEED_SET)
    overlap = F.when(is_seed, "seed_overlap").otherwise("evaluation_overlap").alias("overlap")
    reason = F.when(_under(F.col("url"), draw.exclude_url_prefixes), "seed_page")
    reason = reason.when(F.col("is_superseded"), "superseded").otherwise(F.col("overlap"))
    sample_hash = F.sha2(F.concat_ws(":", F.lit(draw.sample_seed), "segment_id"), 256)
    marked = (
        free.select("segment_id", "url")
        .join(overlaps.groupBy("segment_id").agg(overlap), "segment_id", "left")
        .join(superseded.select("segment_id", F.lit(True).alias("is_superseded")), "segment_id", "left")
        .withColumn("experiment", F.lit(draw.experiment))
        .withColumn("sample_hash", sample_hash)
        .withColumn("drop_reason", reason)
    )
    fitting = marked.where(F.col("drop_reason").isNull())
    last = F.broadcast(last_of_first(fitting, "sample_hash", draw.room))
    beyond = F.when(F.col("sample_hash") > F.col("last"), "not_sampled")
    judged = marked.crossJoin(last).withColumn("drop_reason", F.coalesce("drop_reason", beyond)).drop("url", "last")
    # Filtering the texts by hash before the join shuffles only those that may be drawn.
    texts = segments.select(*(name for name in UNLABELLED.columns if name in segments.columns)).crossJoin(last)
    texts = texts.where(sample_hash <= F.col("last")).drop("last").withColumnRenamed("segment_id", "text_id")
    is_drawn = (F.col("segment_id") == F.col("text_id")) & F.col("drop_reason").isNull()
    return judged.join(texts, is_drawn, "left").select(*UNLABELLED.columns, "drop_reason")


def superseded_from(
    free: DataFrame,
    segments: DataFrame,
    duplicates: DataFrame,
    documents: DataFrame,
    staged: Staged = lambda rows: rows,
) -> DataFrame:
    """Return the rows of `free` whose page was crawled again later: the newest version of a URL wins.

    A segment whose repetition on a current page was dropped in its favour stays, or that text would be lost.
    `free` and `segments` (all kept ones) have `segment_id`, `document_id` and `url`; `documents` have
    `document_id`, `url` and `crawled_at`. `staged` materialises intermediate rows before they are joined.
    """
    outdated = _outdated(free, segments, documents, staged)
    if outdated.isEmpty():
        return outdated
    stands_for = duplicates.join(outdated, duplicates.keeper_id == outdated.segment_id, "left_semi")
    stands_for = staged(stands_for.select("segment_id", "keeper_id"))
    repeats = staged(segments.join(stands_for, "segment_id").select("segment_id", "document_id", "url", "keeper_id"))
    current = repeats.join(_outdated(repeats, segments, documents, staged), "segment_id", "left_anti")
    return outdated.join(current.select(F.col("keeper_id").alias("segment_id")), "segment_id", "left_anti")


def _outdated(placed: DataFrame, segments: DataFrame, documents: DataFrame, staged: Staged) -> DataFrame:
    """Return the rows of `placed` from an older version of their page.

    A version without a date is the oldest. Of several with one date, such as a page and its WET text, one with
    kept segments counts as the newest.
    """
    versions = staged(documents.join(staged(placed.select("url").distinct()), "url", "left_semi"))
    counts = versions.groupBy("url").agg(F.count(F.lit(1)).alias("n"))
    recrawled = staged(versions.join(counts.where("n > 1"), "url", "left_semi"))
    useful = segments.join(recrawled, "document_id", "left_semi").select("document_id").distinct()
    marked = recrawled.join(useful.withColumn("is_useful", F.lit(True)), "document_id", "left")
    age = F.struct("crawled_at", F.coalesce("is_useful", F.lit(False)), "document_id")
    newest = marked.groupBy("url").agg(F.max_by("document_id", age).alias("newest"))
    outdated = recrawled.join(newest, "url").where("document_id <> newest").select("document_id")
    return staged(placed.join(staged(outdated), "document_id", "left_semi"))


def overlaps_from(
    pool: DataFrame, known: DataFrame, *, experiment: str, ngram_words: int, short_ngram_words: int
) -> DataFrame:
    """Return `silver.overlaps`: segments that share a run of words with a seed or evaluation text.

    `known` has `known_set`, `known_id` and `text`. A text shorter than `ngram_words` is matched by runs of
    `short_ngram_words`; one shorter than that is ignored: such phrases occur by chance.
    """
    text, length = F.col("text"), F.col("length")
    texts = known.select("known_set", "known_id", "text", word_count_of(text).alias("length"))
    long = texts.where(length >= ngram_words), ngram_words
    short = texts.where((length >= short_ngram_words) & (length < ngram_words)), short_ngram_words
    runs = reduce(
        DataFrame.union,
        (group.select("known_set", "known_id", F.inline(runs_of(text, n_words))) for group, n_words in (long, short)),
    )
    segment_runs = F.concat(ngrams_of(text, ngram_words), ngrams_of(text, short_ngram_words))
    pool_runs = pool.select("segment_id", F.explode(segment_runs).alias("run"))
    # The known runs are broadcast, eight bytes each; of the pool's runs only the matches are shuffled.
    matches = pool_runs.join(F.broadcast(runs.select("run").distinct()), "run", "left_semi")
    shared = (
        matches.join(runs, "run").groupBy("segment_id", "known_set", "known_id").agg(F.min("phrase").alias("phrase"))
    )
    return shared.withColumn("experiment", F.lit(experiment)).select(*OVERLAPS.columns)


def _under(url: Column, prefixes: Sequence[str]) -> Column:
    return reduce(or_, (url.startswith(prefix) for prefix in prefixes), F.lit(False))
