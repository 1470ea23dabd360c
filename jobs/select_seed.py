"""Choose the seed pairs from the conversations, by the paper's rule (section 3.1).

humpback select-seed --recipe FILE --lake URI [--limit N: at most N pairs]
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.bronze import CONVERSATIONS
from schemas.ops import RUNS
from schemas.silver import SEED_PAIRS
from transforms.seed.seed_pairs import seed_pairs_from

READS = (CONVERSATIONS,)
WRITES = SEED_PAIRS
UNIT = "replies"


def run(lake: Lake, recipe: Recipe) -> None:
    """Add pairs up to the recipe's size; one drawn once keeps its place and its split."""
    rule, mine = recipe.select_seed, F.col("experiment") == recipe.name
    size = lake.run.at_most(rule.size)
    conversations, known = lake.read(CONVERSATIONS), lake.latest(SEED_PAIRS).where(mine)
    if known.count() >= size or _was_judged(lake):
        return
    pairs = seed_pairs_from(
        conversations, known, experiment=recipe.name, language=rule.language, size=size, dev_share=rule.dev_share
    )
    lake.write(SEED_PAIRS, pairs)


def seed_of(lake: Lake, recipe: Recipe) -> DataFrame:
    """The seed pairs of the recipe's experiment."""
    return lake.read(SEED_PAIRS).where(F.col("experiment") == recipe.name)


def _was_judged(lake: Lake) -> bool:
    """Whether a run with this recipe has read these very conversations, and drew all that passed."""
    version = lake.run.inputs.get(CONVERSATIONS.name)
    return not (
        lake.latest(RUNS)
        .where((F.col("job") == lake.run.job) & (F.col("recipe_digest") == lake.run.recipe_digest))
        .where((F.col("status") == "ok") & (F.col("n_in") > 0))
        .where(F.col("inputs").getItem(CONVERSATIONS.name).eqNullSafe(F.lit(version)))
        .where(F.col("dropped").getItem("not_sampled").isNull())
        .isEmpty()
    )
