"""Recommenders and funnel models: a learner holds hyperparameters, `fit` gives a new fitted object."""
