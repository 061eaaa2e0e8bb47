"""beautyrec: which products to show in the next live room, and whether the log can tell that it pays.

The names below are loaded when they are first used, so that ``import beautyrec`` is quick and needs the base install only::

    import beautyrec as br

    log = br.EventLog.read("my-log")
    model = br.ALS(factors=64).fit(log.interactions(), seed=0)
    model.recommend(["viewer-7"], 10)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from beautyrec.campaign.compare import GlobalTime, LeaveLastOut, compare
    from beautyrec.campaign.lift_from_log import LiftFromLog
    from beautyrec.campaign.policy_lift import HeldRooms, shelf_scores
    from beautyrec.campaign.value_of import value_of
    from beautyrec.data.external import ExternalSource
    from beautyrec.data.interactions import Interactions
    from beautyrec.data.log import EventLog
    from beautyrec.data.splits import leave_last_out, split_at
    from beautyrec.data.vocabulary import Vocabulary
    from beautyrec.evaluation.bandit_log import BanditLog
    from beautyrec.evaluation.lift import lift_table
    from beautyrec.evaluation.report import evaluation_report
    from beautyrec.features.feature_set import FeatureSet
    from beautyrec.models.als import ALS
    from beautyrec.models.blend import Blend
    from beautyrec.models.bpr import BPR
    from beautyrec.models.checkpoint import Checkpoint
    from beautyrec.models.ease import EASE
    from beautyrec.models.funnel import Funnel
    from beautyrec.models.funnel_network import FunnelNetwork
    from beautyrec.models.gru4rec import GRU4Rec
    from beautyrec.models.item_knn import ItemKNN
    from beautyrec.models.item_order import ItemOrder, smoothed_ctr
    from beautyrec.models.lightfm import LightFM
    from beautyrec.models.logistic_mf import LogisticMF
    from beautyrec.models.popularity import Popularity
    from beautyrec.models.reranker import Reranker
    from beautyrec.models.sasrec import SASRec
    from beautyrec.models.slim import SLIM, LocalEASE
    from beautyrec.models.two_tower import TwoTower
    from beautyrec.policies.greedy import Greedy
    from beautyrec.policies.softmax import Softmax
    from beautyrec.selection.dimension_values import dimension_values
    from beautyrec.selection.levels import fit_levels
    from beautyrec.selection.line_up import LineUpConfig, line_up
    from beautyrec.selection.monthly_list import ListConfig, monthly_list
    from beautyrec.selection.planned_room import at_prices, usual_prices
    from beautyrec.selection.replan import replan
    from beautyrec.selection.run_of_show import run_of_show
    from beautyrec.selection.scorecard import Scorecard
    from beautyrec.selection.script import Script
    from beautyrec.serving.scorer import Scorer
    from beautyrec.simulate.config import WorldConfig
    from beautyrec.simulate.world import World

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "SLIM",
    "BanditLog",
    "Blend",
    "Checkpoint",
    "EventLog",
    "ExternalSource",
    "FeatureSet",
    "Funnel",
    "FunnelNetwork",
    "GRU4Rec",
    "GlobalTime",
    "Greedy",
    "HeldRooms",
    "Interactions",
    "ItemKNN",
    "ItemOrder",
    "LeaveLastOut",
    "LiftFromLog",
    "LightFM",
    "LineUpConfig",
    "ListConfig",
    "LocalEASE",
    "LogisticMF",
    "Popularity",
    "Reranker",
    "SASRec",
    "Scorecard",
    "Scorer",
    "Script",
    "Softmax",
    "TwoTower",
    "Vocabulary",
    "World",
    "WorldConfig",
    "at_prices",
    "compare",
    "dimension_values",
    "evaluation_report",
    "fit_levels",
    "leave_last_out",
    "lift_table",
    "line_up",
    "monthly_list",
    "replan",
    "run_of_show",
    "shelf_scores",
    "smoothed_ctr",
    "split_at",
    "usual_prices",
    "value_of",
]

_HOME = {
    "ALS": "models.als",
    "BPR": "models.bpr",
    "EASE": "models.ease",
    "SLIM": "models.slim",
    "BanditLog": "evaluation.bandit_log",
    "Checkpoint": "models.checkpoint",
    "EventLog": "data.log",
    "ExternalSource": "data.external",
    "FeatureSet": "features.feature_set",
    "Funnel": "models.funnel",
    "FunnelNetwork": "models.funnel_network",
    "GlobalTime": "campaign.compare",
    "Blend": "models.blend",
    "GRU4Rec": "models.gru4rec",
    "Greedy": "policies.greedy",
    "HeldRooms": "campaign.policy_lift",
    "Interactions": "data.interactions",
    "ItemKNN": "models.item_knn",
    "ItemOrder": "models.item_order",
    "LeaveLastOut": "campaign.compare",
    "LiftFromLog": "campaign.lift_from_log",
    "LightFM": "models.lightfm",
    "LineUpConfig": "selection.line_up",
    "LocalEASE": "models.slim",
    "LogisticMF": "models.logistic_mf",
    "Popularity": "models.popularity",
    "Reranker": "models.reranker",
    "SASRec": "models.sasrec",
    "Scorer": "serving.scorer",
    "Softmax": "policies.softmax",
    "TwoTower": "models.two_tower",
    "Vocabulary": "data.vocabulary",
    "World": "simulate.world",
    "WorldConfig": "simulate.config",
    "at_prices": "selection.planned_room",
    "compare": "campaign.compare",
    "evaluation_report": "evaluation.report",
    "fit_levels": "selection.levels",
    "leave_last_out": "data.splits",
    "lift_table": "evaluation.lift",
    "ListConfig": "selection.monthly_list",
    "Scorecard": "selection.scorecard",
    "Script": "selection.script",
    "dimension_values": "selection.dimension_values",
    "monthly_list": "selection.monthly_list",
    "replan": "selection.replan",
    "run_of_show": "selection.run_of_show",
    "line_up": "selection.line_up",
    "shelf_scores": "campaign.policy_lift",
    "smoothed_ctr": "models.item_order",
    "split_at": "data.splits",
    "usual_prices": "selection.planned_room",
    "value_of": "campaign.value_of",
}


def __getattr__(name: str) -> Any:
    """The public names, each from its room."""
    if name not in _HOME:
        raise AttributeError(f"module 'beautyrec' has no attribute '{name}'")
    return getattr(import_module(f"beautyrec.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted([*globals(), *__all__])
