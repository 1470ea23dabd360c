"""`humpback scaling`: the fit of a figure of models to the number of curated pairs that they were trained on."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.cli.printing import plain, say, say_rows
from jobs.current import counting
from jobs.current.counting import EVALUATIONS
from jobs.current.notes import Notes, model_name, noted
from jobs.errors import JobError
from jobs.lake.names import suggestion
from jobs.lake.rows import rows_of_dicts
from jobs.lake.view import LakeView, Row
from schemas.gold import TRAINING_EXAMPLES
from transforms.evaluation.scaling import MIN_POINTS, Fit, fitted
from transforms.scoring.estimates import Estimate

COLUMNS = ("experiment", "model_id", "iteration", "pairs", "value", "low", "high", "items")
MODELS = "SELECT * FROM ops.models WHERE direction = 'forward' ORDER BY experiment, iteration, model_id"
FIGURES = f"SELECT * FROM ({EVALUATIONS}) WHERE evaluation = $evaluation AND metric = $metric AND model_id = $model"
AVAILABLE = f"SELECT DISTINCT evaluation, metric FROM ({EVALUATIONS}) WHERE model_id = $model ORDER BY ALL"
WEIGHTS = "SELECT model_id, digest FROM ops.models UNION ALL SELECT model_id, digest FROM ops.base_models"
SAME = ("method_digest", "reference_id", "judge_id")
"""Columns that must be equal for figures to be comparable; models with equal weights count as equal."""


@dataclass(frozen=True)
class Wanted:
    """The figure to compare, as `gold.evaluations` names it."""

    evaluation: str
    metric: str


def run(view: LakeView, options: argparse.Namespace) -> None:
    """Print the sizes and figures and the fit; draw them if `--out` is given."""
    wanted = Wanted(options.evaluation, options.metric)
    points = _points(view, [*dict.fromkeys(options.experiments)], options.iteration, wanted)
    sizes = [point["pairs"] for point in points]
    try:
        fit = fitted(sizes, [point["value"] for point in points])
    except ValueError as error:
        given = ", ".join(f"{point['experiment']} {point['pairs']:,}" for point in points)
        raise JobError(
            f"{view.root}: {error}; the experiments' models were trained on these numbers of curated pairs: {given}; "
            "train models on other numbers with `curate.max_pairs`"
        ) from error
    if options.out:
        _draw(options.out, points, fit, wanted)
    if options.json:
        say(json.dumps(row) for row in (*points, {"fit": _as_json(fit, len(points))}))
    else:
        say_rows(rows_of_dicts(COLUMNS, map(_rounded, points)), as_json=False)
        say(map(plain, _sentences(fit, len(points), wanted, options.out)))


def _points(view: LakeView, experiments: Sequence[str], iteration: int | None, wanted: Wanted) -> list[Row]:
    """Return one row (`COLUMNS`) per experiment, fewest pairs first.

    Raises:
        JobError: there are too few experiments, one lacks a model or a figure, or the figures cannot be compared.
    """
    if len(experiments) < MIN_POINTS:
        raise JobError(
            f"--experiments names {len(experiments)}; a fit with an interval needs {MIN_POINTS} of different sizes; "
            "add recipes that differ in curate.max_pairs"
        )
    notes, models = noted(view), _current_models(view, noted(view), experiments)
    common = sorted(set.intersection(*(set(of) for of in models.values())))
    if iteration is None and not common:
        found = "; ".join(f"{name} has {', '.join(map(str, sorted(of)))}" for name, of in models.items())
        raise JobError(f"{view.root}: no iteration has a forward model of every experiment: {found}; finish their runs")
    t = common[-1] if iteration is None else iteration
    if lacking := [name for name in experiments if t not in models[name]]:
        raise JobError(
            f"{view.root}: {len(lacking)} of {len(experiments)} experiments have no current forward model of iteration "
            f"{t}, e.g. {lacking[0]}; finish its run, or name another --iteration"
        )
    rows = [_figure(view, notes, models[name], t, wanted) for name in experiments]
    _require_comparable(view, rows)
    points = [
        {"experiment": row["experiment"], "model_id": row["model_id"], "iteration": t, "items": row["n"]}
        | {"pairs": _n_curated(view, models[row["experiment"]][t])}
        | {name: row[name] for name in ("value", "low", "high")}
        for row in rows
    ]
    return sorted(
        ({name: point[name] for name in COLUMNS} for point in points), key=lambda p: (p["pairs"], p["experiment"])
    )


def _current_models(view: LakeView, notes: Notes, experiments: Sequence[str]) -> dict[str, dict[int, Row]]:
    """Map each experiment to its current forward models by iteration from 1.

    Raises:
        JobError: the lake has no forward model of one of them.
    """
    rows = view.rows(MODELS)
    known = {row["experiment"] for row in rows}
    if unknown := [name for name in experiments if name not in known]:
        others = suggestion(unknown[0], known) or f"; it has those of {', '.join(sorted(known)) or 'none'}"
        raise JobError(
            f"{view.root}: no forward models of {len(unknown)} of the experiments, e.g. {unknown[0]}{others}"
        )
    models: dict[str, dict[int, Row]] = {name: {} for name in experiments}
    for row in rows:
        name, t = row["experiment"], row["iteration"]
        if name in models and t >= 1 and notes.get((name, model_name("forward", t))) == row["model_id"]:
            models[name][t] = row
    return models


def _figure(view: LakeView, notes: Notes, models: dict[int, Row], t: int, wanted: Wanted) -> Row:
    """Return the row of `gold.evaluations` about the model of iteration `t`.

    Raises:
        JobError: there is none, or several, such as win rates against several models.
    """
    model = models[t]
    name, model_id = model["experiment"], model["model_id"]
    values = counting.values(name, notes, {t: model_id}, {}) | asdict(wanted) | {"model": model_id}
    rows = view.rows(FIGURES, values)
    if len(rows) == 1:
        return rows[0]
    about = (
        f"{view.root}: gold.evaluations has {len(rows) or 'no'} figures {wanted.metric} of {wanted.evaluation} about"
    )
    if rows:
        others = ", ".join(sorted(f"{row['reference_id']} judged by {row['judge_id']}" for row in rows))
        raise JobError(
            f"{about} {model_id}, against {others}; a fit needs one; judge against one reference with one judge"
        )
    available = [f"{row['metric']} of {row['evaluation']}" for row in view.rows(AVAILABLE, values)]
    raise JobError(
        f"{about} {model_id} of {name}; it has {', '.join(available) or 'none'}; run `humpback evaluate-models "
        f"--iteration {t}` with its recipe, or name another --evaluation or --metric"
    )


def _require_comparable(view: LakeView, rows: Sequence[Row]) -> None:
    weights = {row["model_id"]: row["digest"] for row in view.rows(WEIGHTS)}
    for column in SAME:
        by_value: dict[str | None, list[str]] = {}
        for row in rows:
            by_value.setdefault(weights.get(row[column], row[column]), []).append(row["experiment"])
        if len(by_value) > 1:
            shown = "; ".join(f"{value}: {', '.join(names)}" for value, names in by_value.items())
            raise JobError(
                f"{view.root}: the figures are not comparable: they have {len(by_value)} values of {column} ({shown}); "
                "evaluate the models with the same settings, seed pairs, reference and judge"
            )


def _n_curated(view: LakeView, model: Row) -> int:
    """Return the number of curated pairs among the examples that a model was trained on, at their version."""
    table = view.open(TRAINING_EXAMPLES, model["table_version"])
    augmented = (
        f"SELECT count(*) AS n FROM {table} WHERE dataset = $dataset AND origin = 'augmented' AND split = 'train'"
    )
    n: int = view.rows(augmented, {"dataset": model["dataset"]})[0]["n"]
    return n


def _draw(out: Path, points: Sequence[Row], fit: Fit, wanted: Wanted) -> None:
    from jobs.report.charts import scaling, standalone  # imports matplotlib

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(standalone(scaling(points, fit, wanted.metric)), encoding="utf-8")
    except OSError as error:
        raise JobError(f"{out}: cannot be written: {error.strerror}; name another file") from error


def _as_json(fit: Fit, n_models: int) -> dict[str, object]:
    return {
        "formula": "value = alpha * ln(pairs) + constant",
        "alpha": asdict(fit.alpha),
        "alpha_per_doubling": asdict(fit.per_doubling),
        "alpha_per_tenfold": asdict(fit.per_tenfold),
        "constant": fit.constant,
        "interval": "95 %, Student's t of the residuals",
        "degrees_of_freedom": fit.degrees,
        "models": n_models,
    }


def _sentences(fit: Fit, n_models: int, wanted: Wanted, out: Path | None) -> Iterator[str]:
    yield f"{wanted.metric} = {fit.alpha.value:.4g} ln N + {fit.constant:.4g}, N curated pairs, natural logarithm"
    how = f"Student's t of the residuals of {n_models} models, degrees of freedom {fit.degrees}"
    yield f"alpha per unit of ln N: {_with_interval(fit.alpha)} (95 %: {how})"
    yield f"per doubling of N: {_with_interval(fit.per_doubling)}"
    yield f"per tenfold N: {_with_interval(fit.per_tenfold)}"
    if out:
        yield f"plot: {out}"


def _rounded(point: Row) -> Row:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in point.items()}


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:+.4g}, {estimate.low:+.4g} to {estimate.high:+.4g}"
