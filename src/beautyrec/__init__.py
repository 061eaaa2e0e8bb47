"""beautyrec: which products to show in the next live room, and whether the log can tell that it pays."""

__version__ = "0.1.0"
