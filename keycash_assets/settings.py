"""The settings, read from the environment in one place.

Nothing here runs at import. ``Settings.from_environment`` is called by the command line and by
``definitions.py`` when Dagster loads it; everybody else is handed the values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keycash_assets.errors import SettingsError

REPOSITORY = Path(__file__).resolve().parent.parent

SAMPLE_SOURCE = "sample"
MOTHERDUCK_SCHEME = "md:"
KEEP_DELETED = "keep"
RETRACT_DELETED = "retract"


@dataclass(frozen=True)
class Settings:
    """Where everything lives. Each field is one environment variable of the same name.

    Attributes:
        home: ``KEYCASH_HOME``, the folder of all local state.
        source: ``KEYCASH_SOURCE``, a folder, a ``.zip``, an http(s) URL of a zip, or ``sample``.
        uploads: Whether ``run`` and ``up`` put the source files into the bucket: into the local
            store always, into a bucket of yours only when ``KEYCASH_SOURCE`` names them.
        objects_url: ``KEYCASH_OBJECTS_URL``, ``s3://bucket/prefix`` or ``gs://bucket/prefix``;
            None means the local object store, which the platform then starts itself.
        events_queue_url: ``KEYCASH_EVENTS_QUEUE_URL``, the SQS queue that the bucket's event
            notifications go to; None means that the sensor lists the bucket at every tick.
        reconcile_seconds: ``KEYCASH_RECONCILE_SECONDS``, how long the sensor goes by events alone
            before it lists the bucket again.
        warehouse: ``KEYCASH_WAREHOUSE``, the path of a DuckDB file, or ``md:database``.
        published: ``KEYCASH_PUBLISHED``, the read-only snapshot that readers open.
        deleted_objects: ``KEYCASH_DELETED_OBJECTS``, what becomes of the rows of an object that is
            no longer in the bucket: ``keep`` or ``retract``.
        superset_url: ``KEYCASH_SUPERSET_URL``, where people reach Superset; set by ``keycash up``.
    """

    home: Path
    source: str
    uploads: bool
    objects_url: str | None
    events_queue_url: str | None
    reconcile_seconds: int
    warehouse: str
    published: Path
    deleted_objects: str
    superset_url: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings, an empty variable counting as one that is not set.

        Raises:
            SettingsError: A value is not of the form that its variable takes.
        """
        home = Path(environment.get("KEYCASH_HOME") or REPOSITORY / ".keycash").expanduser()
        home = home.absolute()
        objects_url = environment.get("KEYCASH_OBJECTS_URL") or None
        if objects_url is not None and not objects_url.startswith(("s3://", "gs://")):
            raise SettingsError(
                f"KEYCASH_OBJECTS_URL is {objects_url!r}: write s3://bucket/prefix or "
                "gs://bucket/prefix, or leave it out for the local object store."
            )
        warehouse = environment.get("KEYCASH_WAREHOUSE") or str(home / "keycash.duckdb")
        if not warehouse.startswith(MOTHERDUCK_SCHEME):
            warehouse = str(Path(warehouse).expanduser().absolute())
        elif warehouse == MOTHERDUCK_SCHEME:
            raise SettingsError("KEYCASH_WAREHOUSE is 'md:': name a database, as in md:keycash.")
        deleted_objects = environment.get("KEYCASH_DELETED_OBJECTS") or KEEP_DELETED
        if deleted_objects not in {KEEP_DELETED, RETRACT_DELETED}:
            raise SettingsError(
                f"KEYCASH_DELETED_OBJECTS is {deleted_objects!r}: write {KEEP_DELETED!r} to keep "
                f"the rows of deleted objects, or {RETRACT_DELETED!r} to take them out."
            )
        published = environment.get("KEYCASH_PUBLISHED") or home / "published" / "keycash.duckdb"
        return cls(
            home=home,
            source=_source(environment.get("KEYCASH_SOURCE") or SAMPLE_SOURCE),
            uploads=objects_url is None or bool(environment.get("KEYCASH_SOURCE")),
            objects_url=objects_url,
            events_queue_url=_events_queue_url(
                environment.get("KEYCASH_EVENTS_QUEUE_URL") or None, objects_url
            ),
            reconcile_seconds=_seconds(
                "KEYCASH_RECONCILE_SECONDS", environment.get("KEYCASH_RECONCILE_SECONDS") or "300"
            ),
            warehouse=warehouse,
            published=Path(published).expanduser().absolute(),
            deleted_objects=deleted_objects,
            superset_url=environment.get("KEYCASH_SUPERSET_URL") or "http://127.0.0.1:8088",
        )

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's own state (``DAGSTER_HOME``)."""
        return self.home / "dagster"

    @property
    def object_store_home(self) -> Path:
        """Folder of the local object store: its data, keys, ports and ``connection.env``."""
        return self.home / "object_store"

    @property
    def uses_local_object_store(self) -> bool:
        """Whether the platform runs its own object store."""
        return self.objects_url is None

    @property
    def uses_motherduck(self) -> bool:
        """Whether the warehouse is a MotherDuck database and not a local file."""
        return self.warehouse.startswith(MOTHERDUCK_SCHEME)


def _source(source: str) -> str:
    if source == SAMPLE_SOURCE or source.lower().startswith(("http://", "https://")):
        return source
    return str(Path(source).expanduser().absolute())


def _events_queue_url(url: str | None, objects_url: str | None) -> str | None:
    if url is None:
        return None
    if not url.startswith(("https://", "http://")):
        raise SettingsError(
            f"KEYCASH_EVENTS_QUEUE_URL is {url!r}: write the queue's URL, as in "
            "https://sqs.sa-east-1.amazonaws.com/123456789012/keycash-events."
        )
    if objects_url is None or not objects_url.startswith("s3://"):
        raise SettingsError(
            "KEYCASH_EVENTS_QUEUE_URL names the queue of a bucket of yours on S3: set "
            "KEYCASH_OBJECTS_URL to s3://bucket/prefix, or leave the queue out. Without it the "
            "bucket is listed at every tick."
        )
    return url


def _seconds(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise SettingsError(f"{name} is {text!r}: write a whole number of seconds, as in 300.")
    return int(text)


def object_store_environment(
    settings: Settings, environment: Mapping[str, str]
) -> Mapping[str, str]:
    """The variables by which the bucket is reached: ``KEYCASH_OBJECTS_URL`` and ``AWS_*``.

    With ``KEYCASH_OBJECTS_URL`` set they are the environment's own. Otherwise they are those that
    the local object store wrote to ``connection.env`` when it started, and nothing beyond this
    function knows that the store is local: keys to a cloud in the environment are not for it.

    Raises:
        SettingsError: The local object store was never started.
    """
    if not settings.uses_local_object_store:
        return environment
    connection = settings.object_store_home / "connection.env"
    if not connection.is_file():
        raise SettingsError(
            "The local object store has never been started: run `make up` or `keycash store` "
            "first, or set KEYCASH_OBJECTS_URL to a bucket of yours."
        )
    from dotenv import dotenv_values  # noqa: PLC0415  only needed with the local store

    local = {name: value for name, value in dotenv_values(connection).items() if value}
    others = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return {**others, **local}
