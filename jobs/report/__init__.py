"""The HTML report: one file that shows what went in, what came out, and whether to trust it.

Command line: `humpback report --lake URI`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from jobs.lake import contents
from jobs.lake.files import local_path
from jobs.lake.tables import Lake
from jobs.lake.view import LakeView
from jobs.report import facts, ratings, trust
from jobs.report.page import page
from schemas.gold import CURATED
from schemas.silver import KNOWN_SCORES, SCORES
from transforms.scoring.judge_check import PAPER


def report(lake: Lake, out: Path, experiment: str | None = None) -> Path:
    """Write the report on an experiment, or on the one that ran last, to `out`."""
    return write(gather(lake, experiment), lake.root, out)


def write(shown: Mapping[str, Any], root: str, out: Path) -> Path:
    """Write the page that shows what `gather` gave of the lake at `root`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    local = local_path(root)
    docs_root = os.path.relpath(local, out.parent) if local else None
    out.write_text(page(shown, docs_root), encoding="utf-8")
    return out


def gather(lake: Lake, experiment: str | None = None) -> dict[str, Any]:
    """All that the page shows, as small plain values."""
    with LakeView(lake.root) as view:
        tables = contents.tables(view)
    subject = facts.experiment(lake, experiment)
    pieces = facts.pieces_by_reason(lake, subject)
    curated = lake.read(CURATED).where(F.col("experiment") == subject.name)
    thresholds = facts.rows(curated.select("scorer", "iteration", "threshold").distinct())
    scores, known_scores = (ratings.current(lake, table, subject) for table in (SCORES, KNOWN_SCORES))
    return {
        "experiment": subject.name,
        "root": lake.root,
        "last_run": subject.runs[-1] if subject.runs else None,
        "funnel": facts.funnel(lake, subject, pieces),
        "rules": facts.rules(pieces),
        "replaced": facts.replaced(lake, subject),
        "seed": facts.seed_pairs(lake, subject),
        "accounts": facts.accounts(subject.runs),
        "histograms": ratings.histograms(scores, subject),
        "thresholds": thresholds,
        "checks": trust.known_checks(known_scores, subject, thresholds),
        "paper": PAPER,
        "drift": trust.drift(scores, subject, thresholds),
        "lengths": ratings.lengths(lake, subject),
        "examples": ratings.examples(lake, scores, subject),
        "answers": ratings.answers(lake, subject),
        "win_rates": trust.win_rates(lake, subject),
        "models": subject.models,
        "releases": facts.releases(lake, subject),
        "work": facts.last_work(subject.runs),
        "tables": tables,
    }
