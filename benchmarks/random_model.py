"""Make a model with random weights at the size of a real one, and another model's tokenizer, for tests of speed.

python -m benchmarks.random_model demo/base --layers 32 --hidden 4096 --out random-7b
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Save the model to `--out`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.random_model", description=__doc__)
    parser.add_argument("base", type=Path, help="folder of a model, for its tokenizer and chat template")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=4096, help="a multiple of 128, the size of a head")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    import torch
    from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

    base = AutoConfig.from_pretrained(options.base, local_files_only=True)
    config = LlamaConfig(
        vocab_size=base.vocab_size,
        hidden_size=options.hidden,
        intermediate_size=options.hidden * 11 // 4,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 128,
        max_position_embeddings=4096,
        bos_token_id=base.bos_token_id,
        eos_token_id=base.eos_token_id,
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlamaForCausalLM(config)
    model.save_pretrained(options.out)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"):
        if (options.base / name).is_file():
            shutil.copyfile(options.base / name, options.out / name)
    sys.stdout.write(f"{options.out}: {sum(p.numel() for p in model.parameters()) / 1e9:.2f} billion parameters\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
