"""The command line's endings: one sentence and the right exit code, before anything heavy starts."""

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

from jobs.__main__ import main
from jobs.cli.arguments import parser
from jobs.errors import JobError, RecipeError, StoppedError, WaitingError
from jobs.lake.failures import sentence
from jobs.loop.steps import JOBS, steps
from jobs.recipe.config import Recipe
from jobs.recipe.loading import load_recipe
from jobs.recipe.step import job_name


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.toml"
    file.write_text('name = "x"\nbase_model = "m"\n')
    return file


def test_a_misspelt_key_is_wrong_usage(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--recipe", str(recipe), "--lake", "l", "--set", "curate.treshold=4"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("humpback: recipe ")
    assert "curate.treshold" in shown
    assert shown.count("\n") == 1


def test_judge_checks_options_are_recipe_keys(recipe: Path) -> None:
    words = ["judge-check", "--iteration", "0", "--recipe", str(recipe), "--lake", "l", "--set", "judge_check.pairs=7"]
    options = parser().parse_args([*words, "--pairs", 'my "own".jsonl', "--precision", "0.8"])
    found = load_recipe(options.recipe, options.overrides).judge_check
    assert (found.file, found.precision, found.pairs) == ('my "own".jsonl', 0.8, 7)


def test_a_missing_recipe_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--recipe", "nowhere.toml", "--lake", "l"]) == 2
    assert "nowhere.toml: no such file" in capsys.readouterr().err


AT = ["--recipe", "r", "--lake", "l"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "the following arguments are required: --recipe, --lake"),
        (["no-such-command"], "invalid choice: 'no-such-command'"),
        (["curate", *AT], "the following arguments are required: --iteration"),
        (["curate", *AT, "--iteration", "one"], "invalid number value: 'one'"),
        (["curate", *AT, "--iteration", "0"], "must be at least 1"),
        (["finetune", *AT, "--iteration", "0"], "the following arguments are required: --direction"),
        (["find-duplicates", *AT, "--iteration", "0"], "unrecognized arguments: --iteration 0"),
        (["find-duplicates", *AT, "--limit", "5"], "unrecognized arguments: --limit 5"),
        (["ingest-conversations", *AT, "--limit", "5"], "unrecognized arguments: --limit 5"),
        (["curate", *AT, "--iteration", "1", "--limit", "5"], "unrecognized arguments: --limit 5"),
    ],
)
def test_wrong_usage_is_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("job", JOBS, ids=job_name)
def test_every_job_declares_its_parameters(job: ModuleType) -> None:
    source, parameters = inspect.getsource(job), job.PARAMETERS
    assert parameters.has_limit == bool(re.search(r"step\.(limit|at_most)", source))
    assert (parameters.first_iteration is not None) == ("step.required_iteration" in source)
    assert parameters.has_direction == ("step.required_direction" in source)
    assert bool(parameters.argument) == ("step.argument" in source)


def test_the_bare_command_lists_the_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "score-candidates" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [(JobError("a"), 1), (RecipeError("a"), 2), (StoppedError("a"), 3), (WaitingError("a"), 4), (KeyError("a"), 1)],
    ids=lambda e: type(e).__name__,
)
def test_each_error_has_its_exit_code(
    recipe: Path, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    def fail() -> NoReturn:
        raise error

    words = ["run", "--recipe", str(recipe), "--lake", "l"]
    assert main(words, session=fail) == code
    assert capsys.readouterr().err.startswith("humpback: ")
    assert main([*words, "--verbose"], session=fail) == code
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("java.io.IOException: No space left on device", "the disk is full"),
        ("java.io.IOException: Mkdirs failed to create file:/lake", "choose another --lake"),
        ("[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number", "install a Java 17+"),
        ("unresolved dependency: io.delta#delta-spark_4.2_2.13;4.4.0: not found", "Delta jar"),
        ("[DELTA_CONCURRENT_APPEND] Files were added", "another process wrote"),
    ],
)
def test_known_errors_say_what_to_do(text: str, advice: str) -> None:
    found = sentence(RuntimeError(f"first line\n{text}\nmore"))
    assert text in found
    assert advice in found
    assert "\n" not in found


def test_a_workers_own_error_is_what_is_shown() -> None:
    text = (
        "An exception was thrown from the Python worker:\nTraceback (most recent call last):\n"
        '  File "x.py", line 1, in <module>\nValueError: crawl/a.warc: no such file\n'
    )
    assert sentence(RuntimeError(text)) == "crawl/a.warc: no such file"


def test_each_judge_check_runs_after_its_training() -> None:
    recipe = Recipe.model_validate({"name": "x", "base_model": "b", "judge_check": {"iterations": [0, 1, 2]}})
    order = [(step.name, step.iteration) for step in steps(recipe) if step.direction != "backward"]
    for t in range(recipe.iterations + 1):
        assert order.index(("judge-check", t)) > order.index(("finetune", t))


def test_every_model_is_measured_while_it_is_served_and_the_last_after_the_verdicts() -> None:
    recipe = Recipe.model_validate(
        {"name": "x", "base_model": "b", "evaluation": [{"iterations": [0, 1, 2], "judged_iterations": [1, 2]}]}
    )
    order = [(step.name, step.iteration) for step in steps(recipe) if step.direction != "backward"]
    for t in range(recipe.iterations):
        assert (
            order.index(("score-candidates", t + 1))
            < order.index(("evaluate-models", t))
            < order.index(("finetune", t + 1))
        )
    assert order[-2:] == [("judge-answers", 2), ("evaluate-models", 2)]
    none = Recipe.model_validate({"name": "x", "base_model": "b", "evaluate_models": {"iterations": []}})
    assert "evaluate-models" not in [step.name for step in steps(none)]
