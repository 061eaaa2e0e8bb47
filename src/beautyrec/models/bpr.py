"""Bayesian personalised ranking, by the library ``implicit``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.errors import MissingExtraError
from beautyrec.models.base import Known
from beautyrec.models.checks import not_finite, require_bound, require_events, require_finite
from beautyrec.models.recommenders import FactorRecommender
from beautyrec.types import Progress


@dataclass(frozen=True)
class BPR:
    """Factors that put what a user took above what it did not: maximises ``sum ln sigmoid(s_ui - s_uj)``.

    Scores are ``s_ui = x_u . y_i + b_i``; the item j not taken is drawn in proportion to its popularity. Weights of
    interactions are not used. Rendle et al., *BPR: Bayesian Personalized Ranking from Implicit Feedback* (UAI 2009).

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> BPR(factors=2, iterations=5).fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    factors: int = 128
    """Dimensions of the factors."""
    learning_rate: float = 0.1
    """Step of the stochastic gradient."""
    regularization: float = 0.02
    """Pull of the factors towards 0."""
    iterations: int = 300
    """Passes; each draws as many pairs as there are interactions."""

    def __post_init__(self) -> None:
        require_bound("bpr", "factors", self.factors, 1)
        require_bound("bpr", "learning_rate", self.learning_rate, 1e-9)
        require_bound("bpr", "regularization", self.regularization, 0)
        require_bound("bpr", "iterations", self.iterations, 1)

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> FactorRecommender:
        """Descend in one thread: several would write over each other, and no two fits would be alike.

        Raises:
            FitError: ``train`` has fewer than two events, or the factors are not finite.
            MissingExtraError: ``implicit`` is not installed.
        """
        require_events(train, "bpr")
        try:
            from implicit.cpu.bpr import BayesianPersonalizedRanking
            from implicit.recommender_base import ModelFitError
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from None

        model = BayesianPersonalizedRanking(
            factors=self.factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=self.iterations,
            num_threads=1,
            random_state=seed,
        )

        def report(iteration: int, *_: object) -> None:
            if on_progress:
                on_progress(iteration + 1, self.iterations)

        try:
            model.fit(train.matrix(), show_progress=False, callback=report)
        except ModelFitError:
            raise not_finite("bpr") from None
        users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)  # the last column is the bias
        require_finite("bpr", users, items)
        known = Known.of(train)
        taken = known.popularity > 0
        bias = np.where(taken, items[:, -1], items[taken, -1].min()).astype(np.float32)
        user_factors = np.ascontiguousarray(users[:, :-1], dtype=np.float32)
        item_factors = np.ascontiguousarray(items[:, :-1], dtype=np.float32)
        return FactorRecommender(known, user_factors, item_factors, bias)
