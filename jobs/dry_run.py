"""What `humpback run` would do: new inputs, requests to send, tokens, trainings; nothing is written."""

from pyspark.sql import functions as F

from jobs import finetune
from jobs.config import Direction, Recipe
from jobs.errors import JobError
from jobs.inference import SETTLED
from jobs.ingest_documents import new_files
from jobs.lake import Lake
from jobs.models import trained_model
from jobs.pipeline import Step, job_name, require_inputs, steps
from jobs.prompt_sets import read_prompts
from schemas.bronze import COMPLETIONS
from schemas.silver import UNLABELLED

PLAN = "step string, iteration int, would_do string, n bigint, tokens bigint"
CHARS_PER_TOKEN = 4  # English under a 50,000-word vocabulary; good enough to plan with

Models = dict[tuple[Direction, int], str | None]
Row = tuple[str, int | None, str, int | None, int | None]


def plan(lake: Lake, recipe: Recipe) -> list[Row]:
    """One row per step of the loop: how many files, trainings or requests it stands before, at most.

    `tokens` (read, not generated) is null where the pool that they come from is not drawn yet.

    Raises:
        JobError, ModelFolderError: an input that the loop needs is not there.
    """
    require_inputs(lake, recipe)
    n_segments, tokens = _pool(lake, recipe)
    models = {
        (step.direction, step.iteration): _model_id(lake, recipe, step.direction, step.iteration)
        for step in steps(recipe)
        if step.job is finetune and step.direction is not None and step.iteration is not None
    }
    return [_row(lake, recipe, models, step, n_segments, tokens) for step in steps(recipe)]


def _row(lake: Lake, recipe: Recipe, models: Models, step: Step, n_segments: int, tokens: int | None) -> Row:
    """`n_segments` go to the models, of `tokens` each on average; `models` are those trained already."""

    def requests(direction: Direction, iteration: int, stage: str, what: str, n: int) -> Row:
        model_id = models[direction, iteration]
        todo = max(0, n - _answered(lake, model_id, stage)) if model_id else n
        return name, step.iteration, what, todo, None if tokens is None else todo * tokens

    name = job_name(step.job)
    match name:
        case "ingest-documents":
            return name, None, "read new crawl files", len(new_files(lake, recipe)), None
        case "finetune":
            assert step.direction is not None
            assert step.iteration is not None
            model_id = models[step.direction, step.iteration]
            what = f"nothing: {model_id} is there" if model_id else f"train the {step.direction} model"
            return name, step.iteration, what, int(not model_id), None
        case "generate-candidates":
            return requests("backward", 0, "candidates", "ask for instructions", n_segments)
        case "score-candidates":
            assert step.iteration is not None
            n = _n_ratings(recipe, step.iteration, n_segments)
            return requests("forward", step.iteration - 1, "scores", "ask for ratings", n)
        case "generate-answers":
            assert step.iteration is not None
            n = len(read_prompts(recipe.generate_answers.prompts))
            return *requests("forward", step.iteration, "answers", "ask for answers", n)[:4], None
        case _:
            return name, step.iteration, "look for new rows", None, None


def _pool(lake: Lake, recipe: Recipe) -> tuple[int, int | None]:
    """How many segments go to the models, and the mean tokens of one; before it is drawn, the most there can be."""
    settings = recipe.generate_candidates
    pool = lake.latest(UNLABELLED).where(F.col("experiment") == recipe.name)
    if settings.max_chars:
        pool = pool.where(F.col("n_chars") <= settings.max_chars)
    n, mean = pool.agg(F.count(F.lit(1)), F.mean("n_chars")).collect()[0]
    most = settings.n_segments or recipe.select_unlabelled.size
    return (min(n, most), int(mean) // CHARS_PER_TOKEN) if n else (most, None)


def _n_ratings(recipe: Recipe, iteration: int, n_segments: int) -> int:
    """Requests for the ratings of one iteration; a likelihood gain takes two."""
    s = recipe.score_candidates
    n_held_out = 2 * s.dev_pairs if iteration in (s.dev_iterations or (iteration,)) else 0
    return sum(
        (2 if scorer == "likelihood_gain" else 1)
        * (min(n_segments, s.limits.get(scorer, n_segments)) + (n_held_out if scorer in s.dev_scorers else 0))
        for scorer in s.scorers
    )


def _model_id(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> str | None:
    try:
        model = trained_model(lake, recipe, direction, iteration)
    except JobError:  # its training set is not published yet
        return None
    return model.model_id if model else None


def _answered(lake: Lake, model_id: str, stage: str) -> int:
    """Requests of a stage that a model has answered for good."""
    mine = (F.col("model_id") == model_id) & F.col("stage").startswith(stage) & F.col("status").isin(*SETTLED)
    return lake.latest(COMPLETIONS).where(mine).select("request_id").distinct().count()
