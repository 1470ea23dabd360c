"""Check stored answers against IFEval's instructions, with the checkers of lm-evaluation-harness, in a process.

python -m jobs.inference.ifeval ANSWERS.jsonl VERDICTS.json

A line of the first file is a prompt of IFEval with its `answer`; the second gets the `strict` and `loose` verdicts on
each prompt's instructions. The same answers get the same verdicts: the checkers' language detector and their other
random choices have fixed seeds.
"""

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

NLTK_FILES = "tokenizers/punkt_tab/english"
SEED = 0


def verdicts(rows: list[dict[str, Any]]) -> dict[str, dict[str, list[bool]]]:
    """Return the verdicts by the prompts' ids."""
    os.environ["LOCAL_RANK"] = "1"  # with 0, or unset, the import downloads NLTK's files
    from langdetect import DetectorFactory
    from lm_eval.tasks.ifeval import utils

    DetectorFactory.seed = SEED
    found = {}
    for row in rows:
        example = utils.InputExample(row["id"], row["instruction_id_list"], row["prompt"], row["kwargs"])
        of_prompt = {}
        for way in ("strict", "loose"):
            random.seed(SEED)
            check = getattr(utils, f"test_instruction_following_{way}")
            of_prompt[way] = check(example, row["answer"]).follow_instruction_list
        found[row["id"]] = of_prompt
    return found


def main(answers: str, file: str) -> int:
    """Write the verdicts on a file of answers."""
    import nltk

    try:
        nltk.data.find(NLTK_FILES)
        nltk.tokenize.sent_tokenize("It reads them. All of them.")
    except (LookupError, PermissionError) as error:
        reason = "they are not on this machine" if isinstance(error, LookupError) else str(error)
        sys.stderr.write(
            f"NLTK's files {NLTK_FILES} cannot be read: {reason}; set run_harness.nltk_data to a folder that has them: "
            "python -m nltk.downloader -d FOLDER punkt_tab fetches them, and the package llama-index-core carries them "
            "in llama_index/core/_static/nltk_cache, from where they must be copied (NLTK refuses hard links)\n"
        )
        return 1
    rows = [json.loads(line) for line in Path(answers).read_text(encoding="utf-8").splitlines()]
    Path(file).write_text(json.dumps(verdicts(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
