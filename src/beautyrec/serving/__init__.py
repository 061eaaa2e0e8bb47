"""A champion as files, and the scorer that other services import; needs the base install only."""
