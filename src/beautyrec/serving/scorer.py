"""The scorer: a champion read from files, to rank and to score in any process, with the base install only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from beautyrec.data.vocabulary import Ids
from beautyrec.errors import ConfigError, SchemaError, UnknownIdError
from beautyrec.models.base import CHUNK_SCORES, OnUnknown, Recommender
from beautyrec.serving.artifact import Artifact, read_artifact
from beautyrec.serving.manifest import Manifest
from beautyrec.types import Float32Array, IntArray


@dataclass(frozen=True, eq=False)
class Scorer:
    """A model that scores; it never changes, so any number of threads may use one.

    Args:
        artifact: the model, from :meth:`load`.
    """

    artifact: Artifact

    @classmethod
    def load(cls, folder: str | Path) -> Scorer:
        """The scorer of the artifact in ``folder``.

        Raises:
            ArtifactError: the artifact is absent, damaged, newer, or not what it says it is.
        """
        return cls(read_artifact(folder))

    @property
    def info(self) -> Manifest:
        """What the model is and where it comes from."""
        return self.artifact.manifest

    def recommend(
        self,
        users: Ids,
        k: int,
        *,
        exclude_seen: bool = True,
        candidates: Ids | None = None,
        on_unknown: OnUnknown = "raise",
    ) -> pd.DataFrame:
        """The best ``k`` items of each user.

        Args:
            users: [B] ids of users, in the order wanted.
            k: how many, at least 1; a user with fewer items left gets those.
            exclude_seen: leave out what the user took in training.
            candidates: ids of the only items allowed; all where it is None.
            on_unknown: a user the model has not seen raises, gets what is popular (``"fallback"``), or is left out
                (``"skip"``).

        Returns:
            A frame ``user_id, item_id, score, rank``, one row a recommendation, ``rank`` from 1.

        Raises:
            UnknownIdError: a candidate is unknown, or a user is and ``on_unknown`` is ``"raise"``.
            ConfigError: ``k`` is below 1, or the model does not rank items (it scores rows: :meth:`score`).
        """
        model = self._recommender()
        return model.recommend(users, k, exclude_seen=exclude_seen, candidates=candidates, on_unknown=on_unknown)

    def score(self, rows: pd.DataFrame, *, on_unknown: OnUnknown = "raise") -> pd.DataFrame:
        """What the model says of each row.

        Args:
            rows: for a model that ranks, ``user_id`` and ``item_id``; for a funnel model, its features (NaN where a
                value is missing).
            on_unknown: for a model that ranks, a user it has not seen raises, gets the popularity of the item
                (``"fallback"``), or has the row left out (``"skip"``).

        Returns:
            A frame with the index of ``rows``: ``score`` (unitless: it orders the items of one user), or the chances
            ``ctr``, ``cvr`` and ``ctcvr``.

        Raises:
            SchemaError: a column is missing, or a feature is not a number.
            UnknownIdError: an item is unknown, or a user is and ``on_unknown`` is ``"raise"``.
        """
        model = self.artifact.model
        if not isinstance(model, Recommender):
            chances: pd.DataFrame = model.predict(rows)
            return chances
        missing = [column for column in ("user_id", "item_id") if column not in rows]
        if missing:
            raise SchemaError(f"score: columns {missing} are missing; the frame has {list(rows)}. Add them.")
        user_ix = model.users.indices_or_missing(rows["user_id"])
        unknown = user_ix < 0
        if on_unknown == "raise" and unknown.any():
            model.users.indices(rows["user_id"])
        if on_unknown == "skip":
            rows, user_ix = rows[~unknown], user_ix[~unknown]
        item_ix = _known_items(model, rows)
        return pd.DataFrame({"score": _pair_scores(model, user_ix, item_ix)}, index=rows.index)

    def _recommender(self) -> Recommender:
        model = self.artifact.model
        if not isinstance(model, Recommender):
            raise ConfigError(
                f"recommend: the model in '{self.artifact.folder}' is of the kind '{self.info.kind}', which does not "
                "rank the items of a user. Use score(rows)."
            )
        return model


def _known_items(model: Recommender, rows: pd.DataFrame) -> IntArray:
    try:
        return model.items.indices(rows["item_id"])
    except UnknownIdError as error:
        raise UnknownIdError(f"score: column 'item_id': {error} Leave these rows out.") from None


def _pair_scores(model: Recommender, user_ix: IntArray, item_ix: IntArray) -> Float32Array:
    """[n] the score of each pair, from scores of the users and items among them, in blocks of bounded size."""
    users, user_at = np.unique(user_ix, return_inverse=True)
    items, item_at = np.unique(item_ix, return_inverse=True)
    found = np.empty(len(user_ix), dtype=np.float32)
    order = np.argsort(user_at, kind="stable")
    height = max(1, CHUNK_SCORES // max(1, len(items)))
    for start in range(0, len(users), height):
        block = model.scores(users[start : start + height], items)
        low, high = np.searchsorted(user_at, [start, start + height], sorter=order)
        rows = order[low:high]
        found[rows] = block[user_at[rows] - start, item_at[rows]]
    return found
