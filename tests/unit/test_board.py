"""`humpback board`: what it prints for folders of results, and what it says of bad ones."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

from schemas.gold import GENERATIONS, JUDGEMENTS
from schemas.ops import RUNS
from tests.conftest import Command, Output
from tests.jobs.synthetic_lake import FORWARD
from tests.planted import plant

JUDGE = "weighted_alpaca_eval_gpt4_turbo"
DIFFICULTY = [0.5, -1.0, 2.0, 0.0, 1.5, -0.5]
WEIGHTS = {"good": (-1.5, 0.75, 1.0), "bad": (-1.0, 0.9, -2.0)}
GOOD, BAD = [2, 1.5, 2, 1.75, None, 2], [1, 1.25, 0, 1, 1, 1]


def question(n: int) -> str:
    return f"Question {n}?"


def rows(preferences: list[Any], **more: Any) -> list[dict[str, Any]]:
    return [
        {"instruction": question(n), "output_1": "b" * (3 + n), "output_2": "m" * (9 - n), "generator_1": "base",
         "generator_2": "ours", "preference": preference} | more
        for n, preference in enumerate(preferences)
    ]  # fmt: skip


def put(root: Path, model: str, annotations: object, judge: str = JUDGE) -> Path:
    file = root / model / judge / "annotations.json"
    file.parent.mkdir(parents=True)
    file.write_text(annotations if isinstance(annotations, str) else json.dumps(annotations))
    return file


def outputs(root: Path, model: str, instructions: list[str]) -> None:
    (root / model / "model_outputs.json").write_text(
        json.dumps([{"instruction": text, "output": "m", "generator": model} for text in instructions])
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    put(root, "good", rows(GOOD))
    put(root, "bad", rows(BAD))
    return root


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "weights.csv"
    lines = [",np.tanh(std_delta_len),instruction_difficulty,not_gamed_baseline.astype(float)"]
    file.write_text("\n".join([*lines, *(f"{name},{a},{k},{b}" for name, (a, k, b) in WEIGHTS.items())]) + "\n")
    return file


@pytest.fixture
def difficulty(tmp_path: Path) -> Path:
    file = tmp_path / "instruction_difficulty.csv"
    file.write_text("index,instruction_difficulty\n" + "".join(f"{n},{d}\n" for n, d in enumerate(DIFFICULTY)))
    return file


def boards(said: Output) -> dict[str, dict[str, Any]]:
    """The objects by model, of which none holds a figure that is no JSON."""
    assert "NaN" not in said.out
    assert "Infinity" not in said.out
    return {row["model"]: row for row in map(json.loads, said.out.splitlines())}


def controlled(model: str, difficulties: list[float]) -> tuple[float, float]:
    """The definition: the mean of σ(k·d + b), and its standard error."""
    _, k, b = WEIGHTS[model]
    p = [1 / (1 + math.exp(-(k * d + b))) for d in difficulties]
    mean = sum(p) / len(p)
    return 100 * mean, 100 * math.sqrt(sum((one - mean) ** 2 for one in p) / (len(p) - 1) / len(p))


def test_a_line_for_each_model(look: Command, results: Path) -> None:
    """By hand: wins 1, ½, 1, ¾, 1 have the mean 0.85, squares about it 0.2; wins 0, ¼, ½, 0, 0, 0 are an eighth."""
    said = look("board", results, "--json")
    assert (said.code, said.err) == (0, "")
    found = boards(said)
    assert list(found) == ["good", "bad"]
    good = found["good"]
    assert (good["judge"], good["n"], good["win_rate"]) == (JUDGE, 5, pytest.approx(85))
    assert good["standard_error"] == pytest.approx(100 * math.sqrt(0.2 / 4 / 5))
    assert (found["bad"]["n"], found["bad"]["win_rate"]) == (6, pytest.approx(12.5))
    assert set(good) == {"model", "judge", "win_rate", "standard_error", "n", "lc_minimal"}


def test_text_has_two_decimals(look: Command, results: Path, weights: Path, difficulty: Path) -> None:
    head, *lines = look("board", results, "--weights", weights, "--difficulty", difficulty).out.splitlines()
    assert head.split() == ["model", "judge", "win_rate", "standard_error", "n", "lc_win_rate", "lc_standard_error"]
    lc, error = controlled("good", DIFFICULTY)
    assert lines[0].split() == ["good", JUDGE, "85.0", "10.0", "5", f"{round(lc, 2)}", f"{round(error, 2)}"]
    assert len(lines) == 2


def test_length_control_predicts_every_row(look: Command, results: Path, weights: Path, difficulty: Path) -> None:
    """A row without a preference is left out of the win rate, not of the prediction."""
    said = look("board", results, "--weights", weights, "--difficulty", difficulty, "--json")
    assert said.code == 0
    for model, row in boards(said).items():
        assert (row["lc_win_rate"], row["lc_standard_error"]) == pytest.approx(controlled(model, DIFFICULTY))
        assert row["lc_from"] == "weights"
        assert "lc_minimal" not in row


def test_results_in_a_second_folder_of_the_judge_are_found(look: Command, results: Path) -> None:
    nested = results / "twice" / JUDGE / JUDGE
    nested.mkdir(parents=True)
    (nested / "annotations.json").write_text(json.dumps(rows([1, 2])))
    put(results, "twice", rows([1, 1]), "another")
    said = look("board", results, "--json")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [(r["judge"], r["win_rate"]) for r in found if r["model"] == "twice"] == [("another", 0), (JUDGE, 50)]
    assert (said.code, said.err) == (0, "")


def test_the_outer_file_counts(look: Command, results: Path) -> None:
    nested = results / "good" / JUDGE / JUDGE
    nested.mkdir()
    (nested / "annotations.json").write_text("broken")
    assert look("board", results).code == 0


def test_rows_are_known_by_their_index(look: Command, tmp_path: Path, weights: Path, difficulty: Path) -> None:
    places = [4, 2, 0]
    put(tmp_path / "r", "good", [r | {"index": n} for r, n in zip(rows([1, 2, 2]), places, strict=True)])
    said = look("board", tmp_path / "r", "--weights", weights, "--difficulty", difficulty, "--json")
    wanted = controlled("good", [DIFFICULTY[n] for n in places])[0]
    assert boards(said)["good"]["lc_win_rate"] == pytest.approx(wanted)


def test_rows_are_known_by_the_models_outputs(look: Command, tmp_path: Path, weights: Path, difficulty: Path) -> None:
    """Instruction 1 is missing, so that a row's number is not its place in the evaluation set."""
    root = tmp_path / "r"
    put(root, "good", rows(GOOD)[:1] + rows(GOOD)[2:])
    outputs(root, "good", [question(n) for n in range(6)])
    said = look("board", root, "--weights", weights, "--difficulty", difficulty, "--json")
    assert boards(said)["good"]["lc_win_rate"] == pytest.approx(controlled("good", DIFFICULTY[:1] + DIFFICULTY[2:])[0])
    assert said.code == 1
    assert "1 of the 6 instructions of" in said.err
    assert "have no annotation and are left out, e.g. 'Question 1?'; annotate them" in said.err


