"""The entry that spark-submit wants as a file; the rest comes with `--py-files` and the wheel.

spark-submit --py-files dist/humpback-0.1.0-py3-none-any.whl deploy/humpback_main.py run --recipe … --lake …
"""

import sys

from jobs.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
