"""AlpacaEval's arithmetic: figures by hand and of published boards, length control against its definition."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from transforms.evaluation.alpaca_eval import (
    annotations,
    board_of,
    instructions_of,
    interval,
    judged,
    model_outputs,
    share,
    wins_of,
)
from transforms.evaluation.length_control import (
    STRENGTHS,
    Gamed,
    Weights,
    best_strength,
    difficulties_of,
    fitted,
    gamed_of,
    minimum,
    weights_of,
)
from transforms.scoring.estimates import Floats

WEIGHTS = ",np.tanh(std_delta_len),instruction_difficulty,not_gamed_baseline.astype(float)\n"
GAMED = "model,preference,index,std_delta_len,instruction_difficulty,not_gamed_baseline\n"


def rows(preferences: list[Any], **more: Any) -> list[dict[str, Any]]:
    return [
        {"instruction": f"Question {n}?", "output_1": "b" * (7 * n % 11), "output_2": "m" * (5 * n % 13),
         "generator_1": "base", "generator_2": "ours", "preference": preference} | more
        for n, preference in enumerate(preferences)
    ]  # fmt: skip


def test_win_rate_by_hand() -> None:
    """Wins 0, 1, ½ (a draw), ½ (a draw of old files) and ¼: mean 0.45, squares about it 0.55, variance 0.55 / 4."""
    found = board_of(rows([1, 2, 1.5, 0, 1.25, None, math.nan])).win_rate
    assert found.percent == pytest.approx(45)
    assert found.standard_error == pytest.approx(100 * math.sqrt(0.55 / 4 / 5))
    assert found.n == 5


@pytest.mark.parametrize(
    ("won", "lost", "drawn", "published"),
    [(706, 96, 2, 87.93532338308457), (672, 130, 2, 83.70646766169154), (578, 227, 0, 71.80124223602485)],
    ids=["Humpback-70B", "Humpback-65B", "Guanaco-65B"],
)
def test_published_boards_of_alpaca_eval_1(won: int, lost: int, drawn: int, published: float) -> None:
    """A failed annotation leaves n: of 805 rows, these boards count 804."""
    board = board_of(rows([2] * won + [1] * lost + [0] * drawn + [None] * (805 - won - lost - drawn)))
    assert board.win_rate.n == won + lost + drawn
    assert board.win_rate.percent == pytest.approx(published, abs=1e-9)


def test_one_row_has_no_standard_error() -> None:
    assert share(np.array([0.25])).standard_error is None


def test_the_interval_is_of_the_same_rate() -> None:
    wins = judged(wins_of([1.0, 2.0, None, 1.5, 2.0]))
    assert interval(wins).value == pytest.approx(share(wins).percent / 100) == pytest.approx(0.625)
    assert interval(wins).low < 0.625 < interval(wins).high


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"a": 1}, "not a list of JSON objects"),
        ([], "not a list of JSON objects"),
        ([1], "not a list of JSON objects"),
        ([*rows([1, 2]), {"preference": 1}], "1 of its 3 rows have no text `instruction`, the first is row 3"),
        (rows([1, 2]) + rows([2]), "1 of its instructions are repeated, e.g. 'Question 0?' in rows 1 and 3"),
        (rows([1, 3]), "1 of its 2 rows have a `preference` that is no number from 1"),
        (rows([1, 3]), "the first is 3 in row 2"),
        (rows([0.5]), "0.5 in row 1"),
        (rows(["2"]), "'2' in row 1"),
        (rows([True]), "True in row 1"),
        (rows([math.inf]), "inf in row 1"),
        (rows([None, math.nan]), "none of its 2 rows has a `preference`"),
        (rows([1, 2])[:1] + rows([1, 2], generator_2="theirs")[1:], "`generator_2` names 2 models, e.g. ours and theirs"),
    ],
)  # fmt: skip
def test_bad_annotations_have_one_sentence(wrong: object, said: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        board_of(wrong)
    assert said in str(error.value)


def test_lengths_are_characters_and_the_baselines_come_first() -> None:
    [row] = rows([1], output_1="é" * 9, output_2="ab")
    shorter = board_of([row]).shorter
    assert shorter is not None
    assert shorter.tolist() == [7]
    assert board_of([row | {"output_2": None}]).shorter is None


def test_indices_count_if_every_row_has_one_of_its_own() -> None:
    first, second = rows([1, 2])
    assert board_of([first | {"index": 4}, second | {"index": 2}]).indices == (4, 2)
    assert board_of([first | {"index": 4}, second]).indices is None
    assert board_of([first | {"index": 4}, second | {"index": 4}]).indices is None
    assert board_of([first | {"index": True}, second | {"index": 4}]).indices is None


def test_verdicts_of_ours_are_read_back() -> None:
    verdicts = [
        {"prompt_set": "s", "prompt": f"p{n}", "output": "own", "reference": "other's", "model_id": "m", "reference_id": "r",
         "judge_id": "j", "preference": preference} for n, preference in enumerate([1.25, None, 2.0])
    ]  # fmt: skip
    board = board_of(json.loads(json.dumps(annotations(verdicts))))
    assert (board.model, board.baseline, board.instructions) == ("m", "r", ("p0", "p1", "p2"))
    assert board.wins == pytest.approx([0.25, math.nan, 1.0], nan_ok=True)
    assert board.shorter is not None
    assert board.shorter.tolist() == [4, 4, 4]
    assert instructions_of(model_outputs(verdicts)) == board.instructions
    assert model_outputs(verdicts)[0] == {"dataset": "s", "instruction": "p0", "output": "own", "generator": "m"}


FINITE = st.floats(-6, 6)


@given(k=FINITE, b=FINITE, a=FINITE, difficulty=st.lists(FINITE, min_size=2, max_size=30))
def test_length_control_is_the_model_at_equal_lengths(k: float, b: float, a: float, difficulty: list[float]) -> None:
    p = [1 / (1 + math.exp(-(a * math.tanh(0) + k * d + b))) for d in difficulty]
    mean = sum(p) / len(p)
    error = math.sqrt(sum((one - mean) ** 2 for one in p) / (len(p) - 1) / len(p))
    found = Weights(a, k, b).predicted(np.array(difficulty))
    assert found.percent == pytest.approx(100 * mean)
    assert found.standard_error == pytest.approx(100 * error, abs=1e-9)


def test_weights_are_read_by_the_names_of_their_columns() -> None:
    assert weights_of(WEIGHTS + "m,-1.5,0.75,0.25\nn,0,0,0\n") == {
        "m": Weights(-1.5, 0.75, 0.25),
        "n": Weights(0, 0, 0),
    }
    turned = "not_gamed_baseline,model,instruction_difficulty,np.tanh(std_delta_len)\n0.25,m,0.75,-1.5\n"
    assert weights_of(turned) == {"m": Weights(-1.5, 0.75, 0.25)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows below a header"),
        (WEIGHTS, "no rows below a header"),
        ("model,instruction_difficulty,not_gamed_baseline\nm,1,2\n", "lacks the column `np.tanh(std_delta_len)`"),
        ("np.tanh(std_delta_len),instruction_difficulty\n1,2\n", "lacks the column of the models' names"),
        (WEIGHTS + "m,1,,2\n", "row 1: `instruction_difficulty` is '', which is no number"),
        (WEIGHTS + "m,1,nan,2\n", "is 'nan', which is no number"),
        (WEIGHTS + "m,1\n", "which is no number"),
        (WEIGHTS + "m,1,2,3\nm,1,2,4\n", "row 2 has other weights for m than a row before it"),
    ],
)
def test_bad_weights_have_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        weights_of(text)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "index,instruction_difficulty\n0,0.5\n1,-1\n",
        ",instruction_difficulty\n0,0.5\n1,-1\n",
        "instruction_difficulty\n0.5\n-1\n",
        "instruction_difficulty,index\n-1,1.0\n0.5,0.0\n0.5,0\n",
    ],
)
def test_difficulties_are_read_by_index_or_in_order(text: str) -> None:
    assert difficulties_of(text) == {0: 0.5, 1: -1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("index,difficulty\n0,1\n", "lacks the column `instruction_difficulty`"),
        ("index,instruction_difficulty\n0.5,1\n", "which is no whole number"),
        ("index,instruction_difficulty\n0,hard\n", "`instruction_difficulty` is 'hard', which is no number"),
        ("index,instruction_difficulty\n0,1\n0,2\n", "row 2 has another difficulty for index 0"),
    ],
)
def test_bad_difficulties_have_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        difficulties_of(text)
    assert said in str(error.value)


def test_gamed_rows_have_no_constant() -> None:
    found = gamed_of(GAMED + "concise,0.25,0,0.5,1.5,False\nverbose,,0,0.5,1.5,False\nverbose,1,1,-2,-1,False\n")
    assert found.features == pytest.approx(np.array([[math.tanh(0.5), 1.5, 0], [math.tanh(-2), -1, 0]]))
    assert found.wins.tolist() == [0.25, 1]
    assert found.difficulties == {0: 1.5, 1: -1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GAMED.replace("std_delta_len", "delta") + "m,0,0,0,0,False\n", "lacks the column `std_delta_len`"),
        (GAMED.replace("index", "place") + "m,0,0,0,0,False\n", "lacks the column `index`"),
        (GAMED + "m,0,0,0,0,True\n", "row 1 is of no gamed baseline: `not_gamed_baseline` is 'True'"),
        (GAMED + "m,1.5,0,0,0,False\n", "row 1 has the preference '1.5', which is not between 0 and 1"),
    ],
)
def test_bad_gamed_rows_have_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        gamed_of(text)
    assert said in str(error.value)


def data(seed: int, n: int) -> tuple[Floats, Floats, Floats]:
    """Soft labels of a known model, with weights, and n / 4 rows without the constant."""
    draw = np.random.default_rng(seed)
    x = np.column_stack([np.tanh(draw.normal(size=n)), draw.normal(size=n), np.arange(n) >= n // 4])
    p = 1 / (1 + np.exp(-(x @ [-1.5, 0.8, -1.0])))
    return x, np.clip(p + draw.normal(size=n) / 4, 0, 1), np.where(x[:, 2] == 0, 0.1, 1.0)


def objective(w: Floats, x: Floats, y: Floats, weight: Floats, strength: float) -> float:
    z = x @ w
    return float(np.abs(w).sum() + strength * (weight * (np.log1p(np.exp(z)) - y * z)).sum())


@pytest.mark.parametrize("strength", STRENGTHS[::3])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_fit_is_the_minimum(strength: float, seed: int) -> None:
    """No split of w into two positive parts, by another method, is better; and the slope is balanced by the penalty."""
    x, y, weight = data(seed, 200)
    w = minimum(x, y, weight, strength)
    other = minimize(
        lambda v: objective(v[:3] - v[3:], x, y, weight, strength),
        np.full(6, 0.1),
        method="L-BFGS-B",
        bounds=[(0, None)] * 6,
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 2000},
    )
    assert objective(w, x, y, weight, strength) <= other.fun + 1e-9
    slope = strength * x.T @ (weight * (1 / (1 + np.exp(-(x @ w))) - y))
    assert slope[w != 0] == pytest.approx(-np.sign(w[w != 0]), abs=1e-6)
    assert (np.abs(slope[w == 0]) <= 1 + 1e-9).all()


def test_a_strong_penalty_leaves_nothing_and_a_hopeless_fit_ends() -> None:
    x, y, weight = data(3, 60)
    assert minimum(x, y, weight, 1e-4).tolist() == [0, 0, 0]
    assert np.isfinite(minimum(x, np.ones(len(y)), weight, 1e4)).all()


@pytest.mark.parametrize(("seed", "n"), [(4, 83), (3, 7), (20, 13)])
def test_the_strength_has_the_least_loss_on_held_out_rows(seed: int, n: int) -> None:
    """Row by row. Folds of 7 and 13 rows are unequal, and the sum over rows would choose another strength."""
    x, y, weight = data(seed, n)
    means = []
    for strength in STRENGTHS:
        folds = []
        for out in range(5):
            held = [row for row in range(n) if row % 5 == out]
            kept = [row for row in range(n) if row not in held]
            w = minimum(x[kept], y[kept], weight[kept], strength)
            p = 1 / (1 + np.exp(-(x[held] @ w)))
            folds.append(np.mean(-weight[held] * (y[held] * np.log(p) + (1 - y[held]) * np.log(1 - p))))
        means.append(np.mean(folds))
    assert best_strength(x, y, weight) == STRENGTHS[int(np.argmin(means))]


def test_gamed_rows_leave_the_identity_of_the_constant() -> None:
    """At the minimum the model's rows satisfy Σ(p − y) = −sign(b)/C, whatever the gamed rows say of a and k."""
    draw = np.random.default_rng(5)
    n = 120
    preferences = (1 + draw.beta(1, 3, n)).tolist()
    lengths = draw.integers(20, 900, (n, 2))
    board = board_of(
        [row | {"output_1": "b" * one, "output_2": "m" * two}
         for row, (one, two) in zip(rows(preferences), lengths.tolist(), strict=True)]
    )  # fmt: skip
    difficulty = draw.normal(size=n)
    gamed_features = np.column_stack([np.tanh(draw.normal(size=2 * n)), np.tile(difficulty, 2), np.zeros(2 * n)])
    gamed = Gamed(gamed_features, draw.uniform(0.3, 0.7, 2 * n), {})
    found, without = fitted(board, difficulty, gamed), fitted(board, difficulty, None)
    assert found is not None
    assert found != without
    delta = lengths[:, 0] - lengths[:, 1]
    t = np.tanh(delta / np.std(delta, ddof=1))
    p = 1 / (1 + np.exp(-(found.a * t + found.k * difficulty + found.b)))
    residual = float((p - board.wins).sum())
    assert found.b < 0 < residual
    assert min(abs(residual - 1 / strength) for strength in STRENGTHS) < 1e-6


