"""The lift that a model's policy would have brought to rooms that were already held.

One way from a model to a lift, used by the comparison of models, by each trial of a sweep and by the champion:
scores for every product on the shelf, a policy over them, its chance for what was shown, and the estimators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.data.slates import Slates
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.reward_model import RewardModel
from beautyrec.evaluation.slates import SlateEvidence
from beautyrec.models.base import Recommender
from beautyrec.plackett_luce import position_marginals
from beautyrec.policies.base import Policy
from beautyrec.types import FloatArray, IntArray

CHUNK = 512
"""Requests scored at a time: 512 x 12,101 float32 scores are 25 MB."""
