"""The board of a shop: its KPIs by day, room and scene, targets beside them, and alerts where something changed."""
