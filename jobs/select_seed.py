"""Choose the seed pairs from the conversations, by the paper's rule (section 3.1).

humpback select-seed --recipe FILE --lake URI
"""

from jobs.config import Recipe
from jobs.lake import Lake
from schemas.bronze import CONVERSATIONS
from schemas.silver import SEED_PAIRS
from transforms.seed import seed_pairs_from

READS = (CONVERSATIONS,)
WRITES = SEED_PAIRS
UNIT = "replies"


def run(lake: Lake, recipe: Recipe) -> None:
    """Add the pairs that are not there yet; one drawn once keeps its place and its split."""
    rule = recipe.select_seed
    pairs = seed_pairs_from(
        lake.read(CONVERSATIONS),
        lake.latest(SEED_PAIRS),
        language=rule.language,
        size=rule.size,
        dev_share=rule.dev_share,
    )
    lake.write(SEED_PAIRS, pairs)
