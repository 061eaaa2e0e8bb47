"""What goes on air: the line-up of a room."""
