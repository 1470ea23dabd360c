"""Choose the seed pairs from the conversations, by the paper's rule (section 3.1).

humpback select-seed --recipe FILE --lake URI [--limit N: at most N pairs]
"""

from pyspark.sql import functions as F

from jobs.current.seed import seed_pairs
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.bronze import CONVERSATIONS
from schemas.ops import RUNS
from schemas.silver import SEED_PAIRS
from transforms.seed.seed_pairs import seed_pairs_from

READS = (CONVERSATIONS, RUNS)
WRITES = SEED_PAIRS
UNIT = "replies"
PARAMETERS = Parameters(has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Add pairs up to the recipe's size; pairs drawn before keep their place and split."""
    rule = recipe.select_seed
    size = min(rule.size, step.limit or rule.size)
    conversations, known = lake.read(CONVERSATIONS), seed_pairs(lake, recipe.name)
    if known.count() >= size or _is_exhausted(lake):
        return
    pairs = seed_pairs_from(
        conversations, known, experiment=recipe.name, language=rule.language, size=size, dev_share=rule.dev_share
    )
    lake.write(SEED_PAIRS, pairs)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")


def _is_exhausted(lake: RunLake) -> bool:
    """Return whether a run with this recipe has read this version of the conversations and drawn all that passed."""
    version = lake.versions_read.get(CONVERSATIONS.name)
    return not (
        lake.read(RUNS)
        .where((F.col("job") == lake.run.job) & (F.col("recipe_digest") == lake.run.recipe_digest))
        .where((F.col("status") == "ok") & (F.col("n_in") > 0))
        .where(F.col("inputs").getItem(CONVERSATIONS.name).eqNullSafe(F.lit(version)))
        .where(F.col("dropped").getItem("not_sampled").isNull())
        .isEmpty()
    )
