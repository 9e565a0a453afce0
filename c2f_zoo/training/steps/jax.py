"""Gradient calls of JAX, over variables whose values travel as arguments."""

import contextlib

import jax
import keras
import numpy as np
from keras import ops

from c2f_zoo.training.steps import calls


class GradientCalls(calls.GradientCalls):
    """Gradients by `jax.grad` of pure functions made with `keras.StatelessScope`.

    They run inside the scope that the train step opens. What a differentiated function assigns
    (seeds, running means) would leak as tracers: it is returned as a second result and assigned
    again in the step's own scope.

    Args:
        model: The model that takes the step.
    """

    def __init__(self, model):
        super().__init__(model)
        self.variables = model.variables

    def input_gradients(self, function, inputs):
        def total(inputs, values):
            with _scope(self.variables, values) as scope:
                outputs = function(inputs)
            return ops.sum(outputs[0]), (outputs, _values(scope, self.variables))

        differentiate = jax.grad(total, has_aux=True)
        gradients, (outputs, values) = differentiate(list(inputs), _now(self.variables))
        _assign(self.variables, values)
        return outputs, gradients

    def loss_gradients(self, function, weights):
        chosen = {id(weight) for weight in weights}
        others = [v for v in self.variables if id(v) not in chosen]

        def stateless(values, other_values):
            # Losses of `add_loss`, which scopes drop unless they collect them, are the step's too.
            with _scope([*weights, *others], [*values, *other_values], collect=True) as scope:
                loss, beside = function()
            return loss, (beside, _values(scope, others))

        differentiate = jax.grad(stateless, has_aux=True)
        gradients, (beside, values) = differentiate(_now(weights), _now(others))
        _assign(others, values)
        return beside, gradients

    def after(self, earlier, tensors):
        tensors, _ = jax.lax.optimization_barrier((list(tensors), list(earlier)))
        return tensors

    def repeat(self, function, count):
        state = function(0, None)
        weights, others, slots, metrics = _state_variables(self.model)
        # What may be assigned travels with the loop, of which one round is compiled.
        fixed, moving = [*weights, *slots], [*others, *metrics]
        known = _now(fixed)

        def body(index, carry):
            with _scope([*fixed, *moving], [*known, *carry[1]]) as scope:
                state = function(index, carry[0])
            return state, _values(scope, moving)

        state, values = jax.lax.fori_loop(1, count, body, (state, _now(moving)))
        _assign(moving, values)
        return state

    def apply(self, optimizer, gradients, weights):
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer.apply(gradients, weights)
            return
        # Its `apply` assigns inside the branches of a condition, from where tracers would leak.
        variables = optimizer.variables
        changed, state = optimizer.stateless_apply(_now(variables), gradients, _now(weights))
        _assign(weights, changed)
        _assign(variables, state)


def take_step(model, state, data):
    """Run `model.compute_step(data, calls)` as Keras' trainer expects of a train step."""
    groups = _state_variables(model)
    variables = [variable for group in groups for variable in group]
    with _scope(variables, [value for values in state for value in values]) as scope:
        logs = model.compute_step(data, GradientCalls(model))
    return logs, tuple(_values(scope, group) for group in groups)


def run_phases(model, function_of, phases, state, iterator):
    """See `c2f_zoo.training.steps.run_phases`; the state travels from one function to the next."""
    data = next(iterator)
    for phase in phases:
        with _values_in(model, state):
            function = function_of(phase)
        logs, state = function(state, iter([data]))
    return (logs, state), calls.first_array(data).shape[0]


def skip_step(model, state, iterator):
    """See `c2f_zoo.training.steps.calls`."""
    return calls.skip_step(model, iterator), state


@contextlib.contextmanager
def _values_in(model, state):
    """Have the model's variables hold their values, from which Keras takes how they are placed.

    While `fit` runs they are in the state alone, and a step that is compiled then, on several
    devices, would find none.
    """
    if keras.distribution.distribution() is None:
        yield
        return
    variables = [variable for group in _state_variables(model) for variable in group]
    before = [variable._value for variable in variables]
    for variable, value in zip(variables, keras.tree.flatten(state), strict=True):
        variable._value = value
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable._value = value


def variable_value(model, variable, args):
    """A variable as a numpy array, while `fit` runs too.

    During `fit` a variable is empty, and its value is in the state: in `args`, the arguments of
    Keras' train function.
    """
    for variables, values in zip(_state_variables(model), args[0], strict=True):
        for each, value in zip(variables, values, strict=True):
            if each is variable:
                return np.asarray(value)
    raise ValueError(f"The variable is not part of the state of {model.name}: {variable.path}")


def assign(model, variables, value):
    """Assign a value to variables that are not trained, while `fit` runs too.

    Then it is replaced in the state, so that the rest need not be copied into the model.
    """
    state = getattr(model, "_jax_state", None)
    if not state or model._jax_state_synced:
        for variable in variables:
            variable.assign(value)
        return
    values, chosen = state["non_trainable_variables"], {id(variable) for variable in variables}
    for index, variable in enumerate(model.non_trainable_variables):
        if id(variable) in chosen:
            old = values[index]
            values[index] = jax.device_put(jax.numpy.asarray(value, old.dtype), old.sharding)


def _state_variables(model):
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _scope(variables, values, collect=False):
    return keras.StatelessScope(list(zip(variables, values, strict=True)), collect_losses=collect)


def _values(scope, variables):
    return [scope.get_current_value(variable) for variable in variables]


def _now(variables):
    return [variable.value for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def value_and_gradients(function, variables=()):
    """See `c2f_zoo.training.steps.value_and_gradients`."""
    variables = list(variables)

    def total(points, values):
        with _scope(variables, values):
            return function(*points)

    differentiate = jax.jit(jax.value_and_grad(total, has_aux=True))

    def compute(*points):
        (_, report), gradients = differentiate(points, _now(variables))
        return float(report), [np.asarray(gradient) for gradient in gradients]

    return compute
