"""The report's data on pairs and answers: score histograms, lengths, examples, and answers side by side."""

from collections import defaultdict
from typing import Any

from jobs.current import counting
from jobs.current.counting import OVERLAPS, PAIRS, POOL, SEED_PAIRS, of_method
from jobs.current.notes import NONE
from jobs.lake.view import LakeView, Row
from jobs.report.facts import Experiment
from schemas.gold import GENERATIONS
from schemas.silver import REWRITES, SCORES
from transforms.scoring.scorers import SCORERS

BINS = 32
MAX_TEXT = 1200
MAX_EXAMPLES = 3
MAX_PROMPTS = 12
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
RANGES = f"""
SELECT scorer, quantile_disc(score, [0.005, 0.995]) AS ends FROM ({counting.scores(SCORES)}) GROUP BY 1 ORDER BY 1
"""
COUNTS = f"""
SELECT model_id, status, CASE WHEN score IS NOT NULL
           THEN greatest(0, least({BINS - 1}, floor((score - $low::DOUBLE) / $width::DOUBLE)))::INTEGER END AS bin,
       count(*) AS n
FROM ({counting.scores(SCORES)}) WHERE scorer = $scorer GROUP BY ALL ORDER BY ALL
"""


def histograms(view: LakeView, subject: Experiment) -> list[Row]:
    """Return, for each scorer and model, the counts in equal bins from `low` to `high` and the counts by status.

    A scorer has one range for all its models: its declared scale, or the range without the outermost 1 % of the
    scores, which are counted in the bins at the ends.
    """
    results = []
    for scorer, outer_quantiles in (row.values() for row in view.rows(RANGES, subject.values)):
        low, high = SCORERS[scorer].scale or outer_quantiles or (0.0, 1.0)
        width = (high - low) / BINS or 1.0
        by_model: dict[str, list[Row]] = defaultdict(list)
        for row in view.rows(COUNTS, subject.values | {"scorer": scorer, "low": low, "width": width}):
            by_model[row["model_id"]].append(row)
        for iteration, model_id in sorted([*subject.forward.items(), *subject.backward.items()]):
            counts, statuses = [0] * BINS, defaultdict[str, int](int)
            for row in by_model.get(model_id, ()):
                statuses[row["status"]] += row["n"]
                if row["bin"] is not None:
                    counts[row["bin"]] += row["n"]
            if statuses:
                results.append(
                    {
                        "scorer": scorer,
                        "model_id": model_id,
                        "iteration": iteration + 1,
                        "low": low,
                        "high": low + BINS * width,
                        "counts": counts,
                        "statuses": dict(statuses),
                    }
                )
    return results


LENGTHS = f"""
SELECT "set", count(*) AS n, quantile_disc(length(instruction), {QUANTILES}) AS instruction,
       quantile_disc(length(response), {QUANTILES}) AS response
FROM (SELECT 1 AS place, 'seed' AS "set", instruction, response FROM ({SEED_PAIRS})
      UNION ALL SELECT 2, 'candidates', instruction, response FROM ({PAIRS})
      UNION ALL SELECT 3, 'curated, iteration ' || iteration, instruction, response FROM gold.curated
                WHERE experiment = $experiment)
GROUP BY place, "set" ORDER BY place, "set"
"""


def lengths(view: LakeView, subject: Experiment) -> list[Row]:
    """Return quantiles of the lengths, in characters, of instructions and responses in each set of pairs.

    The sets are the seed, the candidates and each curated set.
    """
    return view.rows(LENGTHS, subject.values)


NEWEST = """
SELECT iteration, scorer, model_id, method_digests, threshold FROM gold.curated WHERE experiment = $experiment
ORDER BY iteration DESC LIMIT 1
"""
KEPT = """
SELECT k.* REPLACE (coalesce(w.parent_id, k.pair_id) AS pair_id), '' AS drop_reason
FROM gold.curated k LEFT JOIN silver.rewrites w ON w.rewrite_id = k.pair_id
WHERE experiment = $experiment AND iteration = $iteration
"""
"""The curated pairs; a rewritten one has the id of the pair that was scored."""
JUDGED = f"""
WITH pairs AS (SELECT p.*, u.url FROM ({PAIRS}) p JOIN ({POOL}) u USING (segment_id)),
overlapping AS (SELECT segment_id FROM ({OVERLAPS})),
rated AS (
    SELECT pair_id, scorer, any_value(score) AS score FROM silver.scores
    WHERE status = 'ok' AND NOT isnan(score) AND (scorer, model_id, method_digest) IN
              (SELECT unnest($by::VARCHAR[]), unnest($judges::VARCHAR[]), unnest($digests::VARCHAR[]))
      AND pair_id IN (SELECT pair_id FROM pairs WHERE segment_id NOT IN (FROM overlapping))
    GROUP BY ALL),
complete AS (SELECT pair_id FROM rated GROUP BY 1 HAVING count(*) = len($by::VARCHAR[])),
ranked AS (SELECT pair_id, score, percent_rank() OVER (PARTITION BY scorer ORDER BY score) AS rank
           FROM rated WHERE pair_id IN (FROM complete)),
scored AS (SELECT pair_id, CASE WHEN len($by::VARCHAR[]) = 1 THEN any_value(score) ELSE avg(rank) END AS score,
                  $threshold::DOUBLE AS threshold FROM ranked GROUP BY 1)
SELECT pairs.*, score, threshold,
       CASE WHEN segment_id IN (FROM overlapping) THEN 'overlap' WHEN score IS NULL THEN 'unscored'
            WHEN score < threshold THEN 'below_threshold' END AS drop_reason
FROM pairs LEFT JOIN scored USING (pair_id)
"""
"""The verdict of curation on each pair, apart from the gates and `max_pairs`.

`test_counting` compares it with `select_curated`.
"""
BY_SCORE = ("overlap", "unscored", "below_threshold")
NOT_DRAWN = "not_drawn"
REJECTED = f"""
SELECT * REPLACE (coalesce(drop_reason, $gate) AS drop_reason) FROM ({JUDGED})
WHERE pair_id NOT IN (SELECT pair_id FROM ({KEPT}))
"""


