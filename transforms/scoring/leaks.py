"""The leak of a pair: the words of its instruction that the response has in the same order."""

import re

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.scoring.ranks import quantile

METHOD_VERSION = "leaks/1"
RUN = 4
"""Least number of words in a row that count as shared. A list of stop words does not help; see docs/scores.md."""
FEW_WORDS = 12
SEED_SHARE = 0.99
WORD = re.compile(r"\w+")


def leak(instruction: str, response: str) -> float:
    """Return the share of the instruction's words in runs of `RUN` words that are in the response too, 0 to 1.

    Case and punctuation do not count. For an instruction of fewer than `FEW_WORDS` words, the share is of `FEW_WORDS`:
    a question of five words may repeat the title of its answer and give nothing away.
    """
    asked, told = (WORD.findall(text.lower()) for text in (instruction, response))
    runs = {tuple(told[at : at + RUN]) for at in range(len(told) - RUN + 1)}
    starts = (at for at in range(len(asked) - RUN + 1) if tuple(asked[at : at + RUN]) in runs)
    shared = {at + ahead for at in starts for ahead in range(RUN)}
    return len(shared) / max(len(asked), FEW_WORDS)


def leak_of(instruction: Column, response: Column) -> Column:
    """Return the `leak` of each pair."""
    return F.udf(leak, "double", useArrow=True)(instruction, response)


def seed_leak(seed: DataFrame) -> DataFrame:
    """Return one row with `quantile`: the leak that 99 % of the seed pairs do not exceed; null without pairs."""
    return quantile(seed.select(leak_of(F.col("instruction"), F.col("response")).alias("leak")), "leak", SEED_SHARE)
