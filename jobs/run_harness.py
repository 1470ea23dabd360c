"""Measure a forward model with lm-evaluation-harness: MMLU, OpenBookQA and IFEval, from local files.

humpback run-harness --iteration 2 --recipe FILE --lake URI

The harness asks the model's server about MMLU and OpenBookQA itself. The answers to IFEval's prompts come from the
ledger, and the harness's checkers read them. The figures go to `gold.evaluations`.
"""

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.evaluations import About, evaluations, figure_rows
from jobs.current.models import model_if_trained, required_model
from jobs.current.notes import evaluation_method
from jobs.errors import JobError
from jobs.inference.ask import ask, requests_for
from jobs.inference.harness import required_version, run_process, samples_of
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.benchmarks import Rows, read_benchmarks
from jobs.recipe.config import Recipe
from jobs.recipe.digests import harness_digest, ifeval_sampling
from jobs.recipe.step import Parameters, Planned, Step
from model_ops.client.apis import Completions
from model_ops.client.endpoint import Endpoint
from model_ops.client.handshake import require_echo
from model_ops.client.served_engine import ServedEngine
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.gold import EVALUATIONS
from schemas.ops import MODELS, PROMPTS, RELEASES
from transforms.evaluation.figures import Figure
from transforms.evaluation.generations import forward_prompts
from transforms.evaluation.harness import IFEVAL, BenchmarkError, accuracies, asking, followed
from transforms.prompting.prompts import FORWARD

READS = (COMPLETIONS, PROMPTS, MODELS, RELEASES, EVALUATIONS)
WRITES = EVALUATIONS
UNIT = "figures"
PARAMETERS = Parameters(first_iteration=0)
SHOWN = ("evaluation", "metric", "model_id", "value", "low", "high", "n", "n_left_out")
PREFIX = "harness/"
"""Beginning of the harness's evaluations, before the benchmark's name."""

log = logging.getLogger(__name__)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Measure the model of the step on the benchmarks for which it has no figures by the current method."""
    model, benchmarks = required_model(lake, recipe, "forward", step.required_iteration), read_benchmarks(recipe)
    methods = _methods(recipe, benchmarks)
    lake.methods_read.update({evaluation_method(PREFIX + name): digest for name, digest in methods.items()})
    missing = _without_figures(lake, recipe, model, benchmarks)
    if asked := {name: items for name, items in missing.items() if name != IFEVAL}:
        rows: list[dict[str, Any]] = []
        for name, figures in _multiple_choice(lake, recipe, step, model, asked):
            about = About(PREFIX + name, methods[name], model.model_id)
            rows += figure_rows(lake, about, figures, len(asked[name]))
        lake.insert(EVALUATIONS, rows)
    if IFEVAL in missing:
        about = About(PREFIX + IFEVAL, methods[IFEVAL], model.model_id)
        found = [*_ifeval(lake, recipe, step, model, missing[IFEVAL])]
        if found:
            lake.insert(EVALUATIONS, [row for figure, n in found for row in figure_rows(lake, about, [figure], n)])


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the questions of the benchmarks that have no figures of the step's model."""
    benchmarks, model = read_benchmarks(recipe), model_if_trained(lake, recipe, "forward", step.required_iteration)
    if model:
        benchmarks = _without_figures(lake, recipe, model, benchmarks)
    return Planned("put a benchmark's questions", sum(map(len, benchmarks.values())))


def result(lake: Lake, recipe: Recipe, step: Step) -> DataFrame:
    """Return the model's figures as the table that the command prints."""
    model = required_model(lake, recipe, "forward", step.required_iteration)
    found = evaluations(lake, recipe.name, _methods(recipe, read_benchmarks(recipe)))
    return found.where(F.col("model_id") == model.model_id).select(*SHOWN).orderBy("evaluation", "metric")


def _methods(recipe: Recipe, benchmarks: Mapping[str, Rows]) -> dict[str, str]:
    """Return each benchmark's current method digest."""
    version = required_version()
    return {name: harness_digest(recipe, name, rows, version) for name, rows in benchmarks.items()}


def _without_figures(lake: Lake, recipe: Recipe, model: Model, benchmarks: dict[str, Rows]) -> dict[str, Rows]:
    """Return the benchmarks for which the model has no figures, or figures that leave out an answer."""
    methods = _methods(recipe, benchmarks)
    found = evaluations(lake, recipe.name, methods).where(F.col("model_id") == model.model_id)
    measured = {row.method_digest for row in found.where("n_left_out = 0").collect()}
    return {name: rows for name, rows in benchmarks.items() if methods[name] not in measured}