def examples(view: LakeView, subject: Experiment) -> Row:
    """Return a few pairs kept in the last curated iteration, and a few rejected for each reason, in order of id.

    A pair that reached the threshold and was not kept failed a gate, or was not drawn.
    """
    newest = view.rows(NEWEST, subject.values)
    if not newest:
        return {"iteration": None, "kept": [], "rejected": []}
    values = subject.values | curation(subject, newest[0])
    return {
        "iteration": newest[0]["iteration"],
        "kept": _examples_by_reason(view, KEPT, 2 * MAX_EXAMPLES, values),
        "rejected": _examples_by_reason(view, REJECTED, MAX_EXAMPLES, values),
    }


def curation(subject: Experiment, newest: Row) -> dict[str, Any]:
    """Return the parameters of `JUDGED` and `REJECTED` for the curation that made a row of `gold.curated`."""
    scorers = newest["scorer"].split("+")
    models = {"forward": newest["model_id"], "backward": subject.backward.get(0, NONE)}
    return {
        "iteration": newest["iteration"],
        "by": scorers,
        "judges": [models[SCORERS[name].direction] for name in scorers],
        "digests": newest["method_digests"][: len(scorers)],  # the digests of the gates follow
        "threshold": newest["threshold"],
        "gate": _gate(subject),
        "models": [*models.values()],
    }


def _gate(subject: Experiment) -> str:
    """Return the reason for which the last curation dropped pairs past the threshold, by its row account.

    The leak limit counts as a gate. `gate` if several gates did or none is recorded, `gate_or_not_drawn` if pairs were
    also left out of the draw.
    """
    dropped = [run["dropped"] for run in subject.runs if run["job"] == "curate" and run["n_in"]]
    gates = [reason for reason in (dropped[-1] if dropped else {}) if reason not in (*BY_SCORE, NOT_DRAWN)]
    if dropped and NOT_DRAWN in dropped[-1]:
        return "gate_or_not_drawn" if gates else NOT_DRAWN
    return gates[0] if len(gates) == 1 else "gate"


def _examples_by_reason(view: LakeView, query: str, n: int, values: dict[str, Any]) -> list[Row]:
    """Return the first `n` pairs of each drop reason by id, which is a hash, with all their scores."""
    max_chars = MAX_TEXT + 1
    examples_found = view.rows(
        f"""
        SELECT pair_id, url, score, threshold, drop_reason, substring(instruction, 1, {max_chars}) AS instruction,
               substring(response, 1, {max_chars}) AS response
        FROM ({query}) QUALIFY row_number() OVER (PARTITION BY drop_reason ORDER BY pair_id) <= {n}
        ORDER BY drop_reason, pair_id
        """,
        values,
    )
    scores = f"SELECT pair_id, scorer, score FROM ({counting.scores(SCORES)}) WHERE pair_id IN (SELECT unnest($few))"
    by_pair: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in view.rows(f"{scores} ORDER BY scorer", values | {"few": [pair["pair_id"] for pair in examples_found]}):
        by_pair[row["pair_id"]][row["scorer"]] = row["score"]
    return [pair | {"scores": by_pair[pair["pair_id"]]} for pair in examples_found]


REWRITTEN = f"""
SELECT count(*) AS n, count_if(drop_reason IS NULL) AS kept, count(response) AS readable,
       avg(unsupported_share) AS unsupported
FROM ({of_method(REWRITES)}) WHERE parent_id IN (SELECT pair_id FROM ({PAIRS}))
"""


def rewritten(view: LakeView, subject: Experiment) -> Row | None:
    """Count the rewritten responses of the experiment's pairs; None without any.

    `unsupported` is the mean share of unsupported sentences over the responses that could be read.
    """
    [counts] = view.rows(REWRITTEN, subject.values)
    return counts if counts["n"] else None


ANSWERING_MODELS = f"""
SELECT DISTINCT model_id FROM ({of_method(GENERATIONS)})
WHERE sample = 0 AND model_id IN (SELECT unnest($models::VARCHAR[]))
"""
SIDE_BY_SIDE = f"""
WITH given AS (SELECT * FROM ({of_method(GENERATIONS)}) WHERE sample = 0)
SELECT prompt_set, prompt_id, substring(a.prompt, 1, {MAX_TEXT + 1}) AS prompt,
       substring(a.output, 1, {MAX_TEXT + 1}) AS first, substring(b.output, 1, {MAX_TEXT + 1}) AS last
FROM given a JOIN given b USING (method_digest, prompt_set, prompt_id) WHERE a.model_id = $first AND b.model_id = $last
ORDER BY prompt_set, prompt_id LIMIT {MAX_PROMPTS}
"""


def answers(view: LakeView, subject: Experiment) -> Row:
    """Return the answers of the first and the last forward model to the same prompts, side by side."""
    answering_models = {row["model_id"] for row in view.rows(ANSWERING_MODELS, subject.values)}
    iterations = sorted(iteration for iteration, model_id in subject.forward.items() if model_id in answering_models)
    if len(iterations) < 2:
        return {"iterations": iterations, "prompts": []}
    ends = {"first": subject.forward[iterations[0]], "last": subject.forward[iterations[-1]]}
    prompts = view.rows(SIDE_BY_SIDE, subject.values | ends)
    return {"iterations": [iterations[0], iterations[-1]], "prompts": prompts}
