"""The gradient calls, one file per backend: all that a train step cannot say in `keras.ops`.

Each file defines the same three names. `GradientCalls(model)` lives for one step:

- `input_gradients(function, inputs)`: gradient of a function's sum with respect to tensors,
  which can itself be differentiated;
- `loss_gradients(function, weights)`: gradient of a loss with respect to variables;
- `average(values)`: mean over the batch of all replicas;
- `replicas`: how many replicas share the step.

`value_and_gradients(function)` compiles a function for an optimisation outside of training.

`TrainStep` is the mixin whose `train_step` gives the backend's trainer what it expects and runs
the model's `compute_step(data, calls)`, the same code for all.
"""

import importlib

from c2f_zoo import backend

_calls = importlib.import_module(f"{__name__}.{backend.backend()}")

GradientCalls = _calls.GradientCalls
TrainStep = _calls.TrainStep
value_and_gradients = _calls.value_and_gradients

__all__ = ["GradientCalls", "TrainStep", "value_and_gradients"]
