"""Runs in the peer's environment: one model of RecTools, fitted and asked for lists of all users. Prints one JSON object.

Arguments: the model, a CSV file of the log to train on, one of the last events, the length of the lists, a seed.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version

import pandas as pd
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from lightfm import LightFM
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel, ImplicitALSWrapperModel, ImplicitItemKNNWrapperModel, LightFMWrapperModel


def model_of(name: str, seed: int):
    """The model with the settings that the benchmark compares; no GPU is asked for, lists are made by all cores."""
    if name == "ItemKNN":
        return ImplicitItemKNNWrapperModel(CosineRecommender(K=200))
    if name == "ALS":
        inner = AlternatingLeastSquares(factors=128, iterations=15, random_state=seed)
        return ImplicitALSWrapperModel(inner, recommend_n_threads=0, recommend_use_gpu_ranking=False)
    if name == "LightFM":
        inner = LightFM(no_components=64, loss="warp", random_state=seed)
        return LightFMWrapperModel(inner, epochs=20, recommend_n_threads=0, recommend_use_gpu_ranking=False)
    return EASEModel(regularization=100.0, recommend_n_threads=0, recommend_use_gpu_ranking=False)


def main() -> None:
    warnings.simplefilter("ignore")
    name, train, test, k, seed = sys.argv[1:]
    log = pd.read_csv(train)
    log[Columns.Datetime] = pd.to_datetime(log[Columns.Datetime])
    dataset = Dataset.construct(log)
    users = pd.unique(log[Columns.User])
    model = model_of(name, int(seed))
    start = time.perf_counter()
    model.fit(dataset)
    fitted = time.perf_counter()
    lists = model.recommend(users, dataset, k=int(k), filter_viewed=True)
    ranked = time.perf_counter()
    last = pd.read_csv(test)
    hits = lists.merge(last, on=[Columns.User, Columns.Item])
    found = {
        "fit": fitted - start,
        "recommend": ranked - fitted,
        "recall": len(hits) / len(last),
        "version": version("rectools"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
