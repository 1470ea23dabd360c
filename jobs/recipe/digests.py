"""Method digests: each identifies the settings and method versions that made a row, upstream ones included."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from jobs.recipe.config import Direction, Recipe
from jobs.recipe.evaluation import Evaluation
from jobs.recipe.files import read_entries
from jobs.recipe.prompts import read_set
from jobs.recipe.scoring import ScorerName
from jobs.recipe.section import digest
from model_ops.training.checkpoints import check_model_folder, digest_of, file_digests, first_digest
from model_ops.training.settings import result_settings
from transforms.dedup import duplicates, signatures
from transforms.evaluation import figures, harness, held_out, judgements
from transforms.pages import segments
from transforms.prompting import candidates
from transforms.prompting.prompts import BACKWARD, FORWARD, REWRITE, VERDICT
from transforms.rewriting import responses, rewrites
from transforms.scoring import scores
from transforms.scoring.scorers import SCORERS, ModelFreeScorer, asking


def segments_digest(recipe: Recipe) -> str:
    """Return the `method_digest` of this recipe's rows in `silver.segments`.

    The entries of the block lists are part of it; their paths are not.

    Raises:
        RecipeError: a list cannot be read.
    """
    settings = recipe.extract_segments.model_dump(mode="json")
    for key in ("url_block_lists", "word_block_lists"):
        settings[key] = digest(read_entries(key, settings[key]))
    return digest([settings, segments.METHOD_VERSION])


def signatures_digest(recipe: Recipe) -> str:
    """Return the `method_digest` of this recipe's rows in `silver.signatures`."""
    return recipe.sign_segments.digest(signatures.METHOD_VERSION, segments_digest(recipe))


def duplicates_digest(recipe: Recipe) -> str:
    """Return the `method_digest` of this recipe's rows in `silver.duplicates`."""
    return recipe.find_duplicates.digest(duplicates.METHOD_VERSION, signatures_digest(recipe))


def scores_digest(recipe: Recipe, name: ScorerName) -> str:
    """Return the `method_digest` of one scorer's rows in `silver.scores`: prompt, sampling and parser.

    For a scorer without a model, it covers the scorer's version instead. The model and its chat template are not part
    of the digest; `model_id` identifies them.
    """
    scorer, settings = SCORERS[name], recipe.score_candidates
    if isinstance(scorer, ModelFreeScorer):
        return digest([scorer.name, scorer.version, *([settings.random_seed] if scorer.seeded else [])])
    kind_settings = [type(scorer.kind).__name__, scorer.kind.samplings(settings), scorer.kind.samples(settings)]
    tag = recipe.build_training_examples.inference_tag if scorer.tagged else ""
    return digest([asdict(scorer), kind_settings, tag, scores.PARSER])


def candidates_digest(recipe: Recipe) -> str:
    """Return the `method_digest` of this recipe's rows in `silver.candidates`: prompt, sampling and parser.

    It covers the number of samples if that is above 1, so that rows by another number of samples do not count.
    """
    samples = recipe.generate_candidates.samples
    several = [samples] if samples > 1 else []
    return digest([asdict(BACKWARD), candidate_sampling(recipe), candidates.PARSER, *several])


def rewrites_digest(recipe: Recipe) -> str:
    """Return the `method_digest` of this recipe's rows in `silver.rewrites`: prompt, sampling, rules and parser."""
    settings = recipe.rewrite_responses.model_dump(include={"temperature", "top_p", "max_tokens"})
    return digest([asdict(REWRITE), settings, asdict(rewrite_rules(recipe)), rewrites.PARSER])


def rewrite_rules(recipe: Recipe) -> responses.RewriteRules:
    """Return the rules for rewritten responses."""
    settings = recipe.rewrite_responses
    limits = settings.model_dump(include={"min_length_share", "max_length_share", "max_unsupported"})
    return responses.RewriteRules(recipe.extract_segments.language, **limits)


def candidate_sampling(recipe: Recipe) -> dict[str, float]:
    """Return the sampling parameters of instructions."""
    return recipe.generate_candidates.model_dump(include={"temperature", "top_p", "max_tokens"})


