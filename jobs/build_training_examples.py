"""Publish the training set of one model: the seed, and from iteration 1 on the curated pairs too.

humpback build-training-examples --direction forward --iteration 1 --recipe FILE --lake URI
"""

from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.current.models import dataset_name
from jobs.current.seed import seed_pairs
from jobs.errors import JobError
from jobs.lake import conform
from jobs.lake.publish import newest_release, publish
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.gold import CURATED, TRAINING_EXAMPLES
from schemas.ops import RELEASES
from schemas.silver import SEED_PAIRS
from transforms.prompting.training_examples import examples_from

READS = (SEED_PAIRS, CURATED, RELEASES)
WRITES = TRAINING_EXAMPLES
UNIT = "examples"
PARAMETERS = Parameters(first_iteration=0, has_direction=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Publish the examples of the step's direction and iteration."""
    direction, iteration = step.required_direction, step.required_iteration
    dataset, tags = dataset_name(recipe.name, direction, iteration), recipe.build_training_examples
    seed = seed_pairs(lake, recipe.name).withColumnRenamed("pair_id", "source_id")
    columns = {"dataset": dataset, "direction": direction}
    examples = examples_from(seed, origin="seed", tag=tags.seed_tag, **columns)
    if iteration:
        slice = {"experiment": recipe.name, "iteration": iteration}
        release = newest_release(lake, CURATED, slice)
        if release is None:
            raise JobError(
                f"gold.curated: no release of iteration {iteration}; run `humpback curate --iteration "
                f"{iteration}` first"
            )
        curated = lake.read(CURATED, release.version).where(conform.predicate(slice))
        pairs = curated.drop("origin").withColumnRenamed("pair_id", "source_id").withColumn("split", F.lit("train"))
        examples = examples.unionByName(examples_from(pairs, origin="augmented", tag=tags.augmented_tag, **columns))
    # Equal pairs make equal examples; the one with the first source is kept.
    rank = F.row_number().over(Window.partitionBy("example_id").orderBy("source_id"))
    examples = examples.withColumn("place", rank).where("place = 1").drop("place")
    publish(lake, TRAINING_EXAMPLES, examples, slice={"dataset": dataset}, iteration=iteration, min_rows=1)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")
