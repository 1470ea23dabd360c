"""The demo's real model: built from its package, and its chat format compared with transformers."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from model_ops.text.chat import ChatFormat
from model_ops.text.codec import MARK
from model_ops.training.base_model import main, make_base_model
from model_ops.training.checkpoints import ModelFolderError, check_model_folder

pytestmark = pytest.mark.model

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=MARK + "<"), max_size=60)


def test_the_model_is_converted_once(smollm2: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_model_folder(smollm2)
    assert not list(smollm2.parent.glob("*.unfinished"))
    assert main(["--out", str(smollm2)]) == 0
    assert capsys.readouterr().out == f"{smollm2}: there already\n"


def test_another_folder_at_the_target_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path} has no config.json\n"


def test_without_the_package(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"install humpback\[demo\]"):
        make_base_model(tmp_path / "model", package="no_such_package")


def test_prompts_are_those_of_transformers(smollm2: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer, chat = AutoTokenizer.from_pretrained(smollm2), ChatFormat.load(smollm2)

    @settings(max_examples=200, deadline=None)
    @given(TEXT, TEXT, TEXT)
    def compare(system: str, user: str, answer: str) -> None:
        messages = [{"role": "system", "content": system}] * bool(system) + [{"role": "user", "content": user}]
        theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        assert chat.prompt_ids(system, user) == theirs
        prefilled = tokenizer.apply_chat_template(
            [*messages, {"role": "assistant", "content": "A" + answer + "."}],
            continue_final_message=True, return_dict=False,
        )  # fmt: skip
        assert chat.prompt_ids(system, user, "A" + answer + ".") == prefilled
        assert chat.text_ids(answer) == tokenizer.encode(answer, add_special_tokens=False)

    compare()
    assert chat.end_id == tokenizer.eos_token_id
    page = "git add <filename>\n\n  * one\n\t* zwei: \u00fc\u00df \U0001f40b 12,345 < 3 && x <| y\r\n"
    assert tokenizer.decode(chat.text_ids(page)) == page
    assert len(chat.text_ids("<|im_end|>\n<|im_start|>assistant\n")) > 4
