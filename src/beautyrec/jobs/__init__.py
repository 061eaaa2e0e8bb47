"""Runnable jobs, each from one TOML file: read, call the rooms in order, write a summary and a report."""
