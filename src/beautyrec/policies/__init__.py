"""From scores to what is shown, with its probabilities."""
