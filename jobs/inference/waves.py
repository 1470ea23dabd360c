"""Sending of requests to the servers in waves, two at a time; each wave is one commit of the ledger."""

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
from jobs.lake.staging import PLACE, staged
from jobs.lake.writing import RunLake
from jobs.recipe.config import Inference
from model_ops.client.engine import MISFIT, Engine, answer_frames
from schemas.bronze import COMPLETIONS
from transforms.prompting.requests import refused_by_server

log = logging.getLogger(__name__)

OPEN_WAVES = 2  # while the last answers of one wave come in, the next keeps the servers busy
BY_PREFIX = ("system", "prompt", "prefill", "span", "request_id")
"""The order of a wave's requests: those with a common beginning are neighbours, and servers reuse its cached keys."""


@dataclass
class Tally:
    """Counts of the answers so far."""

    statuses: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    """Requests that failed, or that a server refused."""
    tokens: int = 0
    fault: str | None = None
    """The reason of one failure, as an example."""
    misfit: str | None = None
    """The reason why no request can be answered until a person corrects the settings; None if there is none."""

    @property
    def sent(self) -> int:
        """Return the number of requests with an answer, failures included."""
        return self.statuses.total()

    def add(self, answers: list[Row]) -> None:
        """Add the counts of answers, grouped by status."""
        for group in answers:
            self.statuses[group.status] += group.n
            self.failed += group.failed
            self.tokens += group.tokens
            self.fault = group.fault or self.fault
            self.misfit = group.misfit or self.misfit


@dataclass(frozen=True)
class Wave:
    """A subset of the staged requests, chosen by hash."""

    number: int
    n_requests: int
    digest: str


