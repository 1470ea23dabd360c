"""Benchmarks for lm-evaluation-harness: their items from local files, the harness's tasks, and figures from its logs.

An item is a row that the harness reads from a JSONL file of ours. Its prompt is complete, worked questions included, so
that nothing depends on the harness's own sampling.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from transforms.evaluation.figures import Figure, figure
from transforms.scoring.estimates import Floats

METHOD_VERSION = "harness/1"
MMLU, OPENBOOKQA, IFEVAL = "mmlu", "openbookqa", "ifeval"
METRICS = {
    MMLU: ("acc",),
    OPENBOOKQA: ("acc", "acc_norm"),
    IFEVAL: ("prompt_level_strict_acc", "inst_level_strict_acc", "prompt_level_loose_acc", "inst_level_loose_acc"),
}
"""The harness's metrics of each benchmark."""
SEEDS = (0, 1234, 1234, 1234)
"""The harness's seeds of random, numpy, torch and few-shot sampling; our tasks sample nothing."""
LETTERS = ("A", "B", "C", "D")
OPENBOOKQA_TEXT = re.compile(
    r"Please choose the correct answer to the question: (?P<question>.+?)\s*\n+Answer1: (?P<a>.+?) Answer2: (?P<b>.+?) "
    r"Answer3: (?P<c>.+?) Answer4: (?P<d>.+?)\s*\n+Answer format: .*",
    re.DOTALL,
)


class BenchmarkError(ValueError):
    """A file does not have the form of its benchmark; the message says where and why."""


@dataclass(frozen=True)
class Item:
    """A question with the completions to compare; `answer` is the index of the right one."""

    id: str
    prompt: str
    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True)
class _Question:
    text: str
    choices: tuple[str, ...]
    answer: int


def mmlu_items(files: Mapping[tuple[str, str], str], few_shot: int) -> list[Item]:
    """Return an item per test question of MMLU; `files` maps (dev or test, subject) to the text of a CSV file.

    A prompt has the subject, the first `few_shot` dev questions with their answers, and the question. The choices are
    the letters.

    Raises:
        BenchmarkError: a file has other columns, there is no test file, or a subject has too few dev questions.
    """
    items = []
    for subject in sorted(subject for split, subject in files if split == "test"):
        worked = _mmlu_questions(files.get(("dev", subject), ""), f"dev/{subject}")[:few_shot]
        if len(worked) < few_shot:
            raise BenchmarkError(
                f"dev/{subject} has {len(worked)} questions, and few_shot asks for {few_shot}; lower few_shot"
            )
        head = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
        head += "".join(f"{_with_letters(question)} {LETTERS[question.answer]}\n\n" for question in worked)
        for n, question in enumerate(_mmlu_questions(files["test", subject], f"test/{subject}")):
            items.append(Item(f"{subject}/{n}", head + _with_letters(question), LETTERS, question.answer))
    if not items:
        raise BenchmarkError(
            "no test questions; the folder or archive needs test/<subject>_test.csv and dev/<subject>_dev.csv"
        )
    return items


def _mmlu_questions(text: str, name: str) -> list[_Question]:
    """Read a CSV file: question, four choices, and the answer as a letter or from 0 to 3; a head line is optional."""
    answers = {letter: n for n, letter in enumerate(LETTERS)} | {str(n): n for n in range(4)}
    questions = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if number == 1 and row and row[0] == "question":
            continue
        if len(row) != 6 or row[5].strip() not in answers:
            raise BenchmarkError(
                f"{name}, row {number}: not a question, four choices and an answer: {row!s:.80}; "
                "write six columns, and the answer as A to D or 0 to 3"
            )
        questions.append(_Question(row[0].strip(), tuple(row[1:5]), answers[row[5].strip()]))
    return questions


def _with_letters(question: _Question) -> str:
    choices = (f"{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=True))
    return "\n".join([question.text, *choices, "Answer:"])


def openbookqa_items(text: str) -> list[Item]:
    """Return an item per question of an OpenBookQA file in the form of LLM-Adapters; the prompt is the question alone.

    Raises:
        BenchmarkError: the file is not a list of such questions.
    """
    try:
        rows = json.loads(text)
        return [_openbookqa_item(n, row) for n, row in enumerate(rows)]
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, BenchmarkError):
            raise
        raise BenchmarkError(
            f"not a JSON list of questions: {type(error).__name__}: {error}; use LLM-Adapters' file"
        ) from error


