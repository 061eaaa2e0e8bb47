"""Every error the package raises on purpose, in one tree.

::

    BeautyrecError                what, where, how many, what to do
    ├── DataError                 something is wrong with data that came in
    │   ├── SchemaError           a missing or unknown column, a wrong type, a value out of range
    │   ├── SourceError           a file or folder that is absent or not in the format it should be
    │   │   └── StateError        the state of a campaign cannot be written, as on a full disk; what it holds is kept
    │   └── UnknownIdError        an id that the vocabulary has not seen
    ├── ConfigError               an unknown key or name, a value out of its bounds
    ├── MissingExtraError         an optional dependency is not installed (says which extra has it)
    ├── FitError                  a model that cannot be fitted on what it was given
    ├── PolicyError               scores, propensities or shapes a policy cannot work with
    ├── EvaluationError           inputs from which no honest value can be computed
    ├── InfeasibleError           a selection whose constraints cannot all hold
    └── ArtifactError             a saved model that is damaged, newer, or not what it says it is

The command line prints the message of any of them and exits with code 2; ``--debug`` shows the trace.
"""

from __future__ import annotations


class BeautyrecError(Exception):
    """Base of all errors raised on purpose; its message says what, where, how many and what to do."""


class DataError(BeautyrecError):
    """Something is wrong with data that came in."""


class SchemaError(DataError):
    """A missing or unknown column, a wrong type, or values out of range."""


class SourceError(DataError):
    """A file or folder that is absent or not in the format it should be."""


class StateError(SourceError):
    """The state of a campaign that cannot be written, as on a full disk; what it holds is kept."""


class UnknownIdError(DataError):
    """An id that the vocabulary has not seen."""


class ConfigError(BeautyrecError):
    """An unknown key or name, or a value out of its bounds."""


class MissingExtraError(BeautyrecError):
    """An optional dependency is not installed.

    Args:
        package: the name to import that failed.
        extra: the extra of ``beautyrec`` that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: pip install 'beautyrec[{extra}]'")
        self.package = package
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """So that it can come back from another process."""
        return type(self), (self.package, self.extra)


class FitError(BeautyrecError):
    """A model that cannot be fitted on what it was given."""


class PolicyError(BeautyrecError):
    """Scores, propensities or shapes a policy cannot work with."""


class EvaluationError(BeautyrecError):
    """Inputs from which no honest value can be computed."""


class InfeasibleError(BeautyrecError):
    """A selection whose constraints cannot all hold."""


class ArtifactError(BeautyrecError):
    """A saved model that is damaged, newer than this package, or not what it says it is."""
