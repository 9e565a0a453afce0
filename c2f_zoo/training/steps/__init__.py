"""The gradient calls, one file per backend: all that a train step cannot say in `keras.ops`.

Each file defines the same three names. `GradientCalls(model)` lives for one step:

- `input_gradients(function, inputs)` takes a list of tensors and a function of that list that
  gives a tuple, a tensor of any shape first. It returns what the function gave, and the list of
  gradients of the first's sum, each of its input's shape. Both can be differentiated again
  inside `loss_gradients`.
- `loss_gradients(function, weights)` takes a list of Keras variables and a function of nothing
  that gives a scalar loss, a mean over this replica's batch, and anything beside it. It returns
  what is beside, and the gradients; None or zeros for a variable that the loss does not reach.
- `average(values, axis=None)` is the mean over all elements, or over the batch's axis alone, of
  all replicas; differentiable.
- `after(earlier, tensors)` gives the tensors back, to be used only once the earlier ones have been
  computed: what is in between need not be held at the same time.
- `apply(optimizer, gradients, weights)` changes the weights; those whose gradient is None stay.
- `replicas` is how many replicas share the step.

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
