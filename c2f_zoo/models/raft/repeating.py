"""A step repeated a number of times that is known, comes as an input, or is found on the way."""

import numbers

from keras import ops

from c2f_zoo import backend, checks


def repeat(step, state, iterations, tolerance=0.0):
    """Refine a flow step by step.

    Args:
        step: Takes and returns the state.
        state: Tuple of tensors, the first a flow (B, h, w, 2).
        iterations: Steps, an integer or a scalar integer tensor.
        tolerance: Stop early where the flow's mean change is shorter; 0 never stops.

    Returns:
        The last state.

    Example:
        >>> flow = ops.zeros((1, 2, 2, 2))
        >>> (flow,) = repeat(lambda flow: (flow + 1.0,), (flow,), iterations=3)
        >>> float(flow[0, 0, 0, 0])
        3.0
    """
    shapes = [part.shape for part in state]

    def advance(state):
        # A loop of TensorFlow must not forget sizes that it knew.
        return tuple(map(backend.ensure_shape, step(*state), shapes))

    if not tolerance:
        return ops.fori_loop(0, iterations, lambda _, state: advance(state), state)

    def go_on(index, change, *_):
        return ops.logical_and(index < iterations, change >= tolerance)

    def measure(index, _, *state):
        new = advance(state)
        change = ops.mean(ops.sqrt(ops.sum(ops.square(new[0] - state[0]), axis=-1)))
        return index + 1, change, *new

    begin = ops.convert_to_tensor(0, "int32"), ops.convert_to_tensor(float("inf"), "float32")
    return ops.while_loop(go_on, measure, (*begin, *state))[2:]


def check_options(iterations, initial_flow, grid):
    """Check the options of a call for features of the shape `grid`, (B, h, w), or None each."""
    if isinstance(iterations, numbers.Number):  # and not a tensor
        checks.whole("iterations", iterations, least=1)
    if initial_flow is not None:
        pairs, *sizes = grid
        axes = (None if pairs is None else range(pairs + 1), *sizes, 2)
        allowed = f"(b, h, w, 2), here ({pairs or 'b'} or fewer, {', '.join(map(str, sizes))}, 2)"
        checks.shape("initial_flow", initial_flow, allowed, axes)
