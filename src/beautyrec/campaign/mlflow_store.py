"""MLflow as the package uses it: a client with explicit ids, imported late, quiet, and with its telemetry off."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from beautyrec.errors import MissingExtraError, SourceError
from beautyrec.serving.flavour import without_telemetry

TEXT_AT_MOST = 5000
"""Characters that a tag or a parameter may have in every store."""


@contextmanager
def mlflow_client(uri: str) -> Iterator[Any]:
    """An ``MlflowClient`` of the store ``uri``, for tracking and registry; for its first calls, in this block.

    MLflow is imported here, with its telemetry off; where the process had imported it before, its telemetry is as that
    import left it. In the block the making of a store's tables goes unsaid, and a failure is explained. The client can
    be used after the block as well.

    Raises:
        MissingExtraError: ``mlflow`` is not installed.
        SourceError: the store cannot be used.
    """
    with without_telemetry():
        try:
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise MissingExtraError("mlflow", "track") from None
    with _quiet():
        try:
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        except Exception as error:
            raise SourceError(f"MLflow store '{uri}' cannot be used: {error}. Check it, or name another.") from error


def search_runs(client: Any, experiment: str, query: str) -> list[Any]:
    """All runs that a query finds, however many."""
    found, token = [], None
    while True:
        page = client.search_runs([experiment], query, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def entities() -> Any:
    """The module ``mlflow.entities``."""
    from mlflow import entities as module

    return module


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as text that every store takes."""
    return {key: str(value)[:TEXT_AT_MOST] for key, value in values.items()}


def metric_name(key: str) -> str:
    """A name that every store takes for a metric."""
    return re.sub(r"[^\w./: -]", "_", key)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the making of a store's tables go unsaid; the levels of the loggers are as they were afterwards."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
