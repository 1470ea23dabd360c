"""An audit of a whole lake: keys unique, references resolvable, accounts closed, releases readable.

By delta-rs and DuckDB, which had no part in writing it.

python -m tests.audit LAKE
"""

import sys
from typing import Any

import duckdb
from deltalake import DeltaTable
from pyspark.sql.types import ArrayType

from jobs.lake.conform import arrow_of, predicate
from schemas import BY_NAME, TABLES
from schemas.content_digest import Digest, content_digest

REFERENCES = (  # column -> the columns it must be found in one of
    ("silver.segments.document_id", "bronze.documents.document_id"),
    ("silver.signatures.segment_id", "silver.segments.segment_id"),
    ("silver.duplicates.segment_id", "silver.segments.segment_id"),
    ("silver.duplicates.keeper_id", "silver.segments.segment_id"),
    ("silver.unlabelled.segment_id", "silver.segments.segment_id"),
    ("silver.overlaps.segment_id", "silver.segments.segment_id"),
    ("silver.candidates.segment_id", "silver.unlabelled.segment_id"),
    ("silver.candidates.request_id", "bronze.completions.request_id"),
    ("silver.candidates.model_id", "ops.models.model_id"),
    ("silver.scores.candidate_id", "silver.candidates.candidate_id"),
    ("silver.scores.model_id", "ops.models.model_id"),
    ("silver.scores.request_ids", "bronze.completions.request_id"),
    ("silver.known_scores.model_id", "ops.models.model_id"),
    ("silver.known_scores.request_ids", "bronze.completions.request_id"),
    ("bronze.completions.prompt_id", "ops.prompts.prompt_id"),
    ("bronze.completions.run_id", "ops.runs.run_id"),
    ("bronze.completions.model_id", "ops.models.model_id"),
    ("ops.quarantine.run_id", "ops.runs.run_id"),
    ("gold.curated.segment_id", "silver.segments.segment_id"),
    ("gold.judgements.model_id", "ops.models.model_id"),
    ("gold.judgements.judge_id", "ops.models.model_id"),
    ("gold.judgements.request_ids", "bronze.completions.request_id"),
    ("gold.training_examples.source_id", "silver.seed_pairs.pair_id", "silver.candidates.candidate_id"),
    ("ops.models.dataset", "gold.training_examples.dataset"),
    ("gold.curated.candidate_id", "silver.candidates.candidate_id"),
    ("gold.curated.model_id", "ops.models.model_id"),
    ("gold.generations.request_id", "bronze.completions.request_id"),
    ("gold.generations.model_id", "ops.models.model_id"),
    ("ops.models.run_id", "ops.runs.run_id"),
)


def faults(root: str) -> list[str]:
    """Everything that is wrong with the lake, in words."""
    lake, found = duckdb.connect(), []
    # The rules are Spark's SQL; but for this one function it is DuckDB's too.
    lake.execute("CREATE MACRO octet_length(text) AS strlen(text)")
    for table in TABLES:
        place = f"{root}/{table.path}"
        there = DeltaTable.is_deltatable(place)
        lake.register(table.name, DeltaTable(place).to_pyarrow_dataset() if there else arrow_of(table, []))
        key = ", ".join(f'"{column}"' for column in table.key)
        if n := _count(lake, f'SELECT 1 FROM "{table.name}" GROUP BY {key} HAVING count(*) > 1'):
            found.append(f"{table.name}: {n} keys occur more than once")
        needed = {f"{f.name}_not_null": f'"{f.name}" IS NOT NULL' for f in table.schema if not f.nullable}
        for name, rule in (needed | dict(table.constraints)).items():
            if n := _count(lake, f'SELECT 1 FROM "{table.name}" WHERE NOT coalesce({rule}, false)'):
                found.append(f"{table.name}: {n} rows break {name}")
    for here, *there in REFERENCES:
        if n := _count(lake, f"{_ids(here)} EXCEPT ({' UNION '.join(map(_ids, there))})"):
            found.append(f"{here}: {n} values are not in {' or '.join(there)}")
    for run in _rows(lake, "ops.runs", "status = 'ok'"):
        n_out = run["n_out"] + sum(n for name in ("dropped", "quarantined") for _, n in run[name])
        if run["n_in"] != n_out:
            found.append(f"ops.runs: the account of {run['job']} is open: {run['n_in']} in, {n_out} out")
    for r in _rows(lake, "ops.releases"):
        if _digest(root, r["table"], r["version"], r["slice"]) != (r["n_rows"], r["content_digest"]):
            found.append(f"ops.releases: {r['table']}@{r['version']} where {r['slice']} is not what was released")
    for model in _rows(lake, "ops.models"):
        dataset = predicate({"dataset": model["dataset"]})
        n, digest = _digest(root, "gold.training_examples", model["table_version"], dataset)
        if digest != model["content_digest"]:
            found.append(f"ops.models: {model['model_id']} was trained on other rows than {n} of its pinned version")
    return found


def _ids(place: str) -> str:
    """The values of a column, the elements of an array each."""
    table, column = place.rsplit(".", 1)
    is_array = isinstance(BY_NAME[table].schema[column].dataType, ArrayType)
    value = f"unnest({column})" if is_array else column
    return f'SELECT {value} FROM "{table}" WHERE {column} IS NOT NULL'


def _count(lake: duckdb.DuckDBPyConnection, query: str) -> int:
    [(n,)] = lake.sql(f"SELECT count(*) FROM ({query})").fetchall()
    return int(n)


def _rows(lake: duckdb.DuckDBPyConnection, table: str, where: str = "true") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.sql(f'SELECT * FROM "{table}" WHERE {where}').to_arrow_table().to_pylist()
    return rows


def _digest(root: str, table: str, version: int, slice: str) -> Digest:
    rows = DeltaTable(f"{root}/{BY_NAME[table].path}", version=version).to_pyarrow_dataset()
    return content_digest(duckdb.from_arrow(rows).filter(slice).to_arrow_table().to_batches())


if __name__ == "__main__":
    wrong = faults(sys.argv[1])
    sys.stdout.write("\n".join(wrong or ["the lake is in order"]) + "\n")
    sys.exit(bool(wrong))
