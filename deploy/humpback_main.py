"""Entry point for spark-submit, which needs a file; `--py-files` brings the rest as a wheel.

spark-submit --py-files dist/humpback-0.4.0-py3-none-any.whl deploy/humpback_main.py run --recipe … --lake …
"""

import sys

from pyspark import SparkContext

from jobs.__main__ import main

# A wheel is a zip. Spark copies it to the executors, but adds only files with these suffixes to their Python path.
SparkContext.PACKAGE_EXTENSIONS = (*SparkContext.PACKAGE_EXTENSIONS, ".whl")

if __name__ == "__main__":
    sys.exit(main())
