"""Ask a forward model the evaluation prompts, with both tags, as the paper does at inference.

humpback generate-answers --iteration 2 --recipe FILE --lake URI
"""

from pyspark.sql import DataFrame

from jobs.current.answers import answers, evaluation_prompts, named, stored_prompts
from jobs.current.ledger import n_unanswered
from jobs.current.methods import methods_of, noted_method
from jobs.current.models import model_if_trained, required_model
from jobs.inference.ask import ask, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import answer_sampling
from jobs.recipe.evaluation import Evaluation
from jobs.recipe.prompts import read_set
from jobs.recipe.step import Parameters, Planned, Servers, Step
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS, EVALUATION_PROMPTS
from schemas.gold import GENERATIONS
from schemas.ops import MODELS, PROMPTS, RELEASES
from transforms.evaluation.generations import forward_prompts, generations_from
from transforms.prompting.prompts import FORWARD

READS = (EVALUATION_PROMPTS, COMPLETIONS, PROMPTS, MODELS, RELEASES)
WRITES = GENERATIONS
UNIT = "prompts"
PARAMETERS = Parameters(first_iteration=0, has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Answer every prompt without an answer, with the forward model of the step's iteration.

    Raises:
        RecipeError: no evaluation names the iteration.
    """
    evaluations = named(recipe.answered(step.required_iteration), step, "iterations")
    model = required_model(lake, recipe, "forward", step.required_iteration)
    for evaluation in evaluations:
        _answer(lake, recipe, step, model, evaluation)


def _answer(lake: RunLake, recipe: Recipe, step: Step, model: Model, evaluation: Evaluation) -> None:
    prompts, methods = (
        evaluation_prompts(lake, recipe, evaluation.set).select("prompt_id", "prompt"),
        methods_of(recipe),
    )
    if step.limit:
        prompts = prompts.orderBy("prompt_id").limit(step.limit)
    answered = answers(lake, methods, model.model_id, evaluation).select("prompt_id")
    prompts = materialised(prompts.join(answered, "prompt_id", "left_anti"))
    if prompts.isEmpty():
        return
    requests = materialised(answer_requests(recipe, evaluation, step.required_servers, model, prompts))
    completions = ask(lake, step.required_servers, model, requests, FORWARD)
    digest = noted_method(lake, GENERATIONS, methods, evaluation.label)
    lake.write(
        GENERATIONS, generations_from(prompts, requests, completions, prompt_set=evaluation.set, method_digest=digest)
    )


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the answers that the model has not given yet."""
    model, n = model_if_trained(lake, recipe, "forward", step.required_iteration), 0
    for evaluation in named(recipe.answered(step.required_iteration), step, "iterations"):
        prompts = stored_prompts(lake, recipe, evaluation.set) if model else None
        if model and prompts is not None:
            requests = answer_requests(recipe, evaluation, step.required_servers, model, prompts)
            n += n_unanswered(lake, requests, model)
        else:
            n += len(read_set(recipe, evaluation.set))
    return Planned("ask for answers", n)


def answer_requests(
    recipe: Recipe, evaluation: Evaluation, servers: Servers, model: Model, prompts: DataFrame
) -> DataFrame:
    """Build the requests that put `prompts` to `model`, by the current recipe."""
    rendered = forward_prompts(prompts, system=recipe.build_training_examples.inference_tag)
    sampling = answer_sampling(evaluation)
    return requests_for(servers, model, rendered, stage="answers", template=FORWARD, sampling=sampling)
