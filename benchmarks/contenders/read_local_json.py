"""Floor: DuckDB's own reader on the same bytes on local disk, with no provenance and no record."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from benchmarks.measuring import Stopwatch, run_contender

STATEMENT = """
CREATE TABLE requests AS
SELECT unnest(clientes, recursive := true)
FROM read_json(
    $files,
    format = 'unstructured',
    columns = {
        'clientes': '
            STRUCT(
                id VARCHAR,
                name VARCHAR,
                idade BIGINT,
                credito_solicitado DECIMAL(18, 2),
                data_solicitacao VARCHAR
            )[]
        '
    }
)
"""


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Read the files into a table of a new database file, and close it."""
    database = str(Path(options["folder"]) / "floor.duckdb")
    with stopwatch:
        connection = duckdb.connect(database)
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(STATEMENT, {"files": options["files"]})
        ((rows,),) = connection.execute("SELECT count(*) FROM requests").fetchall()
        connection.close()
    return int(rows)


if __name__ == "__main__":
    run_contender(work)
