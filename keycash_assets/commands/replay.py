"""``keycash replay``: open objects again."""

import os
from collections.abc import Sequence

from keycash_assets.bucket import bucket_of
from keycash_assets.commands.console import console, literal
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
        in_quarantine: list[str] = []
        if quarantined:
            with published_connection(settings) as connection:
                in_quarantine = quarantined_keys(connection)
        found = bucket.current_versions([*keys, *map(bucket.key_of, keys), *in_quarantine])
        there = set(found["object_key"].to_pylist())
        named = [key if key in there else bucket.key_of(key) for key in keys]
        missing = [key for key, full in zip(keys, named, strict=True) if full not in there]
        if missing:
            raise KeycashError(f"Not in {bucket.url}: {', '.join(missing)}.")
        gone = sorted(set(in_quarantine) - there)
        if gone:
            console.print(
                f"No longer in the bucket, so left as they are: {literal(', '.join(gone))}"
            )
        chosen = sorted({*named, *in_quarantine} & there)
        if not chosen:
            console.print("Nothing to replay: no object in the bucket has anything in quarantine.")
            return True
        console.print(f"[bold]Replaying[/] {len(chosen):,} objects of {literal(bucket.url)}")
        with dagster_instance(settings) as instance:
            outcome = Pipeline(settings, instance).replay(chosen)
    print_outcome(outcome)
    return outcome.succeeded
