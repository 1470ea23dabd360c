"""On a GPU, a trained model answers alike as an adapter beside its base, as merged weights, and in transformers."""

import json
from pathlib import Path
from typing import Any

import pytest

from model_ops.client.apis import Completions
from model_ops.client.engine import Answer
from model_ops.devices import has_gpu

if not has_gpu():
    pytest.skip("no GPU here", allow_module_level=True)

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from model_ops.client.endpoint import Endpoint
from model_ops.client.handshake import HandshakeError, probe
from model_ops.client.served_engine import ServedEngine
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import VllmServer
from model_ops.text.chat import ChatFormat
from model_ops.train import Training, run
from model_ops.training.checkpoints import check_trained_model
from model_ops.training.settings import TrainingSettings
from tests.tiny_dataset import DATASET, rows, write_table
from tests.tiny_model import save_model

pytestmark = pytest.mark.model

PORT, LONGEST = 18455, 256
SETTINGS = TrainingSettings(
    method="lora", learning_rate=1e-2, final_learning_rate=1e-3, weight_decay=0.0, dropout=0.0, batch_size=4,
    small_batch_size=4, micro_batch_size=2, gradient_checkpointing="full", epochs=20, max_length=LONGEST, dev_examples=2,
    lora_rank=8, lora_alpha=16, lora_layers_from=0, dtype="auto", seed=0,
)  # fmt: skip
QUESTION, LEARNED = "Which question? ", "This one, and the assistant writes it down. "
REQUEST = {"prompt": QUESTION, "system": "", "prefill": "", "span": None}
REQUESTS: dict[str, dict[str, Any]] = {
    "span": REQUEST | {"span": LEARNED, "sampling": {}},
    "labels": REQUEST | {"prefill": "Score: ", "sampling": {"max_tokens": 1, "labels": list("12345")}},
    "regex": REQUEST | {"sampling": {"max_tokens": 20, "regex": "Score: [1-5]"}},
    "free": REQUEST | {"sampling": {"max_tokens": 60}},
    "too long": REQUEST | {"prompt": QUESTION * 100, "sampling": {}},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    table, (n_rows, digest) = write_table(folder / "lake", rows())
    run(Training(table, 0, DATASET, n_rows, digest, base, SETTINGS, "d" * 16, folder / "forward-0"))
    return folder / "forward-0"


def served(folder: Path, name: str, log: Path, lora_rank: int | None = None) -> VllmServer:
    settings = ServerSettings(
        port=PORT, dtype="bfloat16", max_model_len=LONGEST, max_num_seqs=32, eager=True, start_timeout=300,
        lora_rank=lora_rank,
    )  # fmt: skip
    return VllmServer(str(folder), name, settings, log)


def answers(server: VllmServer, model: str, folder: Path, adapter: Path | None = None) -> dict[str, Answer]:
    chat = ChatFormat.load(str(folder))
    longest = probe(Endpoint(server.endpoint), model, chat)
    assert longest == LONGEST
    engine = ServedEngine(
        (server.endpoint,), Completions(model, chat, longest), 8, 60, 60, 2, str(adapter) if adapter else None
    )
    asked = [{"request_id": k, **r, "sampling": json.dumps(r["sampling"])} for k, r in REQUESTS.items()]
    return {answer.request_id: answer for answer in engine.answers(iter(asked))}


@pytest.fixture(scope="module")
def of_adapters(base: Path, trained: Path) -> tuple[dict[str, Answer], dict[str, Answer]]:
    """Return the answers of the base and of the adapter, from the same server."""
    server = served(base, "base", trained.parent / "vllm-adapters.log", SETTINGS.lora_rank)
    server.start()
    try:
        adapter = trained / "adapter"
        chat = ChatFormat.load(str(trained))
        with pytest.raises(HandshakeError, match="does not serve forward-0"):
            probe(Endpoint(server.endpoint), "forward-0", chat)
        endpoint = Endpoint(server.endpoint)
        assert not endpoint.load_adapter("nothing", trained / "no-adapter")
        assert endpoint.version() != "unknown"
        # As after a server's restart: the client knows the adapter's folder, and has the server load it.
        engine = ServedEngine(
            (server.endpoint,), Completions("forward-0", chat, LONGEST), 8, 60, 60, attempts=3, adapter=str(adapter)
        )
        first = next(engine.answers(iter([{"request_id": "first", **REQUESTS["free"], "sampling": "{}"}])))
        assert first.status != "failed", first.error
        assert set(endpoint.served_models()) == {"base", "forward-0"}
        assert endpoint.load_adapter("forward-0-again", adapter)
        return answers(server, "base", base), answers(server, "forward-0", trained, adapter)
    finally:
        server.stop()


def span_logprob(model: Any, chat: ChatFormat) -> float:
    """Return the span's log-probability by transformers, in float32."""
    prompt, span = chat.prompt_ids("", QUESTION, ""), chat.text_ids(LEARNED)
    with torch.no_grad():
        logits = model.eval()(input_ids=torch.tensor([prompt + span])).logits[0, len(prompt) - 1 : -1]
    return float(logits.log_softmax(-1).gather(1, torch.tensor(span)[:, None]).sum())


def test_it_was_trained_on_the_gpu_in_bfloat16_and_learned(trained: Path) -> None:
    manifest = check_trained_model(trained)
    assert manifest.device == torch.cuda.get_device_name()
    assert manifest.dtype == "bfloat16"
    assert manifest.metrics["dev_loss"] < manifest.metrics["dev_loss_before"] - 1


def test_a_served_adapter_answers_like_transformers(
    of_adapters: tuple[dict[str, Answer], dict[str, Answer]], base: Path, trained: Path
) -> None:
    chat = ChatFormat.load(str(trained))
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    of_base = span_logprob(model, chat)
    adapted = span_logprob(PeftModel.from_pretrained(model, trained / "adapter"), chat)
    n = len(chat.text_ids(LEARNED))
    found = [answered["span"] for answered in of_adapters]
    assert [a.span_tokens for a in found] == [n, n]
    assert found[0].span_logprob == pytest.approx(of_base, abs=0.05 * n)
    assert found[1].span_logprob == pytest.approx(adapted, abs=0.05 * n)
    assert adapted - of_base > n  # nats; shows that the adapter answers


def test_every_kind_of_request_is_answered(of_adapters: tuple[dict[str, Answer], dict[str, Answer]]) -> None:
    for answered in of_adapters:
        assert answered["labels"].label_logprobs is not None
        assert set(answered["labels"].label_logprobs) == set("12345")
        assert answered["regex"].text is not None
        assert answered["regex"].text.startswith("Score: ")
        assert answered["too long"].status == "refused"
    assert of_adapters[1]["free"].text is not None
    assert of_adapters[1]["free"].text.startswith(LEARNED.strip())
    assert of_adapters[1]["free"].finish_reason == "stop"


def test_the_merged_model_gives_the_same_answers(trained: Path) -> None:
    server = served(trained, "merged", trained.parent / "vllm-merged.log")
    server.start()
    try:
        merged = answers(server, "merged", trained)
    finally:
        server.stop()
    chat = ChatFormat.load(str(trained))
    expected = span_logprob(AutoModelForCausalLM.from_pretrained(trained, dtype=torch.float32), chat)
    assert merged["span"].span_logprob == pytest.approx(expected, abs=0.05 * len(chat.text_ids(LEARNED)))
    assert merged["free"].text is not None
    assert merged["free"].text.startswith(LEARNED.strip())
