"""Benchmarks from local files, the harness's tasks and configuration, its process, and figures from its logs."""

import importlib.util
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import JobError, RecipeError
from jobs.inference import harness as process
from jobs.inference.harness import configuration, required_version, run_process, samples_of
from jobs.loop.steps import steps
from jobs.recipe.benchmarks import benchmark_files, read_benchmarks
from jobs.recipe.config import Recipe
from jobs.recipe.digests import harness_digest
from model_ops.client.apis import Completions
from model_ops.client.served_engine import ServedEngine
from model_ops.text.chat import ChatFormat
from transforms.evaluation.harness import (
    IFEVAL,
    METRICS,
    MMLU,
    OPENBOOKQA,
    BenchmarkError,
    accuracies,
    asking,
    chosen,
    followed,
    ifeval_prompts,
    mmlu_items,
    openbookqa_items,
    rows_of,
    task,
    task_name,
)

HEAD = "question,choice0,choice1,choice2,choice3,answer\n"
CSV = {
    ("dev", "high_art"): HEAD + '"1, or 2?",1,2,3,4,1\nRed?,a,b,c,d,0\n',
    ("test", "high_art"): HEAD + "Blue?,a,b,c,d,3\nGreen?,a,b,c,d,2\n",
}
OPENBOOK = {
    "instruction": "Please choose the correct answer to the question: There is fog around:\n\nAnswer1: a marsh "
    "Answer2: a tundra Answer3: the plains Answer4: a desert\n\nAnswer format: answer1/answer2/answer3/answer4",
    "input": "", "output": "the correct answer is answer1", "answer": "answer1",
}  # fmt: skip
PROMPT = {"key": 1001, "prompt": "Use no comma.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}


def test_a_prompt_of_mmlu_has_the_subject_and_worked_questions_of_it() -> None:
    item = mmlu_items(CSV, few_shot=1)[0]
    assert item.prompt == (
        "The following are multiple choice questions (with answers) about high art.\n\n"
        "1, or 2?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\n"
        "Blue?\nA. a\nB. b\nC. c\nD. d\nAnswer:"
    )
    assert (item.id, item.choices, item.answer) == ("high_art/0", ("A", "B", "C", "D"), 3)
    assert "Red?" not in item.prompt
    assert len(mmlu_items(CSV, few_shot=0)) == 2
    letters = {("test", "x"): "Why?,a,b,c,d,C\n"}
    assert mmlu_items(letters, 0)[0].answer == 2, "the original files have letters and no head"


@pytest.mark.parametrize(
    ("files", "few_shot", "message"),
    [
        (CSV, 3, "dev/high_art has 2 questions, and few_shot asks for 3"),
        (
            {("test", "x"): HEAD + "Why?,a,b,c,d,7\n"},
            0,
            r"test/x, row 2: not a question, four choices and an answer: \['W",
        ),
        ({("test", "x"): HEAD + "Why?,a,b\n"}, 0, "test/x, row 2: not a question"),
        ({("dev", "x"): HEAD}, 0, "no test questions"),
    ],
)
def test_files_that_are_not_mmlus(files: dict[tuple[str, str], str], few_shot: int, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        mmlu_items(files, few_shot)


def test_openbookqa() -> None:
    [item] = openbookqa_items(json.dumps([OPENBOOK]))
    assert (item.prompt, item.choices, item.answer) == (
        "There is fog around:", ("a marsh", "a tundra", "the plains", "a desert"), 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["no JSON", "[1]", '[{"instruction": "x"}]', json.dumps([OPENBOOK | {"answer": "five"}])]
)
def test_a_file_that_is_not_openbookqas(text: str) -> None:
    with pytest.raises(BenchmarkError, match=r"not a JSON list of questions|question 0: no question with four answers"):
        openbookqa_items(text)


def test_prompts_of_ifeval() -> None:
    [prompt] = ifeval_prompts([json.dumps(PROMPT), ""])
    assert prompt == {"id": "1001"} | {key: value for key, value in PROMPT.items() if key != "key"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{}"], "line 1: no prompt of IFEval: KeyError"),
        ([json.dumps(PROMPT), "x"], "line 2: no prompt of IFEval"),
        ([json.dumps(PROMPT | {"kwargs": []})], "line 1: instruction_id_list and kwargs differ"),
        ([""], "no prompts"),
    ],
)
def test_a_file_that_is_not_ifevals(lines: list[str], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        ifeval_prompts(lines)


def test_a_limit_takes_the_same_rows_whatever_their_order() -> None:
    rows = [{"id": f"a/{n}"} for n in range(50)]
    assert chosen(rows, 5) == chosen(rows[::-1], 5) == chosen(rows, None)[:5]
    assert len(chosen(rows, None)) == 50


@pytest.mark.parametrize("benchmark", [MMLU, OPENBOOKQA])
def test_a_task_reads_our_file_alone(benchmark: str) -> None:
    definition = task(benchmark, "/tmp/rows.jsonl")
    assert definition["dataset_path"] == "json"
    assert definition["dataset_kwargs"] == {"data_files": {"test": "/tmp/rows.jsonl"}}
    assert [metric["metric"] for metric in definition["metric_list"]] == [*METRICS[benchmark]]
    assert "!function" not in json.dumps(definition)


def sample(item_id: str, **metrics: float) -> str:
    return json.dumps({"doc": {"id": item_id}, **metrics})


def test_figures_come_from_the_log_of_samples() -> None:
    lines = [sample(f"q/{n}", acc=float(n < 3), acc_norm=1.0) for n in range(4)]
    acc, norm = accuracies(OPENBOOKQA, lines, [f"q/{n}" for n in range(4)])
    assert (acc.metric, acc.value, norm.metric, norm.value) == ("acc", 0.75, "acc_norm", 1.0)
    assert acc.items == ("q/0", "q/1", "q/2", "q/3")
    assert 0 <= acc.low < 0.75 < acc.high <= 1
    for log in (lines[:3], [*lines, sample("q/9", acc=1.0, acc_norm=1.0)]):
        with pytest.raises(BenchmarkError, match="the log of openbookqa has"):
            list(accuracies(OPENBOOKQA, log, [f"q/{n}" for n in range(4)]))


def test_ifevals_figures_count_prompts_and_instructions() -> None:
    verdicts = {
        "1": {"strict": [True, False], "loose": [True, True]},
        "2": {"strict": [True], "loose": [True]},
    }
    found = {figure.metric: figure for figure in followed(verdicts)}
    assert {metric: figure.value for metric, figure in found.items()} == pytest.approx({
        "prompt_level_strict_acc": 0.5, "inst_level_strict_acc": 2 / 3, "prompt_level_loose_acc": 1.0,
        "inst_level_loose_acc": 1.0,
    })  # fmt: skip
    assert {*found} == {*METRICS[IFEVAL]}
    assert found["inst_level_strict_acc"].items == ("1/0", "1/1", "2/0")
    assert list(followed({})) == []


MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def recipe(tmp_path: Path) -> MakeRecipe:
    """Return `recipe(key=value)`: a recipe with one file of each benchmark."""
    for (split, subject), text in CSV.items():
        (tmp_path / "mmlu" / split).mkdir(parents=True, exist_ok=True)
        (tmp_path / "mmlu" / split / f"{subject}_{split}.csv").write_text(text)
    with tarfile.open(tmp_path / "mmlu.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "mmlu", "data/mmlu")
    (tmp_path / "openbookqa.json").write_text(json.dumps([OPENBOOK]))
    (tmp_path / "ifeval.jsonl").write_text(json.dumps(PROMPT) + "\n")
    files = {MMLU: "mmlu.tar.gz", OPENBOOKQA: "openbookqa.json", IFEVAL: "ifeval.jsonl"}
    section = {name: str(tmp_path / file) for name, file in files.items()} | {"few_shot": 1}
    return lambda **keys: Recipe.model_validate({"name": "test", "base_model": "b", "run_harness": section | keys})


def test_benchmarks_are_read_from_a_folder_as_from_an_archive(recipe: MakeRecipe, tmp_path: Path) -> None:
    from_archive = read_benchmarks(recipe())
    assert {name: len(rows) for name, rows in from_archive.items()} == {MMLU: 2, OPENBOOKQA: 1, IFEVAL: 1}
    folder = recipe(mmlu=str(tmp_path / "mmlu"))
    assert read_benchmarks(folder) == from_archive
    assert len(benchmark_files(folder)) == 4
    assert len(read_benchmarks(recipe(limit=1))[MMLU]) == 1


def test_a_file_that_cannot_be_read_is_named(recipe: MakeRecipe, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("no archive, no JSON")
    for name, message in ((MMLU, "not a gzip file|could not be opened"), (OPENBOOKQA, "not a JSON list"),
                          (IFEVAL, "line 1: no prompt")):  # fmt: skip
        with pytest.raises(RecipeError, match=rf"run_harness\.{name}: .*bad: (file )?.*({message})"):
            read_benchmarks(recipe(**{name: str(tmp_path / "bad")}))
        with pytest.raises(RecipeError, match=rf"run_harness\.{name}: .*none.*No such file"):
            read_benchmarks(recipe(**{name: str(tmp_path / "none")}))
    with pytest.raises(RecipeError, match="names no benchmark"):
        read_benchmarks(recipe(mmlu=None, openbookqa=None, ifeval=None))


def test_the_loop_measures_the_named_iterations_alone(recipe: MakeRecipe) -> None:
    assert "run-harness" not in {step.name for step in steps(recipe())}
    named = [step.iteration for step in steps(recipe(iterations=[0, 2])) if step.name == "run-harness"]
    assert named == [0, 2]
    with pytest.raises(ValueError, match="iterations without a benchmark"):
        recipe(iterations=[0], mmlu=None, openbookqa=None, ifeval=None)
    with pytest.raises(ValueError, match=r"run_harness\.iterations names 7"):
        recipe(iterations=[7])


def test_a_method_depends_on_questions_prompts_and_the_harness(recipe: MakeRecipe) -> None:
    def digests(version: str = "0.4.13", **keys: Any) -> list[str]:
        made = recipe(**keys)
        return [harness_digest(made, name, rows, version) for name, rows in read_benchmarks(made).items()]

    plain = digests()
    assert digests(nltk_data="/elsewhere", iterations=[0]) == plain
    changed = [[a != b for a, b in zip(plain, other, strict=True)] for other in (
        digests("0.4.14"), digests(few_shot=0), digests(limit=1), digests(chat_template=True), digests(max_tokens=9),
    )]  # fmt: skip
    assert changed == [
        [True, True, True], [True, False, False], [True, False, False], [True, True, False], [False, False, True],
    ]  # fmt: skip


def engine(**changes: Any) -> ServedEngine:
    chat = ChatFormat("", "", ())
    fixed = {"endpoints": ("http://gpu:8000/v1", "http://gpu:8001/v1"), "api": Completions("m", chat, 4096), "window": 64,
             "timeout": 600.0, "patience": 1.0, "attempts": 4, "key": "secret"}  # fmt: skip
    return ServedEngine(**fixed | changes)


def test_no_default_of_the_harness_that_can_hurt_is_left(tmp_path: Path) -> None:
    made = configuration(engine(), "/models/m", ["t"], tmp_path)
    told = made["model_args"]
    assert told["base_url"] == "http://gpu:8000/v1/completions"
    assert (told["max_length"], told["timeout"], told["max_retries"], told["num_concurrent"]) == (4096, 600, 4, 64)
    assert (told["tokenizer"], told["tokenizer_backend"], told["tokenized_requests"]) == (
        "/models/m",
        "huggingface",
        True,
    )
    assert configuration(engine(window=1), "/models/m", ["t"], tmp_path)["model_args"]["num_concurrent"] == 2
    assert (made["use_cache"], made["limit"], made["seed"]) == (None, None, [0, 1234, 1234, 1234])
    assert "secret" not in json.dumps(made), "the key goes through the environment"
    assert asking(False, "Be brief.")["system_instruction"] is None
    assert asking(True, "Be brief.") == {
        "apply_chat_template": True, "system_instruction": "Be brief.", "fewshot_as_multiturn": False,
    }  # fmt: skip


def test_the_process_gets_the_key_and_its_caches_and_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUMPBACK_API_KEY", "other")
    run_process(
        ["-c", "import json, os; print(json.dumps(dict(os.environ)))"], tmp_path, tmp_path / "log", key="secret"
    )
    given = json.loads((tmp_path / "log").read_text())
    assert given["HF_HUB_OFFLINE"] == given["HF_DATASETS_OFFLINE"] == given["TRANSFORMERS_OFFLINE"] == "1"
    assert given["HF_HOME"].startswith(str(tmp_path))
    assert given["OPENAI_API_KEY"] == "secret"
    assert "HUMPBACK_API_KEY" not in given


def test_a_process_that_fails_is_quoted_and_its_output_kept(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"failed with exit code 3; its output .*logs/h\.log ends: first \| the reason$"):
        run_process(["-c", "print('first\\nthe reason'); raise SystemExit(3)"], tmp_path, tmp_path / "logs" / "h.log")
    assert "the reason" in (tmp_path / "logs" / "h.log").read_text()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PACKAGE", "no-such-package")
    with pytest.raises(JobError, match=r"install the extra humpback\[harness\]"):
        required_version()


def test_the_harness_gets_our_files_and_leaves_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for its process reads what the harness would, and writes what it writes."""
    rows = rows_of(openbookqa_items(json.dumps([OPENBOOK])))

    def stand_in(words: list[str], folder: Path, output: Path, *, key: str | None = None) -> None:
        assert (words[:-1], key) == (["-m", "lm_eval", "run", "--config"], "secret")
        config = json.loads(Path(words[-1]).read_text())
        definition = json.loads((Path(config["include_path"]) / "openbookqa.yaml").read_text())
        assert [definition["task"]] == config["tasks"] == [task_name(OPENBOOKQA)]
        [line] = Path(definition["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()
        assert json.loads(line) == rows[0]
        out = Path(config["output_path"]) / "m"
        out.mkdir(parents=True)
        if writes:
            (out / f"samples_{task_name(OPENBOOKQA)}_2026.jsonl").write_text(sample(rows[0]["id"], acc=1.0) + "\n")
        output.write_text("Left truncating context.\n" * n_cut)

    monkeypatch.setattr(process, "run_process", stand_in)
    writes, n_cut = True, 0
    found = samples_of(engine(), "/models/m", {OPENBOOKQA: rows}, asking(False, ""), tmp_path / "log")
    assert found == {OPENBOOKQA: [sample(rows[0]["id"], acc=1.0)]}
    n_cut = 2
    with pytest.raises(JobError, match=r"2 prompts of lm-.* were longer than the server takes \(4,096 tokens\)"):
        samples_of(engine(), "/models/m", {OPENBOOKQA: rows}, asking(False, ""), tmp_path / "log")
    writes, n_cut = False, 0
    with pytest.raises(JobError, match="left 0 logs of samples for openbookqa"):
        samples_of(engine(), "/models/m", {OPENBOOKQA: rows}, asking(False, ""), tmp_path / "log")


def checked(tmp_path: Path, answers: list[dict[str, Any]], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the process that checks IFEval's answers."""
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    words = [str(tmp_path / "answers.jsonl"), str(tmp_path / "verdicts.json")]
    return subprocess.run(
        [sys.executable, "-m", "jobs.inference.ifeval", *words], capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="the extra harness is not installed")
def test_answers_are_checked_without_a_download(tmp_path: Path) -> None:
    nltk = pytest.importorskip("nltk")
    ours = [dict(id="1", **{k: PROMPT[k] for k in ("prompt", "instruction_id_list", "kwargs")}, answer=text)
            for text in ("No comma here.",)]  # fmt: skip
    absent = checked(tmp_path, ours, NLTK_DATA=str(tmp_path), HOME=str(tmp_path))
    if absent.returncode:  # no copy in another of NLTK's folders
        assert "set run_harness.nltk_data to a folder" in absent.stderr
        assert len(absent.stderr.splitlines()) == 1
    try:
        nltk.data.find("tokenizers/punkt_tab/english")
    except LookupError:
        pytest.skip("NLTK's tokenizers/punkt_tab is not on this machine")
    language = {"id": "2", "prompt": "In Italian.", "instruction_id_list": ["language:response_language"],
                "kwargs": [{"language": "it"}], "answer": "Email no animal social"}  # fmt: skip
    # langdetect without a seed takes this text for Italian or Portuguese, each half of the time.
    many = [language | {"id": f"{n}"} for n in range(2, 40)]
    done = checked(tmp_path, [*ours, *many])
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "verdicts.json").read_text())
    assert found.pop("1") == {"strict": [True], "loose": [True]}
    assert len({json.dumps(verdict) for verdict in found.values()}) == 1
