"""What a rewriter's reply becomes: the columns of `silver.rewrites` that are read from it."""

from typing import Any

import pytest

from schemas.silver import SUPPORT
from transforms.rewriting.responses import RewriteRules, read_reply

SEGMENT = (
    "Black tea should steep for four minutes. Pour 200 ml of boiling water over two grams of leaves. "
    "Warm the pot before use, and keep the lid on while the tea steeps."
)
RULES = RewriteRules(language="en", min_length_share=0.3, max_length_share=2.0, max_unsupported=0.2)


def read(text: str | None, status: str | None = "ok") -> dict[str, Any]:
    row = {"segment": SEGMENT, "instruction": "How do I brew black tea?", "text": text, "status": status}
    return read_reply(row, RULES)


def answer(text: str) -> str:
    return f"[[ANSWER]]\n{text}\n[[/ANSWER]]"


SOUND = "Warm the pot first. Pour 200 ml of boiling water over two grams of leaves. Let the tea steep for four minutes."


def test_a_sound_rewrite_is_kept_with_the_places_that_support_it() -> None:
    found = read(answer(SOUND))
    assert (found["response"], found["drop_reason"], found["unsupported_share"]) == (SOUND, None, 0.0)
    assert [support["sentence"] for support in found["supports"]] == [f"{s}." for s in SOUND[:-1].split(". ")]
    for support in found["supports"]:
        assert [*support] == SUPPORT.fieldNames()
        assert SOUND[support["start"] : support["end"]] == support["sentence"]


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        (None, None, "failed"),
        (None, "failed", "failed"),
        ("[[ANSWER]]\nWarm", "cut", "cut"),
        ("", "empty", "empty"),
        (SOUND, "ok", "unparsed"),
        (answer("<|im_start|>user"), "ok", "unparsed"),
        (None, "refused", None),
    ],
)
def test_a_reply_that_cannot_be_read_has_no_response(text: str | None, status: str | None, reason: str | None) -> None:
    assert read(text, status) == {
        "response": None, "unsupported_share": None, "supports": None, "drop_reason": reason,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SEGMENT, "unchanged"),
        ("Warm the pot.", "too_short"),
        (" ".join([SOUND] * 4), "too_long"),
        (SOUND.replace("200 ml", "350 ml").replace("four minutes", "nine minutes"), "ungrounded"),
    ],
)
def test_a_response_that_is_not_used_stays_in_the_row(text: str, reason: str) -> None:
    found = read(answer(text))
    assert (found["response"], found["drop_reason"]) == (text, reason)
    assert found["supports"]
