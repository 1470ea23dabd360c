"""Words and word n-grams of a text as columns: what duplicates and contamination are measured on."""

from pyspark.sql import Column
from pyspark.sql import functions as F

WORD = r"[\p{L}\p{M}\p{N}]+"  # digits stay: pages that differ by numbers only are not the same page


def words_of(text: Column) -> Column:
    """The words in lower case, punctuation and markup gone."""
    return F.regexp_extract_all(F.lower(text), F.lit(WORD), F.lit(0))


def ngrams_of(words: Column, n: int) -> Column:
    """64-bit hashes of the distinct runs of `n` words; a shorter text counts as one run."""

    def runs(words: Column) -> Column:
        starts = F.sequence(F.lit(1), F.greatest(F.size(words) - (n - 1), F.lit(1)))
        return F.array_distinct(F.transform(starts, lambda at: F.xxhash64(F.slice(words, at, F.lit(n)))))

    # Bound as a lambda's variable, the words are found once per text, and not once per run of them.
    return F.transform(F.array(words), runs)[0]


def runs_of(words: Column, n: Column) -> Column:
    """The runs of `n` words, each as its hash (`run`, as in `ngrams_of`) and its words (`phrase`)."""

    def one(at: Column) -> Column:
        run = F.slice(words, at, n)
        return F.struct(F.xxhash64(run).alias("run"), F.concat_ws(" ", run).alias("phrase"))

    return F.transform(F.sequence(F.lit(1), F.size(words) - n + 1), one)


def jaccard(left: Column, right: Column) -> Column:
    """Size of the intersection of two sets of n-grams by the size of their union, 0 to 1."""
    shared = F.size(F.array_intersect(left, right))
    return shared / (F.size(left) + F.size(right) - shared)
