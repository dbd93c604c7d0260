"""The servers that the platform runs on this machine, and how they start and stop."""
