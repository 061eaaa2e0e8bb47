"""Alternating least squares on implicit feedback, by the library ``implicit``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.errors import MissingExtraError
from beautyrec.models.base import Known
from beautyrec.models.checks import not_finite, require_bound, require_events, require_finite
from beautyrec.models.known import recency_weight
from beautyrec.models.recommenders import LeastSquaresRecommender
from beautyrec.types import Progress


@dataclass(frozen=True)
class ALS:
    """Factors that minimise ``sum_ui c_ui (p_ui - x_u . y_i)^2 + regularization (sum |x_u|^2 + sum |y_i|^2)``.

    ``p_ui`` is 1 where user u took item i; the confidence ``c_ui`` is there ``alpha`` times the sum of the weights of
    the interactions, each times ``decay`` to the power of its steps back in the user's history, and 1 elsewhere.
    Hu, Koren and Volinsky, *Collaborative Filtering for Implicit Feedback Datasets* (ICDM 2008), eq. 3.

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> ALS(factors=2).fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    factors: int = 128
    """Dimensions of the factors."""
    regularization: float = 1.0
    """Pull of the factors towards 0."""
    alpha: float = 40.0
    """Confidence in the last interaction of a user, at weight 1."""
    decay: float = 0.7
    """Confidence in an interaction relative to the next one of the same user; 1 forgets the order."""
    iterations: int = 15
    """Times that all users and all items are solved for."""

    def __post_init__(self) -> None:
        require_bound("als", "factors", self.factors, 1)
        require_bound("als", "regularization", self.regularization, 0)
        require_bound("als", "alpha", self.alpha, 1e-6)
        require_bound("als", "decay", self.decay, 1e-6, 1)
        require_bound("als", "iterations", self.iterations, 1)

    def fit(
        self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None
    ) -> LeastSquaresRecommender:
        """Solve; each row is solved by one thread, so the number of threads changes nothing in the result.

        Raises:
            FitError: ``train`` has fewer than two events, or the factors are not finite.
            MissingExtraError: ``implicit`` is not installed.
        """
        require_events(train, "als")
        try:
            from implicit.cpu.als import AlternatingLeastSquares
            from implicit.recommender_base import ModelFitError
            from threadpoolctl import threadpool_limits
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from None

        known = Known.of(train)
        recent = replace(train, weight=train.weight * recency_weight(known.seen, self.decay))

        def report(iteration: int, *_: object) -> None:
            if on_progress:
                on_progress(iteration + 1, self.iterations)

        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                random_state=seed,
            )
            try:
                model.fit(recent.matrix(), show_progress=False, callback=report)
            except ModelFitError:
                raise not_finite("als") from None
        user_factors = np.asarray(model.user_factors, dtype=np.float32)
        item_factors = np.asarray(model.item_factors, dtype=np.float32)
        require_finite("als", user_factors, item_factors)
        return LeastSquaresRecommender(
            known,
            user_factors,
            item_factors,
            regularization=self.regularization,
            alpha=self.alpha,
            decay=self.decay,
        )
