"""The assets, from source files to the published snapshot. One step of the pipeline a file."""