def _openbookqa_item(n: int, row: Mapping[str, str]) -> Item:
    match, answer = OPENBOOKQA_TEXT.fullmatch(row["instruction"]), re.fullmatch("answer([1-4])", row["answer"])
    if not match or not answer:
        raise BenchmarkError(f"question {n}: no question with four answers, one of them right: {dict(row)!s:.80}")
    return Item(f"openbookqa/{n}", match["question"], match.group("a", "b", "c", "d"), int(answer[1]) - 1)


def ifeval_prompts(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the prompts of IFEval's JSONL file, with their ids, instructions and the arguments of the instructions.

    Raises:
        BenchmarkError: a line is not such a prompt, or the file has none.
    """
    prompts = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            prompt = {
                "id": str(row["key"]),
                **{name: row[name] for name in ("prompt", "instruction_id_list", "kwargs")},
            }
            is_sound = 0 < len(prompt["instruction_id_list"]) == len(prompt["kwargs"])
        except (ValueError, TypeError, KeyError) as error:
            raise BenchmarkError(f"line {number}: no prompt of IFEval: {type(error).__name__}: {error}") from error
        if not is_sound:
            raise BenchmarkError(f"line {number}: instruction_id_list and kwargs differ in length, or are empty")
        prompts.append(prompt)
    if not prompts:
        raise BenchmarkError("no prompts; write one JSON object per line, as IFEval's input_data.jsonl has them")
    return prompts


def chosen(rows: Sequence[Mapping[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """Return at most `limit` rows in the order of a hash of their ids, so that a small sample covers the subjects."""
    return sorted(map(dict, rows), key=lambda row: hashlib.sha256(row["id"].encode()).digest())[:limit]


def rows_of(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Return items as rows of JSON."""
    return [asdict(item) | {"choices": list(item.choices)} for item in items]


def task_name(benchmark: str) -> str:
    """Return the name of our task, which differs from the names of the harness's tasks for the same benchmarks."""
    return f"humpback_{benchmark}"


def task(benchmark: str, file: str) -> dict[str, Any]:
    """Return the harness's definition of a multiple-choice task that reads rows of `Item` from a JSONL file."""
    return {
        "task": task_name(benchmark),
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": file}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{prompt}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{answer}}",
        "target_delimiter": " ",
        "num_fewshot": 0,
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in METRICS[benchmark]
        ],
        "metadata": {"version": METHOD_VERSION},
    }


def asking(chat_template: bool, system: str) -> dict[str, Any]:
    """Return the part of the configuration that shapes prompts: plain, or as a user's turn after a system message."""
    if not chat_template:
        return {"apply_chat_template": False, "system_instruction": None, "fewshot_as_multiturn": False}
    return {"apply_chat_template": True, "system_instruction": system, "fewshot_as_multiturn": False}


def accuracies(benchmark: str, samples: Iterable[str], ids: Sequence[str]) -> Iterator[Figure]:
    """Yield a benchmark's metrics from the lines of the harness's log of samples, with bootstrap intervals.

    Raises:
        BenchmarkError: the log does not have exactly the items `ids`.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for line in samples:
        row = json.loads(line)
        found[row["doc"]["id"]] = row
    if sorted(found) != sorted(ids):
        raise BenchmarkError(
            f"the log of {benchmark} has {len(found)} items and not the {len(ids)} that were asked; they differ in "
            f"{sorted({*found} ^ {*ids})[:1]}; run the job again"
        )
    items = tuple(sorted(found))
    for metric in METRICS[benchmark]:
        values = np.array([float(found[item][metric]) for item in items])
        yield figure(metric, partial(_mean, values), items)


def followed(verdicts: Mapping[str, Mapping[str, Sequence[bool]]]) -> Iterator[Figure]:
    """Yield IFEval's four accuracies; `verdicts` maps a prompt's id to its instructions' `strict` and `loose` results.

    The bootstrap draws prompts, also for the figures in which each instruction counts once.
    """
    items = tuple(sorted(verdicts))
    for way in ("strict", "loose") if items else ():
        results = [verdicts[item][way] for item in items]
        yield figure(f"prompt_level_{way}_acc", partial(_mean, np.array([float(all(r)) for r in results])), items)
        each = np.array([float(value) for result in results for value in result])
        names = tuple(f"{item}/{n}" for item, result in zip(items, results, strict=True) for n in range(len(result)))
        groups = [item for item, result in zip(items, results, strict=True) for _ in result]
        yield figure(f"inst_level_{way}_acc", partial(_mean, each), names, groups)


def _mean(values: Floats, weight: Floats | None = None) -> float:
    return float(np.average(values, weights=weight))
