"""A bucket in memory, for tests of what becomes of objects rather than of how they travel."""

from obstore.store import MemoryStore

from keycash_assets.bucket import Bucket


class MemoryBucket(Bucket):
    """Objects of this process; every put is a version of its own."""

    def __init__(self) -> None:
        self.url = "memory://bucket/prefix"
        self.name = "bucket"
        self.prefix = "prefix"
        self._scheme = "s3"
        self._memory = MemoryStore()
        self._store = self._memory

    def put(self, key: str, content: bytes) -> None:
        """Put an object."""
        self._memory.put(key, content)

    def delete(self, key: str) -> None:
        """Delete an object."""
        self._memory.delete(key)
