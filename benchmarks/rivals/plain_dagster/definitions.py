"""A sensor that asks for a run per file; assets that load the file and sum the days.

Everything that is not said stays as Dagster has it: a tick every 30 seconds, ten runs at a time,
each step in a process of its own.
"""

import json
import os

import boto3
import dagster as dg
import pandas as pd
from dagster_aws.s3.sensor import get_s3_keys
from dagster_duckdb import DuckDBResource


class FileConfig(dg.Config):
    """Which file to load."""

    key: str


@dg.asset
def requests(config: FileConfig, duckdb: DuckDBResource) -> None:
    """The requests of a file, added to those that are there."""
    client = boto3.client("s3")
    body = client.get_object(Bucket=os.environ["RIVAL_BUCKET"], Key=config.key)["Body"].read()
    frame = pd.DataFrame(json.loads(body)["clientes"])
    frame["data_solicitacao"] = pd.to_datetime(frame["data_solicitacao"], format="%m/%d/%Y %H:%M")
    with duckdb.get_connection() as connection:
        connection.register("frame", frame)
        connection.execute("CREATE TABLE IF NOT EXISTS requests AS FROM frame LIMIT 0")
        connection.execute("INSERT INTO requests FROM frame")


@dg.asset(deps=[requests])
def credit_per_day(duckdb: DuckDBResource) -> None:
    """The credit asked for per day, where only each client's latest request counts."""
    with duckdb.get_connection() as connection:
        connection.execute(
            """
            CREATE OR REPLACE TABLE credit_per_day AS
            SELECT data_solicitacao::DATE AS day, sum(credito_solicitado) AS credit
            FROM (
                FROM requests
                QUALIFY row_number() OVER (PARTITION BY id ORDER BY data_solicitacao DESC) = 1
            )
            GROUP BY day
            """
        )


load_file = dg.define_asset_job("load_file", selection=[requests, credit_per_day])


@dg.sensor(job=load_file, default_status=dg.DefaultSensorStatus.RUNNING)
def s3_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """A run for each file that is newer than the last one seen."""
    keys = get_s3_keys(
        os.environ["RIVAL_BUCKET"], os.environ["RIVAL_PREFIX"], since_key=context.cursor or None
    )
    if not keys:
        return dg.SkipReason("No new files.")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=key, run_config={"ops": {"requests": {"config": {"key": key}}}})
            for key in keys
        ],
        cursor=keys[-1],
    )


defs = dg.Definitions(
    assets=[requests, credit_per_day],
    jobs=[load_file],
    sensors=[s3_sensor],
    resources={"duckdb": DuckDBResource(database=os.environ["RIVAL_DATABASE"])},
)
