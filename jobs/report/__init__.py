"""The HTML report: one file with an experiment's inputs, its results, and the evidence for its scores.

Command line: `humpback report --lake URI`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.current.diversity import sets_of
from jobs.lake import contents
from jobs.lake.view import LakeView
from jobs.report import facts, losses, ratings, trust
from jobs.report.page import page
from schemas.place import local_path
from transforms.scoring.judge_check import PAPER

THRESHOLDS = (
    "SELECT DISTINCT scorer, iteration, threshold FROM gold.curated WHERE experiment = $experiment ORDER BY ALL"
)


def report(view: LakeView, out: Path, experiment: str | None = None) -> Path:
    """Write the report on an experiment, by default the one that ran last, to `out`; return `out`."""
    return write(gather(view, experiment), view.root, out)


def write(values: Mapping[str, Any], root: str, out: Path) -> Path:
    """Render the values that `gather` returned for the lake at `root`, and write the page to `out`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    local = local_path(root)
    docs_root = os.path.relpath(local, out.parent) if local else None
    out.write_text(page(values, docs_root), encoding="utf-8")
    return out


def gather(view: LakeView, experiment: str | None = None) -> dict[str, Any]:
    """Read all values that the page shows, as small plain objects."""
    subject = facts.experiment(view, experiment)
    pieces = facts.pieces_by_reason(view, subject)
    thresholds = view.rows(THRESHOLDS, subject.values)
    return {
        "experiment": subject.name,
        "root": view.root,
        "last_run": subject.runs[-1] if subject.runs else None,
        "recipe": facts.recipe(view, subject),
        "funnel": facts.funnel(view, subject, pieces),
        "rules": facts.rules(pieces),
        "replaced": facts.replaced(view, subject),
        "seed": facts.seed_pairs(view, subject),
        "accounts": facts.accounts(subject.runs),
        "histograms": ratings.histograms(view, subject),
        "thresholds": thresholds,
        "checks": trust.known_checks(view, subject, thresholds),
        "paper": PAPER,
        "drift": trust.drift(view, subject, thresholds),
        "lengths": ratings.lengths(view, subject),
        "diversity": sets_of(view, subject.name),
        "examples": ratings.examples(view, subject),
        "rewritten": ratings.rewritten(view, subject),
        "answers": ratings.answers(view, subject),
        "win_rates": trust.win_rates(view, subject),
        "losses": losses.held_out_losses(view, subject),
        "models": subject.models,
        "releases": facts.releases(view, subject),
        "work": facts.last_work(subject.runs),
        "tables": contents.tables(view),
    }
