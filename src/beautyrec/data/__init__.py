"""The event log and what is read from it: schema, attribution, vocabularies, splits, and sources of public data."""
