"""How the next trial is chosen: small frozen objects that build a fresh Optuna sampler for each trial."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

from beautyrec.errors import ConfigError, MissingExtraError


class Sampler(Protocol):
    """Builds an Optuna sampler from a seed, and two from the same seed that choose alike."""

    def build(self, seed: int) -> Any:
        """An ``optuna.samplers.BaseSampler``."""
        ...


@dataclass(frozen=True)
class TPE:
    """Tree-structured Parzen estimator, joint over the hyperparameters of one family.

    Args:
        startup_trials: how many complete trials are random (or defaults) before the estimator chooses.

    Source:
        Bergstra, Bardenet, Bengio, Kégl, "Algorithms for hyper-parameter optimization", NeurIPS 2011.
    """

    startup_trials: int = 10

    def __post_init__(self) -> None:
        if self.startup_trials < 1:
            raise ConfigError(f"TPE: startup_trials is {self.startup_trials}; it has to be at least 1.")

    def build(self, seed: int) -> Any:
        """The sampler of Optuna."""
        module = optuna()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", module.exceptions.ExperimentalWarning)  # about `group`
            return module.samplers.TPESampler(
                n_startup_trials=self.startup_trials, multivariate=True, group=True, constant_liar=False, seed=seed
            )


@dataclass(frozen=True)
class RandomSearch:
    """Every trial at random, independent of those before."""

    def build(self, seed: int) -> Any:
        """The sampler of Optuna."""
        return optuna().samplers.RandomSampler(seed=seed)


@dataclass(frozen=True)
class GP:
    """Gaussian process with expected improvement; needs torch.

    Args:
        startup_trials: how many complete trials are random (or defaults) before the process chooses.

    Source:
        Jones, Schonlau, Welch, "Efficient global optimization of expensive black-box functions", Journal of Global
        Optimization 1998.
    """

    startup_trials: int = 10

    def build(self, seed: int) -> Any:
        """The sampler of Optuna.

        Raises:
            MissingExtraError: ``torch`` is not installed.
        """
        module = optuna()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", module.exceptions.ExperimentalWarning)
            try:
                return module.samplers.GPSampler(n_startup_trials=self.startup_trials, seed=seed)
            except ImportError:
                raise MissingExtraError("torch", "train") from None


@dataclass(frozen=True)
class NSGA2:
    """Non-dominated sorting genetic algorithm, for several objectives.

    Args:
        population: trials of a generation.

    Source:
        Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions
        on Evolutionary Computation 2002.
    """

    population: int = 20

    def __post_init__(self) -> None:
        if self.population < 2:
            raise ConfigError(f"NSGA-II: a population of {self.population}; it has to be at least 2.")

    def build(self, seed: int) -> Any:
        """The sampler of Optuna."""
        return optuna().samplers.NSGAIISampler(population_size=self.population, seed=seed)


def optuna() -> Any:
    """The module ``optuna``, imported when first asked for.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna as module
    except ImportError:
        raise MissingExtraError("optuna", "track") from None
    return module
