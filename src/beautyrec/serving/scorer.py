"""The scorer: a champion read from files, to rank and to score in any process, with the base install only."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from beautyrec.errors import ConfigError
from beautyrec.models.base import OnUnknown, Recommender
from beautyrec.serving.artifact import Artifact, read_artifact
from beautyrec.serving.ids import find
from beautyrec.serving.manifest import Manifest
from beautyrec.serving.paths import KNOWN_ITEMS, NOTHING, Context
from beautyrec.serving.ranked import Wanted, pair_scores, ranked_items, recommended
from beautyrec.serving.similar import similar
from beautyrec.serving.tables import Columns, table_of
from beautyrec.types import BoolArray

if TYPE_CHECKING:
    from beautyrec.serving.chances import Order
    from beautyrec.serving.watch import WatchedScorer

ITEMS_OF_ONE = "item_id"


class Scorer:
    """A model that scores; it never changes, so any number of threads may use one.

    Tables may be pandas frames, Arrow tables, dicts of columns or NumPy arrays, and the answer is of the same kind
    (:mod:`beautyrec.serving.tables`). Ids of another type than the model's are an error, never unknown ids.

    Args:
        artifact: the model, from :meth:`load`.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        self._traced = self._exact = False

    @classmethod
    def load(cls, folder: str | Path) -> Scorer:
        """The scorer of the artifact in ``folder``.

        Raises:
            ArtifactError: the artifact is absent, damaged, newer, or not what it says it is.
        """
        return Scorer(read_artifact(folder))

    @staticmethod
    def watch(address: str | Path, *, every: float = 5.0, store: str | None = None) -> WatchedScorer:
        """A scorer that goes over to a new champion by itself, while others are scoring.

        Args:
            address: a folder, whose content is replaced as a whole (:func:`~beautyrec.serving.artifact.write_artifact`
                does), or ``models:/name@alias`` in the registry of an MLflow store.
            every: seconds from one look to the next.
            store: URI of that store; MLflow's own setting where it is None.

        Raises:
            ArtifactError: there is no sound artifact now.
            ConfigError: ``every`` is not above 0.
            MissingExtraError: a registry is to be watched and ``mlflow`` is not installed.
        """
        from beautyrec.serving.watch import watched

        return watched(str(address), every, store)

    @property
    def artifact(self) -> Artifact:
        """The model, what is known of it, and where it was read from."""
        return self._artifact

    @property
    def info(self) -> Manifest:
        """What the model is and where it comes from."""
        return self.artifact.manifest

    def traced(self) -> Self:
        """The same scorer with more columns in every answer.

        ``artifact`` is the fingerprint of the model that answered, ``path`` where the row came from: ``"model"`` (what was
        fitted), ``"fold_in"`` (events that came with the request) or ``"fallback"`` (what is popular); of lists for users
        ``search`` is ``"exact"`` where all items were looked at, and ``"index"`` where an index of the artifact found them.
        """
        twin = copy.copy(self)
        twin._traced = True
        return twin

    def exact(self) -> Self:
        """The same scorer without the index that the artifact may have: it looks at all items."""
        twin = copy.copy(self)
        twin._exact = True
        return twin

    def known_items(self, items: Any) -> BoolArray:
        """[n] whether the model knows each item; the ids of others raise wherever they are handed in.

        Raises:
            SchemaError: the ids are of another type.
        """
        return find(items, _recommender(self.artifact).items, "known_items").place >= 0

    def recommend(
        self,
        users: Any,
        k: int,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
        context: Context = NOTHING,
        on_unknown: OnUnknown = "raise",
    ) -> Any:
        """The best ``k`` items of each user.

        Args:
            users: [B] ids of users in the order wanted, or a table with ``user_id``.
            k: how many, at least 1; a user with fewer items left gets those.
            exclude_seen: leave out what the user took in training, or in the events of ``context``.
            candidates: ids of the only items allowed, twice is once; all where it is None; none where it is empty.
            context: events of users who are to be folded in.
            on_unknown: a user the model has not seen raises, gets what is popular (``"fallback"``), or is left out
                (``"skip"``, and so is a candidate it has not seen, which raises otherwise).

        Returns:
            A table ``user_id, item_id, score, rank``, one row a recommendation, ``rank`` from 1, of the kind of ``users``.

        Raises:
            SchemaError: ids are of another type, some are missing, or a column is absent.
            UnknownIdError: a candidate is unknown and not to be skipped, or a user is and ``on_unknown`` is ``"raise"``.
            ConfigError: ``k`` is not a whole number from 1 up, ``on_unknown`` or ``context`` are not what they can be, or
                the model does not rank all items (:meth:`score`, :meth:`rank`).
        """
        artifact, table = self.artifact, table_of(users, "users", alone="user_id")
        model = _recommender(artifact)
        found = find(table["user_id"], model.users, "users")
        allowed = None
        if candidates is not None:
            some = find(candidates, model.items, "candidates")
            some = some.known() if on_unknown == "skip" else some
            allowed = some.require_known("candidates", model.items, KNOWN_ITEMS)
        wanted = Wanted(_count(k), exclude_seen, allowed, self._traced)
        index = None if self._exact else artifact.index
        columns = recommended(model, found, wanted, context, on_unknown, index)
        return table.build(self._marked(artifact, columns), None)

    def score(self, rows: Any, *, context: Context = NOTHING, on_unknown: OnUnknown = "raise") -> Any:
        """What the model says of each row.

        Args:
            rows: for a model that ranks, a table with ``user_id`` and ``item_id``; for a funnel model, its features (NaN
                where a value is missing).
            context: events of users who are to be folded in; for a funnel model, features that all rows share.
            on_unknown: for a model that ranks, a user it has not seen raises, gets the popularity of the item
                (``"fallback"``), or has the row left out (``"skip"``).

        Returns:
            A table of the kind of ``rows``, a frame with its index: ``score`` (unitless: it orders the items of one user),
            or the chances ``ctr``, ``cvr`` and ``ctcvr``, and ``expected_margin`` = ctcvr (price - cost) where the rows
            have ``price`` and ``cost``.

        Raises:
            SchemaError: a column is missing, a feature is not a number or infinite, or ids are of another type.
            UnknownIdError: an item is unknown, or a user is and ``on_unknown`` is ``"raise"``.
        """
        artifact, table = self.artifact, table_of(rows, "rows")
        model = artifact.model
        if isinstance(model, Recommender):
            columns, at = pair_scores(model, table, context, on_unknown)
        else:
            from beautyrec.serving.chances import chances

            columns = chances(model, table, context)
            at = np.arange(len(columns["ctr"]))
        return table.build(self._marked(artifact, columns), at)

    def rank(
        self,
        user: Any,
        candidates: Any,
        *,
        by: Order = "ctcvr",
        context: Context = NOTHING,
        on_unknown: OnUnknown = "raise",
    ) -> Any:
        """Some items in the order in which to show them to one user.

        Args:
            user: the id.
            candidates: ids of items, or a table with ``item_id``; for a funnel model with its features. Of an item that is
                there twice the first row counts.
            by: what a funnel model orders by.
            context: events of the user, to fold in; for a funnel model, features that all candidates share.
            on_unknown: a user the model has not seen raises or gets what is popular; ``"skip"`` gives no rows, and leaves
                out candidates it has not seen, which raise otherwise. A funnel model knows neither and does not look at it.

        Returns:
            A table of the kind of ``candidates``, best first, among equals in the order they came in: ``item_id``,
            ``score``, ``rank`` from 1; for a funnel model also what :meth:`score` says of the row.

        Raises:
            SchemaError: as for :meth:`score`, or ``expected_margin`` is asked for without ``price`` and ``cost``.
            UnknownIdError: a candidate is unknown, or the user is and ``on_unknown`` is ``"raise"``.
            ConfigError: ``by`` is none of the four.
        """
        artifact, table = self.artifact, table_of(candidates, "candidates", alone=ITEMS_OF_ONE)
        model = artifact.model
        if isinstance(model, Recommender):
            columns = ranked_items(model, user, table, context, on_unknown)
        else:
            from beautyrec.serving.chances import ranked_chances

            columns = ranked_chances(model, user, table, by, context)
        return table.build(self._marked(artifact, columns), None)

    def similar_items(self, items: Any, k: int, *, candidates: Any = None) -> Any:
        """The items most like each of some items, itself left out.

        Args:
            items: [B] ids in the order wanted, or a table with ``item_id``.
            k: how many, at least 1.
            candidates: ids of the only items allowed; all where it is None.

        Returns:
            A table ``item_id, similar_item_id, score, rank`` of the kind of ``items``. The score is the cosine of the
            factors, or the weight of a neighbour.

        Raises:
            SchemaError: ids are of another type, or some are missing.
            UnknownIdError: an item is unknown.
            ConfigError: ``k`` is not a whole number from 1 up, or the model does not compare items.
        """
        artifact, table = self.artifact, table_of(items, "items", alone=ITEMS_OF_ONE)
        model = _recommender(artifact)
        index = find(table[ITEMS_OF_ONE], model.items, "items").require_known("items", model.items, KNOWN_ITEMS)
        allowed = None
        if candidates is not None:
            allowed = find(candidates, model.items, "candidates").require_known("candidates", model.items, KNOWN_ITEMS)
        return table.build(self._marked(artifact, similar(model, index, _count(k), allowed)), None)

    def _marked(self, artifact: Artifact, columns: Columns) -> Columns:
        """The columns of an answer: with the artifact and the path where they were asked for, without them otherwise."""
        if not self._traced:
            return {name: values for name, values in columns.items() if name != "path"}
        n = len(next(iter(columns.values())))
        path = columns.get("path", np.full(n, "model", dtype=object))
        return {**columns, "path": path, "artifact": np.full(n, artifact.fingerprint, dtype=object)}


def _recommender(artifact: Artifact) -> Recommender:
    model = artifact.model
    if not isinstance(model, Recommender):
        raise ConfigError(
            f"the model in '{artifact.folder}' is of the kind '{artifact.manifest.kind}', which does not rank all items "
            "for a user. Use score(rows) or rank(user, candidates)."
        )
    return model


def _count(k: Any) -> int:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ConfigError(f"k is {k!r}; ask for a whole number of items, at least 1.")
    return int(k)
