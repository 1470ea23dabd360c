import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_ops.text.chat import ChatFormat
from model_ops.training.dataset import examples, training_order
from model_ops.training.settings import TrainingError
from tests.tiny_dataset import rows
from tests.tiny_model import save_tokenizer


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> ChatFormat:
    folder = tmp_path_factory.mktemp("chat")
    save_tokenizer(folder)
    return ChatFormat.load(folder)


def test_examples_are_tokens_in_the_order_of_their_ids(chat: ChatFormat) -> None:
    made = examples(pa.Table.from_pylist(rows()), "train", chat, 1000)
    assert [e.example_id for e in made] == ["00", "01", "04", "05", "07", "08"]
    first = rows()[0]
    assert made[0].prompt == chat.prompt_ids(first["system"], first["prompt"])
    assert made[0].completion == chat.completion_ids(first["completion"])
    assert len(made[0]) == len(made[0].prompt) + len(made[0].completion)


def test_long_examples_are_an_error_not_cut(chat: ChatFormat) -> None:
    table = pa.Table.from_pylist(rows())
    lengths = sorted(len(e) for e in examples(table, "train", chat, 1000))
    for n in (1, 2):
        limit = lengths[-n - 1]
        said = f"{n} of 6 train examples are longer than {limit} tokens, e.g. 01 with {lengths[-1]};"
        with pytest.raises(TrainingError, match=said):
            examples(table, "train", chat, limit)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 8), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_visits_each_example_once(lengths: list[int], batch: int, seed: int, epoch: int) -> None:
    order = training_order(lengths, batch, seed, epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert order == training_order(lengths, batch, seed, epoch)
    for start in range(0, len(order), batch):
        members = [lengths[i] for i in order[start : start + batch]]
        assert members == sorted(members, reverse=True)


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(training_order([1] * 20, 1, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4
