"""A family of models as a TOML file has it: where the search starts, what it searches, what it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from beautyrec.campaign.space import Family, space_from_toml
from beautyrec.models.base import Learner
from beautyrec.models.catalogue import funnel_learner, is_funnel, learner
from beautyrec.models.funnel_base import FunnelLearner


@dataclass(frozen=True)
class SearchedFamily:
    """A family in the search."""

    defaults: dict[str, Any] = field(default_factory=dict[str, Any])
    """Hyperparameters of the family's first trial."""
    space: dict[str, Any] = field(default_factory=dict[str, Any])
    """What is searched, a key a hyperparameter: ``{low = 16, high = 128, log = true}`` or a list of choices."""
    fixed: dict[str, Any] = field(default_factory=dict[str, Any])
    """Hyperparameters that every trial of the family has."""

    def family(self, name: str, where: str) -> Family:
        """The family as a study takes it; ``where`` is the table it comes from, for errors."""
        return Family(name, space_from_toml(self.space, f"[{where}.{name}.space]"), self.defaults)

    def learner(self, name: str, params: Mapping[str, Any]) -> Learner | FunnelLearner:
        """The learner of one trial; ``__`` in a key leads into a table of hyperparameters."""
        return learner_of(name, nested({**self.fixed, **params}))


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """Keys with ``__`` as tables.

    Examples:
        >>> nested({"click__trees": 40, "click__leaves": 6, "negatives": 9})
        {'click': {'trees': 40, 'leaves': 6}, 'negatives': 9}
    """
    table: dict[str, Any] = {}
    for key, value in params.items():
        head, _, tail = key.partition("__")
        if tail:
            table.setdefault(head, {})[tail] = value
        else:
            table[head] = value
    return table


def learner_of(family: str, params: Mapping[str, Any]) -> Learner | FunnelLearner:
    """The learner of a family by its name in TOML.

    Raises:
        ConfigError: an unknown family or hyperparameter; says which there are.
    """
    return funnel_learner(family, params) if is_funnel(family) else learner(family, params)
