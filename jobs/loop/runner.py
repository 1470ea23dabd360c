"""The order of the jobs, and the loop over iterations: the paper's figure 1."""

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from pyspark.sql import SparkSession

from jobs import (
    build_training_examples,
    curate,
    extract_segments,
    find_duplicates,
    finetune,
    generate_answers,
    generate_candidates,
    ingest_conversations,
    ingest_documents,
    judge_answers,
    judge_check,
    register_model,
    score_candidates,
    select_seed,
    select_unlabelled,
    sign_segments,
)
from jobs.errors import JobError
from jobs.lake.failures import sentence
from jobs.lake.runs import LOOP, Run
from jobs.lake.tables import Lake
from jobs.loop import state as loop_state
from jobs.recipe.config import Direction, Recipe
from schemas import TABLES
from schemas.ops import QUARANTINE, RUNS

log = logging.getLogger(__name__)

JOBS: tuple[ModuleType, ...] = (
    ingest_documents, extract_segments, sign_segments, find_duplicates, select_unlabelled, ingest_conversations,
    select_seed, build_training_examples, finetune, register_model, generate_candidates, score_candidates, judge_check,
    curate, generate_answers, judge_answers,
)  # fmt: skip
LIMITED = (  # the jobs that can stop after some of their new inputs; the others judge or train on all or nothing
    ingest_documents, extract_segments, sign_segments, select_unlabelled, select_seed, generate_candidates,
    score_candidates, generate_answers,
)  # fmt: skip
ITERATED = {  # the jobs that are told an iteration -> the first one they have
    build_training_examples: 0, finetune: 0, score_candidates: 1, judge_check: 0, curate: 1, generate_answers: 0,
    judge_answers: 0,
}  # fmt: skip
DIRECTED = (build_training_examples, finetune)


@dataclass(frozen=True)
class Step:
    """One job, with the iteration and direction it runs for; `argument` is a command's own."""

    job: ModuleType
    iteration: int | None = None
    direction: Direction | None = None
    limit: int | None = None
    argument: str | None = None


def job_name(job: ModuleType) -> str:
    """`jobs.score_candidates` -> `score-candidates`."""
    return job.__name__.removeprefix("jobs.").replace("_", "-")


def steps(recipe: Recipe) -> Iterator[Step]:
    """M_yx and M0 from the seed; then M_(t-1) scores, A_k(t) is curated, M_t is trained from the base model.

    A model answers the evaluation prompts while it is being served anyway.
    """
    answering = recipe.answering_iterations
    for job in (ingest_documents, extract_segments, sign_segments, find_duplicates, ingest_conversations,
                select_seed, select_unlabelled):  # fmt: skip
        yield Step(job)
    directions: tuple[Direction, ...] = ("backward", "forward")
    for direction in directions:
        yield Step(build_training_examples, 0, direction)
        yield Step(finetune, 0, direction)
    yield Step(generate_candidates)
    for t in range(1, recipe.iterations + 1):
        yield Step(score_candidates, t)
        if t - 1 in recipe.judge_check.iterations:
            yield Step(judge_check, t - 1)
        if t - 1 in answering:
            yield Step(generate_answers, t - 1)
        yield Step(curate, t)
        yield Step(build_training_examples, t, "forward")
        yield Step(finetune, t, "forward")
    if recipe.iterations in recipe.judge_check.iterations:
        yield Step(judge_check, recipe.iterations)
    if recipe.iterations in answering:
        yield Step(generate_answers, recipe.iterations)
    for t in recipe.judge_answers.iterations:
        yield Step(judge_answers, t)


def run_loop(
    spark: SparkSession, root: str, recipe: Recipe, limit: int | None = None, unchanged: str | None = None
) -> list[Run]:
    """Run every step in order; what has been done before costs a look. The runs, in order, and the loop's own last.

    Where nothing has changed since such a loop ended well, no step is run: `unchanged` is the state
    that it left, if that is known already. Each step that did something is recorded at once; those
    that found nothing new share a commit.
    """
    all_steps = list(steps(recipe))
    loop = Run(LOOP, recipe.name, recipe.digest(), RUNS, unit="steps", limit=limit)
    if unchanged:
        return [_unchanged(spark, root, loop, unchanged)]
    lake = Lake(spark, root, loop)
    inputs, before = loop_state.inputs_digest(lake, recipe), loop_state.versions(lake)
    runs: list[Run] = []
    unrecorded: list[dict[str, Any]] = []
    state = loop_state.state_digest(inputs, before)
    if loop_state.is_done(lake, state):
        return [_unchanged(spark, root, loop, state)]
    try:
        for number, step in enumerate(all_steps, 1):
            log.info("step %d/%d", number, len(all_steps))
            runs.append(_run(spark, root, recipe, replace(step, limit=limit), loop.loop_id, unrecorded))
            if runs[-1].is_news:
                _record(spark, root, unrecorded)
        for table in TABLES:
            lake.create(table)  # those that nothing came into: readers find no rows, not no table
        loop.n_in = loop.n_out = len(runs)
        loop.state_digest = loop_state.left_behind(lake, inputs, before, runs)
        unrecorded.append(loop.row("ok"))
    finally:
        _record(spark, root, unrecorded)
    return [*runs, loop]


def _unchanged(spark: SparkSession, root: str, loop: Run, state: str) -> Run:
    log.info("nothing to do: recipe, code, input files and tables are as a loop left them that ended well")
    loop.state_digest = state
    _record(spark, root, [loop.row("ok")])
    return loop


def run_step(spark: SparkSession, root: str, recipe: Recipe, step: Step) -> Run:
    """Run one job and write its row in `ops.runs`, whatever its ending."""
    unrecorded: list[dict[str, Any]] = []
    try:
        return _run(spark, root, recipe, step, uuid.uuid4().hex, unrecorded)
    finally:
        _record(spark, root, unrecorded)


def _run(
    spark: SparkSession, root: str, recipe: Recipe, step: Step, loop_id: str, unrecorded: list[dict[str, Any]]
) -> Run:
    """Run one job, and add its row for `ops.runs` to those that are to be written."""
    run = Run(
        job=job_name(step.job), experiment=recipe.name, recipe_digest=recipe.digest(), writes=step.job.WRITES,
        unit=step.job.UNIT, iteration=step.iteration, direction=step.direction, limit=step.limit,
        argument=step.argument, loop_id=loop_id,
    )  # fmt: skip
    log.info(
        "start job=%s iteration=%s direction=%s recipe=%s", run.job, run.iteration, run.direction, run.recipe_digest
    )
    status = "failed"
    try:
        lake = Lake(spark, root, run)
        step.job.run(lake, recipe)
        for table in (run.writes, QUARANTINE):
            lake.create(table)
        status = "ok"
    except JobError as error:
        status = {3: "stopped", 4: "waiting"}.get(error.exit_code, "failed")
        raise
    finally:
        row = run.row(status)
        unrecorded.append(row)
        log.info(
            "end job=%s status=%s unit=%s in=%d out=%d dropped=%s quarantined=%s version=%s calls=%d seconds=%.1f",
            run.job, status, run.unit, run.n_in, run.n_out, dict(run.dropped), dict(run.quarantined), run.version,
            run.n_calls, row["seconds"],
        )  # fmt: skip
    return run


def _record(spark: SparkSession, root: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    failed = rows[-1]["status"] != "ok"
    try:
        Lake(spark, root, Run("record", "", "", RUNS)).insert(RUNS, rows)
    except Exception as error:
        if not failed:
            raise
        log.error("the run's row could not be written to ops.runs: %s", sentence(error))  # the first error matters
    rows.clear()
