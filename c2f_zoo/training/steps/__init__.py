"""What a training step cannot say in `keras.ops`: gradient calls, one file per backend.

Each file defines the same names: `GradientCalls` (see `calls.py`); `take_step(model, ...)`, the
body of a `train_step` with the signature that the backend's trainer expects, which runs
`model.compute_step(data, calls)`; `value_and_gradients`, for optimisations outside of training;
`samples_of`, `variable_value` and `assign`, for what happens on the host between steps.
"""

import importlib

from c2f_zoo import backend

_backend = importlib.import_module(f"{__name__}.{backend.backend()}")

GradientCalls = _backend.GradientCalls
assign = _backend.assign
samples_of = _backend.samples_of
take_step = _backend.take_step
value_and_gradients = _backend.value_and_gradients
variable_value = _backend.variable_value


class TrainStep:
    """Mixin of a `keras.Model` that defines `compute_step(data, calls)`."""

    def train_step(self, *args):
        return take_step(self, *args)


__all__ = ["GradientCalls", "TrainStep", "value_and_gradients"]
