"""What a network computes on: the processor in 32 bits, or CUDA where present with the products in 16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Compute:
    """A device and the precision of the products on it.

    Weights, sums and the optimiser stay in 32 bits; only what torch's autocast holds to be safe is done in ``half``.
    With 16-bit floats of little range (``torch.float16``) the loss is scaled up before the gradient is taken, and down
    after, by a factor that adapts. Micikevicius et al., *Mixed Precision Training* (ICLR 2018).

    Examples:
        >>> Compute().half is None
        True
    """

    device: torch.device = torch.device("cpu")  # noqa: RUF009 - torch's devices never change
    """Where the network and its batches are while it is trained."""
    half: torch.dtype | None = None
    """The 16-bit type of the products; None for 32 bits throughout."""

    @classmethod
    def present(cls) -> Compute:
        """CUDA with bfloat16, or with float16 on a device without it; where there is no CUDA the processor."""
        if not torch.cuda.is_available():
            return cls()
        return cls(torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)

    def autocast(self) -> AbstractContextManager[Any]:
        """Within it products are taken in :attr:`half`."""
        return nullcontext() if self.half is None else torch.autocast(self.device.type, dtype=self.half)

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss where :attr:`half` has little range; does nothing elsewhere."""
        return torch.amp.GradScaler(self.device.type, enabled=self.half is torch.float16)

    def moved(self, batch: T) -> T:
        """``batch`` with its tensors on :attr:`device`: a tensor, or tuples, lists and mappings of them.

        Examples:
            >>> Compute().moved({"x": torch.ones(2), "name": "a"})
            {'x': tensor([1., 1.]), 'name': 'a'}
        """
        return batch if self.device.type == "cpu" else _moved(batch, self.device)


def _moved(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: _moved(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_moved(value, device) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(_moved(value, device) for value in batch)
    return batch


@contextmanager
def deterministic(seed: int, threads: int = 1) -> Iterator[None]:
    """Within it torch draws from ``seed`` and takes only algorithms that repeat; all is put back after it.

    Repeating is promised on the processor. Where CUDA is present its sums are added in whatever order comes.

    Args:
        seed: of torch's own generators.
        threads: that torch works with; sums are split among them, so another number gives another rounding. Small
            networks gain little from more, and lose tenfold where other work holds the cores.
    """
    settings: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), settings.fill_uninitialized_memory
    threads_before = torch.get_num_threads()
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(not devices)
        settings.fill_uninitialized_memory = False  # a tenth of the time; nothing here reads memory it did not write
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0])
            settings.fill_uninitialized_memory = before[1]
            torch.set_num_threads(threads_before)
