"""One-sentence versions of the long errors of Spark, Delta and the operating system."""

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

KNOWN = (
    (re.compile(r"No space left on device"), "the disk is full; free some space and run the same command again"),
    (
        re.compile(
            r"Permission denied|AccessDenied|not writable|Mkdirs failed|Unable to create|Parent path is not a dir"
            r"|Not a directory|Read-only file system"
        ),
        "nothing can be written there; choose another --lake or correct its permissions",
    ),
    (
        re.compile(r"JAVA_GATEWAY_EXITED|Java gateway process exited"),
        "Java did not start; install a Java 17+ runtime (Debian: openjdk-17-jre-headless); see humpback doctor",
    ),
    (
        re.compile(r"unresolved dependency|download failed"),
        "the Delta jar could not be fetched; run once with access to Maven Central, or put the jar on the class path",
    ),
    (
        re.compile(r"DELTA_CONCURRENT|ConcurrentAppend|ConcurrentModification"),
        "another process wrote the same slice at the same time; run the same command again",
    ),
)


def sentence(error: BaseException) -> str:
    """Describe an error in one line: a known one with its remedy, a failed worker's by its Python exception."""
    if isinstance(error, Py4JJavaError):
        text = f"{error.java_exception.toString()} {_causes(error)}"
    elif isinstance(error, PySparkException):
        text = f"{error} {getattr(error, 'desc', '') or ''}"
    else:
        text = f"{type(error).__name__}: {error}" if not isinstance(error, (ValueError, RuntimeError)) else str(error)
    worker = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception)): (.+)$", text, re.MULTILINE)
    first = worker[-1][1] if "Traceback (most recent call last)" in text and worker else text.strip().split("\n")[0]
    for pattern, advice in KNOWN:
        if match := pattern.search(text):
            line = text[text.rfind("\n", 0, match.start()) + 1 :].split("\n")[0]
            return f"{line.strip()[:300]}: {advice}"
    return first[:600]


def _causes(error: Py4JJavaError) -> str:
    texts: list[str] = []
    cause = error.java_exception.getCause()
    while cause is not None and len(texts) < 10:
        texts.append(cause.toString())
        cause = cause.getCause()
    return "\n".join(texts)
