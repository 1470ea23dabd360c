"""Requests on their way to the servers: in waves, each of them one commit of the ledger, two of them open."""

import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from jobs.errors import JobError, StoppedError
from jobs.lake import jvm
from jobs.lake.materialised import materialised
from jobs.lake.runs import Run
from jobs.lake.staging import staged
from jobs.lake.writing import RunLake
from jobs.recipe.config import Inference
from model_ops.client.engine import MISFIT, Engine, through
from schemas.bronze import COMPLETIONS
from transforms.prompting.requests import refused_by_server

log = logging.getLogger(__name__)

OPEN = 2  # while the last answers of one wave come in, the next keeps the servers busy


@dataclass
class Tally:
    """What came of the requests so far."""

    statuses: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    """By a server's fault, or refused by one."""
    tokens: int = 0
    fault: str | None = None
    """One failure's reason."""
    misfit: str | None = None
    """Why no request can be answered before a person has mended something."""

    @property
    def sent(self) -> int:
        """How many have an answer, be it a failure."""
        return self.statuses.total()

    def add(self, answers: list[Row]) -> None:
        """Count answers, which are grouped by status."""
        for group in answers:
            self.statuses[group.status] += group.n
            self.failed += group.failed
            self.tokens += group.tokens
            self.fault = group.fault or self.fault
            self.misfit = group.misfit or self.misfit


@dataclass(frozen=True)
class Wave:
    """Some of the staged requests, chosen by hash."""

    number: int
    n_requests: int
    digest: str


