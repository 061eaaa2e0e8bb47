"""The torch networks, without their losses and without their training loop."""
