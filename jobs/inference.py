"""The one place where a job meets a model: every request is sent once, ever."""

import hashlib
import logging
import time
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.errors import StoppedError
from jobs.lake import Lake
from jobs.models import Model
from jobs.progress import watched
from jobs.serving import chat_format, endpoints, engine_for
from model_ops.engine import through
from schemas.bronze import COMPLETIONS
from schemas.ops import PROMPTS
from transforms.prompts import Template
from transforms.requests import requests_from

log = logging.getLogger(__name__)

# An answer that says something of the model, for good. A `failed` one says something of the
# network or the server, and is asked for again by the next run.
SETTLED = ("ok", "cut", "empty", "refused")


def requests_for(
    recipe: Recipe, model: Model, prompts: DataFrame, *, stage: str, template: Template, sampling: dict[str, Any],
    samples: int = 1,
) -> DataFrame:  # fmt: skip
    """The requests that `prompts` (with `subject_id`) make of a model, whether they have been answered or not."""
    return requests_from(
        prompts, stage=stage, model_id=model.model_id, model_digest=model.digest,
        prompt_id=template.prompt_id(_chat_digest(recipe, model)), sampling=sampling, samples=samples,
    )  # fmt: skip


def ask(lake: Lake, recipe: Recipe, model: Model, requests: DataFrame, template: Template) -> DataFrame:
    """The settled answers to requests that were made with `template`, which is noted in `ops.prompts`."""
    digest = _chat_digest(recipe, model)
    row = {"prompt_id": template.prompt_id(digest), "name": template.name, "text": template.text,
           "chat_template_digest": digest}  # fmt: skip
    lake.insert(PROMPTS, [row])
    return complete(lake, requests, recipe, model)


def _chat_digest(recipe: Recipe, model: Model) -> str:
    return "fake" if recipe.inference.engine == "fake" else chat_format(model.path).digest


def complete(lake: Lake, requests: DataFrame, recipe: Recipe, model: Model) -> DataFrame:
    """The settled answer to every request that has one; only unanswered requests are sent.

    Requests go out in waves, each of them one commit of the ledger, so that a crash costs at most
    one. No server is started where there is nothing to ask.

    Raises:
        StoppedError: more requests failed than `inference.max_failed_share` allows.
    """
    answered = answers(lake, requests)
    pending = requests.dropDuplicates(["request_id"]).join(answered, "request_id", "left_anti")
    staged = lake.staged(pending)
    total = staged.count()
    if total:
        _send(lake, staged, total, recipe, model)
    return answers(lake, requests)


def answers(lake: Lake, requests: DataFrame) -> DataFrame:
    """The ledger's answer to each request: the first `ok` one, else the first settled one, for ever."""
    ledger = lake.latest(COMPLETIONS).where(F.col("status").isin(*SETTLED))
    mine = ledger.join(requests.select("request_id").distinct(), "request_id", "left_semi")
    order = Window.partitionBy("request_id").orderBy((F.col("status") != "ok"), "created_at", "run_id", "attempt")
    return mine.withColumn("place", F.row_number().over(order)).where("place = 1").drop("place")


def _send(lake: Lake, pending: DataFrame, total: int, recipe: Recipe, model: Model) -> None:
    settings = recipe.inference
    load = engine_for(recipe, model, lake.folder("logs"))
    n_waves = -(-total // settings.rows_per_wave)
    # By hash of the key, never by row order: Spark may evaluate a wave twice.
    wave_of = F.pmod(F.xxhash64("request_id"), F.lit(n_waves))
    asked, failed, began = 0, 0, time.monotonic()
    stage = str(pending.select("stage").first()["stage"])  # type: ignore[index]
    with watched(endpoints(recipe), f"{lake.run.job} {stage}", total):
        for wave in range(n_waves):
            batch = pending.where(wave_of == wave).repartition(settings.partitions, "request_id")
            rows = batch.mapInPandas(through(load, lake.run.run_id, 1), COMPLETIONS.schema)
            # The calls before it tell a wave from those of an earlier question of the same run and stage.
            transaction = hashlib.sha256(f"{lake.run.run_id}/{stage}/{lake.run.n_calls}".encode()).hexdigest()
            landed = lake.staged(rows)
            lake.write(COMPLETIONS, landed, transaction=transaction)
            wave_facts = landed.agg(
                F.count(F.lit(1)), F.count_if(F.col("status") == "failed"),
                F.coalesce(F.sum(F.col("n_prompt_tokens") + F.col("n_completion_tokens")), F.lit(0)),
            ).first()  # fmt: skip
            n_asked, n_failed, n_tokens = tuple(wave_facts)  # type: ignore[arg-type]
            asked, failed = asked + n_asked, failed + n_failed
            lake.run.n_calls += n_asked
            lake.run.n_tokens += n_tokens
            rate = asked / (time.monotonic() - began)
            log.info("wave=%d/%d answered=%d/%d failed=%d rows_per_s=%.2f eta_s=%.0f", wave + 1, n_waves, asked, total,
                     failed, rate, (total - asked) / rate if rate else 0)  # fmt: skip
            if failed > settings.max_failed_share * max(asked, 20):
                example = (
                    lake.latest(COMPLETIONS)
                    .where((F.col("run_id") == lake.run.run_id) & (F.col("status") == "failed"))
                    .first()
                )
                raise StoppedError(
                    f"{stage}: {failed:,} of {asked:,} requests failed ({failed / asked:.0%}, allowed "
                    f"{settings.max_failed_share:.0%}); e.g. {example.error if example else 'none'}; "
                    "the answers so far are kept, run the same command again when the servers are well"
                )
