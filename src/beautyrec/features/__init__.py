"""Point-in-time features: what was known of an item and a viewer at a row's own time."""
