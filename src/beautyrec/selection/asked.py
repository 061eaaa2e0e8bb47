"""What a line-up is asked to keep to: checked, and as limits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError, InfeasibleError
from beautyrec.selection.candidates import reasons
from beautyrec.selection.limits import Limit, cap, codes_of, counted, of_quotas
from beautyrec.selection.line_up_config import LineUpConfig
from beautyrec.types import FloatArray


def limits_of(rows: pd.DataFrame, slots: int, minutes_a_slot: float, config: LineUpConfig) -> list[Limit]:
    """All that counts products, whatever their slots."""
    category = codes_of(rows["category"])
    limits = [
        cap(f"at most {config.per_category} of a category", category, config.per_category),
        cap(f"at most {config.per_brand} of a brand", codes_of(rows["brand"]), config.per_brand),
        *of_quotas(config.quotas, rows),
    ]
    if config.spacing > 1:
        most = -(-slots // config.spacing)
        limits.append(cap(f"a category every {config.spacing} slots at most", category, most))
    ids = rows["item_id"]
    if config.must_have:
        wanted = ids.isin(config.must_have).to_numpy()
        limits.append(counted(f"{len(config.must_have)} must-have products", wanted, len(config.must_have)))
    place = pd.Index(ids)
    pairs = [pair for pair in config.never_with if pair[0] in place and pair[1] in place]
    if pairs:
        product = np.array([place.get_loc(item) for pair in pairs for item in pair], dtype=np.int64)
        row = np.repeat(np.arange(len(pairs)), 2)
        none, one = np.zeros(len(pairs)), np.ones(len(pairs))
        limits.append(Limit(f"{len(pairs)} pairs never together", row, product, none, one))
    for name, presenter in config.presenters.items():
        members = (rows["presenter"] == name).to_numpy(dtype=bool, na_value=False)
        most_minutes = np.floor(presenter.minutes / minutes_a_slot + 1e-9)
        limits.append(counted(f"{presenter.minutes:g} minutes of presenter {name}", members, 0, most_minutes))
    return limits


def sureness(rows: pd.DataFrame) -> FloatArray:
    """[N] how sure the rates are, in sales seen; inf where nothing is said."""
    if "sureness" not in rows:
        return np.full(len(rows), np.inf)
    found = rows["sureness"].to_numpy(np.float64)
    if not (found > 0).all():
        raise ConfigError(f"line-up: {int((~(found > 0)).sum())} values of 'sureness' are not above 0.")
    return found


def after_commission(candidates: pd.DataFrame, config: LineUpConfig) -> pd.DataFrame:
    """The candidates with ``margin`` after commission, without products of presenters who are not in the room."""
    if config.presenters and "presenter" in candidates:
        here = candidates["presenter"].isna() | candidates["presenter"].isin(list(config.presenters))
        candidates = candidates[here]
    if not config.goal.commission or not {"price", "margin"} <= set(candidates):
        return candidates
    return candidates.assign(margin=candidates["margin"] - config.goal.commission * candidates["price"])


def check_named(candidates: pd.DataFrame, config: LineUpConfig, pinned: Mapping[int, Hashable]) -> None:
    """Raise where a product that has to be there is not, saying why."""
    named = [*dict.fromkeys([*config.must_have, *pinned.values()])]
    why = dict(zip(candidates["item_id"], reasons(candidates), strict=True))
    unknown = [item for item in named if item not in why]
    if unknown:
        raise ConfigError(
            f"line-up: {len(unknown)} products that have to be there are no candidates, for instance {unknown[0]!r}."
        )
    gone = [f"{item!r} is {why[item]}" for item in named if why[item]]
    if gone:
        raise InfeasibleError(
            f"line-up: {len(gone)} products that have to be there cannot be sold: {'; '.join(gone[:3])}. Take them off "
            "the list, or mend their data."
        )


def checked_attention(slots: int, audience: float, attention: FloatArray | None) -> FloatArray:
    """[slots] the attention, checked; 1 everywhere where it is None."""
    if not 0 <= audience < float("inf"):
        raise ConfigError(f"line-up: the audience is {audience}; it has to be a number of viewers, at least 0.")
    found = np.ones(slots) if attention is None else np.asarray(attention, dtype=np.float64)
    if found.shape != (slots,):
        raise ConfigError(
            f"line-up: attention has the shape {found.shape}; it needs one value for each of {slots} slots."
        )
    bad = int(np.count_nonzero(~(np.isfinite(found) & (found >= 0))))
    if bad:
        raise ConfigError(f"line-up: {bad} of {len(found)} values of attention are negative or not numbers.")
    return found


def counts(left_out: Mapping[str, int]) -> str:
    """How many were left out and why, in words."""
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "none"
