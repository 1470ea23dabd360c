"""Which of two models answers better: a judge's verdict on every evaluation prompt, asked in both orders.

humpback judge-answers --iteration 2 --recipe FILE --lake URI
"""

from dataclasses import asdict

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.models import Model, the_model
from jobs.current.prompts import read_prompts
from jobs.errors import RecipeError
from jobs.generate_answers import answer_sampling, current_answers
from jobs.inference.ask import ask, requests_for
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.section import digest
from schemas.gold import GENERATIONS, JUDGEMENTS
from schemas.ops import MODELS
from transforms.evaluation.judgements import PARSER, SAMPLING, judgements_from, verdict_prompts
from transforms.prompting.prompts import VERDICT

READS = (GENERATIONS,)
WRITES = JUDGEMENTS
UNIT = "verdicts"


def run(lake: Lake, recipe: Recipe) -> None:
    """Compare the answers of the forward model of `lake.run.iteration` with the reference model's."""
    config = recipe.judge_answers
    model = the_model(lake, recipe, "forward", lake.run.needed_iteration)
    reference = the_model(lake, recipe, "forward", config.reference)
    judge = the_judge(lake, recipe)
    facts = _facts(recipe, model, reference, judge)
    theirs = current_answers(lake, recipe, reference).select("prompt_id", F.col("output").alias("reference"))
    known = verdicts(lake, recipe, model, reference, judge)
    answers = current_answers(lake, recipe, model).join(theirs, "prompt_id")
    unjudged = materialised(answers.join(known, "prompt_id", "left_anti"))
    if unjudged.isEmpty():
        return
    plain, swapped = (
        requests_for(
            recipe, judge, verdict_prompts(unjudged, swapped=turned), stage="judgements", template=VERDICT,
            sampling=SAMPLING,
        )
        for turned in (False, True)
    )  # fmt: skip
    completions = ask(lake, recipe, judge, plain.unionByName(swapped), VERDICT)
    lake.write(JUDGEMENTS, judgements_from(plain, swapped, completions, **facts))


def verdicts(lake: Lake, recipe: Recipe, model: Model, reference: Model, judge: Model) -> DataFrame:
    """What the judge has said already of the two models' answers, by the way it is asked now."""
    known = lake.latest(JUDGEMENTS)
    for name, value in _facts(recipe, model, reference, judge).items():
        known = known.where(F.col(name) == value)
    return known


def _facts(recipe: Recipe, model: Model, reference: Model, judge: Model) -> dict[str, str]:
    return {
        "method_digest": digest([asdict(VERDICT), SAMPLING, PARSER, _way_of_answering(recipe)]),
        "judge_id": judge.model_id,
        "prompt_set": recipe.generate_answers.prompt_set,
        "model_id": model.model_id,
        "reference_id": reference.model_id,
    }


def _way_of_answering(recipe: Recipe) -> list[object]:
    return [
        answer_sampling(recipe),
        recipe.build_training_examples.inference_tag,
        read_prompts(recipe.generate_answers.prompts),
    ]


def the_judge(lake: Lake, recipe: Recipe) -> Model:
    """The model that the recipe names, else the experiment's last forward model."""
    name = recipe.judge_answers.judge
    if name is None:
        return the_model(lake, recipe, "forward", recipe.iterations)
    row = next((row for row in lake.collected(MODELS) if row.model_id == name), None)
    if row is None:
        raise RecipeError(f"judge_answers.judge: {name} is not in ops.models; `humpback sql` lists the model_ids there")
    return Model(row.model_id, row.path, row.digest, row.base_model)
