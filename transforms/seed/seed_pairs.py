"""Select seed pairs by the paper's rule (section 3.1): English, first turn of the tree, human, best-ranked reply."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.silver import SEED_PAIRS
from transforms.dedup.drawing import last_of_first

SEPARATOR = "\u001f"
# Names that data sets use for English instead of its BCP 47 code.
ALSO_ENGLISH = ("eng", "english")
UNDETERMINED = ("", "und")


def seed_pairs_from(
    conversations: DataFrame, known: DataFrame, *, experiment: str, language: str, size: int, dev_share: float
) -> DataFrame:
    """Return one row per assistant message of `bronze.conversations`, with the first reason it is no seed pair.

    A message passes as `language` if it gives no language or a variety of it (en-US, en_GB and EN for en: RFC 4647,
    basic filtering). At most `size` pairs are kept: first those in `known` (the experiment's rows of
    `silver.seed_pairs`), then others by hash, so that a drawn pair stays.
    """
    replies = conversations.where(F.col("role") == "assistant").join(_prompts(conversations), "parent_id", "left")
    pairs = replies.select(
        "message_id",
        F.lit(experiment).alias("experiment"),
        F.sha2(F.concat_ws(SEPARATOR, "instruction", "text"), 256).alias("pair_id"),
        "instruction",
        F.col("text").alias("response"),
        "language",
        "source",
        "licence",
        _first_reason(language).alias("drop_reason"),
    )
    pairs = pairs.withColumn("split", F.when(_share("pair_id") < dev_share, "dev").otherwise("train"))
    return _sampled(_without_repeats(pairs), known, size).select(*SEED_PAIRS.columns, "drop_reason")


def _prompts(conversations: DataFrame) -> DataFrame:
    return conversations.where(F.col("role") == "prompter").select(
        F.col("message_id").alias("parent_id"),
        F.col("text").alias("instruction"),
        F.col("parent_id").isNull().alias("is_first_turn"),
        F.col("language").alias("prompt_language"),
        F.col("synthetic").alias("prompt_synthetic"),
    )


def _first_reason(language: str) -> Column:
    wanted = language.lower().replace("_", "-")

    def other(name: str) -> Column:
        tag = F.replace(F.lower(F.trim(name)), F.lit("_"), F.lit("-"))
        tag = F.regexp_replace(tag, rf"^(?:{'|'.join(ALSO_ENGLISH)})(?=-|$)", "en")
        is_wanted = (tag == wanted) | F.startswith(tag, F.lit(f"{wanted}-")) | tag.isin(*UNDETERMINED)
        return F.coalesce(~is_wanted, F.lit(False))

    return (
        F.when(F.col("instruction").isNull(), "no_prompt")
        .when(~F.col("is_first_turn"), "later_turn")
        .when(F.col("synthetic") | F.col("prompt_synthetic"), "synthetic")
        .when(other("language") | other("prompt_language"), "not_english")
        .when(F.coalesce(F.col("rank"), F.lit(-1)) != 0, "not_best_rank")
    )


def _without_repeats(pairs: DataFrame) -> DataFrame:
    same = Window.partitionBy("pair_id").orderBy(F.col("drop_reason").asc_nulls_first(), "message_id")
    repeats = F.col("drop_reason").isNull() & (F.row_number().over(same) > 1)
    return pairs.withColumn("drop_reason", F.when(repeats, "repeated").otherwise(F.col("drop_reason")))


def _sampled(pairs: DataFrame, known: DataFrame, size: int) -> DataFrame:
    is_known = known.select("pair_id", F.lit(True).alias("is_known"))
    # The order of drawing: pairs drawn before come first.
    place = F.concat(F.when(F.col("is_known"), "0").otherwise("1"), "pair_id")
    marked = pairs.join(is_known, "pair_id", "left").withColumn("place", place)
    last = last_of_first(marked.where(F.col("drop_reason").isNull()), "place", size)
    drawn = marked.crossJoin(F.broadcast(last))
    left_out = F.col("drop_reason").isNull() & F.col("is_known").isNull() & (F.col("place") > F.col("last"))
    return drawn.withColumn("drop_reason", F.when(left_out, "not_sampled").otherwise(F.col("drop_reason")))


def _share(key: str) -> Column:
    """Return a number in [0, 1) from a hash of the key, independent of the order of drawing."""
    digits = F.substring(F.sha2(F.concat(F.lit("split "), F.col(key)), 256), 1, 8)
    return F.conv(digits, 16, 10).cast("double") / 2**32
