"""The statistics of batch normalization, estimated anew for other weights."""

import keras

from c2f_zoo import backend


def update_batch_statistics(model, batches):
    """Estimate the moving statistics of a model's batch normalizations anew.

    Moving means and variances belong to the weights that training had; after averaging, or any
    other change of the weights, they are those of another network. This replaces them by the mean,
    over the batches, of each batch's own: with `m_k` of batch k, `m <- m + (m_k - m) / k`.

    Layers that are frozen, by `trainable=False` or by the model, keep theirs, as do all layers of a
    model without batch normalization, for which no batch is drawn. Each layer must be called once
    in a pass of the model.

    Args:
        model: A built `keras.Model`.
        batches: Iterable of what the model is called with; as many as are to be averaged.

    Raises:
        ValueError: If there is a layer to estimate and no batch.

    Source: `torch.optim.swa_utils.update_bn`; Izmailov et al., arXiv 1803.05407, section 3.2.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()])
        >>> update_batch_statistics(model, [np.array([[1.0], [3.0]]), np.array([[4.0], [8.0]])])
        >>> layer = model.layers[0]
        >>> float(layer.moving_mean[0]), float(layer.moving_variance[0])
        (4.0, 2.5)
    """
    layers = batch_normalizations(model)
    if not layers:
        return
    usual, number = [layer.momentum for layer in layers], 0
    try:
        for number, batch in enumerate(batches, 1):
            for layer in layers:
                layer.momentum = (number - 1) / number
            backend.without_gradients(model)(batch, training=True)
    finally:
        for layer, momentum in zip(layers, usual, strict=True):
            layer.momentum = momentum
    if not number:
        raise ValueError("update_batch_statistics needs at least one batch. Received: none")


def batch_normalizations(model):
    """List the layers of a model whose moving statistics training changes.

    Args:
        model: A built `keras.Model`.

    Returns:
        List of `keras.layers.BatchNormalization` that are trainable.
    """
    layers = model._flatten_layers(include_self=False)
    return [
        layer
        for layer in layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
