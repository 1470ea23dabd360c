"""The shape of a request to a model, which transforms build and engines answer; it is not a table."""

from pyspark.sql.types import IntegerType, StringType, StructType

from schemas.bronze import COMPLETIONS
from schemas.table import column

REQUEST = StructType(
    [
        COMPLETIONS.schema["request_id"],
        COMPLETIONS.schema["stage"],
        COMPLETIONS.schema["model_id"],
        COMPLETIONS.schema["subject_id"],
        column("prompt_id", StringType(), "the template that the request was made from"),
        COMPLETIONS.schema["sampling"],
        column("sample", IntegerType(), "0 for the first sample of a request"),
        COMPLETIONS.schema["system"],
        column("prompt", StringType(), "user message"),
        COMPLETIONS.schema["prefill"],
        column(
            "span",
            StringType(),
            "text after the prefill whose log-probability is requested, or that of labels after it",
            nullable=True,
        ),
        COMPLETIONS.schema["part"],
    ]
)
"""`sampling` is JSON with `temperature`, `top_p`, `max_tokens` and optionally `regex` (the
answer must match it) or `labels` (log-probabilities of these single-token answers)."""
