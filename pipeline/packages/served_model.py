"""The model of this folder for MLflow: `mlflow.pyfunc.load_model("this/folder")`, `mlflow models serve`.

A copy of this file is in every package. It needs numpy, onnxruntime and mlflow, and no Lobule.
"""

from typing import Any

import mlflow
import numpy as np
import onnxruntime  # type: ignore[import-untyped]


class Network(mlflow.pyfunc.PythonModel):
    """The network of model.onnx."""

    def load_context(self, context: Any) -> None:
        self.session = onnxruntime.InferenceSession(context.artifacts["network"], providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]
        self.one = self.session.get_inputs()[0].shape[0] == 1  # a detector sees one image at a time

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # MLflow would check by them
        """What the network finds in RGB images (n, h, w, 3) uint8; of a detector `image` says in which."""
        images = np.asarray(model_input, np.uint8)
        if not self.one:
            return dict(zip(self.names, self.session.run(None, {"images": images}), strict=True))
        found = [self.session.run(None, {"images": image[None]}) for image in images]
        joined = {name: np.concatenate(values) for name, *values in zip(self.names, *found, strict=True)}
        return joined | {"image": np.repeat(np.arange(len(images)), [len(each[0]) for each in found])}


mlflow.models.set_model(Network())
