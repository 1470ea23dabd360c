"""A tokenizer and a Llama small enough to be created and trained in a test."""

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<filename>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = [
    "the system answers what the user asks, and the assistant writes it down",
    "Which question? This one.",
] * 3


def save_tokenizer(folder: Path, template: str = TEMPLATE) -> None:
    """Save a byte-level BPE tokenizer of some 300 tokens, with a chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=320, special_tokens=SPECIALS, initial_alphabet=alphabet)
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(template)
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "TokenizersBackend", "eos_token": "<|im_end|>",'
        ' "pad_token": "<|im_end|>", "bos_token": {"__type": "AddedToken", "content": "<|im_start|>"}}'
    )


def save_word_tokenizer(folder: Path) -> None:
    """Save a tokenizer of words split at spaces, with special tokens as words and an unknown token."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["<unk>", "</s>", "user", "assistant", "hello", "<", "/s>"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    tokenizer.add_special_tokens(["<unk>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"eos_token": "</s>", "chat_template": [{"name": "default", "template":'
        ' "{% for m in messages %}{{ m.role }} {{ m.content }} </s> {% endfor %}assistant "}]}'
    )


def save_model(folder: Path, positions: int = 256) -> Path:
    """Save a two-layer Llama with random weights and its tokenizer, and return the folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    save_tokenizer(folder)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=320, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=positions, tie_word_embeddings=True, eos_token_id=2, bos_token_id=1,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    return folder
