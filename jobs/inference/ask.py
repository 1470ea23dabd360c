"""The only place where a job asks a model; it sends the requests without an answer, and retries poor answers once."""

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
    """Build the requests to a model from `prompts` (with `subject_id`), including those already answered."""
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
    """Record `template` in `ops.prompts`, send its unanswered requests, and return the settled answers."""
    note_prompts(lake, servers, [(model, template)])
    return complete(lake, servers, model, requests)


def note_prompts(lake: RunLake, servers: Servers, used: Iterable[tuple[Model, Template]]) -> None:
    """Add the templates that `ops.prompts` lacks, in one commit."""
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
    """Send the unanswered requests, and return the settled answer to every request that has one.

    No server is started if there is nothing to send. A request whose answer has a status of
    `inference.ask_again` is sent once more, at the end or by a later run, and is then settled. A later run
    also resends, once, a request that a server refused, since that may have been the server's fault.

    Raises:
        StoppedError: more requests failed than `inference` allows.
    """
    is_poor = F.col("status").isin(*servers.inference.ask_again) | refused_by_server()
    is_settled = ~is_poor | (F.col("n_tries") > 1)
    settled = tried(lake, requests, model).where(is_settled).select("request_id", F.lit(True).alias("is_settled"))
    asked = requests.select("request_id").distinct().join(settled, "request_id", "left")
    n_requests, n_settled = asked.agg(F.count(F.lit(1)), F.count("is_settled")).collect()[0]
    if n_requests > n_settled:
        pending = requests.dropDuplicates(["request_id"]).join(settled, "request_id", "left_anti")
        _send(lake, servers, model, Stage(pending, n_requests - n_settled, n_requests))
    return answers(lake, requests, model)


def _send(lake: RunLake, servers: Servers, model: Model, stage: Stage) -> None:
    """Send the pending requests, then resend those whose answer has a status of `inference.ask_again`."""
    settings = servers.inference
    tasks = tasks_of_a_wave(lake.spark, settings.partitions, held=servers.n_held_cores())
    engine = servers.engine_for(model, -(-settings.in_flight * servers.n_servers() // tasks))
    with watched(servers.endpoints(), lake.run, stage.n_pending):
        tally = send(lake, stage, engine, settings, tasks)
        if any(tally.statuses[status] for status in settings.ask_again):
            resent = materialised(_requests_to_resend(lake, model, stage.pending, settings.ask_again))
            if n_resent := resent.count():
                send(lake, Stage(resent, n_resent, stage.n_requests, attempt=2), engine, settings, tasks)


def _requests_to_resend(lake: RunLake, model: Model, pending: DataFrame, statuses: tuple[str, ...]) -> DataFrame:
    """Select the pending requests with a poor answer from this run, except those settled by an earlier run too."""
    ledger, is_this_run = completions(lake, model), F.col("run_id") == lake.run.run_id
    poor = ledger.where(is_this_run & F.col("status").isin(*statuses))
    is_settled = F.col("status").isin(*SETTLED)
    settled_twice = poor.where(is_settled).join(ledger.where(~is_this_run & is_settled), "request_id", "left_semi")
    return pending.join(poor, "request_id", "left_semi").join(settled_twice, "request_id", "left_anti")