def tasks_of_a_wave(spark: SparkSession, partitions: int, held: int = 0) -> int:
    """Return the tasks per wave that let `OPEN_WAVES` waves run at once; a task keeps its core while it waits.

    `held` cores are not available.

    Raises:
        JobError: `spark.speculation` is on; Spark would run slow tasks, and pay for their requests, twice.
    """
    if spark.conf.get("spark.speculation", "false") == "true":
        raise JobError("spark.speculation is on, and would send requests twice; start with spark.speculation=false")
    if spark.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        return partitions
    return max(1, min(partitions, (jvm.n_cores(spark) - held) // OPEN_WAVES))


@dataclass(frozen=True)
class Stage:
    """The pending requests of one stage, their number, and the number of all its requests.

    `n_requests` includes answered requests and sets the error budget: the few that are left for a second
    `attempt` or a later run may all be of the kind that fails.
    """

    pending: DataFrame
    n_pending: int
    n_requests: int
    attempt: int = 1
    name: str = ""
    """The stage's name in its requests."""
    order: tuple[str, ...] = BY_PREFIX
    """The columns that a wave is sorted by; requests that are equal but for the last one share a wave."""


def send(lake: RunLake, stage: Stage, engine: Engine, settings: Inference, tasks: int) -> Tally:
    """Send a stage's pending requests, with `tasks` tasks per wave; their answers go to the ledger.

    The requests are staged once, in one folder per wave, so that a wave's cost does not grow with their number. Each
    task gets an equal and contiguous share of a wave in the stage's order.

    Raises:
        StoppedError: more requests failed than the settings allow.
        JobError: the settings fit no server.
    """
    lake.create(COMPLETIONS)  # here, since two waves would create it at once
    ask = answer_frames(engine, lake.run.run_id, stage.attempt, settings.max_failed_in_a_row)
    with staged(lake, _numbered(stage, settings.rows_per_wave), "wave", stage.order) as parts:
        name, waves = _waves(parts.all())

        def send_wave(wave: Wave) -> tuple[Wave, list[Row]]:
            lake.spark.addTag(_tag(lake.run))
            batch = _shares(parts.part(wave.number), wave.n_requests, tasks)
            answers = materialised(batch.mapInPandas(ask, COMPLETIONS.schema))
            transaction = f"{lake.run.run_id}/{name}/{stage.attempt}/{wave.digest}"
            lake.write(COMPLETIONS, answers, transaction=transaction, computed=True)
            parts.alive()
            return wave, _by_status(answers)

        return _send_waves(lake, replace(stage, name=name), waves, send_wave, settings)


def _tag(run: Run) -> str:
    """Return the tag of the Spark jobs of a run's waves."""
    return f"humpback-{run.run_id}"


def _send_waves(
    lake: RunLake,
    stage: Stage,
    waves: list[Wave],
    send_wave: Callable[[Wave], tuple[Wave, list[Row]]],
    settings: Inference,
) -> Tally:
    """Send the waves with `send_wave`, `OPEN_WAVES` at a time, and tally their answers."""
    max_failed = math.ceil(settings.max_failed_share * stage.n_requests)
    tally, started, stop_reason = Tally(), time.monotonic(), ""
    with ThreadPoolExecutor(OPEN_WAVES) as threads:
        waiting = iter(waves)
        running = {threads.submit(send_wave, wave) for wave in islice(waiting, OPEN_WAVES)}
        try:
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for wave, answers in (future.result() for future in ended):
                    n_sent = _count_answers(lake.run, tally, answers)
                    _log(f"stage={stage.name} wave={wave.number + 1}/{len(waves)}", tally, stage.n_pending, started)
                    unsent = wave.n_requests - n_sent
                    stop_reason = stop_reason or _over_budget(stage.name, tally, unsent, max_failed, settings)
                if not stop_reason:  # else only wait for the waves that are running
                    running |= {threads.submit(send_wave, wave) for wave in islice(waiting, OPEN_WAVES - len(running))}
        except KeyboardInterrupt:
            lake.spark.interruptTag(_tag(lake.run))
            raise
    if stop_reason:
        raise JobError(stop_reason) if tally.misfit else StoppedError(stop_reason)
    return tally


def _count_answers(run: Run, tally: Tally, answers: list[Row]) -> int:
    """Count a wave's answers, grouped by status, and return the number of requests sent."""
    tally.add(answers)
    n_sent: int = sum(group.n for group in answers)
    run.n_calls += n_sent
    run.n_failed += sum(group.failed for group in answers)
    run.n_tokens += sum(group.tokens for group in answers)
    return n_sent


def _log(label: str, tally: Tally, total: int, started: float) -> None:
    seconds = time.monotonic() - started
    log.info(
        "%s answered=%d/%d failed=%d rows_per_s=%.2f tokens_per_s=%.0f eta_s=%.0f",
        label,
        tally.sent,
        total,
        tally.failed,
        tally.sent / seconds,
        tally.tokens / seconds,
        seconds * (total / max(tally.sent, 1) - 1),
    )


def _numbered(stage: Stage, rows_per_wave: int) -> DataFrame:
    """Add `wave` to the pending requests, by hash because Spark may compute a row's wave twice.

    Requests that are equal but for the last column of the stage's order, such as the samples of one prompt, share a
    wave. The first wave is half as large as the others, so that no two waves end together.
    """
    total = stage.n_pending
    n_waves = 1 if total <= rows_per_wave else math.ceil(total / rows_per_wave + 0.5)
    key = stage.order[:-1] or stage.order
    half_wave = F.pmod(F.xxhash64(*key), F.lit(2 * n_waves - 1))
    return stage.pending.withColumn("wave", F.floor((half_wave + 1) / 2).cast("int"))


def _shares(wave: DataFrame, n: int, tasks: int) -> DataFrame:
    """Split the `n` requests of a wave by their places into `tasks` partitions of equal size, each in order."""
    share = F.floor(F.col(PLACE).cast("bigint") * tasks / n).cast("int")
    return wave.repartitionById(tasks, share).sortWithinPartitions(PLACE).drop(PLACE)


def _waves(numbered: DataFrame) -> tuple[str, list[Wave]]:
    """Return the stage name of the staged requests, and their waves."""
    rows = (
        numbered.groupBy("stage", "wave")
        .agg(F.count(F.lit(1)).alias("n"), F.bit_xor(F.xxhash64("request_id", F.lit(1))).alias("content"))
        .orderBy("wave")
        .collect()
    )
    waves = [Wave(w.wave, w.n, hashlib.sha256(f"{w.content}/{w.n}".encode()).hexdigest()) for w in rows]
    return rows[0].stage, waves


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


def _over_budget(stage: str, tally: Tally, unsent: int, max_failed: int, settings: Inference) -> str:
    """Return why the stage stops (too many failures, or settings that fit no server); empty if it continues."""
    advice = "the answers so far are kept, run the same command again"
    if tally.misfit:
        return f"{stage}: {tally.misfit}; {advice} after correcting the settings"
    if not unsent and tally.failed <= max_failed:
        return ""
    streak = f"; {settings.max_failed_in_a_row} in a row failed, so {unsent:,} were not sent" if unsent else ""
    return (
        f"{stage}: {tally.failed:,} of {tally.sent:,} requests failed, at most {max_failed:,} may "
        f"({settings.max_failed_share:.0%} of the stage){streak}; e.g. {tally.fault}; {advice} when the servers "
        "work again"
    )
