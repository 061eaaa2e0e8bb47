"""The heads of a funnel network in torch; :mod:`beautyrec.models.funnel_heads` has the same in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from beautyrec.models.funnel_heads import TASKS

if TYPE_CHECKING:
    from beautyrec.models.funnel_heads import PLE


class TwoTasks(nn.Module):
    """Gives the log odds of a click and of an order; each task ends in a tower."""

    towers: nn.ModuleDict

    def build_towers(self, width: int, tower: int) -> None:
        """A hidden layer and a log odds for each task."""
        self.towers = nn.ModuleDict(
            {task: nn.Sequential(nn.Linear(width, tower), nn.ReLU(), nn.Linear(tower, 1)) for task in TASKS}
        )

    def start_at(self, click: float, order: float) -> None:
        """Let the log odds begin near those of the base rates."""
        for task, value in zip(TASKS, (click, order), strict=True):
            last = self.towers[task][2]  # type: ignore[index]  # a Sequential
            nn.init.constant_(last.bias, value)

    def forward(self, trunks: list[Tensor]) -> tuple[Tensor, Tensor]:
        """[b] and [b] from what each trunk gives [b, width]; a single trunk serves both."""
        states = self.states(trunks)
        click, order = (self.towers[task](x)[:, 0] for task, x in zip(TASKS, states, strict=True))
        return click, order

    def states(self, trunks: list[Tensor]) -> tuple[Tensor, Tensor]:
        """What each tower stands on."""
        return trunks[0], trunks[-1]


class Towers(TwoTasks):
    """A tower a task, on the trunk."""

    def __init__(self, width: int, tower: int) -> None:
        super().__init__()
        self.build_towers(width, tower)


class Experts(nn.Module):
    """e layers side by side: [b, in] -> [b, e, width]."""

    def __init__(self, count: int, inner: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, width, inner))
        self.bias = nn.Parameter(torch.zeros(count, width))
        for expert in self.weight:
            nn.init.kaiming_uniform_(expert.data, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """[b, in] -> [b, e, width]."""
        return torch.relu(torch.einsum("bi,ewi->bew", x, self.weight) + self.bias)


def mix(gate: nn.Module, x: Tensor, experts: Tensor) -> Tensor:
    """[b, width] the experts [b, e, width] in shares that the gate sets from x [b, in]."""
    return torch.einsum("be,bew->bw", torch.softmax(gate(x), dim=1), experts)


class Mixture(TwoTasks):
    """MMoE: experts for all, a gate and a tower a task."""

    def __init__(self, width: int, experts: int, expert: int, tower: int) -> None:
        super().__init__()
        self.experts = Experts(experts, width, expert)
        self.gates = nn.ModuleDict({task: nn.Linear(width, experts) for task in TASKS})
        self.build_towers(expert, tower)

    def states(self, trunks: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Each task's mixture."""
        experts = self.experts(trunks[0])
        click, order = (mix(self.gates[task], trunks[0], experts) for task in TASKS)
        return click, order


class Level(nn.Module):
    """One level of PLE: experts of each task and shared ones, mixed by gates; the last level mixes none to share."""

    def __init__(self, width: int, ple: PLE, *, last: bool) -> None:
        super().__init__()
        counts = dict.fromkeys(TASKS, ple.own) | {"shared": ple.shared}
        self.experts = nn.ModuleDict({name: Experts(count, width, ple.expert) for name, count in counts.items()})
        gates = {task: nn.Linear(width, ple.own + ple.shared) for task in TASKS}
        self.gates = nn.ModuleDict(gates if last else gates | {"shared": nn.Linear(width, 2 * ple.own + ple.shared)})

    def forward(self, states: dict[str, Tensor]) -> dict[str, Tensor]:
        """States [b, width] by name -> the next ones."""
        experts = {name: self.experts[name](x) for name, x in states.items()}
        seen = {task: torch.cat([experts[task], experts["shared"]], dim=1) for task in TASKS}
        seen["shared"] = torch.cat([experts[name] for name in (*TASKS, "shared")], dim=1)
        return {name: mix(gate, states[name], seen[name]) for name, gate in self.gates.items()}


class Extraction(TwoTasks):
    """PLE: levels of experts, then a tower a task."""

    def __init__(self, width: int, ple: PLE) -> None:
        super().__init__()
        widths = [width, *[ple.expert] * (ple.levels - 1)]
        self.levels = nn.ModuleList(Level(w, ple, last=n == ple.levels - 1) for n, w in enumerate(widths))
        self.build_towers(ple.expert, ple.tower)

    def states(self, trunks: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Each task's state after the last level."""
        states = dict.fromkeys((*TASKS, "shared"), trunks[0])
        for level in self.levels:
            states = level(states)
        return states["click"], states["order"]
