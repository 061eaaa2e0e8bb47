"""What is taken as independent of each other when intervals are made from requests: the user, the room or the request.

An interval counts how clusters differ. Whatever outcomes share must lie inside a cluster: what a user likes (`by_user`, the
default), or what a room did to all its viewers at once, such as the host, the prices or the hour (`by_room`). `by_request` says
that nothing is shared; its intervals are the narrowest, and too narrow if that is not so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from beautyrec.data.slates import Slates

ClusterBy = Callable[[Slates], npt.NDArray[Any]]
"""From B requests to an id [B] of the cluster that each belongs to."""


def by_user(slates: Slates) -> npt.NDArray[Any]:
    """[B] the user: a viewer's requests hang together, in all rooms."""
    return slates.user_id


def by_room(slates: Slates) -> npt.NDArray[Any]:
    """[B] the room: all viewers of a room hang together. A few dozen rooms give wide intervals, and rightly so."""
    return slates.room_ix


def by_request(slates: Slates) -> npt.NDArray[Any]:
    """[B] the request itself."""
    return slates.request_id