def test_a_fit_without_difficulties_has_no_k() -> None:
    weights = fitted(board_of(rows([1, 2, 1, 1.5, 2, 1.25, None])), None, None)
    assert weights is not None
    assert weights.k == 0


def test_too_few_verdicts_or_outputs_give_no_fit() -> None:
    assert fitted(board_of(rows([1, 2, 1, 1.5, None])), None, None) is None
    assert fitted(board_of(rows([1, 2, 1, 1.5, 2], output_1=None)), None, None) is None


def test_equal_lengths_fit_without_a_length() -> None:
    weights = fitted(board_of(rows([1, 2] * 10, output_1="ab", output_2="cd")), None, None)
    assert weights is not None
    assert (weights.a, weights.k) == (0, 0)


def test_the_fit_is_scikit_learns() -> None:
    """Figures of `LogisticRegressionCV` as AlpacaEval calls it (scikit-learn 1.7.2, liblinear, tol=1e-12).

    With liblinear's default tolerance, it stops at 35.12877 and 1.82835.
    """
    place = np.arange(60)
    lengths = np.column_stack([40 + 37 * place % 101, 30 + 53 * place % 127])
    t = np.diff(-lengths)[:, 0] / np.std(np.diff(lengths), ddof=1)
    difficulty = (29 * place % 31 - 15) / 10
    y = np.round(1 / (1 + np.exp(-(-1.5 * np.tanh(t) + 0.9 * difficulty - 0.8))), 2)
    wins = np.clip(y + (7 * place % 5 - 2) / 20, 0, 1)
    twice = np.arange(120)
    features = np.column_stack([np.tanh((11 * twice % 41 - 20) / 15), np.tile(difficulty, 2), np.zeros(120)])
    board = board_of(
        [row | {"output_1": "b" * base, "output_2": "m" * own}
         for row, (base, own) in zip(rows((1 + wins).tolist()), lengths.tolist(), strict=True)]
    )  # fmt: skip
    weights = fitted(board, difficulty, Gamed(features, 17 * twice % 21 / 20, {}))
    assert weights is not None
    found = weights.predicted(difficulty)
    assert (weights.a, weights.k, weights.b) == pytest.approx(
        (-1.1656943715342163, 0.7454622556849254, -0.7065607001368536), abs=1e-8
    )
    assert found.percent == pytest.approx(35.1286778755757, abs=1e-7)
    assert found.standard_error == pytest.approx(1.8283798289097581, abs=1e-7)
