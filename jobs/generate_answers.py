"""Ask a forward model the evaluation prompts, with both tags, as the paper does at inference.

humpback generate-answers --iteration 2 --recipe FILE --lake URI
"""

from pyspark.sql import DataFrame

from jobs.current.answers import answers, evaluation_prompts
from jobs.current.ledger import n_unanswered
from jobs.current.methods import methods_of
from jobs.current.models import model_if_trained, required_model
from jobs.inference.ask import ask, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import answer_sampling
from jobs.recipe.prompts import read_prompts
from jobs.recipe.step import Parameters, Planned, Servers, Step
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.gold import GENERATIONS
from schemas.ops import MODELS, PROMPTS, RELEASES
from transforms.evaluation.generations import forward_prompts, generations_from
from transforms.prompting.prompts import FORWARD

READS = (COMPLETIONS, PROMPTS, MODELS, RELEASES)
WRITES = GENERATIONS
UNIT = "prompts"
PARAMETERS = Parameters(first_iteration=0, has_limit=True)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Answer every prompt of the set that has no answer yet with the forward model of the step's iteration."""
    prompt_set, methods = recipe.generate_answers.prompt_set, methods_of(recipe)
    model = required_model(lake, recipe, "forward", step.required_iteration)
    prompts = evaluation_prompts(lake, recipe)
    if step.limit:
        prompts = prompts.orderBy("prompt_id").limit(step.limit)
    answered = answers(lake, methods, model.model_id, prompt_set).select("prompt_id")
    prompts = materialised(prompts.join(answered, "prompt_id", "left_anti"))
    if prompts.isEmpty():
        return
    requests = materialised(answer_requests(recipe, step.required_servers, model, prompts))
    completions = ask(lake, step.required_servers, model, requests, FORWARD)
    digest = methods[GENERATIONS.name]
    lake.write(
        GENERATIONS, generations_from(prompts, requests, completions, prompt_set=prompt_set, method_digest=digest)
    )


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the answers that the model has not given yet."""
    model = model_if_trained(lake, recipe, "forward", step.required_iteration)
    n = len(read_prompts(recipe.generate_answers.prompts))
    if model:
        requests = answer_requests(recipe, step.required_servers, model, evaluation_prompts(lake, recipe))
        n = n_unanswered(lake, requests, model)
    return Planned("ask for answers", n)


def answer_requests(recipe: Recipe, servers: Servers, model: Model, prompts: DataFrame) -> DataFrame:
    """Build the requests that put `prompts` to `model`, by the current recipe."""
    rendered = forward_prompts(prompts, system=recipe.build_training_examples.inference_tag)
    return requests_for(servers, model, rendered, stage="answers", template=FORWARD, sampling=answer_sampling(recipe))