def answers_digest(recipe: Recipe, evaluation: Evaluation) -> str:
    """Return the `method_digest` of an evaluation's rows in `gold.generations`: prompts, system message and sampling.

    Raises:
        RecipeError: the prompts cannot be read.
    """
    prompts = [[prompt.prompt_id, prompt.prompt] for prompt in read_set(recipe, evaluation.set)]
    return digest([asdict(FORWARD), recipe.build_training_examples.inference_tag, answer_sampling(evaluation), prompts])


def answer_sampling(evaluation: Evaluation) -> dict[str, float]:
    """Return the sampling parameters of answers to evaluation prompts."""
    return evaluation.model_dump(include={"temperature", "top_p", "max_tokens"})


def verdicts_digest(recipe: Recipe, evaluation: Evaluation) -> str:
    """Return the `method_digest` of an evaluation's rows in `gold.judgements`.

    It covers the judge's prompt, sampling and parser, and the digest of the answers.
    """
    return digest([asdict(VERDICT), judgements.SAMPLING, judgements.PARSER, answers_digest(recipe, evaluation)])


def losses_digest(recipe: Recipe, pairs: Sequence[tuple[str, ...]]) -> str:
    """Return the `method_digest` of held-out losses in `gold.evaluations`: the pairs, the requests, the arithmetic.

    `pairs` are ids and texts, in any order.
    """
    scorer = asking(held_out.SCORER)
    tag = recipe.build_training_examples.inference_tag
    asked = [asdict(scorer.template), scorer.kind.samplings(recipe.score_candidates)[0], tag]
    return digest([asked, held_out.METHOD_VERSION, sorted(map(list, pairs))])


def separations_digest(recipe: Recipe, name: ScorerName) -> str:
    """Return the `method_digest` of one scorer's figures on known pairs in `gold.evaluations`."""
    return digest([scores_digest(recipe, name), figures.METHOD_VERSION])


def win_rates_digest(recipe: Recipe, evaluation: Evaluation) -> str:
    """Return the `method_digest` of an evaluation's win rates in `gold.evaluations`.

    Raises:
        RecipeError: the prompts cannot be read.
    """
    return digest([verdicts_digest(recipe, evaluation), figures.METHOD_VERSION])


def harness_digest(recipe: Recipe, benchmark: str, rows: Sequence[Mapping[str, Any]], version: str) -> str:
    """Return the `method_digest` of a benchmark's figures in `gold.evaluations`.

    It covers the benchmark's `rows`, the requests about them, and the `version` of lm-evaluation-harness.
    """
    tag = recipe.build_training_examples.inference_tag
    if benchmark == harness.IFEVAL:
        asked: list[Any] = [asdict(FORWARD), tag, ifeval_sampling(recipe)]
    else:
        asked = [harness.task(benchmark, ""), harness.asking(recipe.run_harness.chat_template, tag), harness.SEEDS]
    return digest([asked, digest(list(map(dict, rows))), version, harness.METHOD_VERSION, figures.METHOD_VERSION])


def ifeval_sampling(recipe: Recipe) -> dict[str, float]:
    """Return the sampling parameters of answers to IFEval's prompts: greedy, as its figures are published."""
    return {"temperature": 0, "max_tokens": recipe.run_harness.max_tokens}


def training_digest(recipe: Recipe, direction: Direction, iteration: int) -> str:
    """Return the `config_digest` of a model: its training settings and the files of its base model.

    Raises:
        ModelFolderError: the base model's folder holds no model.
    """
    return training_digests(recipe, direction, iteration)[0]


def training_digests(recipe: Recipe, direction: Direction, iteration: int) -> tuple[str, ...]:
    """Return `training_digest`, and the digest that release 0.2.0 made of the same settings; either one is valid."""
    settings = result_settings(recipe.finetune.settings(direction, iteration))
    return tuple(digest([settings, base_digest]) for base_digest in base_digests(recipe.base_model))


@cache
def base_digests(base_model: str) -> tuple[str, str]:
    """Return the base model's `folder_digest` and `first_digest`.

    Raises:
        ModelFolderError: the folder holds no model.
    """
    check_model_folder(Path(base_model))
    files = file_digests(Path(base_model))
    return digest_of(files), first_digest(files)
