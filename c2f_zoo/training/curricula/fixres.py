"""The correction for a test resolution that is not that of training (FixRes)."""

import contextlib

import keras


@contextlib.contextmanager
def only_head_trainable(model, head=1):
    """Let a model's last layers and its batch normalizations alone be trained, within a block.

    Random crops in training make objects larger than they are in a test image, and another
    resolution gives the average pooling other statistics. FixRes trains on as usual up to here,
    then fine-tunes the classifier and batch normalization at the test resolution, for few epochs.
    Without labels `update_batch_statistics` at the test resolution is the part that needs none.

    Keras asks for `compile` after such a change: call it within the block, and after it.

    Args:
        model: A built `keras.Model`.
        head: The layers that stay trainable: number of the last ones that have weights, or names.
            Names are those of `layer.name`, of nested models too.

    Yields:
        List of the layers that are trainable within the block.

    Raises:
        ValueError: If no layer has such a name, or there are fewer layers with weights.

    Source: Touvron et al., Fixing the train-test resolution discrepancy, arXiv 1906.06423.

    Example:
        >>> layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
        >>> last = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((None, None, 3)), *layers, *last])
        >>> with only_head_trainable(model) as trained:
        ...     model.compile("sgd", "sparse_categorical_crossentropy")
        ...     [type(layer).__name__ for layer in trained], len(model.trainable_variables)
        (['BatchNormalization', 'Dense'], 4)
    """
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if layer.weights and not any(True for _ in layer._flatten_layers(include_self=False))
    ]
    # In the order of the model's weights, which is that of its layers, nested ones in their place.
    place = {id(weight): number for number, weight in enumerate(model.weights)}
    layers.sort(key=lambda layer: place[id(layer.weights[0])])
    names = [layer.name for layer in layers]
    if isinstance(head, int):
        if not 0 <= head <= len(layers):
            raise ValueError(
                f"head must be 0 to {len(layers)}, the number of layers. Received: {head}"
            )
        head = set(names[len(names) - head :])
    head = {head} if isinstance(head, str) else set(head)
    if head - set(names):
        raise ValueError(
            f"head must be names of layers: {', '.join(names)}. Received: {sorted(head)}"
        )
    is_norm = keras.layers.BatchNormalization
    kept = [layer for layer in layers if isinstance(layer, is_norm) or layer.name in head]
    before = {layer: layer.trainable for layer in layers}
    try:
        for layer in layers:
            layer.trainable = layer in kept
        yield kept
    finally:
        for layer, was_trainable in before.items():
            layer.trainable = was_trainable
