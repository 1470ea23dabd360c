"""The one place where a job asks a model: every request is sent once, ever."""

from collections.abc import Iterable
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.ledger import SETTLED, answers, completions, tried
from jobs.inference.progress import watched
from jobs.inference.waves import Stage, send, tasks_of_a_wave
from jobs.lake.materialised import materialised
from jobs.lake.writing import RunLake
from jobs.recipe.step import Servers
from model_ops.serving.model import Model
from schemas.ops import PROMPTS
from transforms.prompting.prompts import Template
from transforms.prompting.requests import refused_by_server, requests_from


def requests_for(
    servers: Servers,
    model: Model,
    prompts: DataFrame,
    *,
    stage: str,
    template: Template,
    sampling: dict[str, Any],
    samples: int = 1,
) -> DataFrame:
    """The requests that `prompts` (with `subject_id`) make of a model, whether they have been answered or not."""
    return requests_from(
        prompts,
        stage=stage,
        model_id=model.model_id,
        model_digest=model.digest,
        prompt_id=template.prompt_id(servers.chat_template_digest(model)),
        sampling=sampling,
        samples=samples,
    )


def ask(lake: RunLake, servers: Servers, model: Model, requests: DataFrame, template: Template) -> DataFrame:
    """The settled answers to requests that were made with `template`, which is noted in `ops.prompts`."""
    note_prompts(lake, servers, [(model, template)])
    return complete(lake, servers, model, requests)


def note_prompts(lake: RunLake, servers: Servers, used: Iterable[tuple[Model, Template]]) -> None:
    """Note in `ops.prompts`, in one commit, what is not there yet."""
    known, new = {row.prompt_id for row in lake.collected(PROMPTS)}, {}
    for model, template in used:
        digest = servers.chat_template_digest(model)
        prompt_id = template.prompt_id(digest)
        if prompt_id not in known:
            new[prompt_id] = {
                "prompt_id": prompt_id,
                "name": template.name,
                "text": template.text,
                "prefill": template.prefill,
                "chat_template_digest": digest,
            }
    if new:
        lake.insert(PROMPTS, [*new.values()])


def complete(lake: RunLake, servers: Servers, model: Model, requests: DataFrame) -> DataFrame:
    """The settled answer to every request that has one; only unanswered requests are sent.

    No server is started where there is nothing to ask. Answers with a status of
    `inference.ask_again` are asked for once more, at the end or by a later run, and then stand;
    so does, by a later run, what a server refused: that may have been the server's fault.

    Raises:
        StoppedError: more requests failed than `inference` allows.
    """
    poor = F.col("status").isin(*servers.inference.ask_again) | refused_by_server()
    stands = ~poor | (F.col("n_tries") > 1)
    settled = tried(lake, requests, model).where(stands).select("request_id", F.lit(True).alias("is_settled"))
    asked = requests.select("request_id").distinct().join(settled, "request_id", "left")
    n_requests, n_settled = asked.agg(F.count(F.lit(1)), F.count("is_settled")).collect()[0]
    if n_requests > n_settled:
        pending = requests.dropDuplicates(["request_id"]).join(settled, "request_id", "left_anti")
        _send(lake, servers, model, Stage(pending, n_requests - n_settled, n_requests))
    return answers(lake, requests, model)


def _send(lake: RunLake, servers: Servers, model: Model, stage: Stage) -> None:
    """Send the requests that are pending, and once more those whose answers are to be asked for again."""
    settings = servers.inference
    tasks = tasks_of_a_wave(lake.spark, settings.partitions, held=servers.n_held_cores())
    engine = servers.engine_for(model, -(-settings.in_flight * servers.n_servers() // tasks))
    with watched(servers.endpoints(), lake.run, stage.n_pending):
        done = send(lake, stage, engine, settings, tasks)
        if any(done.statuses[status] for status in settings.ask_again):
            again = materialised(_to_ask_again(lake, model, stage.pending, settings.ask_again))
            if n_again := again.count():
                send(lake, Stage(again, n_again, stage.n_requests, attempt=2), engine, settings, tasks)


def _to_ask_again(lake: RunLake, model: Model, pending: DataFrame, statuses: tuple[str, ...]) -> DataFrame:
    """The pending requests to which this run got a poor answer, but for those that an earlier run had asked already."""
    ledger, is_mine = completions(lake, model), F.col("run_id") == lake.run.run_id
    poor = ledger.where(is_mine & F.col("status").isin(*statuses))
    is_settled = F.col("status").isin(*SETTLED)
    twice = poor.where(is_settled).join(ledger.where(~is_mine & is_settled), "request_id", "left_semi")
    return pending.join(poor, "request_id", "left_semi").join(twice, "request_id", "left_anti")
