"""The shape of a request to a model: not a table, but what transforms build and engines answer."""

from pyspark.sql.types import IntegerType, StringType, StructType

from schemas.bronze import COMPLETIONS
from schemas.table import column

REQUEST = StructType(
    [
        COMPLETIONS.schema["request_id"],
        COMPLETIONS.schema["stage"],
        COMPLETIONS.schema["model_id"],
        COMPLETIONS.schema["subject_id"],
        column("prompt_id", StringType(), "-> ops.prompts"),
        COMPLETIONS.schema["sampling"],
        column("sample", IntegerType(), "0 for the first sample of a request"),
        column("system", StringType(), "system message; empty for none"),
        column("prompt", StringType(), "user message"),
        column("prefill", StringType(), "start of the answer, given; empty for none"),
        column("span", StringType(), "text whose log-probability is asked for, after the prefill", nullable=True),
    ]
)
"""`sampling` is JSON with `temperature`, `top_p`, `max_tokens` and, where asked for, `regex` (the
answer must match it) or `labels` (log-probabilities of these single-token answers)."""
