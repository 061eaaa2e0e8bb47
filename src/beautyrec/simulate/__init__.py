"""A simulated live-room world with known truth; everything that comes out of it is labelled *simulated*."""
