"""The platform as tests drive it: put objects, tick the sensor, ask what is published."""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import dagster as dg
import duckdb
import yaml
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from keycash_assets import sensors
from keycash_assets.bucket import Bucket
from keycash_assets.definitions import build_definitions
from keycash_assets.sensors import UNFINISHED
from keycash_assets.settings import REPOSITORY, Settings

Row = tuple[Any, ...]

_logger = logging.getLogger(__name__)
_QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}


def credit_request(
    client: str = "c1", amount: object = 100, day: str = "01/02/2022 10:00", **fields: object
) -> dict[str, object]:
    """A record of the contract's shape."""
    return {
        "id": client,
        "name": f"NAME {client}",
        "idade": 40,
        "credito_solicitado": amount,
        "data_solicitacao": day,
        **fields,
    }


def document(*records: object) -> bytes:
    """A file of the challenge's shape."""
    return json.dumps({"clientes": records}).encode()


def dagster_instance(settings: Settings) -> dg.DagsterInstance:
    """An instance in the folder of these settings, configured as the platform's own."""
    configuration = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text("utf-8"))
    return dg.DagsterInstance.local_temp(str(settings.dagster_home), configuration)


@dataclass
class Platform:
    """A platform of one test.

    Attributes:
        settings: Its settings.
        bucket: Its prefix of the bucket.
        instance: Its Dagster instance.
        definitions: What Dagster would load.
        cursor: The sensor's, as its last tick left it.
        watch_seconds: How long a tick goes on looking; by default it looks once.
    """

    settings: Settings
    bucket: Bucket
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    cursor: str | None = None
    watch_seconds: float = 0.0

    @classmethod
    @contextmanager
    def start(cls, settings: Settings, bucket: Bucket) -> Iterator["Platform"]:
        """Start on an empty instance."""
        settings.dagster_home.mkdir(parents=True)
        with dagster_instance(settings) as instance:
            yield cls(settings, bucket, instance, build_definitions(settings))

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Put objects, by file name below the prefix, as any S3 client would."""
        for name, content in objects.items():
            self.client.put_object(
                Bucket=self.bucket.name, Key=self.bucket.key_of(name), Body=content
            )

    def delete(self, name: str) -> None:
        """Delete an object, as any S3 client would."""
        self.client.delete_object(Bucket=self.bucket.name, Key=self.bucket.key_of(name))

    @cached_property
    def client(self) -> Any:
        """An S3 client that shares nothing with the platform's own, nor with another test's."""
        # boto3.client() would keep the credentials that it found first.
        return boto3.Session().client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])

    def evaluate_sensor(self) -> SensorExecutionData:
        """One tick, evaluated as Dagster's daemon has it evaluated, but no run."""
        resources = self.definitions.resources or {}
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=self.definitions,
            resources={
                name: resources[name] for name in ("object_store", "published", "bucket_events")
            },
        )
        with patch.object(sensors, "WATCH_SECONDS", self.watch_seconds):
            result = sensors.s3_object_sensor.evaluate_tick(context)
        if result.cursor is not None:
            self.cursor = result.cursor
        return result

    def tick(self) -> dg.ExecuteInProcessResult | None:
        """One tick and the run that it asks for; None where it asks for none."""
        requests = self.evaluate_sensor().run_requests
        if not requests:
            return None
        (request,) = requests
        return self.run("ingest_objects", tags=dict(request.tags), config=dict(request.run_config))

    def run(
        self, job: str, tags: Mapping[str, str] | None = None, config: dict[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Run a job to its end, failed or not."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags=dict(tags or {}),
            run_config={"loggers": _QUIET, **(config or {})},
            raise_on_error=False,
        )

    def materialize(self, assets: Sequence[str]) -> dg.ExecuteInProcessResult:
        """Materialize assets and run their checks, as a person does in the UI, failing or not."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            run_config={"loggers": _QUIET},
            raise_on_error=False,
        )

    def end_dead_runs(self) -> None:
        """What Dagster's daemon does every few seconds: end the runs whose process is gone."""
        unfinished = dg.RunsFilter(statuses=UNFINISHED)
        for record in self.instance.get_run_records(unfinished):
            if record.dagster_run.status == dg.DagsterRunStatus.STARTED:
                monitor_started_run(self.instance, None, record, _logger)  # type: ignore[arg-type]  # only to resume
            else:  # it ends those after a time that a test does not wait for
                self.instance.report_run_failed(record.dagster_run)

    def published(self, query: str) -> list[Row]:
        """The rows of a query on the published snapshot."""
        return self._query(self.settings.published, query)

    def warehouse(self, query: str) -> list[Row]:
        """The rows of a query on the warehouse itself, which no run holds now."""
        return self._query(Path(self.settings.warehouse), query)

    def damage(self, statement: str) -> None:
        """Change the warehouse behind the platform's back."""
        with duckdb.connect(self.settings.warehouse) as connection:
            connection.execute(statement)

    @staticmethod
    def _query(path: Path, query: str) -> list[Row]:
        with duckdb.connect(path, read_only=True) as connection:
            return connection.execute(query).fetchall()

    def wait_for_another_second(self) -> None:
        """Wait until the bucket's clock, which counts whole seconds, shows another one."""
        now = int(time.time())
        while int(time.time()) == now:
            time.sleep(0.01)
