"""The platform itself and the floors it is measured against, each run in a process of its own."""
