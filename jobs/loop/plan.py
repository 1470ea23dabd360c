"""What `humpback run` would do: new inputs, requests to send, tokens, trainings; nothing is written."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import finetune, generate_answers, generate_candidates, judge_answers, judge_check
from jobs.current.models import Model, trained_model
from jobs.current.prompts import read_prompts
from jobs.errors import JobError
from jobs.inference.ask import answers
from jobs.inference.rating import score_requests
from jobs.ingest_documents import new_files
from jobs.lake.tables import Lake
from jobs.loop.runner import Step, job_name, steps
from jobs.loop.state import inputs_digest
from jobs.recipe.config import Direction, Recipe
from jobs.recipe.scoring import ScorerName
from jobs.select_seed import seed_of
from schemas.silver import CANDIDATES, UNLABELLED
from transforms.scoring.scorers import SCORERS
from transforms.scoring.scores import score_prompts

PLAN = "step string, iteration int, would_do string, n bigint, tokens bigint"
CHARS_PER_TOKEN = 4  # English under a 50,000-word vocabulary; good enough to plan with

Models = dict[tuple[Direction, int], Model | None]
Row = tuple[str, int | None, str, int | None, int | None]


def plan(lake: Lake, recipe: Recipe) -> list[Row]:
    """One row per step of the loop: how many files, trainings or requests it stands before, at most.

    `tokens` (read, not generated) is null where the pool that they come from is not drawn yet.

    Raises:
        JobError, ModelFolderError: an input that the loop needs is not there.
    """
    inputs_digest(lake, recipe)  # raises where one is missing
    n_segments, tokens = _pool(lake, recipe)
    models = {
        (step.direction, step.iteration): _model(lake, recipe, step.direction, step.iteration)
        for step in steps(recipe)
        if step.job is finetune and step.direction is not None and step.iteration is not None
    }
    return [_row(lake, recipe, models, step, n_segments, tokens) for step in steps(recipe)]


def _row(lake: Lake, recipe: Recipe, models: Models, step: Step, n_segments: int, tokens: int | None) -> Row:
    """`n_segments` go to the models, of `tokens` each on average; `models` are those trained already."""
    name, iteration = job_name(step.job), step.iteration or 0

    def requests(what: str, n: int) -> Row:
        return name, step.iteration, what, n, None if tokens is None else n * tokens

    match name:
        case "ingest-documents":
            return name, None, "read new crawl files", len(new_files(lake, recipe)), None
        case "finetune":
            assert step.direction is not None
            model = models[step.direction, iteration]
            what = f"nothing: {model.model_id} is there" if model else f"train the {step.direction} model"
            return name, step.iteration, what, int(not model), None
        case "generate-candidates":
            return requests("ask for instructions", _n_candidates(lake, recipe, models["backward", 0], n_segments))
        case "score-candidates":
            return requests("ask for ratings", _n_ratings(lake, recipe, models, iteration - 1, n_segments))
        case "judge-check":
            return requests("ask for ratings of known pairs", _n_checks(lake, recipe, models, iteration))
        case "generate-answers":
            model, n = models["forward", iteration], len(read_prompts(recipe.generate_answers.prompts))
            if model:
                prompts = generate_answers.wanted_prompts(lake, recipe)
                n = _n_open(lake, generate_answers.answer_requests(recipe, model, prompts), model)
            return name, step.iteration, "ask for answers", n, None
        case "judge-answers":
            n = len(read_prompts(recipe.generate_answers.prompts)) - _n_judged(lake, recipe, models, iteration)
            return name, step.iteration, "ask for verdicts, in both orders", 2 * max(0, n), None
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


def _model(lake: Lake, recipe: Recipe, direction: Direction, iteration: int) -> Model | None:
    try:
        return trained_model(lake, recipe, direction, iteration)
    except JobError:  # its training set is not published yet
        return None


def _n_candidates(lake: Lake, recipe: Recipe, model: Model | None, n_segments: int) -> int:
    """How many of the segments that go to the models have no answer of M_yx yet."""
    if model is None or lake.latest(UNLABELLED).where(F.col("experiment") == recipe.name).isEmpty():
        return n_segments
    segments = generate_candidates.wanted_segments(lake, recipe)
    return _n_open(lake, generate_candidates.candidate_requests(recipe, model, segments), model)


def _n_judged(lake: Lake, recipe: Recipe, models: Models, iteration: int) -> int:
    """How many prompts have a verdict on a model's answer, by the judge and the way of asking of the recipe."""
    config = recipe.judge_answers
    model, reference = (models.get(("forward", t)) for t in (iteration, config.reference))
    judge = judge_answers.the_judge(lake, recipe) if config.judge else models["forward", recipe.iterations]
    return judge_answers.verdicts(lake, recipe, model, reference, judge).count() if model and reference and judge else 0


def _n_ratings(lake: Lake, recipe: Recipe, models: Models, iteration: int, n_segments: int) -> int:
    """Requests for ratings of the candidates there are, and of those that unasked segments will become."""
    backward, n = models["backward", 0], 0
    to_come = _n_candidates(lake, recipe, backward, n_segments)
    there = lake.latest(CANDIDATES).where(F.lit(False))
    if backward:
        there = generate_candidates.current_candidates(lake, recipe, backward)
    for name in recipe.score_candidates.scorers:
        most = recipe.score_candidates.limits.get(name, n_segments)
        some = there.orderBy("candidate_id").limit(most)
        new = min(to_come, most - some.count())
        n += _n_requests(lake, recipe, models, iteration, some, name) + new * _n_per_pair(recipe, name)
    return n


def _n_checks(lake: Lake, recipe: Recipe, models: Models, iteration: int) -> int:
    """Requests for ratings of known pairs; before the seed is there, the most there can be."""
    config, names = recipe.judge_check, judge_check.scorers(recipe)
    if not config.file and seed_of(lake, recipe).isEmpty():
        return config.pairs * (1 + len(config.kinds)) * sum(_n_per_pair(recipe, name) for name in names)
    pairs = judge_check.known_pairs(lake, recipe)
    return sum(_n_requests(lake, recipe, models, iteration, pairs, name) for name in names)


def _n_per_pair(recipe: Recipe, name: ScorerName) -> int:
    return SCORERS[name].requests_per_pair(recipe.score_candidates)


def _n_requests(lake: Lake, recipe: Recipe, models: Models, iteration: int, pairs: DataFrame, name: ScorerName) -> int:
    """Requests about pairs that are not answered yet; one that several pairs share counts once."""
    scorer = SCORERS[name]
    model = models[scorer.direction, 0 if scorer.direction == "backward" else iteration]
    if model is None:
        tag = recipe.build_training_examples.inference_tag
        prompts = score_prompts(pairs, scorer=scorer, system=tag).drop("subject_id").distinct().count()
        return prompts * scorer.kind.samples(recipe.score_candidates)
    return _n_open(lake, score_requests(recipe, model, pairs, name), model)


def _n_open(lake: Lake, requests: DataFrame, model: Model) -> int:
    """How many of a model's requests are not answered for good."""
    asked = requests.select("request_id").distinct()
    return asked.join(answers(lake, asked, model), "request_id", "left_anti").count()
