"""What can go wrong, as one tree.

::

    KeycashError                    every error that a person can act on
    ├── SettingsError               a setting is missing or makes no sense
    ├── SourceError                 the source files cannot be had, or are not safe to unpack
    ├── ObjectStoreError            the bucket cannot be listed, read or written
    ├── TemporaryFileError          there is no room for what is too large for memory
    ├── EventQueueError             the queue of the bucket's events cannot be used
    ├── WarehouseError              the warehouse cannot be opened
    │   └── WarehouseLockedError    another process holds it for longer than we wait
    └── ServerError                 a local server did not start, or stopped by itself

Each message says what happened and what to do next.
"""


class KeycashError(Exception):
    """Base of every error that a person can act on."""


class SettingsError(KeycashError):
    """A setting is missing or makes no sense."""


class SourceError(KeycashError):
    """The source files cannot be had, or are not safe to unpack."""


class ObjectStoreError(KeycashError):
    """The bucket cannot be listed, read or written."""


class TemporaryFileError(KeycashError):
    """There is no room for what is too large for memory."""


class EventQueueError(KeycashError):
    """The queue of the bucket's events cannot be used."""


class WarehouseError(KeycashError):
    """The warehouse cannot be opened or used."""


class WarehouseLockedError(WarehouseError):
    """Another process holds the warehouse for longer than we wait."""


class ServerError(KeycashError):
    """A local server did not start, or stopped by itself."""
