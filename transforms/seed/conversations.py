"""Lines of seed files, as messages of conversation trees: OpenAssistant trees and plain pairs.

A pair has one field of `PROMPTS` and one of `REPLIES`. What else shapes its prompt is part of the prompt, after an
empty line each: first the fields of `BEFORE`, then the prompt's own field, then those of `AFTER`. So a line of Dolly
keeps its context and a line of Alpaca its input. A line is refused whose fields of `UNUSED` hold something. Every other
field is about the pair (an id, a category) and is left out. Letter case makes no difference to the names.
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
# Earlier turns, other media, tools, and texts whose place in the prompt is not known.
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
"""What `rows_from` yields: a message, or a line rejected (`record_offset` is its number, from 1)."""


class BadLineError(ValueError):
    """A line that holds no conversation; `rule` names what is wrong for the quarantine."""

    def __init__(self, rule: str, detail: str) -> None:
        """`rule` is `broken_json`, `unknown_shape` or `unused_field`."""
        super().__init__(detail)
        self.rule = rule


def rows_from(content: bytes, *, path: str, licence: str | None) -> Iterator[Message]:
    """The messages and the rejected lines of a file, in order; `path` ending in .gz means compressed."""
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
    # The place is the key too, so that the write knows the line again and quarantines it once.
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
    """The messages that one line of JSON holds, a prompt always before its replies.

    Args:
        line: an OpenAssistant message tree, or an object with a prompt and a reply and optionally `language` or
            `lang`, `licence` or `license`, and `source`.
        collection: the source of messages whose line names none.
        licence: that of messages whose line names none.

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
    found = f"keys {', '.join(sorted(record))}" if isinstance(record, dict) else type(record).__name__
    wanted = "neither a message tree (prompt: object) nor a pair (instruction, response: text)"
    raise BadLineError("unknown_shape", f"{wanted}: {_text(found[:500])}")


def with_repeats(messages: DataFrame) -> DataFrame:
    """Of messages with one id all but one get the `drop_reason` repeated."""
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
    """The one field among `names` that is text, and its text.

    Raises:
        BadLineError: several are.
    """
    found = [(name, text) for name in names if (text := _text(fields.get(name))) is not None]
    if len(found) > 1:
        both = " and ".join(name for name, _ in found)
        raise BadLineError("unused_field", f"one side of the pair is in {both}: leave one of them in the line")
    return found[0] if found else (None, None)


def _whole_prompt(fields: dict[str, Any], name: str) -> str:
    """The prompt in the field `name`, with what shapes it before and after.

    Raises:
        BadLineError: something shapes it that cannot be part of it.
    """
    unused = [other for other in UNUSED if isinstance(value := fields.get(other), str | list | dict) and value]
    unused += [o for o in (*BEFORE, *AFTER) if fields.get(o) not in (None, [], {}) and _text(fields[o]) is None]
    if unused:
        raise BadLineError(
            "unused_field",
            f"{', '.join(unused)}: would shape the reply and cannot be part of the prompt; write it as text under "
            "context, or take it or the line out",
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
    """The value where it is text, lone surrogates (which no table can hold) replaced; else None."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
