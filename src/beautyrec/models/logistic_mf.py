"""Logistic matrix factorisation, by the library ``implicit``."""

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
class LogisticMF:
    """Factors of the chance that a user takes an item: ``p_ui = sigmoid(x_u . y_i + b_u + b_i)``.

    Maximises the log likelihood of what was taken, an interaction counting by its weight, and of ``negatives`` times as
    many drawn items that were not, less ``regularization / 2`` times the squared factors, by AdaGrad, users and items in
    turn. Scores leave out ``b_u``, which orders nothing; with drawn negatives p is no calibrated probability.
    Johnson, *Logistic Matrix Factorization for Implicit Feedback Data* (NeurIPS workshop, 2014), eq. 3.

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> LogisticMF(factors=2, iterations=5).fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    factors: int = 32
    """Dimensions of the factors, without the biases."""
    learning_rate: float = 0.5
    """Step of AdaGrad."""
    regularization: float = 0.6
    """Pull of the factors towards 0."""
    iterations: int = 30
    """Times that all users and all items take a step."""
    negatives: int = 5
    """Items drawn for each one taken."""

    def __post_init__(self) -> None:
        require_bound("logistic_mf", "factors", self.factors, 1)
        require_bound("logistic_mf", "learning_rate", self.learning_rate, 1e-9)
        require_bound("logistic_mf", "regularization", self.regularization, 0)
        require_bound("logistic_mf", "iterations", self.iterations, 1)
        require_bound("logistic_mf", "negatives", self.negatives, 1)

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> FactorRecommender:
        """Climb in one thread, so that two fits with one seed draw the same items.

        Raises:
            FitError: ``train`` has fewer than two events, or the factors are not finite.
            MissingExtraError: ``implicit`` is not installed.
        """
        require_events(train, "logistic_mf")
        try:
            from implicit.cpu.lmf import LogisticMatrixFactorization
            from implicit.recommender_base import ModelFitError
            from threadpoolctl import threadpool_limits
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from None

        def report(iteration: int, *_: object) -> None:
            if on_progress:
                on_progress(iteration + 1, self.iterations)

        with threadpool_limits(1, "blas"):
            model = LogisticMatrixFactorization(
                factors=self.factors,
                learning_rate=self.learning_rate,
                regularization=self.regularization,
                iterations=self.iterations,
                neg_prop=self.negatives,
                num_threads=1,
                random_state=seed,
            )
            try:
                model.fit(train.matrix(), show_progress=False, callback=report)
            except ModelFitError:
                raise not_finite("logistic_mf") from None
        users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
        require_finite("logistic_mf", users, items)
        known = Known.of(train)
        taken = known.popularity > 0  # the last two columns are (1, user bias) and (item bias, 1)
        bias = np.where(taken, items[:, -2], items[taken, -2].min()).astype(np.float32)
        user_factors, item_factors = (np.ascontiguousarray(x[:, :-2], dtype=np.float32) for x in (users, items))
        return FactorRecommender(known, user_factors, item_factors, bias)
