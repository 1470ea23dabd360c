"""The models' losses on held-out human responses, and the changes from model to model."""

from typing import Any

from jobs.current.counting import EVALUATIONS
from jobs.lake.view import LakeView, Row
from jobs.report.facts import Experiment
from transforms.evaluation.held_out import EVALUATION

FIGURES = f"SELECT * FROM ({EVALUATIONS}) WHERE evaluation = '{EVALUATION}'"


def held_out_losses(view: LakeView, subject: Experiment) -> dict[str, list[Row]]:
    """Return the figures of the experiment's current models as `models` and `changes`, in order of iteration.

    A row has the model's `iteration`, -1 for the base model, in `changes` also the `reference`'s, and its figures
    by metric.
    """
    iterations = {model_id: t for t, model_id in subject.forward.items()} | {subject.values["base"]: -1}
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for row in view.rows(FIGURES, subject.values):
        iteration, reference = iterations.get(row["model_id"]), iterations.get(row["reference_id"])
        if iteration is None or (reference is None and row["reference_id"] is not None):
            continue
        place = (iteration, iteration if reference is None else reference)
        about = {"iteration": iteration, "reference": reference, "model_id": row["model_id"]}
        found.setdefault(place, about)[row["metric"]] = row
    models = [row for place, row in sorted(found.items()) if row["reference"] is None]
    changes = [row for place, row in sorted(found.items()) if row["reference"] is not None]
    return {"models": models, "changes": changes}