def _multiple_choice(
    lake: RunLake, recipe: Recipe, step: Step, model: Model, benchmarks: Mapping[str, Rows]
) -> Iterator[tuple[str, list[Figure]]]:
    """Run the harness on the model's server, and yield each benchmark's figures.

    Raises:
        JobError: the engine is no server, or the harness failed.
        HandshakeError: the server returns no log-probabilities of prompts.
    """
    engine = step.required_servers.engine_for(model, recipe.inference.in_flight)
    if not isinstance(engine, ServedEngine) or not isinstance(engine.api, Completions):
        raise JobError(
            'lm-evaluation-harness asks a server, and inference.engine = "fake" has none; remove it from the recipe'
        )
    require_echo(Endpoint(engine.endpoints[0], engine.key), engine.api.model, engine.api.chat)
    how = asking(recipe.run_harness.chat_template, recipe.build_training_examples.inference_tag)
    output = lake.folder("logs") / f"harness-{model.model_id}.log"
    log.info("harness starting model=%s endpoint=%s output=%s", model.model_id, engine.endpoints[0], output)
    samples = samples_of(engine, model.path, benchmarks, how, output)
    for name, rows in benchmarks.items():
        try:
            figures = [*accuracies(name, samples[name], [row["id"] for row in rows])]
        except BenchmarkError as error:
            raise JobError(f"{error}; the harness's output is in {output}") from error
        yield name, figures


def _ifeval(lake: RunLake, recipe: Recipe, step: Step, model: Model, prompts: Rows) -> Iterator[tuple[Figure, int]]:
    """Yield IFEval's figures, each with the number of prompts or instructions asked about.

    The model's answers are those of the ledger; prompts without one are sent first.
    """
    given = _answers(lake, recipe, step, model, prompts)
    if left_out := len(prompts) - len(given):
        log.warning(
            "%s: %d of %d prompts of IFEval left out for lack of an answer", model.model_id, left_out, len(prompts)
        )
    found = _verdicts(
        lake, recipe, model, [row | {"answer": given[row["id"]]} for row in prompts if row["id"] in given]
    )
    n_instructions = sum(len(row["instruction_id_list"]) for row in prompts)
    for figure in followed(found):
        yield figure, len(prompts) if figure.metric.startswith("prompt") else n_instructions


def _answers(lake: RunLake, recipe: Recipe, step: Step, model: Model, prompts: Rows) -> dict[str, str]:
    """Return the model's answer to each prompt that it has answered, after sending those without one."""
    servers, rows = step.required_servers, [(row["id"], row["prompt"]) for row in prompts]
    frame = lake.spark.createDataFrame(rows, "prompt_id string, prompt string")
    rendered = forward_prompts(frame, system=recipe.build_training_examples.inference_tag)
    sampling = ifeval_sampling(recipe)
    requests = materialised(
        requests_for(servers, model, rendered, stage=PREFIX + IFEVAL, template=FORWARD, sampling=sampling)
    )
    completions = ask(lake, servers, model, requests, FORWARD).where("status <> 'refused'").select("request_id", "text")
    answered = requests.select("request_id", "subject_id").join(completions, "request_id")
    return {row.subject_id: row.text or "" for row in answered.collect()}


def _verdicts(lake: RunLake, recipe: Recipe, model: Model, answered: Rows) -> dict[str, dict[str, list[bool]]]:
    """Check the answers in a process, which seeds the checkers' random choices and downloads nothing."""
    with tempfile.TemporaryDirectory(prefix="humpback-ifeval-") as name:
        answers, verdicts = Path(name) / "answers.jsonl", Path(name) / "verdicts.json"
        answers.write_text("".join(json.dumps(row) + "\n" for row in answered), encoding="utf-8")
        words = ["-m", "jobs.inference.ifeval", str(answers), str(verdicts)]
        output = lake.folder("logs") / f"ifeval-{model.model_id}.log"
        run_process(words, Path(name), output, nltk_data=recipe.run_harness.nltk_data)
        found: dict[str, dict[str, list[bool]]] = json.loads(verdicts.read_text())
        return found
