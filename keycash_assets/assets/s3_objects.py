"""The source files, as objects in the bucket."""

import time

import dagster as dg

from keycash_assets.resources import ObjectStore, SourceFolder
from keycash_assets.uploading import upload


@dg.asset(group_name="source", kinds={"s3"}, deps=["raw_files"])
def s3_objects(source_folder: SourceFolder, object_store: ObjectStore) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no value
    """The credit requests in the bucket, one object a file, under the file's name.

    A file that is already there with the same content is left alone. Anybody else may put, replace
    or delete objects too: the sensor sees what is in the bucket, not what this asset did.
    """
    started = time.monotonic()
    bucket = object_store.bucket()
    done = upload(bucket, source_folder.files().files)
    return dg.MaterializeResult(
        metadata={
            "bucket": bucket.url,
            "objects put": done.put,
            "already there": done.already_there,
            "bytes put": done.size_bytes,
            "seconds": round(time.monotonic() - started, 3),
        }
    )
