"""Ask a judge which of two models answers each evaluation prompt better, in both orders.

humpback judge-answers --iteration 2 --recipe FILE --lake URI
"""

from pyspark.sql import functions as F

from jobs.current.answers import Comparison, answers, verdicts
from jobs.current.methods import methods_of
from jobs.current.models import model_if_trained, named_model, required_model
from jobs.inference.ask import ask, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.prompts import read_prompts
from jobs.recipe.step import Parameters, Planned, Step
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.gold import GENERATIONS, JUDGEMENTS
from schemas.ops import MODELS, PROMPTS, RELEASES
from transforms.evaluation.judgements import SAMPLING, judgements_from, verdict_prompts
from transforms.prompting.prompts import VERDICT

READS = (GENERATIONS, COMPLETIONS, PROMPTS, MODELS, RELEASES)
WRITES = JUDGEMENTS
UNIT = "verdicts"
PARAMETERS = Parameters(first_iteration=0)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Compare the answers of the forward model of the step's iteration with the reference model's."""
    model = required_model(lake, recipe, "forward", step.required_iteration)
    reference = required_model(lake, recipe, "forward", recipe.judge_answers.reference)
    judge = _judge(lake, recipe) or required_model(lake, recipe, "forward", recipe.iterations)
    methods, prompt_set = methods_of(recipe), recipe.generate_answers.prompt_set
    comparison = Comparison(judge.model_id, prompt_set, model.model_id, reference.model_id)
    reference_answers = answers(lake, methods, comparison.reference_id, prompt_set)
    reference_answers = reference_answers.select("prompt_id", F.col("output").alias("reference"))
    answer_pairs = answers(lake, methods, comparison.model_id, prompt_set).join(reference_answers, "prompt_id")
    unjudged = materialised(answer_pairs.join(verdicts(lake, methods, comparison), "prompt_id", "left_anti"))
    if unjudged.isEmpty():
        return
    servers = step.required_servers
    plain, swapped = (
        requests_for(
            servers,
            judge,
            verdict_prompts(unjudged, swapped=is_swapped),
            stage="judgements",
            template=VERDICT,
            sampling=SAMPLING,
        )
        for is_swapped in (False, True)
    )
    completions = ask(lake, servers, judge, plain.unionByName(swapped), VERDICT)
    facts = {"method_digest": methods[JUDGEMENTS.name], **vars(comparison)}
    lake.write(JUDGEMENTS, judgements_from(plain, swapped, completions, **facts))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the requests for the missing verdicts, each in both orders."""
    n, config = len(read_prompts(recipe.generate_answers.prompts)), recipe.judge_answers
    judge = _judge(lake, recipe) or model_if_trained(lake, recipe, "forward", recipe.iterations)
    model = model_if_trained(lake, recipe, "forward", step.required_iteration)
    reference = model_if_trained(lake, recipe, "forward", config.reference)
    if judge and model and reference:
        prompt_set = recipe.generate_answers.prompt_set
        comparison = Comparison(judge.model_id, prompt_set, model.model_id, reference.model_id)
        n = max(0, n - verdicts(lake, methods_of(recipe), comparison).count())
    return Planned("ask for verdicts, in both orders", 2 * n)


def _judge(lake: Lake, recipe: Recipe) -> Model | None:
    """Return the judge that the recipe names; None if the experiment's last forward model judges."""
    name = recipe.judge_answers.judge
    return named_model(lake, name) if name else None
