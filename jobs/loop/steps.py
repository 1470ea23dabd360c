"""The jobs, and their order in the loop over iterations, as in the paper's figure 1."""

from collections.abc import Iterator
from types import ModuleType

from jobs import (
    build_training_examples,
    curate,
    evaluate_models,
    extract_segments,
    find_duplicates,
    finetune,
    generate_answers,
    generate_candidates,
    ingest_conversations,
    ingest_documents,
    ingest_prompts,
    judge_answers,
    judge_check,
    register_model,
    rewrite_responses,
    run_harness,
    score_candidates,
    select_seed,
    select_unlabelled,
    sign_segments,
)
from jobs.recipe.config import Direction, Recipe
from jobs.recipe.step import Step

JOBS: tuple[ModuleType, ...] = (
    ingest_documents,
    extract_segments,
    sign_segments,
    find_duplicates,
    select_unlabelled,
    ingest_conversations,
    ingest_prompts,
    select_seed,
    build_training_examples,
    finetune,
    register_model,
    generate_candidates,
    score_candidates,
    judge_check,
    rewrite_responses,
    curate,
    generate_answers,
    judge_answers,
    evaluate_models,
    run_harness,
)


def steps(recipe: Recipe) -> Iterator[Step]:
    """Yield the steps: M_yx and M0 from the seed; then M_(t-1) scores, A_k(t) is curated, M_t is trained from the base.

    A model answers the evaluation prompts and is measured right after it scores, while it is still served; the last
    at the end.
    """
    yield Step(ingest_documents)
    yield Step(extract_segments)
    yield Step(sign_segments)
    yield Step(find_duplicates)
    yield Step(ingest_conversations)
    yield Step(ingest_prompts)
    yield Step(select_seed)
    yield Step(select_unlabelled)
    directions: tuple[Direction, ...] = ("backward", "forward")
    for direction in directions:
        yield Step(build_training_examples, 0, direction)
        yield Step(finetune, 0, direction)
    yield Step(generate_candidates)
    for t in range(1, recipe.iterations + 1):
        yield Step(score_candidates, t)
        yield from _evaluation(recipe, t - 1)
        yield from _measurement(recipe, t - 1)
        if recipe.rewrite_responses.rewriter:
            yield Step(rewrite_responses, t)
        yield Step(curate, t)
        yield Step(build_training_examples, t, "forward")
        yield Step(finetune, t, "forward")
    yield from _evaluation(recipe, recipe.iterations)
    for t in range(recipe.iterations + 1):
        if recipe.judged(t):
            yield Step(judge_answers, t)
    yield from _measurement(recipe, recipe.iterations)


def _evaluation(recipe: Recipe, t: int) -> Iterator[Step]:
    """Yield the recipe's checks and answers of the forward model of iteration `t`."""
    if t in recipe.judge_check.iterations:
        yield Step(judge_check, t)
    if recipe.answered(t):
        yield Step(generate_answers, t)


def _measurement(recipe: Recipe, t: int) -> Iterator[Step]:
    """Yield the measurements of the forward model of iteration `t`; for the last one, verdicts must be there."""
    if t in recipe.measured_iterations:
        yield Step(evaluate_models, t)
    if t in recipe.run_harness.iterations:
        yield Step(run_harness, t)
