"""Quantization, which the zoo's networks refuse rather than ignore."""


def refuse_quantization(self, mode=None, config=None, **kwargs):
    """Refuse `keras.Model.quantize`, which would skip every layer of the network in silence.

    Keras quantizes dense and embedding layers only, not convolutions. The mixins
    of the tasks take this function as their method.

    Args:
        self: The model.
        mode: As in `keras.Model.quantize`; reported in the error.
        config: As in `keras.Model.quantize`; reported in the error.
        **kwargs: As in `keras.Model.quantize`; not used.

    Raises:
        NotImplementedError: Always. The message names what works instead.

    Example:
        >>> class Network(keras.Model):
        ...     quantize = refuse_quantization
        >>> network = Network()
        >>> network.built = True
        >>> network.quantize("int8")
        Traceback (most recent call last):
            ...
        NotImplementedError: Network cannot be quantized: ...
    """
    raise NotImplementedError(
        f"{type(self).__name__} cannot be quantized: Keras has no quantized convolutions. To "
        'compute in half precision, construct or load it with dtype="mixed_bfloat16"; for files of '
        'half the size use save_pretrained(folder, precision="float16"). '
        f"Received: mode={mode!r}, config={config!r}"
    )
