"""The evidence for the scores: the check on pairs of known quality, drift between models, and win rates."""

from collections import defaultdict

from jobs.current import counting
from jobs.current.counting import of_method
from jobs.lake.view import LakeView, Row
from jobs.report.facts import Experiment
from schemas.gold import JUDGEMENTS
from schemas.silver import KNOWN_SCORES, SCORES
from transforms.evaluation.alpaca_eval import interval, judged, wins_of
from transforms.scoring.judge_check import combined, measures
from transforms.scoring.known_pairs import OF_SEED
from transforms.scoring.scorers import SCORERS, Scorer

MAX_KNOWN = 2000  # pairs of each kind: more would not visibly narrow the interval
MAX_POINTS = 1000
PRECISION = 0.9
KNOWN = f"""
SELECT pair_id, scorer, model_id, score, split_part(pair_id, '/', 3) AS kind FROM ({counting.scores(KNOWN_SCORES)})
WHERE starts_with(pair_id, '{OF_SEED}') AND status = 'ok'
QUALIFY row_number() OVER (PARTITION BY scorer, model_id, kind ORDER BY pair_id) <= {MAX_KNOWN} ORDER BY pair_id
"""


def known_checks(view: LakeView, subject: Experiment, thresholds: list[Row]) -> list[Row]:
    """Return, for each scorer and model that rated held-out pairs, its scores by kind and their quality measures.

    The scorers without a model come last among them. The best combination of the scorers that one iteration can use
    follows, without scores. `thresholds` are those of curation (`scorer`, `iteration`, `threshold`).
    """
    by_judge: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in view.rows(KNOWN, subject.values):
        by_judge[row["scorer"], row["model_id"]].append(row)
    threshold_of = {(row["scorer"], row["iteration"] - 1): row["threshold"] for row in thresholds}
    iterations = {model_id: t for models in (subject.backward, subject.forward) for t, model_id in models.items()}
    checks = []
    order = sorted(by_judge, key=lambda by: (not isinstance(SCORERS[by[0]], Scorer), by[0], iterations[by[1]]))
    for scorer, model_id in order:
        rated, threshold = by_judge[scorer, model_id], threshold_of.get((scorer, iterations[model_id]))
        figures = [
            *measures(
                [(row["pair_id"], scorer, model_id, row["score"]) for row in rated],
                thresholds={} if threshold is None else {scorer: threshold},
                target=PRECISION,
            )
        ]
        by_kind: dict[str, list[float]] = defaultdict(list)
        for row in rated:
            by_kind[row["kind"]].append(row["score"])
        check = {"scorer": scorer, "model_id": model_id, "iteration": iterations[model_id], "scores": dict(by_kind)}
        checks.append(check | {"measures": figures})
    for t, forward in sorted(subject.forward.items()):
        usable = {judge: rated for judge, rated in by_judge.items() if judge[1] in (forward, subject.backward.get(0))}
        figures = combined([(r["pair_id"], *judge, r["score"]) for judge, rated in usable.items() for r in rated])
        checks.append({"scorer": "combined", "model_id": forward, "iteration": t, "scores": {}, "measures": figures})
    return [check for check in checks if check["measures"]]


BOTH_SCORES = f"""
SELECT pair_id, any_value(score) FILTER (model_id = $old) AS old, any_value(score) FILTER (model_id = $new) AS new
FROM ({counting.scores(SCORES)}) WHERE scorer = $scorer AND status = 'ok' GROUP BY 1
HAVING old IS NOT NULL AND new IS NOT NULL
"""
SIDES = f"""
SELECT count(*) AS n, count_if(old >= $before AND NOT new >= $after) AS falls,
       count_if(new >= $after AND NOT old >= $before) AS rises, corr(old, new) AS correlation
FROM ({BOTH_SCORES})
"""
POINTS = f"SELECT old, new FROM ({BOTH_SCORES}) ORDER BY pair_id LIMIT {MAX_POINTS}"


def drift(view: LakeView, subject: Experiment, thresholds: list[Row]) -> list[Row]:
    """Count, per curating scorer and pair of successive models, the candidates that crossed the threshold.

    Each model is compared with the threshold of its iteration. `points` holds the scores of the first
    `MAX_POINTS` pairs by id.
    """
    drifts = []
    threshold_of = {(row["scorer"], row["iteration"]): row["threshold"] for row in thresholds}
    for (scorer, t), before in sorted(threshold_of.items()):
        after = threshold_of.get((scorer, t + 1))
        old, new = subject.forward.get(t - 1), subject.forward.get(t)
        if after is None or old is None or new is None:
            continue
        values = subject.values | {"scorer": scorer, "old": old, "new": new, "before": before, "after": after}
        [counts] = view.rows(SIDES, values)
        if not counts["n"]:
            continue  # a combination of scorers, whose ranks are not stored
        points = [(point["old"], point["new"]) for point in view.rows(POINTS, values)]
        drifts.append({"scorer": scorer, "iteration": t, "before": before, "after": after, **counts, "points": points})
    return drifts


JUDGED = f"""
SELECT judge_id, prompt_set, model_id, reference_id, method_digest, count(*) AS n_asked,
       list_sort(list(preference)) AS preferences
FROM ({of_method(JUDGEMENTS)})
WHERE model_id IN (SELECT unnest($forward::VARCHAR[])) AND reference_id IN (SELECT unnest($forward::VARCHAR[]))
GROUP BY ALL ORDER BY judge_id, prompt_set, model_id, reference_id, method_digest
"""


def win_rates(view: LakeView, subject: Experiment) -> list[Row]:
    """Return, for each judge and pair of the experiment's models, the mean preference as a share with its interval.

    A prompt without a verdict is not counted.
    """
    iterations = {model_id: iteration for iteration, model_id in subject.forward.items()}
    comparisons = view.rows(JUDGED, subject.values | {"forward": [*iterations]})
    for comparison in comparisons:
        wins = judged(wins_of(comparison.pop("preferences")))
        comparison |= {
            "rate": interval(wins) if len(wins) else None,
            "n": len(wins),
            "iteration": iterations[comparison["model_id"]],
            "reference": iterations[comparison["reference_id"]],
        }
    return comparisons
