"""The likelihoods of responses, from a model's answers to requests for them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from transforms.scoring.answer_kinds import sound_logprob


def likelihoods_from(requests: DataFrame, completions: DataFrame) -> DataFrame:
    """Return `subject_id`, `logprob` (nats) and `tokens` of the requests with a usable answer.

    A failed or refused request, a log-probability that cannot be one, and an empty response have no row.
    """
    spans = completions.where("status = 'ok'").select(
        "request_id", sound_logprob(F.col("span_logprob")).alias("logprob"), F.col("span_tokens").alias("tokens")
    )
    answered = requests.select("request_id", "subject_id").join(spans, "request_id")
    return answered.where("logprob IS NOT NULL AND tokens > 0").select("subject_id", "logprob", "tokens")
