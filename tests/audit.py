"""An audit of a whole lake: keys unique, references resolvable, accounts closed, releases readable.

python -m tests.audit LAKE
"""

import sys
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

from jobs.conform import predicate
from jobs.lake import Lake
from jobs.publish import digest_of
from jobs.runs import Run
from jobs.session import spark_session
from schemas import BY_NAME, TABLES
from schemas.ops import MODELS, RELEASES, RUNS

REFERENCES = (  # column -> the columns it must be found in one of
    ("silver.segments.document_id", "bronze.documents.document_id"),
    ("silver.signatures.segment_id", "silver.segments.segment_id"),
    ("silver.duplicates.segment_id", "silver.segments.segment_id"),
    ("silver.duplicates.keeper_id", "silver.segments.segment_id"),
    ("silver.unlabelled.segment_id", "silver.segments.segment_id"),
    ("silver.overlaps.segment_id", "silver.segments.segment_id"),
    ("silver.candidates.segment_id", "silver.unlabelled.segment_id"),
    ("silver.candidates.request_id", "bronze.completions.request_id"),
    ("silver.candidates.model_id", "ops.models.model_id"),
    ("silver.scores.candidate_id", "silver.candidates.candidate_id"),
    ("silver.scores.model_id", "ops.models.model_id"),
    ("silver.scores.request_ids", "bronze.completions.request_id"),
    ("silver.known_scores.model_id", "ops.models.model_id"),
    ("silver.known_scores.request_ids", "bronze.completions.request_id"),
    ("bronze.completions.prompt_id", "ops.prompts.prompt_id"),
    ("bronze.completions.run_id", "ops.runs.run_id"),
    ("bronze.completions.model_id", "ops.models.model_id"),
    ("ops.quarantine.run_id", "ops.runs.run_id"),
    ("gold.curated.segment_id", "silver.segments.segment_id"),
    ("gold.judgements.model_id", "ops.models.model_id"),
    ("gold.judgements.judge_id", "ops.models.model_id"),
    ("gold.judgements.request_ids", "bronze.completions.request_id"),
    ("gold.training_examples.source_id", "silver.seed_pairs.pair_id", "silver.candidates.candidate_id"),
    ("ops.models.dataset", "gold.training_examples.dataset"),
    ("gold.curated.candidate_id", "silver.candidates.candidate_id"),
    ("gold.curated.model_id", "ops.models.model_id"),
    ("gold.generations.request_id", "bronze.completions.request_id"),
    ("gold.generations.model_id", "ops.models.model_id"),
    ("ops.models.run_id", "ops.runs.run_id"),
)


def _ids(lake: Lake, place: str) -> DataFrame:
    """The values of a column, the elements of an array each, as `id`."""
    table, column = place.rsplit(".", 1)
    rows = lake.latest(BY_NAME[table])
    ids = F.explode(column) if isinstance(rows.schema[column].dataType, ArrayType) else F.col(column)
    return rows.select(ids.alias("id")).where("id IS NOT NULL").distinct()


def faults(spark: SparkSession, root: str) -> list[str]:
    """Everything that is wrong with the lake, in words."""
    lake = Lake(spark, root, Run("audit", "audit", "", RUNS))
    found = []
    for table in TABLES:
        rows = lake.latest(table)
        repeated = rows.groupBy(*table.key).count().where("count > 1").count()
        if repeated:
            found.append(f"{table.name}: {repeated} keys occur more than once")
        for name, rule in table.rules.items():
            broken = rows.where(~F.coalesce(F.expr(rule), F.lit(False))).count()
            if broken:
                found.append(f"{table.name}: {broken} rows break {name}")
    for here, *there in REFERENCES:
        lost = reduce(
            lambda ids, other: ids.join(_ids(lake, other), "id", "left_anti"), there, _ids(lake, here)
        ).count()
        if lost:
            found.append(f"{here}: {lost} values are not in {' or '.join(there)}")
    account = F.col("n_out")
    for name in ("dropped", "quarantined"):
        account = account + F.aggregate(F.map_values(name), F.lit(0).cast("bigint"), lambda a, b: a + b)
    for run in lake.latest(RUNS).where((F.col("n_in") != account) & (F.col("status") == "ok")).collect():
        found.append(f"ops.runs: the account of {run.job} is open: {run.n_in} in, {run.n_out} out")
    for release in lake.latest(RELEASES).collect():
        slice = lake.at(BY_NAME[release.table], release.version).where(release.slice)
        if digest_of(slice) != (release.n_rows, release.content_digest):
            found.append(
                f"ops.releases: {release.table}@{release.version} where {release.slice} is not what was released"
            )
    for model in lake.latest(MODELS).collect():
        dataset = predicate({"dataset": model.dataset})
        n, digest = digest_of(lake.at(BY_NAME["gold.training_examples"], model.table_version).where(dataset))
        if digest != model.content_digest:
            found.append(f"ops.models: {model.model_id} was trained on other rows than {n} of its pinned version")
    return found


if __name__ == "__main__":
    wrong = faults(spark_session(), sys.argv[1])
    sys.stdout.write("\n".join(wrong or ["the lake is in order"]) + "\n")
    sys.exit(bool(wrong))
