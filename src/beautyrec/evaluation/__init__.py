"""Values, intervals and verdicts from arrays and frames; nothing in here calls a model."""
