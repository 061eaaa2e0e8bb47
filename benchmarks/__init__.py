"""What the package claims, measured: one module a claim, `python -m benchmarks.NAME --json`."""
