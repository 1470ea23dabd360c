"""Find the segments that duplicate another one, `silver.duplicates`.

    humpback find-duplicates --recipe FILE --lake URI

The table holds duplicates only, so a bookmark in `ops.runs` records what has been judged: the
version of `silver.signatures` that the last successful run of this method read.
"""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.methods import methods_of, of_method
from jobs.lake import jvm
from jobs.lake.materialised import few, materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.ops import RUNS
from schemas.silver import DUPLICATES, SEGMENTS, SIGNATURES
from transforms.dedup.duplicates import (
    FIRST_PIVOTS,
    bucket_entries,
    candidate_pairs,
    duplicates_from,
    leaves,
    ranked,
    select_open,
    select_settled,
    shingle_sets,
    similarities,
    unsound,
    waiting_for,
    with_places,
)

READS = (SEGMENTS, SIGNATURES, RUNS)
WRITES = DUPLICATES
UNIT = "segments"
PARAMETERS = Parameters()


class UnsoundError(RuntimeError):
    """Verdicts break an invariant of `transforms.dedup.duplicates`."""


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Compare the new signatures with each other and with the survivors of earlier runs."""
    methods = methods_of(recipe)
    repeated, digest = of_method(lake, DUPLICATES, methods), methods[DUPLICATES.name]
    judged, current = _judged_version(lake, digest), lake.version(SIGNATURES)
    if current is None or judged == current:
        return
    lake.run.bookmarks[digest] = current
    segments = of_method(lake, SEGMENTS, methods)
    signatures = _members(lake, methods[SIGNATURES.name], judged, current)
    lengths = segments.select("segment_id", "n_chars").join(signatures, "segment_id")
    members = materialised(ranked(lengths.join(repeated.select("segment_id"), "segment_id", "left_anti")))
    if members.where("is_new").isEmpty():
        return
    settled = settled_pairs(
        members.where("rank = leader"),
        segments,
        shingle_words=recipe.sign_segments.shingle_words,
        min_jaccard=recipe.find_duplicates.min_jaccard,
    )
    verdicts = materialised(duplicates_from(members, settled, method_digest=digest))
    broken = unsound(verdicts, min_jaccard=recipe.find_duplicates.min_jaccard).first()
    if broken is not None:
        raise UnsoundError(f"silver.duplicates: a fault in the method, nothing was written: {broken.asDict()}")
    lake.write(DUPLICATES, verdicts, computed=True)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")


def _members(lake: RunLake, method: str, judged: int | None, current: int) -> DataFrame:
    """Select the new signatures, and the earlier ones (not `is_new`) that share a band with a new one."""
    is_of_method = F.col("method_digest") == method
    signatures = lake.read(SIGNATURES, current).where(is_of_method)
    if judged is None:
        return signatures.withColumn("is_new", F.lit(True))
    earlier = lake.at(SIGNATURES, judged).where(is_of_method)
    added = jvm.appended(lake.spark, lake.path(SIGNATURES), judged, current)
    new = signatures.join(earlier, "segment_id", "left_anti") if added is None else added.where(is_of_method)
    new = materialised(new.select(*signatures.columns).withColumn("is_new", F.lit(True)))
    bands = few(materialised(new.select(F.explode("bands").alias("bucket")).distinct()))
    sharing = earlier.select("segment_id", F.explode("bands").alias("bucket")).join(bands, "bucket", "left_semi")
    sharing = few(materialised(sharing.select("segment_id").distinct()))
    old = signatures.join(sharing, "segment_id", "left_semi").withColumn("is_new", F.lit(False))
    return few(materialised(new.unionByName(old)))


def settled_pairs(leaders: DataFrame, segments: DataFrame, *, shingle_words: int, min_jaccard: float) -> DataFrame:
    """Find the near duplicates among the leaders, each with its keeper, in rounds until no bucket is crowded."""
    placed = materialised(with_places(bucket_entries(leaders), 0))
    bucketed = materialised(leaders.join(placed.select("rank").distinct(), "rank").select("rank", "segment_id"))
    rows = segments.join(few(bucketed), "segment_id").select("rank", "text")
    sets = materialised(shingle_sets(rows, shingle_words=shingle_words))
    pivots, settled, tried, pairs = 0, [], None, None
    while True:
        untried = candidate_pairs(placed, pivots)
        untried = untried if tried is None else untried.join(tried, ["rank", "keeper"], "left_anti")
        compared = materialised(similarities(untried, sets))
        tried = compared if tried is None else tried.unionByName(compared)
        similar = compared.where(F.col("jaccard") >= min_jaccard)  # only now: Spark would compare twice to filter
        pairs = similar if pairs is None else pairs.unionByName(similar)
        rest = placed.where(~leaves(pivots))
        steps, pairs = _resolve(pairs, materialised(waiting_for(rest)))
        settled += steps
        dropped = reduce(DataFrame.union, steps).select("rank")
        pivots = 2 * pivots or FIRST_PIVOTS
        placed = materialised(with_places(rest.join(dropped, "rank", "left_anti"), pivots))
        if placed.isEmpty() and pairs.isEmpty():
            return reduce(DataFrame.union, settled)
        sets = materialised(sets.join(placed, "rank", "left_semi"))  # few of a crowded bucket are left


def _resolve(pairs: DataFrame, waiting: DataFrame) -> tuple[list[DataFrame], DataFrame]:
    """Drop the duplicates of certain survivors in steps; return each step's dropped rows, and the open pairs."""
    steps: list[DataFrame] = []
    while True:
        steps.append(materialised(select_settled(pairs, waiting)))
        if steps[-1].isEmpty():
            return steps, pairs
        pairs = materialised(select_open(pairs, steps[-1]))


def _judged_version(lake: Lake, digest: str) -> int | None:
    """Return the judged version, by `ops.runs` and by the commits of runs killed before their row was written."""
    ended = lake.read(RUNS).where(F.col("status") == "ok").select(F.col("bookmarks")[digest].alias("version"))
    bookmark = F.get_json_object("userMetadata", f"$.bookmarks.{digest}").cast("bigint")
    newest = ended.union(lake.commits(DUPLICATES).select(bookmark)).agg(F.max("version").alias("version")).first()
    return None if newest is None or newest.version is None else int(newest.version)
