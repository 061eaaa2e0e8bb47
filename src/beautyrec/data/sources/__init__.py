"""Readers of public data sets in their publishers' formats, one file a publisher."""
