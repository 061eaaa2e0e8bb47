"""Where a training is kept, so that one that was killed goes on as if it had not been."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from beautyrec.errors import ArtifactError, ConfigError
from beautyrec.files import atomic_file

if TYPE_CHECKING:
    from torch import Tensor

FORMAT: Final = 1
"""Of the file; one of a higher number is refused."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds a training while it lasts: weights, optimiser, generators, and how far it has come.

    One safetensors file, without pickle, that is replaced as a whole: a kill at any moment leaves the one before. A
    training that finds its own file goes on from it, and ends on the processor with the same weights to the bit. That
    of another learner, seed, log or torch is refused. After the last epoch the file stays, and a fit that finds it
    trains no more; delete the folder to begin anew.

    Examples:
        >>> import tempfile
        >>> checkpoint = Checkpoint(tempfile.mkdtemp(), every=600)
        >>> checkpoint.read() is None
        True
    """

    folder: str | Path
    """Where the file lies, made if absent; one training at a time."""
    every: float = 60.0
    """Seconds between two of them, all a kill can cost; 0 writes one after each step."""
    run: Mapping[str, str] = field(default_factory=dict)
    """What is trained, by name; set by :meth:`of`."""

    def __post_init__(self) -> None:
        if not self.every >= 0:
            raise ConfigError(f"checkpoint: every is {self.every} seconds; it has to be from 0.")

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.folder) / "training.safetensors"

    def of(self, run: Mapping[str, str]) -> Checkpoint:
        """The same place for the training that ``run`` describes."""
        return replace(self, run=dict(run))

    def write(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Replace the file.

        Args:
            tensors: by name, on whatever device.
            facts: what JSON can hold.
        """
        from safetensors.torch import save

        whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        about = {"format": FORMAT, "run": dict(self.run), "facts": facts}
        with atomic_file(self.path) as temporary:
            temporary.write_bytes(save(whole, metadata={"training": json.dumps(about)}))

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and facts of the last :meth:`write`; None where there was none. What a killed one left is removed.

        Raises:
            ArtifactError: the file is damaged or of a newer format.
            ConfigError: it is of another training.
        """
        from safetensors import SafetensorError, safe_open

        for left_over in Path(self.folder).glob(f".{self.path.stem}.*.tmp{self.path.suffix}"):
            left_over.unlink(missing_ok=True)
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                about = json.loads(file.metadata()["training"])
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{self.path}: not a checkpoint: {error}. Delete it to begin anew.") from None
        self._refuse_others(about)
        return tensors, about["facts"]

    def _refuse_others(self, about: Mapping[str, Any]) -> None:
        if about["format"] > FORMAT:
            raise ArtifactError(
                f"{self.path}: format {about['format']}, and {FORMAT} is the newest known here. Update beautyrec."
            )
        names = sorted(self.run.keys() | about["run"].keys())
        other = [name for name in names if self.run.get(name) != about["run"].get(name)]
        if other:
            apart = "; ".join(f"{name} is {about['run'].get(name)} there, {self.run.get(name)} here" for name in other)
            raise ConfigError(f"{self.path}: of another training: {apart}. Name another folder or delete this one.")
