"""What a training step cannot say in `keras.ops`: gradient calls, one file per backend.

Each file defines the same names: `GradientCalls` (see `calls.py`); `take_step(model, ...)`, the
body of a `train_step` with the signature that the backend's trainer expects, which runs
`model.compute_step(data, calls)`; `value_and_gradients`, for optimisations outside of training;
and, unless `calls.py` serves, `run_phases`, `skip_step`, `variable_value` and `assign`, for what
happens on the host between steps.
"""

import importlib

from c2f_zoo import backend

_backend = importlib.import_module(f"{__name__}.{backend.backend()}")

GradientCalls = _backend.GradientCalls
assign = _backend.assign
skip_step = _backend.skip_step
take_step = _backend.take_step
variable_value = _backend.variable_value


def run_phases(model, function_of, phases, *args):
    """Call a train function for each phase, one after another, with the data's next batch.

    Args:
        model: The model that takes the step.
        function_of: Function of a phase that returns its train function, as Keras'
            `make_train_function` makes one.
        phases: Sequence of phases.
        *args: The arguments with which the trainer calls its train function.

    Returns:
        What the last function returns, and the batch's number of samples, None if unknown.
    """
    return _backend.run_phases(model, function_of, phases, *args)


def value_and_gradients(function, variables=()):
    """Compile a function together with its gradients with respect to its arguments.

    Args:
        function: Takes tensors, returns the scalar to differentiate and a scalar to report.
        variables: List of the Keras variables that it reads. On JAX others are compiled as
            constants, which takes XLA long where they are large.

    Returns:
        Function of arrays that returns the reported scalar and the list of gradients, numpy
        arrays of the arguments' shapes.
    """
    return _backend.value_and_gradients(function, variables)


class TrainStep:
    """Mixin of a `keras.Model` that defines `compute_step(data, calls)`."""

    def train_step(self, *args):
        return take_step(self, *args)


__all__ = ["GradientCalls", "TrainStep", "value_and_gradients"]
