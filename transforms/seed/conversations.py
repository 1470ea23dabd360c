"""Parse lines of seed files into messages of conversation trees: OpenAssistant trees and plain pairs.

A pair has one field of `PROMPTS` and one of `REPLIES`. Its prompt is the text of the fields of `BEFORE`, the prompt
field and the fields of `AFTER`, in this order and separated by empty lines. So a line of Dolly keeps its context and a
line of Alpaca its input. A line with a non-empty field of `UNUSED` is refused. All other fields describe the pair (an
id, a category) and are ignored. Field names are case-insensitive.
"""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.bronze import CONVERSATIONS
from schemas.ops import PAYLOAD_BYTES
from schemas.result import result_schema

SEPARATOR = "\u001f"
PROMPTS = ("instruction", "question", "prompt", "query")
REPLIES = ("response", "output", "answer", "completion")
BEFORE, AFTER = ("system", "system_prompt", "system_message"), ("context", "input")
# Earlier turns, other media, tools, and texts whose place in the prompt is unknown.
UNUSED = (
    *("history", "messages", "conversation", "conversations", "turns", "dialogue", "dialog"),
    *("image", "images", "audio", "audios", "video", "videos", "tools", "functions"),
    *("passage", "passages", "document", "documents", "paragraph", "article", "background", "knowledge", "evidence"),
    *("choices", "options", "examples", "demonstrations", "hint", "persona", "prefix", "suffix"),
)
NO_INPUT = ("", "<noinput>")  # the second is Alpaca's

Message = dict[str, Any]
"""The columns of `bronze.conversations`, with `drop_reason`."""

ROWS = result_schema(CONVERSATIONS)
"""The rows of `rows_from`: a message, or a rejected line (`record_offset` is its number, from 1)."""


class BadLineError(ValueError):
    """A line without a readable conversation; `rule` names the defect in the quarantine."""

    def __init__(self, rule: str, detail: str) -> None:
        """`rule` is `broken_json`, `unknown_shape` or `unused_field`."""
        super().__init__(detail)
        self.rule = rule


