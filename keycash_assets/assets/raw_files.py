"""The source files, at hand on this machine."""

import time

import dagster as dg

from keycash_assets.presentation import markdown_table
from keycash_assets.resources import SourceFolder


@dg.asset(group_name="source", kinds={"json", "file"})
def raw_files(source_folder: SourceFolder) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no value
    """The credit requests as they were handed over: a folder, a zip, a download, or the sample.

    Each file holds requests of several clients. Nothing in them is changed here.
    """
    started = time.monotonic()
    source = source_folder.fetch()
    largest = sorted(source.files, key=lambda file: -file.size_bytes)[:10]
    return dg.MaterializeResult(
        metadata={
            "source": source_folder.source,
            "files": len(source.files),
            "bytes": sum(file.size_bytes for file in source.files),
            "seconds": round(time.monotonic() - started, 3),
            "left out": dg.MetadataValue.json(list(source.skipped)),
            "largest files": dg.MetadataValue.md(
                markdown_table(
                    ["file", "bytes", "sha256"],
                    [(file.name, file.size_bytes, file.sha256[:16]) for file in largest],
                )
            ),
        }
    )