def test_the_baseline_against_itself_is_a_half(look: Command, tmp_path: Path, weights: Path, difficulty: Path) -> None:
    put(tmp_path / "r", "base", rows([1.5, 1.5, 2, 1, 1, 1], generator_2="base"))
    said = look("board", tmp_path / "r", "--weights", weights, "--difficulty", difficulty, "--json")
    row = boards(said)["base"]
    assert (row["lc_win_rate"], row["lc_standard_error"], row["lc_from"], said.code) == (50, 0, "definition", 0)


def test_weights_are_found_by_folder_or_generator(
    look: Command, tmp_path: Path, weights: Path, difficulty: Path
) -> None:
    put(tmp_path / "r", "renamed", rows(GOOD, generator_2="good"))
    said = look("board", tmp_path / "r", "--weights", weights, "--difficulty", difficulty, "--json")
    assert boards(said)["renamed"]["lc_win_rate"] == pytest.approx(controlled("good", DIFFICULTY)[0])


def test_weights_whose_path_names_a_judge_are_that_judges(
    look: Command, results: Path, weights: Path, difficulty: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "weights" / JUDGE / "length_controlled_v1" / "baseline_base.csv"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(weights.read_bytes())
    put(results, "good", rows(GOOD), "alpaca_eval_gpt4")
    said = look("board", results, "--weights", kept, "--difficulty", difficulty, "--json")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [(r["judge"], "lc_win_rate" in r) for r in found if r["model"] == "good"] == [
        ("alpaca_eval_gpt4", False),
        (JUDGE, True),
    ]
    assert said.code == 0


def gamed(place: Path) -> Path:
    lines = ["model,preference,index,std_delta_len,instruction_difficulty,not_gamed_baseline"]
    lines += [f"v,{0.2 + n / 10},{n},{n - 2},{d},False" for n, d in enumerate(DIFFICULTY)]
    place.write_text("\n".join(lines) + "\n")
    return place


def test_gamed_rows_make_a_fit_and_their_digest_is_told(look: Command, results: Path, tmp_path: Path) -> None:
    file = gamed(tmp_path / "df_gamed.csv")
    said = look("board", results, "--gamed", file, "--json")
    for row in boards(said).values():
        assert 0 < row["lc_win_rate"] < 100
        assert row["lc_from"] == f"fit with gamed rows sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
        assert "lc_minimal" not in row
    assert said.code == 0


def test_one_row_has_no_standard_error(look: Command, tmp_path: Path) -> None:
    put(tmp_path / "r", "one", rows([2]))
    assert boards(look("board", tmp_path / "r", "--json"))["one"]["standard_error"] is None
    assert look("board", tmp_path / "r").code == 0


BROKEN = [
    ("{", "not JSON: Expecting property name"),
    ("[]", "not a list of JSON objects"),
    (rows([1, 2]) + rows([1]), "1 of its instructions are repeated, e.g. 'Question 0?' in rows 1 and 3"),
    (rows([None, None]), "none of its 2 rows has a `preference`"),
    (rows([1, 7]), "the first is 7 in row 2"),
    ([{"preference": 1}], "1 of its 1 rows have no text `instruction`"),
]  # fmt: skip


@pytest.mark.parametrize(("annotations", "sentence"), BROKEN)
def test_a_bad_file_has_one_sentence_and_hides_no_other(
    look: Command, results: Path, annotations: object, sentence: str
) -> None:
    file = put(results, "a-broken", annotations)
    said = look("board", results, "--json")
    assert said.code == 1
    assert said.err.startswith(f"humpback: {file}: ")
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert list(boards(said)) == ["good", "bad"]


def test_all_faults_are_told(look: Command, results: Path) -> None:
    for name, (annotations, _) in enumerate(BROKEN):
        put(results, f"broken-{name}", annotations)
    said = look("board", results)
    assert said.err.count("\n") == len(BROKEN)
    assert said.code == 1


def test_unmatched_instructions(look: Command, results: Path) -> None:
    outputs(results, "good", [question(n) for n in range(5)])
    said = look("board", results, "--json")
    assert "1 of its 6 instructions are not in" in said.err
    assert "e.g. 'Question 5?'" in said.err
    assert (said.code, list(boards(said))) == (1, ["bad"])


def test_outputs_that_cannot_be_read(look: Command, results: Path) -> None:
    (results / "good" / "model_outputs.json").write_text("[{}]")
    said = look("board", results, "--json")
    assert "model_outputs.json: 1 of its 1 rows have no text `instruction`" in said.err
    assert (said.code, list(boards(said))) == (1, ["good", "bad"])


def test_a_model_without_weights_keeps_its_win_rate(
    look: Command, results: Path, weights: Path, difficulty: Path
) -> None:
    put(results, "new", rows(GOOD, generator_2="new"))
    said = look("board", results, "--weights", weights, "--difficulty", difficulty, "--json")
    assert "no length-controlled win rate: new is none of the 2 models that have weights, e.g. good" in said.err
    found = boards(said)
    assert (said.code, found["new"]["n"], "lc_win_rate" in found["new"]) == (1, 5, False)
    assert "lc_win_rate" in found["good"]


def test_difficulties_that_lack_instructions(look: Command, results: Path, weights: Path, difficulty: Path) -> None:
    difficulty.write_text("".join(difficulty.read_text().splitlines(keepends=True)[:-2]))
    said = look("board", results, "--weights", weights, "--difficulty", difficulty, "--json")
    sentence = "2 of its 6 instructions have no difficulty, e.g. index 4, 'Question 4?'; complete the file"
    assert said.err.count(sentence) == 2
    assert (said.code, [row["n"] for row in boards(said).values()]) == (1, [5, 6])


def test_rows_are_known_by_another_models_annotations(
    look: Command, results: Path, weights: Path, difficulty: Path
) -> None:
    put(results, "a", "no JSON")
    file = put(results, "short", [*rows(GOOD)[3:], *rows(GOOD)[1:2]])
    file.write_text(file.read_text().replace('"ours"', '"good"'))
    found = boards(look("board", results, "--json", "--weights", weights, "--difficulty", difficulty))["short"]
    rate, error = controlled("good", [*DIFFICULTY[3:], DIFFICULTY[1]])
    assert (found["lc_win_rate"], found["lc_standard_error"]) == (pytest.approx(rate), pytest.approx(error))


def test_rows_whose_places_are_unknown(look: Command, tmp_path: Path, weights: Path, difficulty: Path) -> None:
    results = tmp_path / "results"
    put(results, "short", rows(GOOD)[1:])
    said = look("board", results, "--weights", weights, "--difficulty", difficulty, "--json")
    assert "it has 5 rows and there are difficulties of 6 instructions" in said.err
    assert (said.code, "lc_win_rate" in boards(said)["short"]) == (1, False)


def test_a_fit_without_outputs(look: Command, results: Path, tmp_path: Path) -> None:
    put(results, "bare", rows(GOOD, output_2=None))
    said = look("board", results, "--gamed", gamed(tmp_path / "df_gamed.csv"), "--json")
    assert "bare" in said.err
    assert "a fit needs five verdicts, and `output_1` and `output_2` in every row" in said.err
    assert said.code == 1
    assert "lc_minimal" not in boards(look("board", results, "--json"))["bare"]


def test_models_without_annotations_are_told_and_are_no_fault(look: Command, results: Path) -> None:
    (results / "unjudged").mkdir()
    said = look("board", results)
    assert "1 of its folders hold no annotations.json, e.g. unjudged" in said.err
    assert said.code == 0


def test_an_empty_folder(look: Command, tmp_path: Path) -> None:
    said = look("board", tmp_path)
    assert (said.code, said.out) == (1, "")
    assert f"no annotations.json lies where {tmp_path}/<model>/<judge>/annotations.json would" in said.err
    assert said.err.endswith("name the folder of the results\n")


def test_the_folder_of_one_model(look: Command, results: Path) -> None:
    assert look("board", results / "good").err.endswith("name the folder above it\n")


def test_no_folder(look: Command, tmp_path: Path) -> None:
    said = look("board", tmp_path / "nowhere")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "nowhere: cannot be read: No such file or directory" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--weights", "w.csv"], "--weights and --difficulty belong together"),
        (["--difficulty", "d.csv"], "--weights and --difficulty belong together"),
        (["--weights", "w.csv", "--difficulty", "d.csv", "--gamed", "g.csv"], "not both"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    look: Command, results: Path, words: list[str], said: str
) -> None:
    found = look("board", results, *words)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_a_csv_that_cannot_be_read(look: Command, results: Path, difficulty: Path, tmp_path: Path) -> None:
    said = look("board", results, "--weights", tmp_path / "w.csv", "--difficulty", difficulty)
    assert (said.code, "w.csv: cannot be read: No such file or directory" in said.err) == (1, True)
    said = look("board", results, "--weights", difficulty, "--difficulty", difficulty)
    assert (said.code, "it lacks the column `np.tanh(std_delta_len)`" in said.err) == (1, True)
    (tmp_path / "w.csv").write_bytes(b"\xff\xfe\x00")  # no UTF-8
    said = look("board", results, "--weights", tmp_path / "w.csv", "--difficulty", difficulty)
    assert (said.code, said.err.count("\n")) == (1, 1)


def test_a_csv_may_begin_with_a_byte_order_mark(look: Command, results: Path, weights: Path, difficulty: Path) -> None:
    for file in (weights, difficulty):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert look("board", results, "--weights", weights, "--difficulty", difficulty).err == ""


def test_a_lake_without_judgements(look: Command, tmp_path: Path) -> None:
    plant(tmp_path / "lake", RUNS, [])
    said = look("board", tmp_path / "new", "--lake", tmp_path / "lake")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "lake: gold.judgements has no rows; run `humpback judge-answers` first" in said.err


def test_verdicts_of_two_methods_do_not_fit_into_a_file(look: Command, tmp_path: Path) -> None:
    answer = {"prompt_set": "s", "prompt_id": "p", "sample": 0, "prompt": "Q?", "request_id": "q"}
    plant(tmp_path / "lake", GENERATIONS, [answer | {"method_digest": d, "model_id": m, "output": d + m}
                                           for d in ("g1", "g2") for m in ("m", "r")])  # fmt: skip
    plant(tmp_path / "lake", JUDGEMENTS, [
        {"method_digest": "j1", "judge_id": "j", "prompt_set": "s", "prompt_id": "p", "model_id": "m", "reference_id": "r",
         "preference": 1.5, "status": "ok", "request_ids": []}
    ])  # fmt: skip
    said = look("board", tmp_path / "new", "--lake", tmp_path / "lake")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "prompt p of s has answers or verdicts of several methods, e.g. of m" in said.err


def test_a_lakes_judgements_become_results(look: Command, finished_root: str, tmp_path: Path) -> None:
    """The lake's six verdicts are 2, 1.25, 2, 1.25, 2 and 1.25; the report says 0.625 of them."""
    said = look("board", tmp_path / "new", "--lake", finished_root, "--json")
    assert (said.code, said.err) == (0, "")
    [row] = boards(said).values()
    assert (row["model"], row["judge"]) == (f"{FORWARD[2]}@humpback", f"{FORWARD[2]}-against-{FORWARD[0]}")
    assert (row["n"], row["win_rate"]) == (6, pytest.approx(62.5))
    annotations = json.loads((tmp_path / "new" / row["model"] / row["judge"] / "annotations.json").read_text())
    assert [one["preference"] for one in annotations] == [2.0, 1.25] * 3
    assert {(one["generator_1"], one["generator_2"]) for one in annotations} == {(FORWARD[0], FORWARD[2])}
    assert all(one["output_1"] and one["output_2"] for one in annotations)
    assert look("board", tmp_path / "new", "--lake", finished_root, "--json").out == said.out