def rows_from(content: bytes, *, path: str, licence: str | None) -> Iterator[Message]:
    """Yield the messages and the rejected lines of a file, in order; a `path` ending in .gz means gzip."""
    name, file = PurePosixPath(path).name, io.BytesIO(content)
    number = 0
    try:
        for number, line in enumerate(gzip.GzipFile(fileobj=file) if path.endswith(".gz") else file, 1):
            try:
                if line.strip():
                    yield from messages_from(line, collection=name, licence=licence)
            except BadLineError as error:
                yield _rejected(error.rule, str(error), path, number, line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield _rejected("broken_gzip", f"the file ends early or is no gzip: {error}", path, number + 1, b"")


def _rejected(rule: str, detail: str, path: str, number: int, line: bytes) -> Message:
    payload = line[:PAYLOAD_BYTES].decode("utf-8", "ignore")
    # The place is also the key, so that the write recognises the line and quarantines it once.
    return {
        "message_id": f"{path}:{number}",
        "rejected": {
            "rule": rule,
            "detail": detail,
            "source_file": path,
            "record_offset": number,
            "payload": payload,
        },
    }


def messages_from(line: bytes, *, collection: str, licence: str | None) -> list[Message]:
    """Return the messages in one line of JSON, each prompt before its replies.

    Args:
        line: an OpenAssistant message tree, or an object with a prompt and a reply and optionally `language` or
            `lang`, `licence` or `license`, and `source`.
        collection: the source of messages whose line names none.
        licence: the licence of messages whose line names none.

    Raises:
        BadLineError: the line is not JSON in UTF-8, has neither shape, or has a field that shapes the prompt and
            cannot be part of it.
    """
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadLineError("broken_json", str(error)) from error
    if isinstance(record, dict):
        if isinstance(record.get("prompt"), dict):
            return list(_flatten(record["prompt"], collection, licence))
        fields = {name.lower(): value for name, value in record.items()}
        (name, _), (_, response) = _only(fields, PROMPTS), _only(fields, REPLIES)
        if name and response is not None:
            return _pair(fields, _whole_prompt(fields, name), response, collection, licence)
    shape = f"keys {', '.join(sorted(record))}" if isinstance(record, dict) else type(record).__name__
    wanted = "neither a message tree (prompt: object) nor a pair (instruction, response: text)"
    raise BadLineError("unknown_shape", f"{wanted}: {_text(shape[:500])}")


def with_repeats(messages: DataFrame) -> DataFrame:
    """Set the `drop_reason` `repeated` on all but one of the messages with the same id."""
    same = Window.partitionBy("message_id").orderBy(F.col("drop_reason").asc_nulls_first(), "source", "text")
    repeats = F.col("message_id").isNotNull() & F.col("drop_reason").isNull() & (F.row_number().over(same) > 1)
    return messages.withColumn("drop_reason", F.when(repeats, "repeated").otherwise(F.col("drop_reason")))


def _flatten(root: dict[str, Any], collection: str, licence: str | None) -> Iterator[Message]:
    tree_id = _text(root.get("message_id"))
    waiting: list[tuple[dict[str, Any], str | None]] = [(root, None)]
    while waiting:
        node, parent_id = waiting.pop()
        message_id, rank, replies = _text(node.get("message_id")), node.get("rank"), node.get("replies")
        yield {
            "message_id": message_id,
            "tree_id": tree_id,
            "parent_id": parent_id,
            "role": _text(node.get("role")),
            "text": _text(node.get("text")),
            "language": _text(node.get("lang")),
            "rank": rank if type(rank) is int and 0 <= rank < 2**31 else None,
            "synthetic": node.get("synthetic") is True,
            "source": collection,
            "licence": licence,
            "drop_reason": "deleted" if node.get("deleted") is True else None,
        }
        if isinstance(replies, list):
            waiting.extend((reply, message_id) for reply in reversed(replies) if isinstance(reply, dict))


def _only(fields: dict[str, Any], names: tuple[str, ...]) -> tuple[str, str] | tuple[None, None]:
    """Return the only field among `names` with a text, and the text; (None, None) if there is none.

    Raises:
        BadLineError: several fields have a text.
    """
    texts = [(name, text) for name in names if (text := _text(fields.get(name))) is not None]
    if len(texts) > 1:
        both = " and ".join(name for name, _ in texts)
        raise BadLineError("unused_field", f"one side of the pair is in {both}: leave one of them in the line")
    return texts[0] if texts else (None, None)


def _whole_prompt(fields: dict[str, Any], name: str) -> str:
    """Return the prompt in the field `name`, joined with the fields of `BEFORE` and `AFTER`.

    Raises:
        BadLineError: a field shapes the prompt and cannot be part of it.
    """
    unused = [other for other in UNUSED if isinstance(value := fields.get(other), str | list | dict) and value]
    unused += [o for o in (*BEFORE, *AFTER) if fields.get(o) not in (None, [], {}) and _text(fields[o]) is None]
    if unused:
        raise BadLineError(
            "unused_field",
            f"{', '.join(unused)}: would shape the reply and cannot be part of the prompt; write it as text under "
            "context, or remove it or the line",
        )
    texts = [_text(fields.get(other)) or "" for other in (*BEFORE, name, *AFTER)]
    return "\n\n".join(text for text in texts if text.strip() not in NO_INPUT) or str(_text(fields[name]))


def _pair(
    fields: dict[str, Any], instruction: str, response: str, collection: str, licence: str | None
) -> list[Message]:
    source = _text(fields.get("source")) or collection
    prompt_id, reply_id = _id(source, instruction), _id(source, instruction, response)
    both = {
        "tree_id": prompt_id,
        "language": _text(fields.get("language")) or _text(fields.get("lang")),
        "synthetic": False,
        "source": source,
        "licence": _text(fields.get("licence")) or _text(fields.get("license")) or licence,
        "drop_reason": None,
    }
    prompt = {
        "message_id": prompt_id,
        "parent_id": None,
        "role": "prompter",
        "text": instruction,
        "rank": None,
    }
    reply = {"message_id": reply_id, "parent_id": prompt_id, "role": "assistant", "text": response, "rank": 0}
    return [both | prompt, both | reply]


def _id(*parts: str) -> str:
    return hashlib.sha256(SEPARATOR.join(parts).encode()).hexdigest()


def _text(value: object) -> str | None:
    """Return a string with lone surrogates, which no table can hold, replaced; None for any other value."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
