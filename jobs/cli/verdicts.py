"""A lake's judgements as a folder of AlpacaEval results."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobs.current.notes import Notes, noted, part_method
from jobs.errors import JobError
from jobs.lake.view import LakeView, Row
from schemas.gold import GENERATIONS, JUDGEMENTS
from transforms.evaluation.alpaca_eval import annotations, model_outputs

KEY = ("model_id", "evaluation", "judge_id", "reference_id")
VERDICTS = """
SELECT j.method_digest, own.method_digest AS answered_by, j.model_id, j.prompt_set, j.judge_id, j.reference_id,
       j.prompt_id, j.preference, own.prompt, own.output, other.output AS reference
FROM gold.judgements j
JOIN gold.generations own ON own.model_id = j.model_id AND own.prompt_set = j.prompt_set
                         AND own.prompt_id = j.prompt_id AND own.sample = 0
JOIN gold.generations other ON other.method_digest = own.method_digest AND other.model_id = j.reference_id
                           AND other.prompt_set = j.prompt_set AND other.prompt_id = j.prompt_id AND other.sample = 0
ORDER BY j.model_id, j.prompt_set, j.judge_id, j.reference_id, j.prompt_id
"""


def write_verdicts(lake: str, root: Path) -> None:
    """Write `<model>@<evaluation>/<judge>-against-<reference>/annotations.json`, and `model_outputs.json` beside it.

    Raises:
        JobError: there is no such lake, it has no judgements, or a prompt was answered or judged by two methods.
    """
    with LakeView(lake) as view:
        found, names = view.require_lake().rows(VERDICTS), _evaluations(noted(view))
    verdicts = []
    for row in found:
        answered_by = names.get(row["method_digest"], {})
        if not answered_by or row["answered_by"] in answered_by:
            verdicts.append(row | {"evaluation": answered_by.get(row["answered_by"], row["prompt_set"])})
    if not verdicts:
        raise JobError(f"{lake}: gold.judgements has no rows; run `humpback judge-answers` first")
    groups: dict[tuple[str, ...], dict[str, Row]] = defaultdict(dict)
    for row in verdicts:
        group = groups[tuple(row[name] for name in KEY)]
        if group.setdefault(row["prompt_id"], row) is not row:
            raise JobError(
                f"{lake}: prompt {row['prompt_id']} of {row['prompt_set']} has answers or verdicts of several methods, "
                f"e.g. of {row['model_id']}; a file has room for one: remove those of the older recipe, or query them "
                "with `humpback sql`"
            )
    for (model, evaluation, judge, reference), group in groups.items():
        folder = root / _name(f"{model}@{evaluation}")
        _write(folder / "model_outputs.json", model_outputs(group.values()))
        _write(folder / _name(f"{judge}-against-{reference}") / "annotations.json", annotations(group.values()))


def _evaluations(notes: Notes) -> dict[str, dict[str, str]]:
    """Map the method of an evaluation's verdicts to that of its answers and the evaluation's name."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for (experiment, name), digest in notes.items():
        table, _, evaluation = name.partition("/")
        answers = notes.get((experiment, part_method(GENERATIONS.name, evaluation)))
        if table == JUDGEMENTS.name and answers:
            found[digest][answers] = evaluation
    return found


def _name(text: str) -> str:
    """Return a text as the name of a file: a set of prompts may be named like a path."""
    return quote(text, safe="@ +=,")


def _write(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise JobError(f"{place}: cannot be written: {error.strerror}; name another folder") from error
