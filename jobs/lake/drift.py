"""The view `drift`: the number of candidates that crossed their iteration's threshold from one model to the next."""

DRIFT_VIEW = "drift"
DRIFT = """
WITH k AS (SELECT DISTINCT experiment, iteration, scorer, model_id, method_digests[0] AS method_digest, threshold
           FROM gold.curated),
rated AS (SELECT k.*, s.pair_id, s.score >= k.threshold AS kept
          FROM k JOIN silver.scores s USING (scorer, model_id, method_digest)
          WHERE s.status = 'ok')
SELECT a.experiment, a.scorer, a.iteration AS before, b.iteration AS after, count(*) AS pairs,
       count_if(a.kept AND NOT b.kept) AS falls, count_if(b.kept AND NOT a.kept) AS rises
FROM rated a
JOIN rated b ON (b.experiment, b.scorer, b.pair_id) = (a.experiment, a.scorer, a.pair_id)
            AND b.iteration = a.iteration + 1
GROUP BY 1, 2, 3, 4
"""
"""The view's query, in Spark's SQL."""
