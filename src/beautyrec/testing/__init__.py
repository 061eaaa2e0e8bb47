"""Contract suites that every model, policy and feature builder must satisfy; imported by tests only."""
