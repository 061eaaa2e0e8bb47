"""A service that answers from the champion, and goes over to a new one while it answers.

    BEAUTYREC_MODEL=experiments/demo/champion uvicorn service:app --app-dir examples --port 8000

Needs the base install and ``pip install fastapi uvicorn``; models:/name@alias as the model needs the extra ``track`` too.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse

from beautyrec.errors import BeautyrecError
from beautyrec.serving import Context, Scorer


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The scorer lives as long as the service."""
    every = float(os.environ.get("BEAUTYREC_WATCH_SECONDS", "5"))
    with Scorer.watch(os.environ["BEAUTYREC_MODEL"], every=every) as scorer:
        app.state.scorer = scorer.traced()
        yield


app = FastAPI(title="beautyrec", lifespan=lifespan)


@app.exception_handler(BeautyrecError)
def say(_: Request, error: BeautyrecError) -> JSONResponse:
    """What is wrong with a request, in the words of the scorer."""
    return JSONResponse({"error": type(error).__name__, "detail": str(error)}, status_code=422)


@app.get("/recommend/{user}")
def recommend(user: str, k: Annotated[int, Query(ge=1, le=500)] = 50, took: str = "") -> dict[str, Any]:
    """The best items of a user; ``took=serum,balm`` folds a new user in."""
    events = {"user_id": [user] * (took.count(",") + 1), "item_id": took.split(",")}
    context = Context(events=events if took else None)
    found = app.state.scorer.recommend({"user_id": [user]}, k, context=context, on_unknown="fallback")
    return {name: values.tolist() for name, values in found.items()}


@app.get("/health")
def health() -> dict[str, Any]:
    """Which champion answers, and why no newer one does."""
    trouble, artifact = app.state.scorer.trouble, app.state.scorer.artifact
    family = artifact.manifest.card.family
    return {"artifact": artifact.fingerprint, "family": family, "trouble": trouble and str(trouble)}
