"""A month of live rooms whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from beautyrec.data import schema
from beautyrec.data.log import EventLog
from beautyrec.data.slates import Slates
from beautyrec.engine import Engine
from beautyrec.simulate import oracle, tables, truth
from beautyrec.simulate.assemble import assemble, checked_purchases
from beautyrec.simulate.calibrate import settle
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.config import SIMULATED, WorldConfig
from beautyrec.simulate.demand import RoomPlan, expected_demand
from beautyrec.simulate.live import Catalogue
from beautyrec.simulate.month import Month, Stage, play
from beautyrec.simulate.oracle import Goal, Knowledge
from beautyrec.simulate.others import recast
from beautyrec.simulate.response import Response
from beautyrec.simulate.tastes import ContentTastes, RandomTastes, TasteRoute
from beautyrec.simulate.truth import Requests, Truth
from beautyrec.types import FloatArray, IntArray, Progress


@dataclass(frozen=True, eq=False)
class World:
    """Real (or made-up) shoppers and products in a simulated month of live rooms.

    What viewers do is the formula of :mod:`beautyrec.simulate.response`. The month starts on the day after the last
    purchase. Everything that comes out of a world is simulated and has to be shown as such.

    Args:
        config: settings.
        seed: what all draws hang on.
        purchases: what was bought before the month: ``user_id``, ``item_id``, ``ts``.
        catalogue: the products.
        stage: rooms, prices, audiences, shelves' keys, deliveries.
        response: how viewers respond, intercepts solved.
        month: what happened under the legacy policy.

    Examples:
        >>> world = World.tiny(seed=0)
        >>> slates = world.slates()
        >>> legacy = world.legacy_truth(slates, rng=np.random.default_rng(0))
        >>> round(legacy.ctr.value, 2), legacy.label
        (0.08, 'simulated')
    """

    config: WorldConfig
    seed: int
    purchases: pd.DataFrame
    catalogue: Catalogue
    stage: Stage
    response: Response
    month: Month
    label: str = SIMULATED

    def __repr__(self) -> str:
        """Says that it is simulated, and of what size."""
        rooms, requests = len(self.stage.schedule), len(self.month.ts)
        return f"World({self.label}: {self.config.days} days, {rooms} rooms, {requests} requests, seed {self.seed})"

    @classmethod
    def build(
        cls,
        purchases: pd.DataFrame,
        items: pd.DataFrame,
        config: WorldConfig,
        *,
        seed: int,
        tastes: TasteRoute | None = None,
        on_progress: Progress | None = None,
    ) -> World:
        """A world around these purchases.

        Args:
            purchases: ``user_id``, ``item_id``, ``ts``; one row a purchase.
            items: ``item_id`` and, where known, ``title``, ``brand``, ``category``, ``category_path``, ``price``.
            config: settings.
            seed: the same seed gives the same world.
            tastes: the way to tastes; `ContentTastes` where it is None.
            on_progress: called with days played and the most that there can be.

        Raises:
            SchemaError: a column is missing, or purchases name a product that ``items`` lacks.
            ConfigError: settings that this catalogue can't meet.
            MissingExtraError: scikit-learn is missing and ``tastes`` needs it.
        """
        bought = checked_purchases(purchases)
        catalogue, stage, response = assemble(bought, items, config, seed, tastes or ContentTastes())
        response, month = settle(stage, response, on_progress)
        return cls(config, seed, bought, catalogue, stage, response, month)

    @classmethod
    def tiny(cls, seed: int, config: WorldConfig | None = None) -> World:
        """A world of 300 made-up shoppers and 60 products in well under a second, for tests and coverage studies.

        Tastes are drawn at random, so no model learns them from purchases. ``config`` is `WorldConfig.tiny` where it
        is None.
        """
        purchases, items = synthetic_purchases(users=300, items=60, events=2200, seed=seed)
        return cls.build(purchases, items, config or WorldConfig.tiny(), seed=seed, tastes=RandomTastes())

    def with_viewers(self, seed: int, *, times: int = 1) -> World:
        """The same world before other viewers of the same kind: independent draws of whom these are a sample.

        Products, rooms, prices, the policy's hand and both intercepts are this world's. Each viewer is like a shopper of
        this world, drawn with replacement, in what purchases show (taste, price slopes, how often they come), and
        has whims, readiness to click and order, and scenes of their own. The rooms are played again; where stock is short
        other shelves may come of it. Ids are none of this world's.

        The truth of a policy over many of them is what its lift would be for viewers like these; over the viewers of
        one log it is that of just these.

        Args:
            seed: of the viewers and of what they do.
            times: as many viewers and as much stock, for each of this world's.

        Raises:
            ConfigError: ``times`` is below 1.

        Examples:
            >>> world = World.tiny(seed=0)
            >>> others = world.with_viewers(1, times=2)
            >>> len(world.response.viewers.users), len(others.response.viewers.users)
            (300, 600)
        """
        config, purchases, stage, response = recast(self.purchases, self.stage, self.response, seed=seed, times=times)
        month = play(stage, response)
        return World(config, stage.seed, purchases, self.catalogue, stage, response, month)

    def log(self, engine: Engine | None = None) -> EventLog:
        """The purchases as orders without a room, then the simulated month: what a shop would have on file."""
        schedule = self.stage.schedule
        before = tables.purchase_events(self.purchases)
        users = self.response.viewers.users
        during = tables.month_events(self.month, users, self.catalogue, schedule.price, len(before), self.seed)
        return EventLog.from_frames(
            pa.concat_tables([before, during], promote_options="default"),
            self.catalogue.table,
            users=pd.DataFrame({schema.USER_ID: users.ids}),
            rooms=tables.rooms_table(schedule, self.config),
            shelves=tables.shelves_table(self.month, schedule, self.catalogue),
            engine=engine,
        )

    def slates(self) -> Slates:
        """The month's requests as ``log().slates()`` gives them, but at once."""
        return tables.month_slates(self.month, self.response.viewers.users, self.catalogue, self.stage.schedule)

    def truth(
        self, slates: Slates, draw_probability: FloatArray, *, rng: np.random.Generator, n_slates: int = 8
    ) -> Truth:
        """What the Plackett-Luce policy with these first-draw chances is truly worth on these very requests.

        Viewers, rooms, prices and shelves are as they were; that orders of another policy would empty other shelves
        is left out. Slates are drawn, clicks and orders are integrated over exactly given the slate, and the standard
        error is that of the drawing of slates.

        Args:
            slates: B requests of this world's log.
            draw_probability: [B, C] chances, rows sum to 1, 0 at padding; columns as in ``slates.shelves.item_ix``.
            rng: source of randomness.
            n_slates: slates drawn for each request, at least 2.

        Raises:
            PolicyError: chances that are none, or of another shape.
            UnknownIdError: a viewer, a room or a product on a shelf is not of this world.
        """
        return truth.truth_of_policy(self._requests(slates), draw_probability, rng, n_slates)

    def legacy_truth(self, slates: Slates, *, rng: np.random.Generator, n_slates: int = 8) -> Truth:
        """`truth` of the policy that filled the log."""
        return self.truth(slates, slates.shelves.draw_probability[slates.room_ix], rng=rng, n_slates=n_slates)

    def truth_of_slates(self, slates: Slates, shown: IntArray) -> Truth:
        """What showing just ``shown`` [B, K], columns of each shelf, is truly worth; exact."""
        return truth.truth_of_slates(self._requests(slates), shown)

    def oracle(
        self,
        slates: Slates,
        goal: Goal = Goal.ORDER,
        knowledge: Knowledge = Knowledge.VIEWER,
        *,
        temperature: float = 0.2,
    ) -> FloatArray:
        """[B, C] first-draw chances of a policy that knows the truth: shares of ``worth ** (1 / temperature)``."""
        return oracle.soft(oracle.all_worth(self._requests(slates), goal, knowledge), temperature)

    def best_slates(self, slates: Slates, goal: Goal = Goal.ORDER, knowledge: Knowledge = Knowledge.VIEWER) -> IntArray:
        """[B, K] the slates of the largest true worth, best first; their value is `truth_of_slates`."""
        return oracle.best(oracle.all_worth(self._requests(slates), goal, knowledge), self.config.slate_size)

    def chances(self, slates: Slates, shown: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """[B, K] true chance of a click at each position, and of an order given the click.

        Args:
            slates: B requests of this world's log.
            shown: [B, K] columns of the shelf, -1 is padding; those that were shown where it is None.
        """
        requests = self._requests(slates)
        columns = slates.shown if shown is None else shown
        shelf = requests.shelf[requests.shelf_row]
        live = np.where(columns >= 0, np.take_along_axis(shelf, np.maximum(columns, 0), axis=1), -1)
        click, order = self.response.chances(requests.places, requests.grounds, live)
        return click * self.response.attention[: columns.shape[1]], order

    def expected_demand(self, plan: RoomPlan, items: pd.Index | None = None) -> pd.DataFrame:
        """What each product would truly do per impression in a room like ``plan``; see `expected_demand`."""
        return expected_demand(self.response, self.catalogue, self.stage, plan, items)

    def _requests(self, slates: Slates) -> Requests:
        return Requests.of(slates, self.response, self.stage.grounds, self.catalogue, self.stage.schedule)
