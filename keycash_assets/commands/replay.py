"""``keycash replay``: open objects again."""

import os
from collections.abc import Sequence

from keycash_assets.bucket import bucket_of
from keycash_assets.commands.console import console
from keycash_assets.commands.pipeline import Pipeline, dagster_instance, print_outcome
from keycash_assets.errors import KeycashError
from keycash_assets.loading import quarantined_keys
from keycash_assets.local.object_store_server import object_store_of
from keycash_assets.local.one_platform import refuse_beside_another_platform
from keycash_assets.settings import Settings
from keycash_assets.warehouse import published_connection


def replay(settings: Settings, keys: Sequence[str], *, quarantined: bool) -> bool:
    """Read objects once more, as if they had just arrived; what they say again changes nothing.

    Args:
        settings: The settings.
        keys: Object keys, or file names below the prefix.
        quarantined: Whether to take all objects with something in quarantine as well.

    Returns:
        Whether every blocking check passed.

    Raises:
        KeycashError: An object is not in the bucket, or a step failed.
    """
    refuse_beside_another_platform(settings)
    with object_store_of(settings):
        bucket = bucket_of(settings, os.environ)
        wanted = list(keys)
        if quarantined:
            with published_connection(settings) as connection:
                wanted += quarantined_keys(connection)
        found = bucket.current_versions([*wanted, *map(bucket.key_of, wanted)])
        there = set(found["object_key"].to_pylist())
        chosen = [key if key in there else bucket.key_of(key) for key in wanted]
        missing = [key for key, full in zip(wanted, chosen, strict=True) if full not in there]
        if missing:
            raise KeycashError(f"Not in {bucket.url}: {', '.join(missing)}.")
        if not chosen:
            console.print("Nothing stands in quarantine: nothing to replay.")
            return True
        console.print(f"[bold]Replaying[/] {len(chosen):,} objects of {bucket.url}")
        with dagster_instance(settings) as instance:
            outcome = Pipeline(settings, instance).replay(sorted(set(chosen)))
    print_outcome(outcome)
    return outcome.succeeded
