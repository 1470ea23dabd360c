"""Bronze: data as received, from the web, from people and from models."""

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructType,
    TimestampType,
)

from schemas.table import ROW_TRACKING, Table, column

MAX_PAGE_BYTES = 8 * 2**20
ERROR_CHARS = 500
LOGPROB_SLACK = 1e-3
"""The largest log-probability accepted: rounding may carry one above 0."""
MOST_LABEL_MASS = 1.05
"""The largest probability accepted for all labels together: a server may round each, for instance to two digits."""
HTML, TEXT = "text/html", "text/plain"
MODEL_IDS = ("ops.models.model_id", "ops.base_models.model_id", "ops.outside_models.model_id")
"""The columns with the id of every model that can be asked."""

DOCUMENTS = Table(
    name="bronze.documents",
    comment="A web page as crawled, or the text of one.",
    schema=StructType(
        [
            column("document_id", StringType(), "sha256 of url and payload_digest, hex"),
            column("url", StringType(), "the page's address, as the crawl recorded it"),
            column(
                "crawled_at",
                TimestampType(),
                "time of the fetch, UTC; null if the source has no date or an impossible one",
                nullable=True,
            ),
            column("source_id", StringType(), "WARC-TREC-ID, ClueWeb22-ID, WARC-Record-ID, or a table's id column"),
            column("source_file", StringType(), "the file that holds the record"),
            column(
                "record_offset",
                LongType(),
                "place in source_file: byte offset; in Parquet the row, from 0; in compressed JSONL the line, from 1",
            ),
            column("charset", StringType(), "the page's encoding, WHATWG name"),
            column("media_type", StringType(), "type of content: text/html or text/plain"),
            column(
                "content",
                StringType(),
                f"the decoded page, HTML or plain text by media_type; at most {MAX_PAGE_BYTES // 2**20} MiB",
            ),
            column("payload_digest", StringType(), "sha256 of the page's bytes before decoding, hex"),
            column("robots", ArrayType(StringType(), False), "robots directives of the page, e.g. noarchive"),
            column(
                "licences",
                ArrayType(StringType(), False),
                "Creative Commons licences that the page links to, SPDX names",
            ),
        ]
    ),
    key=("document_id",),
    constraints={
        "media_type_known": f"media_type IN ('{HTML}', '{TEXT}')",
        "content_size": f"octet_length(content) <= {MAX_PAGE_BYTES}",
        "content_not_empty": "length(content) > 0",
    },
    # Pages are large and never searched by content, so `content` has no min/max statistics.
    properties={"delta.dataSkippingStatsColumns": "document_id,url,source_file"},
)

CONVERSATIONS = Table(
    name="bronze.conversations",
    comment="A message of a human conversation tree (OpenAssistant), or one side of a plain pair.",
    schema=StructType(
        [
            column("message_id", StringType(), "the source's id, or sha256 of source and content"),
            column("tree_id", StringType(), "the conversation; the root's message_id"),
            column("parent_id", StringType(), "the message this one answers; null for a root", nullable=True),
            column("role", StringType(), "prompter or assistant"),
            column("text", StringType(), "the message"),
            column("language", StringType(), "BCP 47 code given by the source", nullable=True),
            column("rank", IntegerType(), "human preference among siblings, 0 is best", nullable=True),
            column("synthetic", BooleanType(), "written by a model"),
            column("source", StringType(), "the collection, e.g. the file's name"),
            column("licence", StringType(), "SPDX name, or the recipe's value", nullable=True),
        ]
    ),
    key=("message_id",),
    constraints={"role_known": "role IN ('prompter', 'assistant')"},
)

EVALUATION_PROMPTS = Table(
    name="bronze.evaluation_prompts",
    comment="A prompt of an evaluation set, in one version of that set.",
    schema=StructType(
        [
            column("prompt_set", StringType(), "the set, as the recipe names it"),
            column("set_digest", StringType(), "digest of all prompts of this version of the set, 16 hex digits"),
            column("prompt_id", StringType(), "the prompt's id in its set"),
            column("prompt", StringType(), "the text that models answer: the first turn, with its input"),
            column("other_texts", ArrayType(StringType(), False), "later turns and other texts, kept out of the pool"),
            column("category", StringType(), "the set's category of the prompt", nullable=True),
            column("record", StringType(), "the prompt's whole entry in the file, as JSON"),
            column("source_file", StringType(), "the file of the first run that read this version"),
        ]
    ),
    key=("prompt_set", "set_digest", "prompt_id"),
    constraints={"prompt_not_empty": "length(trim(prompt)) > 0"},
)

COMPLETIONS = Table(
    name="bronze.completions",
    comment="The ledger: one answer of one model to one request, exactly as it came back.",
    schema=StructType(
        [
            column("request_id", StringType(), "sha256 of everything that shapes the answer, hex"),
            column("run_id", StringType(), "the run that asked", references=("ops.runs.run_id",)),
            column("attempt", IntegerType(), "1 for the first time this run asked"),
            column("stage", StringType(), "purpose of the request: candidates, scores/<scorer>, answers, judgements"),
            column("model_id", StringType(), "the model that answered", references=MODEL_IDS),
            column("subject_id", StringType(), "the segment, candidate or prompt asked about"),
            column(
                "prompt_id",
                StringType(),
                "the template that the request was made from",
                nullable=True,
                references=("ops.prompts.prompt_id",),
            ),
            column("system", StringType(), "the system message; empty for none", nullable=True),
            column(
                "prefill", StringType(), "the given beginning of the answer, which the model continues", nullable=True
            ),
            column(
                "part",
                StringType(),
                "for a likelihood: given (the other side of the pair) or alone; otherwise null",
                nullable=True,
            ),
            column("sampling", StringType(), "sampling parameters and constraint, JSON"),
            column("sample", IntegerType(), "0 for the first sample of a request"),
            column(
                "text", StringType(), "the answer; empty where only log-probabilities were asked for", nullable=True
            ),
            column(
                "label_logprobs", MapType(StringType(), DoubleType()), "label -> log-probability, nats", nullable=True
            ),
            column(
                "span_logprob", DoubleType(), "sum of the given text's token log-probabilities, nats", nullable=True
            ),
            column("span_tokens", IntegerType(), "tokens in that sum", nullable=True),
            column("finish_reason", StringType(), "stop, length, ...", nullable=True),
            column("n_prompt_tokens", IntegerType(), "tokens read", nullable=True),
            column("n_completion_tokens", IntegerType(), "tokens written", nullable=True),
            column("status", StringType(), "ok, cut, empty, failed or refused"),
            column("error", StringType(), f"the error, at most {ERROR_CHARS} characters", nullable=True),
            column("endpoint", StringType(), "the server that answered", nullable=True),
            column("created_at", TimestampType(), "when the answer came back, UTC"),
        ]
    ),
    key=("request_id", "run_id", "attempt"),
    write="log",
    partition_by=("stage", "model_id"),
    constraints={"status_known": "status IN ('ok', 'cut', 'empty', 'failed', 'refused')"},
    properties={ROW_TRACKING: "true"},  # the order of the commits shows which answer came first
)

TABLES = (DOCUMENTS, CONVERSATIONS, EVALUATION_PROMPTS, COMPLETIONS)
