"""The entry that spark-submit wants as a file; the rest comes with `--py-files` and the wheel.

spark-submit --py-files dist/humpback-0.3.0-py3-none-any.whl deploy/humpback_main.py run --recipe … --lake …
"""

import sys

from pyspark import SparkContext

from jobs.__main__ import main

# A wheel is a zip; Spark brings it to the executors, but puts only what ends in these on their Python's path.
SparkContext.PACKAGE_EXTENSIONS = (*SparkContext.PACKAGE_EXTENSIONS, ".whl")

if __name__ == "__main__":
    sys.exit(main())
