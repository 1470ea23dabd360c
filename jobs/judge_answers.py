"""Ask a judge which of two models answers each evaluation prompt better, in both orders.

humpback judge-answers --iteration 2 --recipe FILE --lake URI
"""

from pyspark.sql import functions as F

from jobs.current.answers import Comparison, answers, judge_of, named, verdicts
from jobs.current.methods import Methods, methods_of, noted_method
from jobs.current.models import JUDGE, model_if_trained, required_model
from jobs.inference.ask import ask, requests_for
from jobs.inference.outside import asked_by_name
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.evaluation import Evaluation
from jobs.recipe.prompts import read_set
from jobs.recipe.step import Parameters, Planned, Servers, Step
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.gold import GENERATIONS, JUDGEMENTS
from schemas.ops import MODELS, OUTSIDE_MODELS, PROMPTS, RELEASES
from transforms.evaluation.judgements import SAMPLING, judgements_from, verdict_prompts
from transforms.prompting.prompts import VERDICT

READS = (GENERATIONS, COMPLETIONS, PROMPTS, MODELS, OUTSIDE_MODELS, RELEASES)
WRITES = JUDGEMENTS
UNIT = "verdicts"
PARAMETERS = Parameters(first_iteration=0)


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Have the judge of each evaluation compare the forward model of the step's iteration with the reference model.

    Raises:
        RecipeError: no evaluation names the iteration.
    """
    evaluations = named(recipe.judged(step.required_iteration), step, "judged_iterations")
    model = required_model(lake, recipe, "forward", step.required_iteration)
    for evaluation in evaluations:
        reference = required_model(lake, recipe, "forward", evaluation.reference)
        servers = step.required_servers
        if evaluation.judge:
            judge, servers = asked_by_name(lake, recipe, servers, evaluation.judge, JUDGE)
        else:
            judge = required_model(lake, recipe, "forward", recipe.iterations)
        comparison = Comparison(judge.model_id, evaluation.set, model.model_id, reference.model_id)
        _judge(lake, methods_of(recipe), servers, judge, evaluation, comparison)


def _judge(
    lake: RunLake, methods: Methods, servers: Servers, judge: Model, evaluation: Evaluation, comparison: Comparison
) -> None:
    """Ask a judge for the missing verdicts of one comparison, in both orders."""
    reference_answers = answers(lake, methods, comparison.reference_id, evaluation)
    reference_answers = reference_answers.select("prompt_id", F.col("output").alias("reference"))
    answer_pairs = answers(lake, methods, comparison.model_id, evaluation).join(reference_answers, "prompt_id")
    known = verdicts(lake, methods, evaluation, comparison)
    unjudged = materialised(answer_pairs.join(known, "prompt_id", "left_anti"))
    if unjudged.isEmpty():
        return
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
    facts = {"method_digest": noted_method(lake, JUDGEMENTS, methods, evaluation.label), **vars(comparison)}
    lake.write(JUDGEMENTS, judgements_from(plain, swapped, completions, **facts))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the requests for the missing verdicts, each in both orders."""
    model, n = model_if_trained(lake, recipe, "forward", step.required_iteration), 0
    for evaluation in named(recipe.judged(step.required_iteration), step, "judged_iterations"):
        n_verdicts = len(read_set(recipe, evaluation.set))
        judge = judge_of(lake, recipe, evaluation)
        reference = model_if_trained(lake, recipe, "forward", evaluation.reference)
        if judge and model and reference:
            comparison = Comparison(judge.model_id, evaluation.set, model.model_id, reference.model_id)
            n_verdicts -= verdicts(lake, methods_of(recipe), evaluation, comparison).count()
        n += max(0, n_verdicts)
    return Planned("ask for verdicts, in both orders", 2 * n)
