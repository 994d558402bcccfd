"""Where a study's fits run: in this process, in several, on a cluster."""