def tasks_of_a_wave(spark: SparkSession, partitions: int, held: int = 0) -> int:
    """How many tasks a wave gets, so that two waves run side by side: a task keeps its core while it waits.

    `held` cores are taken for good.

    Raises:
        JobError: Spark would run slow tasks twice, and each of their requests would be paid twice.
    """
    if spark.conf.get("spark.speculation", "false") == "true":
        raise JobError("spark.speculation is on, and would send requests twice; start with spark.speculation=false")
    if spark.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        return partitions
    return max(1, min(partitions, (jvm.n_cores(spark) - held) // OPEN))


@dataclass(frozen=True)
class Stage:
    """The pending requests of one stage, how many they are, and how many requests the stage has.

    Those answered before are requests of the stage too: the few that are left for a second `attempt` or a
    later run may all be of the kind that fails.
    """

    pending: DataFrame
    n_pending: int
    n_requests: int
    attempt: int = 1
    name: str = ""
    """As its requests say."""


def send(lake: RunLake, stage: Stage, engine: Engine, settings: Inference, tasks: int) -> Tally:
    """Send a stage's pending requests, by `tasks` tasks a wave; what came of them is in the ledger.

    The requests are staged once, in a folder for each wave: a wave costs the same however many there are.

    Raises:
        StoppedError: more requests failed than the settings allow.
        JobError: the settings fit no server.
    """
    lake.create(COMPLETIONS)  # once, before two waves would
    ask = through(engine, lake.run.run_id, stage.attempt, settings.max_failed_in_a_row)
    with staged(lake, _numbered(stage, settings.rows_per_wave), "wave") as parts:
        name, waves = _waves(parts.all())

        def one(wave: Wave) -> tuple[Wave, list[Row]]:
            lake.spark.addTag(_tag(lake.run))
            batch = parts.part(wave.number).repartition(tasks)
            answers = materialised(batch.mapInPandas(ask, COMPLETIONS.schema))
            transaction = f"{lake.run.run_id}/{name}/{stage.attempt}/{wave.digest}"
            lake.write(COMPLETIONS, answers, transaction=transaction, computed=True)
            parts.alive()
            return wave, _by_status(answers)

        return _sent(lake, replace(stage, name=name), waves, one, settings)


def _tag(run: Run) -> str:
    """The tag of the Spark jobs of a run's waves."""
    return f"humpback-{run.run_id}"


def _sent(
    lake: RunLake,
    stage: Stage,
    waves: list[Wave],
    one: Callable[[Wave], tuple[Wave, list[Row]]],
    settings: Inference,
) -> Tally:
    """What came of the waves, each sent by `one`, two of them at a time."""
    allowed = math.ceil(settings.max_failed_share * stage.n_requests)
    done, began, stopped = Tally(), time.monotonic(), ""
    with ThreadPoolExecutor(OPEN) as threads:
        waiting = iter(waves)
        running = {threads.submit(one, wave) for wave in islice(waiting, OPEN)}
        try:
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for wave, answers in (future.result() for future in ended):
                    n_sent = _enter(lake.run, done, answers)
                    _log(f"stage={stage.name} wave={wave.number + 1}/{len(waves)}", done, stage.n_pending, began)
                    unsent = wave.n_requests - n_sent
                    stopped = stopped or _over_budget(stage.name, done, unsent, allowed, settings)
                if not stopped:  # else only the answers that are on their way are waited for
                    running |= {threads.submit(one, wave) for wave in islice(waiting, OPEN - len(running))}
        except KeyboardInterrupt:
            lake.spark.interruptTag(_tag(lake.run))
            raise
    if stopped:
        raise JobError(stopped) if done.misfit else StoppedError(stopped)
    return done


def _enter(run: Run, done: Tally, answers: list[Row]) -> int:
    """Count a wave's answers, which are grouped by status; how many requests were sent."""
    done.add(answers)
    n_sent: int = sum(group.n for group in answers)
    run.n_calls += n_sent
    run.n_failed += sum(group.failed for group in answers)
    run.n_tokens += sum(group.tokens for group in answers)
    return n_sent


def _log(which: str, done: Tally, total: int, began: float) -> None:
    seconds = time.monotonic() - began
    log.info(
        "%s answered=%d/%d failed=%d rows_per_s=%.2f tokens_per_s=%.0f eta_s=%.0f",
        which,
        done.sent,
        total,
        done.failed,
        done.sent / seconds,
        done.tokens / seconds,
        seconds * (total / max(done.sent, 1) - 1),
    )


def _numbered(stage: Stage, rows_per_wave: int) -> DataFrame:
    """The pending requests with their `wave`, by hash: Spark may compute a row's wave twice.

    The first wave is half as large as the others, so that no two waves end together.
    """
    total = stage.n_pending
    n_waves = 1 if total <= rows_per_wave else math.ceil(total / rows_per_wave + 0.5)
    halves = F.pmod(F.xxhash64("request_id"), F.lit(2 * n_waves - 1))
    return stage.pending.withColumn("wave", F.floor((halves + 1) / 2).cast("int"))


def _waves(numbered: DataFrame) -> tuple[str, list[Wave]]:
    """The stage of staged requests, and their waves."""
    found = (
        numbered.groupBy("stage", "wave")
        .agg(F.count(F.lit(1)).alias("n"), F.bit_xor(F.xxhash64("request_id", F.lit(1))).alias("content"))
        .orderBy("wave")
        .collect()
    )
    waves = [Wave(w.wave, w.n, hashlib.sha256(f"{w.content}/{w.n}".encode()).hexdigest()) for w in found]
    return found[0].stage, waves


def _by_status(answers: DataFrame) -> list[Row]:
    failed = (F.col("status") == "failed") | refused_by_server()
    tokens = F.sum(F.col("n_prompt_tokens").cast("bigint") + F.col("n_completion_tokens"))
    groups = answers.groupBy("status").agg(
        F.count(F.lit(1)).alias("n"),
        F.count_if(failed).alias("failed"),
        F.coalesce(tokens, F.lit(0)).alias("tokens"),
        F.first(F.when(failed, F.col("error")), ignorenulls=True).alias("fault"),
        F.first(F.when(F.startswith("error", F.lit(MISFIT)), F.col("error")), ignorenulls=True).alias("misfit"),
    )
    return groups.collect()


def _over_budget(stage: str, done: Tally, unsent: int, allowed: int, settings: Inference) -> str:
    """What to say if more failed than is allowed, or the settings fit no server, else nothing."""
    kept = "the answers so far are kept, run the same command again"
    if done.misfit:
        return f"{stage}: {done.misfit}; {kept} when that is mended"
    if not unsent and done.failed <= allowed:
        return ""
    streak = f"; {settings.max_failed_in_a_row} in a row failed, so {unsent:,} were not sent" if unsent else ""
    return (
        f"{stage}: {done.failed:,} of {done.sent:,} requests failed, allowed are {allowed:,} "
        f"({settings.max_failed_share:.0%} of the stage){streak}; e.g. {done.fault}; {kept} when the servers "
        "are well"
    )
