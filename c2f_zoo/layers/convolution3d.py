"""3-D convolutions with PyTorch's geometry, in which the reference stereo networks were trained."""

import keras
from keras import ops

from c2f_zoo.layers.convolution import FewFilters, FixedArguments, strided_shape


@keras.saving.register_keras_serializable(package="c2f_zoo")
class Conv3D(FixedArguments, FewFilters, keras.layers.Conv3D):
    """3x3x3 convolution padded by one zero on all six sides.

    This is `torch.nn.Conv3d(..., 3, padding=1)`. Keras' `"same"` equals it at stride 1 only.

    Args:
        filters: Output channels.
        strides: Integer of at least 1.
        **kwargs: Of `keras.layers.Conv3D`, without kernel size, `padding` and `data_format`.

    Call arguments:
        x: Tensor (B, D, H, W, C).

    Returns:
        Tensor (B, ceil(D / strides), ceil(H / strides), ceil(W / strides), filters).

    Raises:
        ValueError: If one of the settled arguments is given.

    Example:
        >>> import numpy as np
        >>> tuple(Conv3D(2, strides=2)(np.ones((1, 5, 4, 8, 3), "float32")).shape)
        (1, 3, 2, 4, 2)
    """

    fixed = ("kernel_size", *FixedArguments.fixed)

    def __init__(self, filters, strides=1, **kwargs):
        self.refuse_fixed(kwargs)
        is_strided = strides not in (1, (1, 1, 1), [1, 1, 1])
        super().__init__(
            filters,
            3,
            strides=strides,
            padding="valid" if is_strided else "same",
            data_format="channels_last",
            **kwargs,
        )

    def padded(self, x):
        """Pad the input as `convolution_op` needs it.

        Args:
            x: Tensor (B, D, H, W, C).

        Returns:
            Tensor (B, D', H', W', C), with stride 1 the input.
        """
        if self.padding == "same":
            return x
        return ops.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))

    def call(self, x):
        return super().call(self.padded(x))

    def compute_output_shape(self, input_shape):
        return strided_shape(input_shape, self.strides, self.filters)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class Conv3DTranspose(FixedArguments, keras.layers.Conv3DTranspose):
    """Transposed 3x3x3 convolution that doubles the size.

    This is `torch.nn.ConvTranspose3d(..., 3, stride=2, padding=1, output_padding=1)`: of the
    2 N + 1 values along an axis the last 2 N. Keras' `"same"` keeps the first.

    Args:
        filters: Output channels.
        **kwargs: Of `keras.layers.Conv3DTranspose`, without kernel size, strides, `padding` and
            `data_format`.

    Call arguments:
        x: Tensor (B, D, H, W, C).

    Returns:
        Tensor (B, 2 D, 2 H, 2 W, filters).

    Raises:
        ValueError: If one of the settled arguments is given.

    Example:
        >>> import numpy as np
        >>> tuple(Conv3DTranspose(2)(np.ones((1, 1, 3, 5, 8), "float32")).shape)
        (1, 2, 6, 10, 2)
    """

    fixed = ("kernel_size", "strides", *FixedArguments.fixed)

    def __init__(self, filters, **kwargs):
        self.refuse_fixed(kwargs)
        super().__init__(
            filters, 3, strides=2, padding="valid", data_format="channels_last", **kwargs
        )

    def call(self, x):
        return super().call(x)[:, 1:, 1:, 1:]

    def compute_output_shape(self, input_shape):
        batch, *sizes, _ = input_shape
        return (batch, *(None if size is None else 2 * size for size in sizes), self.filters)
