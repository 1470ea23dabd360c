"""The one place where a job meets a model: every request is sent once, ever."""

from collections.abc import Iterable
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.current.models import Model
from jobs.inference.progress import watched
from jobs.inference.serving import chat_format, endpoints, engine_for, n_servers
from jobs.inference.waves import send, tasks_of_a_wave
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.bronze import COMPLETIONS
from schemas.ops import MODELS, PROMPTS
from transforms.prompting.prompts import Template
from transforms.prompting.requests import refused_by_server, requests_from

# An answer that says something of the model, for good. A `failed` one says something of the
# network or the server, and is asked for again by every run.
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
    note_prompts(lake, recipe, [(model, template)])
    return complete(lake, requests, recipe, model)


def note_prompts(lake: Lake, recipe: Recipe, used: Iterable[tuple[Model, Template]]) -> None:
    """Note in `ops.prompts`, in one commit, what is not there yet."""
    known, new = {row.prompt_id for row in lake.collected(PROMPTS)}, {}
    for model, template in used:
        digest = _chat_digest(recipe, model)
        prompt_id = template.prompt_id(digest)
        if prompt_id not in known:
            new[prompt_id] = {"prompt_id": prompt_id, "name": template.name, "text": template.text,
                              "prefill": template.prefill, "chat_template_digest": digest}  # fmt: skip
    if new:
        lake.insert(PROMPTS, [*new.values()])


def _chat_digest(recipe: Recipe, model: Model) -> str:
    return "fake" if recipe.inference.engine == "fake" else chat_format(model.path).digest


def complete(lake: Lake, requests: DataFrame, recipe: Recipe, model: Model) -> DataFrame:
    """The settled answer to every request that has one; only unanswered requests are sent.

    No server is started where there is nothing to ask. Answers with a status of
    `inference.ask_again` are asked for once more, at the end or by a later run, and then stand;
    so does, by a later run, what a server refused: that may have been the server's fault.

    Raises:
        StoppedError: more requests failed than `inference` allows.
    """
    poor = F.col("status").isin(*recipe.inference.ask_again) | refused_by_server()
    stands = ~poor | (F.col("n_tries") > 1)
    settled = _tried(lake, requests, model).where(stands)
    pending = materialised(requests.dropDuplicates(["request_id"]).join(settled, "request_id", "left_anti"))
    total = pending.count()
    if total:
        _send(lake, pending, total, requests.select("request_id").distinct().count(), recipe, model)
    return answers(lake, requests, model)


def _send(lake: Lake, pending: DataFrame, total: int, of: int, recipe: Recipe, model: Model) -> None:
    """Send the `total` requests that are pending, of the stage's `of`."""
    settings = recipe.inference
    tasks = tasks_of_a_wave(lake.spark, settings.partitions, held=recipe.serving.executors)
    engine = engine_for(lake, recipe, model, -(-settings.in_flight * n_servers(recipe) // tasks))
    with watched(endpoints(recipe), lake.run, total):
        done = send(lake, pending, total, engine, settings, tasks, attempt=1, of=of)
        if any(done.statuses[status] for status in settings.ask_again):
            ledger, is_mine = _ledger(lake, model), F.col("run_id") == lake.run.run_id
            poor = ledger.where(is_mine & F.col("status").isin(*settings.ask_again))
            is_settled = F.col("status").isin(*SETTLED)
            twice = poor.where(is_settled).join(ledger.where(~is_mine & is_settled), "request_id", "left_semi")
            once_more = pending.join(poor, "request_id", "left_semi").join(twice, "request_id", "left_anti")
            once_more = materialised(once_more)
            if again := once_more.count():
                send(lake, once_more, again, engine, settings, tasks, attempt=2, of=of)


def answers(lake: Lake, requests: DataFrame, model: Model) -> DataFrame:
    """The ledger's answer to each of a model's requests: the first `ok` one, else the first settled one, for ever."""
    return _tried(lake, requests, model).drop("n_tries")


def _tried(lake: Lake, requests: DataFrame, model: Model) -> DataFrame:
    """The same, with `n_tries`: how many settled answers there are."""
    settled = _ledger(lake, model).where(F.col("status").isin(*SETTLED))
    mine = settled.join(requests.select("request_id").distinct(), "request_id", "left_semi")
    tries = Window.partitionBy("request_id")
    order = tries.orderBy((F.col("status") != "ok"), "created_at", "run_id", "attempt")
    placed = mine.withColumns({"place": F.row_number().over(order), "n_tries": F.count(F.lit(1)).over(tries)})
    return placed.where("place = 1").drop("place")


def _ledger(lake: Lake, model: Model) -> DataFrame:
    """What a model has answered, under whichever name."""
    same = {row.model_id for row in lake.collected(MODELS) if row.digest == model.digest} | {model.model_id}
    return lake.read(COMPLETIONS).where(F.col("model_id").isin(*same))
