"""Rival: boto3 and pandas, file after file, as most answers to this exercise do it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import boto3
import boto3.s3.inject  # imports are no part of a load: boto3 and pyarrow import these later
import duckdb
import pandas as pd
import pyarrow.pandas_compat  # noqa: F401

from benchmarks.measuring import Stopwatch, run_contender


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """List, get each object, make a data frame of it, and write all of them to a table."""
    bucket, prefix = os.environ["KEYCASH_OBJECTS_URL"].removeprefix("s3://").split("/", 1)
    database = str(Path(options["folder"]) / "rival.duckdb")
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])
    with stopwatch:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        frames = []
        for page in pages:
            for listed in page["Contents"]:
                body = client.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read()
                frame = pd.DataFrame(json.loads(body)["clientes"])
                frame["data_solicitacao"] = pd.to_datetime(
                    frame["data_solicitacao"], format="%m/%d/%Y %H:%M"
                )
                frames.append(frame)
        requests = pd.concat(frames, ignore_index=True)
        with duckdb.connect(database) as connection:
            connection.register("frames", requests)
            connection.execute("CREATE TABLE requests AS FROM frames")
    return len(requests)


if __name__ == "__main__":
    run_contender(work)
