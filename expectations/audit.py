"""Run a suite on materialised rows with Great Expectations, and write its Data Docs."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Audit:
    """The result of an audit: the failed expectations by severity, and the path of its HTML page."""

    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    report: Path


# Counts only: Data Docs print offending values verbatim, and web text can be hostile.
RESULT = {"result_format": "SUMMARY", "partial_unexpected_count": 0}
NAME = "audit"


def audit(rows: DataFrame, expectations: list[Any], folder: Path) -> Audit:
    """Check `rows` against `expectations` and write the Data Docs to `folder`.

    `rows` must be materialised (cached, or read from a table's version): a suite reads them many
    times, and a lazy plan would be recomputed each time.
    """
    # Imported here: it takes a second, which only audits should pay.
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.metadata_types import FailureSeverity

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.add_data_docs_site(
        "local",
        {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())},
        },
    )
    # persist=False: the rows are cached already, and GX would keep a second copy.
    source = context.data_sources.add_spark(NAME, persist=False)
    batch = source.add_dataframe_asset(NAME).add_batch_definition_whole_dataframe(NAME)
    suite = context.suites.add(gx.ExpectationSuite(name=NAME, expectations=expectations))
    validation = context.validation_definitions.add(gx.ValidationDefinition(name=NAME, data=batch, suite=suite))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name=NAME, validation_definitions=[validation], result_format=RESULT)
    )
    result = checkpoint.run(batch_parameters={"dataframe": rows})
    context.build_data_docs()
    broken = [r for run in result.run_results.values() for r in run.results if not r.success]
    critical = [r for r in broken if r.expectation_config.severity == FailureSeverity.CRITICAL]
    minor = [r for r in broken if r not in critical]
    return Audit(tuple(map(_sentence, critical)), tuple(map(_sentence, minor)), folder / "index.html")


def _sentence(result: Any) -> str:
    config = result.expectation_config
    where = config.description or ", ".join(
        f"{k}={v}" for k, v in config.kwargs.items() if k in ("column", "column_list", "min_value", "max_value")
    )
    facts = {k: v for k, v in (result.result or {}).items() if k in ("observed_value", "unexpected_count")}
    fault = (result.exception_info or {}).get("exception_message") if not facts else None
    return f"{config.type} ({where}): found {fault or facts}"
