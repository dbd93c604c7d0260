"""Rival: DuckDB's ``read_json`` over its own ``httpfs``."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import duckdb_extension_httpfs

from benchmarks.measuring import Stopwatch, run_contender

STATEMENT = """
CREATE TABLE requests AS
SELECT unnest(clientes, recursive := true), filename
FROM read_json(
    $files,
    format = 'unstructured',
    filename = true,
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

ACCESS = """
CREATE SECRET (
    TYPE s3,
    KEY_ID '{key}',
    SECRET '{secret}',
    REGION '{region}',
    ENDPOINT '{endpoint}',
    URL_STYLE 'path',
    USE_SSL false
)
"""


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Read the objects into a table of a new database file, and close it."""
    folder = Path(duckdb_extension_httpfs.__file__).parent / "extensions"
    extension = folder / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    connection = duckdb.connect(str(Path(options["folder"]) / "rival.duckdb"))
    connection.load_extension(str(extension))
    # A secret takes no parameters; the values are those of the local server.
    connection.execute(
        ACCESS.format(
            key=os.environ["AWS_ACCESS_KEY_ID"],
            secret=os.environ["AWS_SECRET_ACCESS_KEY"],
            region=os.environ["AWS_REGION"],
            endpoint=urlsplit(os.environ["AWS_ENDPOINT_URL_S3"]).netloc,
        )
    )
    if options["threads"]:
        connection.execute("SET threads = $threads", {"threads": int(options["threads"])})
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_http_metadata_cache = true")
    files = f"{os.environ['KEYCASH_OBJECTS_URL']}/*.json"
    with stopwatch:
        connection.execute(STATEMENT, {"files": files})
        ((rows,),) = connection.execute("SELECT count(*) FROM requests").fetchall()
        connection.close()
    return int(rows)


if __name__ == "__main__":
    run_contender(work)
