"""The fit of a figure to the number of pairs: against closed forms and scipy, and as a command on a made lake."""

import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress, t

from schemas.gold import EVALUATIONS, TRAINING_EXAMPLES
from schemas.ops import MODELS, RUNS
from tests.conftest import Command
from tests.jobs.synthetic_lake import FORWARD, NOW, key
from tests.planted import plant
from transforms.evaluation.scaling import fitted

SIZES = {"n2": 2, "n4": 4, "n8": 8, "n16": 16}
LOSSES = {"n2": 2.8, "n4": 2.71, "n8": 2.6, "n16": 2.49}


def test_values_on_a_line_have_its_slope_and_no_interval() -> None:
    fit = fitted([100, 800, 3200], [5 - 0.25 * math.log(n) for n in (100, 800, 3200)])
    assert (fit.alpha.value, fit.constant, fit.degrees) == (pytest.approx(-0.25), pytest.approx(5.0), 1)
    assert fit.alpha.low == pytest.approx(fit.alpha.high, abs=1e-9)
    assert fit.per_doubling.value == pytest.approx(fit.at(200) - fit.at(100))
    assert fit.per_tenfold.value == pytest.approx(fit.at(1000) - fit.at(100))


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(-100, 100)), min_size=3, max_size=12))
def test_fit_and_interval_are_those_of_scipy(points: list[tuple[int, float]]) -> None:
    sizes, values = [n for n, _ in points], [value for _, value in points]
    if len(set(sizes)) < 3:
        return
    fit, expected = fitted(sizes, values), linregress(np.log(sizes), values)
    half = t.ppf(0.975, len(points) - 2) * np.nan_to_num(expected.stderr)  # NaN if all values are equal
    assert fit.alpha.value == pytest.approx(expected.slope, abs=1e-7)
    assert fit.constant == pytest.approx(expected.intercept, abs=1e-6)
    assert fit.alpha.high - fit.alpha.value == pytest.approx(half, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        ([5, 5, 5], [1, 2, 3], "needs 3 different sizes, and there are 1"),
        ([5, 6], [1, 2], "needs 3 different sizes, and there are 2"),
        ([0, 1, 2], [1, 2, 3], "a size is 0, which has no logarithm"),
        ([1, 2, 3], [1, math.nan, 3], "not a finite number"),
    ],
)
def test_what_has_no_fit_is_an_error(sizes: list[int], values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(sizes, values)


def model_of(name: str) -> str:
    return f"forward-1-{name}"


def run_of(name: str, model_id: str) -> dict[str, Any]:
    return {
        "run_id": key("run", name), "loop_id": "l", "job": "evaluate-models", "experiment": name, "iteration": 1,
        "direction": None, "started_at": NOW, "seconds": 1.0, "recipe_digest": "0" * 16, "code_version": "0",
        "status": "ok", "unit": "models", "n_in": 1, "n_out": 1, "dropped": {}, "quarantined": {}, "n_calls": 0,
        "n_tokens": 0, "n_failed": 0, "version": None, "inputs": {}, "error": None, "state_digest": None,
        "methods": {"evaluations/held_out_loss": f"l-{name[0]}", "forward-1": model_id},
    }  # fmt: skip


def figure_of(name: str, **changes: Any) -> dict[str, Any]:
    value = LOSSES.get(name, 2.5)
    row = {
        "experiment": name, "evaluation": "held_out_loss", "metric": "loss", "model_id": model_of(name),
        "reference_id": None, "judge_id": None, "value": value, "low": value - 0.1, "high": value + 0.1, "n": 30,
        "n_left_out": 0, "method_digest": f"l-{name[0]}", "versions": {}, "run_id": key("run", name),
    } | changes  # fmt: skip
    return {"figure_id": key(*map(str, row.values())), **row}


def plant_experiment(root: Path, name: str, n_pairs: int, figures: list[dict[str, Any]], m0: str = "m0") -> None:
    """A model trained on three seed pairs, two of them held out, and `n_pairs` curated ones; its figures; and an M0."""
    example = {"dataset": f"{name}/forward-1", "system": "tag", "prompt": "p", "completion": "c", "source_id": "s"}
    rows = [example | {"example_id": f"s{n}", "origin": "seed", "split": "dev" if n else "train"} for n in range(3)]
    rows += [example | {"example_id": f"a{n}", "origin": "augmented", "split": "train"} for n in range(n_pairs)]
    plant(root, TRAINING_EXAMPLES, rows)
    version = len(list((root / TRAINING_EXAMPLES.path / "_delta_log").glob("*.json"))) - 1
    plant(root, MODELS, [{
        "model_id": model_id, "experiment": name, "direction": "forward", "iteration": t, "base_model": "b",
        "path": "p", "digest": weights, "dataset": f"{name}/forward-1", "table_version": version, "n_examples": 3 + n_pairs,
        "content_digest": "c", "config_digest": "0" * 16, "metrics": {}, "run_id": key("run", name),
    } for t, model_id, weights in ((0, f"forward-0-{name}", m0), (1, model_of(name), name))])  # fmt: skip
    plant(root, EVALUATIONS, figures)
    plant(root, RUNS, [run_of(name, model_of(name))])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scaling") / "lake"
    for name, n in SIZES.items():
        plant_experiment(root, name, n, [figure_of(name), figure_of(name, method_digest="older", value=9.0, high=9.1)])
    plant(root, TRAINING_EXAMPLES, [{
        "dataset": "n2/forward-1", "example_id": "later", "system": "t", "prompt": "p", "completion": "c",
        "source_id": "s", "origin": "augmented", "split": "train",
    }])  # fmt: skip
    plant_experiment(root, "n4-again", 4, [figure_of("n4-again")])
    plant_experiment(root, "other", 32, [figure_of("other")])
    for n, value in ((3, 0.5), (5, 0.6), (9, 0.7)):
        won = {"metric": "win_rate", "reference_id": f"forward-0-won{n}", "judge_id": "j", "value": value}
        plant_experiment(
            root, f"won{n}", n, [figure_of(f"won{n}", low=None, high=None, **won)], m0="m" if n == 9 else "n"
        )
    plant_experiment(root, "won6", 6, [figure_of("won6", **won | {"reference_id": "forward-0-won6"}, low=0.5)], m0="n")
    plant_experiment(root, "nothing-measured", 5, [figure_of("nothing-measured", metric="pair_loss")])
    against = [figure_of("n7", metric="win_rate", evaluation="held_out_loss", reference_id=r) for r in FORWARD[:2]]
    plant_experiment(root, "n7", 7, against)
    return root


def test_each_model_is_counted_at_the_version_that_it_was_trained_on(look: Command, root: Path) -> None:
    said = look("scaling", "--experiments", "n16", *SIZES, "--json", "--lake", root)
    *points, last = map(json.loads, said.out.splitlines())
    assert [(p["experiment"], p["pairs"], p["value"], p["items"]) for p in points] == [
        (name, n, LOSSES[name], 30) for name, n in SIZES.items()
    ]
    fit, expected = last["fit"], linregress(np.log([*SIZES.values()]), [*LOSSES.values()])
    assert fit["alpha"]["value"] == pytest.approx(expected.slope)
    assert fit["alpha_per_doubling"]["value"] == pytest.approx(expected.slope * math.log(2))
    assert (fit["degrees_of_freedom"], fit["models"]) == (2, 4)


def test_the_text_names_the_base_and_the_interval_and_the_plot_is_a_file(
    look: Command, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "fit.svg"
    said = look("scaling", "--experiments", *SIZES, "--out", out, "--lake", root)
    assert (said.code, said.err) == (0, "")
    for text in ("loss = -0.15 ln N + 2.91, N curated pairs, natural logarithm", "per doubling of N: -0.104, -0.1",
                 "n2         forward-1-n2          1     2   2.8  2.7  2.9    30",
                 "(95 %: Student's t of the residuals of 4 models, degrees of freedom 2)", f"plot: {out}"):  # fmt: skip
        assert text in said.out, text
    svg = ElementTree.parse(out).getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in out.read_text(encoding="utf-8")
    assert "curated pairs N, logarithmic" in "".join(svg.itertext())


def test_win_rates_against_models_of_equal_weights_are_comparable(look: Command, root: Path) -> None:
    words = ("scaling", "--metric", "win_rate", "--lake", root, "--json", "--experiments", "won3", "won5")
    assert look(*words, "won6").code == 0
    told = r"they have 2 values of reference_id \(n: won3, won5; m: won9\); evaluate the models"
    assert re.search(told, look(*words, "won9").err)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["n2", "n4", "n2"], r"--experiments names 2; a fit with an interval needs 3 of different sizes"),
        (["n2", "n4", "n4-again"],
         r"needs 3 different sizes, and there are 2; .*: n2 2, n4 4, n4-again 4; train models .* `curate.max_pairs`"),
        (["n2", "n4", "n88"], r"no forward models of 1 of the experiments, e\.g\. n88; did you mean n8\?"),
        (["n2", "n4", "zzz"], r"e\.g\. zzz; it has those of n16, n2, n4, n4-again, n7, n8, nothing-measured, other, "),
        (["n2", "n4", "other"], r"are not comparable: they have 2 values of method_digest \(l-n: n2, n4; l-o: oth"),
        (["n2", "n4", "nothing-measured"],
         r"no figures loss of held_out_loss about forward-1-nothing-measured .*; it has pair_loss of held_out_loss; run"),
        (["n2", "n4", "n8", "--iteration", "2"], r"3 of 3 experiments have no current forward model of iteration 2, e"),
        (["n7", "n4", "n8", "--metric", "win_rate"], r"2 figures win_rate .*, against forward-0-bbbbbb judged by None, fo"),
        (["n2", "n4", "n8", "--out", "/dev/null/x.svg"], r"/dev/null/x\.svg: cannot be written: "),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_told_in_one_sentence(
    look: Command, root: Path, words: list[str], message: str
) -> None:
    said = look("scaling", "--lake", root, "--experiments", *words)
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err.startswith("humpback: ")
    assert re.search(message, said.err), said.err
