"""`silver.segments` to `silver.unlabelled`: unique, free of seed and evaluation text, drawn by hash."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.silver import UNLABELLED
from transforms.shingles import ngrams_of, word_count_of


def unlabelled_from(
    pool: DataFrame,
    known: DataFrame,
    *,
    experiment: str,
    room: int,
    sample_seed: str,
    exclude_url_prefixes: Sequence[str],
    ngram_words: int,
    short_ngram_words: int,
) -> DataFrame:
    """The first `room` fitting segments of `pool` by `sample_hash`, the others with `drop_reason`.

    `known` has the texts to keep out (`text`) and the reason to give (`reason`, `seed_overlap` or
    `evaluation_overlap`). Reasons in this order: `seed_page` (address under an excluded prefix),
    `seed_overlap`, `evaluation_overlap`, `not_sampled`.
    """
    overlaps = overlaps_with(pool, known, ngram_words, short_ngram_words)
    reason = F.when(_under(F.col("url"), exclude_url_prefixes), "seed_page").otherwise(F.col("overlap"))
    marked = (
        pool.join(overlaps, "segment_id", "left")
        .withColumn("experiment", F.lit(experiment))
        .withColumn("sample_hash", F.sha2(F.concat_ws(":", F.lit(sample_seed), "segment_id"), 256))
        .withColumn("drop_reason", reason)
    )
    # The hash of the last one drawn divides the pool: no text has to be sorted.
    fitting = marked.where(F.col("drop_reason").isNull()).select("sample_hash")
    last = fitting.orderBy("sample_hash").limit(room).agg(F.coalesce(F.max("sample_hash"), F.lit("")).alias("last"))
    beyond = F.when(F.col("sample_hash") > F.col("last"), "not_sampled")
    drawn = marked.crossJoin(F.broadcast(last)).withColumn("drop_reason", F.coalesce("drop_reason", beyond))
    return drawn.select(*UNLABELLED.columns, "drop_reason")


def overlaps_with(pool: DataFrame, known: DataFrame, ngram_words: int, short_ngram_words: int) -> DataFrame:
    """The segments that share a run of words with a known text, and the `overlap` that is theirs.

    A known text shorter than `ngram_words` is matched by runs of `short_ngram_words`; one shorter
    than that is not looked for, since such phrases occur by chance.
    """
    text, length = F.col("text"), F.col("length")
    texts = known.select("reason", "text", word_count_of(text).alias("length"))
    runs = (
        texts.where(length >= ngram_words)
        .select("reason", F.explode(ngrams_of(text, ngram_words)).alias("run"))
        .union(
            texts.where((length >= short_ngram_words) & (length < ngram_words)).select(
                "reason", F.explode(ngrams_of(text, short_ngram_words)).alias("run")
            )
        )
        .distinct()
    )
    both = F.concat(ngrams_of(text, ngram_words), ngrams_of(text, short_ngram_words))
    own = pool.select("segment_id", F.explode(both).alias("run"))
    # `seed_overlap` sorts after `evaluation_overlap`, and is the one to name where both hold.
    return own.join(runs, "run").groupBy("segment_id").agg(F.max("reason").alias("overlap"))


def _under(url: Column, prefixes: Sequence[str]) -> Column:
    return reduce(or_, (url.startswith(prefix) for prefix in prefixes), F.lit(False))
