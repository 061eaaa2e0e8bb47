"""The code of a saved MLflow model: MLflow runs this file when it loads one."""

from __future__ import annotations

from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import set_model

from beautyrec.serving.flavour import ARTIFACT, answer
from beautyrec.serving.scorer import Scorer


class ScorerModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]  # mlflow has no types
    """The scorer of the artifact that lies in the saved model."""

    def load_context(self, context: Any) -> None:
        """Reads the artifact."""
        self.scorer = Scorer.load(context.artifacts[ARTIFACT])

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        """Lists for users where the model ranks, chances of rows where it does not."""
        return answer(self.scorer, model_input, params)


set_model(ScorerModel())
