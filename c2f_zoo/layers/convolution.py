"""Convolutions with PyTorch's geometry, in which the reference networks were trained."""

import functools
import math

import keras
from keras import ops

from c2f_zoo import backend

# A core's second cache. TensorFlow on CPUs is about twice as fast with two halves of a kernel that
# exceeds it, JAX and PyTorch are not (`benchmarks/flow.py`, rows "large kernel").
KERNEL_BYTES = 2 * 2**20


# With up to as many outputs, a convolution is faster as one product for all taps of the kernel: for
# PSMNet's costs it takes 0.3 of the time on TensorFlow and PyTorch and a tenth on JAX, for
# PWC-Net's flows 0.3, 0.1 and 0.5 (`benchmarks/flow.py`, rows "few outputs"). With three outputs
# little is gained.
FEW_FILTERS = 2


def convolve_by_taps(x, kernel):
    """Convolve with stride 1, zeros around, by one product for all taps and their shifted sum.

    `y[p] = sum_t x[p + t - k // 2] kernel[t]` is a sum over the taps t of the kernel of what
    one matrix product of all pixels gives. Fast where the outputs are few.

    Args:
        x: Tensor (B, ..., C) with n spatial axes.
        kernel: Tensor (k_1, ..., k_n, C, F), sizes odd.

    Returns:
        Tensor (B, ..., F), of the sizes of `x`.

    Example:
        >>> x = np.ones((1, 3, 3, 4), "float32")
        >>> y = convolve_by_taps(x, np.ones((3, 3, 4, 1), "float32"))
        >>> np.asarray(y)[0, :, :, 0].tolist()
        [[16.0, 24.0, 16.0], [24.0, 36.0, 24.0], [16.0, 24.0, 16.0]]
    """
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    *taps, channels, filters = kernel.shape
    rank, width = len(taps), math.prod(taps) * filters
    kernel = ops.transpose(kernel, (rank, *range(rank), rank + 1))
    y = ops.matmul(ops.reshape(x, (-1, channels)), ops.reshape(kernel, (channels, width)))
    y = ops.reshape(y, (*ops.shape(x)[:-1], width))
    for axis, size in enumerate(taps, start=1):
        around = [(size // 2,) * 2 if other == axis else (0, 0) for other in range(rank + 2)]
        y = ops.pad(y, around)
        parts = []
        for tap, part in enumerate(ops.split(y, size, axis=-1)):
            places = slice(tap, (tap - size + 1) or None)
            parts.append(part[(slice(None),) * axis + (places,)])
        y = functools.reduce(ops.add, parts)
    return y


class FewFilters:
    """Mixin of convolutions that are computed by taps where that is faster."""

    def convolution_op(self, inputs, kernel):
        """Convolve, with few outputs by one product for all taps."""
        if self._gains_from_taps(kernel):
            return convolve_by_taps(inputs, kernel)
        return super().convolution_op(inputs, kernel)

    def _gains_from_taps(self, kernel):
        *taps, channels, filters = kernel.shape
        return (
            filters <= FEW_FILTERS
            and channels > filters
            and math.prod(taps) > 1
            and self.padding == "same"  # which has stride 1
            and set(self.dilation_rate) == {1}
            and self.groups == 1
            # Sums of taps would be rounded one by one.
            and not self.compute_dtype.endswith("16")
            and not backend.on_accelerator()
        )


class FixedArguments:
    """Mixin of layers that settle some arguments of Keras' layer: they are refused and not saved.

    Attributes:
        fixed: Their names.
    """

    fixed = ("padding", "data_format")

    def refuse_fixed(self, arguments):
        """Raise ValueError if one of the fixed arguments is given.

        Args:
            arguments: dict by name.

        Raises:
            ValueError: One is.
        """
        for name in self.fixed:
            if name in arguments:
                raise ValueError(
                    f"{type(self).__name__} takes no {name}: its geometry is settled. "
                    f"Received: {name}={arguments[name]!r}"
                )

    def get_config(self):
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in self.fixed}


def strided_shape(input_shape, strides, filters):
    """Shape of a convolution's output, whose sizes are those of its input over the strides.

    Args:
        input_shape: (B, ..., C); sizes may be None.
        strides: Stride along each axis.
        filters: Output channels.

    Returns:
        Tuple (B, ..., filters).

    Example:
        >>> strided_shape((None, 7, 10, 3), (2, 2), 8)
        (None, 4, 5, 8)
    """
    batch, *sizes, _ = input_shape
    shrunk = (
        None if size is None else -(-size // stride)
        for size, stride in zip(sizes, strides, strict=True)
    )
    return (batch, *shrunk, filters)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class Conv2D(FixedArguments, FewFilters, keras.layers.Conv2D):
    """Convolution padded by `dilation * (kernel - 1) / 2` zeros on all four sides.

    This is `torch.nn.Conv2d(..., padding=dilation * (kernel - 1) // 2)`. Keras' `"same"` equals
    it at stride 1 only: at stride 2 it pads even sizes at the bottom and right alone, which
    shifts the feature maps of published weights by half a pixel per level.

    Args:
        filters: Output channels.
        kernel_size: Odd integer.
        strides: Integer of at least 1.
        dilation_rate: Integer of at least 1; must be 1 if `strides` exceeds 1.
        **kwargs: Of `keras.layers.Conv2D`, without `padding` and `data_format`.

    Call arguments:
        x: Tensor (B, H, W, C).

    Returns:
        Tensor (B, ceil(H / strides), ceil(W / strides), filters).

    Raises:
        ValueError: If the kernel size is even, or `padding` or `data_format` is given.

    Example:
        >>> tuple(Conv2D(8, 3, strides=2)(np.ones((1, 7, 10, 3), "float32")).shape)
        (1, 4, 5, 8)
    """

    def __init__(self, filters, kernel_size, strides=1, dilation_rate=1, **kwargs):
        self.refuse_fixed(kwargs)
        sizes = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size,) * 2
        if any(size % 2 == 0 for size in sizes):
            raise ValueError(f"kernel_size must be odd. Received: {kernel_size}")
        is_strided = strides not in (1, (1, 1), [1, 1])
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            dilation_rate=dilation_rate,
            padding="valid" if is_strided else "same",
            data_format="channels_last",
            **kwargs,
        )

    def padded(self, x):
        """Pad the input as `convolution_op` needs it.

        Args:
            x: Tensor (B, H, W, C).

        Returns:
            Tensor (B, H', W', C), with stride 1 the input.
        """
        if self.padding == "same":
            return x
        rows, columns = (size // 2 for size in self.kernel_size)
        return ops.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))

    def call(self, x):
        return super().call(self.padded(x))

    def convolution_op(self, inputs, kernel):
        """Convolve, with a large kernel in two halves where that is faster."""
        size = math.prod(kernel.shape) * (2 if self.compute_dtype.endswith("16") else 4)
        if size <= KERNEL_BYTES or kernel.shape[-1] % 2 or not self._gains_from_halves():
            return super().convolution_op(inputs, kernel)
        halves = (self.convolution_op(inputs, half) for half in ops.split(kernel, 2, axis=-1))
        return ops.concatenate(list(halves), axis=-1)

    @staticmethod
    def _gains_from_halves():
        return backend.backend() == "tensorflow" and not backend.on_accelerator()

    def compute_output_shape(self, input_shape):
        return strided_shape(input_shape, self.strides, self.filters)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class Conv2DTranspose(FixedArguments, keras.layers.Conv2DTranspose):
    """Transposed convolution that doubles the size: kernel 4, stride 2, padding 1 as in PyTorch.

    Args:
        filters: Output channels.
        **kwargs: Of `keras.layers.Conv2DTranspose`, without kernel size, strides, `padding` and
            `data_format`.

    Call arguments:
        x: Tensor (B, H, W, C).

    Returns:
        Tensor (B, 2 H, 2 W, filters).

    Raises:
        ValueError: If one of the settled arguments is given.

    Example:
        >>> tuple(Conv2DTranspose(2)(np.ones((1, 3, 5, 8), "float32")).shape)
        (1, 6, 10, 2)
    """

    fixed = ("kernel_size", "strides", *FixedArguments.fixed)

    def __init__(self, filters, **kwargs):
        self.refuse_fixed(kwargs)
        super().__init__(
            filters, 4, strides=2, padding="same", data_format="channels_last", **kwargs
        )
