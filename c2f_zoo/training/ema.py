"""A generator's exponential moving average, by which it is shown and measured."""

from keras import ops


def half_life_decay(images, half_life):
    """Decay of one step after which `half_life` images have halved the weight of the past.

    Args:
        images: Images of the step, an int or scalar tensor.
        half_life: Images after which an old weight counts half.

    Returns:
        Scalar tensor: `0.5^(images / half_life)`.

    Source: the released code of Karras et al., arXiv 1812.04948: half-life 10,000 images.

    Example:
        >>> round(float(half_life_decay(5_000, 10_000)), 4)
        0.7071
    """
    return ops.power(0.5, ops.cast(images, "float32") / half_life)


def averaged_copy(network):
    """Make a second network with the same weights, not trainable.

    Args:
        network: A built `keras.Model` or layer whose `get_config()` rebuilds it.

    Returns:
        The copy. `update_average` moves it.

    Raises:
        ValueError: `get_config()` does not rebuild the network.

    Example:
        >>> copy = averaged_copy(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]))
        >>> len(copy.weights), len(copy.trainable_weights)
        (2, 0)
    """
    try:
        copy = type(network).from_config(network.get_config())
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"get_config() of a generator must rebuild it. Received: {network.name}, {error}"
        ) from error
    if not copy.built:
        copy.build(getattr(network, "input_shape", None))
    shapes = [tuple(weight.shape) for weight in network.weights]
    if shapes != [tuple(weight.shape) for weight in copy.weights]:
        raise ValueError(
            "get_config() of a generator must rebuild it with the same variables, created in "
            f"its constructor. Received: {network.name}, whose copy has "
            f"{len(copy.weights)} variables, not {len(shapes)}"
        )
    copy.trainable = False
    for ours, theirs in zip(copy.weights, network.weights, strict=True):
        # A copy: JAX refuses to donate one buffer under two names.
        ours.assign(ops.copy(theirs.value))
    return copy


def update_average(average, network, decay):
    """Move an averaged copy one step towards its network: `a <- w + decay * (a - w)`.

    What is not trained (a tracked mean of styles, a growing network's alpha) is copied.

    Args:
        average: Copy made by `averaged_copy`.
        network: The network it was made of.
        decay: Scalar in [0, 1].
    """
    trained = {id(weight) for weight in network.trainable_weights}
    for ours, theirs in zip(average.weights, network.weights, strict=True):
        if id(theirs) in trained:
            past = ops.cast(decay, ours.dtype) * (ours.value - theirs.value)
            ours.assign(theirs.value + past)
        else:
            ours.assign(theirs.value)
