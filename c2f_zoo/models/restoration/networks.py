"""Restoration networks of one scale: a residual network and a small one for super-resolution."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.hub import PresetMixin, register_model
from c2f_zoo.layers import depth_to_space, upsample_bilinear
from c2f_zoo.layers.image_norm import image_norm
from c2f_zoo.layers.time_embedding import TimeFeatures
from c2f_zoo.models.restoration.blocks import (
    PAPER,
    convolution,
    inside_of,
    to_network_range,
    uniform_kernel,
    within,
)
from c2f_zoo.tasks.restoration.task import RestorationTask


def _normalized(x):
    return ops.leaky_relu(image_norm(x), negative_slope=0.2)


class NormalizedBlock(keras.layers.Layer):
    """Two convolutions around which the input passes: `x + conv(lrelu(norm(conv(x) + te(t))))`.

    `x` is (B, h, w, width), `time` (B,) or None, `inside` from `inside_of` or None.
    """

    def __init__(self, width, time_embedding, normalize=True, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.normalize = normalize
        dtype = self.dtype_policy
        with keras.name_scope(self.name):
            self.conv_in = convolution(width, width, 3, "conv_in", dtype)
            self.conv_out = convolution(width, width, 3, "conv_out", dtype)
            self.embed = TimeFeatures(width, dtype=dtype, name="embed") if time_embedding else None
        self.built = True

    def call(self, x, time=None, inside=None):
        h = self.conv_in(within(x, inside))
        if self.embed is not None:
            h = h + self.embed(time)[:, None, None, :]
        h = _normalized(h) if self.normalize else ops.leaky_relu(h, negative_slope=0.2)
        return x + self.conv_out(within(h, inside))


@register_model(task="image_restoration")
class RestorationResNet(PresetMixin, RestorationTask, keras.Model):
    """The residual network with which Ahamed et al. restore and enlarge (arXiv 2501.12739).

    A 1x1 convolution to `width` features, residual blocks at full resolution, a 1x1 convolution
    back. With `scale` above 1 the image is first enlarged bilinearly, and the network's output
    added to that.

    The default is the paper's network for restoration, of 597,699 parameters. Its network for
    super-resolution is `RestorationResNet(100, 9, time_embedding=False, scale=2)`, of 1,622,503.

    Each block normalises by the mean and variance of the whole image. With `normalize=False` the
    result at a pixel depends on the pixels within `reach` alone, so that large photographs can be
    restored in tiles.

    Args:
        width: Features; a multiple of 4 with time.
        blocks: Residual blocks.
        time_embedding: Whether the network takes the time of `TimedNoise`.
        scale: Factor of enlargement.
        normalize: Whether blocks normalise.
        enlarge: `"first"`, the paper's: all blocks work on the enlarged image. `"last"`: they work
            on the image as given, with 3x3 convolutions before and behind them, and the last one
            gives the pixels of the larger image side by side (a sub-pixel convolution), at about
            `scale^2` times the speed.
        **kwargs: `name` and `dtype` of `keras.Model`.

    Call arguments:
        inputs: Pair of images (B, H, W, 3), RGB in [0, 1] or uint8, and of their times (B,);
            without `time_embedding` the images alone. Padded images are passed as a dictionary
            with their size, see `check_inputs`.

    Returns:
        float32 tensor (B, scale * H, scale * W, 3), RGB in [0, 1] where the estimate is good; not
        clipped.

    Attributes:
        reach: Distance in pixels of the input beyond which nothing has an influence; None without
            a limit.

    Raises:
        ValueError: If an argument is out of range or inputs have another form.

    Source: Ahamed et al., arXiv 2501.12739, released code. Enlarging last is from Shi et al.,
    arXiv 1609.05158, blocks without normalisation from Lim et al. (EDSR), arXiv 1707.02921.

    Example:
        >>> model = RestorationResNet(16, 1)
        >>> images, time = np.zeros((2, 9, 14, 3), "float32"), np.array([0.0, 0.1], "float32")
        >>> tuple(model((images, time)).shape)
        (2, 9, 14, 3)
    """

    takes_size = True
    preset_defaults = PAPER

    def __init__(
        self,
        width=128,
        blocks=2,
        time_embedding=True,
        scale=1,
        normalize=True,
        enlarge="first",
        **kwargs,
    ):
        # Images keep float32; the layers cast to their own precision.
        super().__init__(autocast=False, **kwargs)
        self.width = checks.whole("width", width, 1)
        self.num_blocks = checks.whole("blocks", blocks, 0)
        self.scale = checks.whole("scale", scale, 1)
        self.time_embedding, self.normalize = bool(time_embedding), bool(normalize)
        self.enlarge = checks.one_of("enlarge", enlarge, ("first", "last"))
        if self.time_embedding and self.width % 4:
            raise ValueError(
                f"width must be a multiple of 4 with time_embedding=True. Received: {width}"
            )
        dtype = self.dtype_policy
        size, pixels = (3, self.scale**2) if enlarge == "last" else (1, 1)
        self.open = convolution(3, self.width, size, "open", dtype)
        settings = (self.width, self.time_embedding, self.normalize)
        self.blocks = [
            NormalizedBlock(*settings, dtype=dtype, name=f"block_{index}")
            for index in range(self.num_blocks)
        ]
        # A thousandth of the usual size: the network's output is next to nothing at first.
        self.close = convolution(
            self.width, 3 * pixels, size, "close", dtype, kernel=uniform_kernel(1e-3)
        )
        self.built = True

    def call(self, inputs):
        images, time, size = self.split_inputs(inputs)
        large = upsample_bilinear(images, self.scale)
        if self.enlarge == "first":
            images, size = large, None if size is None else size * self.scale
        answer = ops.cast(self._features(to_network_range(images), time, size), "float32")
        return large + answer if self.scale > 1 else (answer + 1.0) / 2.0

    @property
    def reach(self):
        """Receptive-field radius in pixels, or None if unlimited."""
        if self.normalize:
            return None
        if self.enlarge == "last":
            return 2 * self.num_blocks + 2
        return -(-2 * self.num_blocks // self.scale) + (self.scale > 1)

    def _features(self, images, time=None, size=None):
        """The network proper, from images in [-1, 1] to its output of the result's size."""
        x, inside = self._body(images, time, size)
        x = self.close(within(x, inside))
        return depth_to_space(x, self.scale) if self.enlarge == "last" else x

    def _body(self, images, time, size):
        """All but the last convolution, and what is `within` the images."""
        inside = inside_of(images, size)
        x = self.open(within(images, inside))
        for block in self.blocks:
            x = block(x, time, inside)
        return x, inside

    @property
    def feature_strides(self):
        """Stride of the only scale, 1 / scale where the image is enlarged first."""
        return (1 / self.scale,) if self.scale > 1 and self.enlarge == "first" else (1,)

    @property
    def feature_parts(self):
        """All layers but the last convolution."""
        return [self.open, *self.blocks]

    def encode(self, images, condition=None, training=None):
        if self.enlarge == "first":
            images = upsample_bilinear(images, self.scale)
        return [self._body(to_network_range(images), condition, None)[0]]

    def get_config(self):
        names = ("width", "time_embedding", "scale", "normalize", "enlarge")
        config = {"blocks": self.num_blocks, **{name: getattr(self, name) for name in names}}
        return {**super().get_config(), **config}


@register_model(task="super_resolution")
class SRParaConvNet(PresetMixin, RestorationTask, keras.Model):
    """The small super-resolution network of Ahamed et al. (arXiv 2501.12739).

    The image is enlarged bilinearly; four convolutions (5x5, then 3x3), each normalised over the
    whole image, and a 1x1 convolution give what is added to it. 69,603 parameters by default.

    Args:
        width: Features of the first two convolutions; the last two have half of them.
        scale: Factor of enlargement.
        **kwargs: `name` and `dtype` of `keras.Model`.

    Call arguments:
        inputs: Images (B, H, W, 3), RGB in [0, 1] or uint8.

    Returns:
        float32 tensor (B, scale * H, scale * W, 3), RGB in [0, 1] where the estimate is good; not
        clipped.

    Raises:
        ValueError: If an argument is out of range or inputs have another form.

    Source: Ahamed et al., arXiv 2501.12739, released code.

    Example:
        >>> tuple(SRParaConvNet()(np.zeros((1, 9, 14, 3), "float32")).shape)
        (1, 18, 28, 3)
    """

    preset_defaults = PAPER

    def __init__(self, width=64, scale=2, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.width, self.scale = checks.whole("width", width, 2), checks.whole("scale", scale, 1)
        if self.width % 2:
            raise ValueError(f"width must be even. Received: {width}")
        dtype, half = self.dtype_policy, self.width // 2
        self.convolutions, channels = [], 3
        for index, filters in enumerate((self.width, self.width, half, half)):
            size = 3 if index else 5
            kernel = keras.initializers.Orthogonal(gain=2**0.5 if index < 3 else 1.0)
            self.convolutions.append(
                convolution(channels, filters, size, f"conv_{index}", dtype, kernel=kernel)
            )
            channels = filters
        kernel = keras.initializers.RandomNormal(stddev=1e-3)
        self.head = convolution(half, 3, 1, "head", dtype, kernel=kernel)
        self.built = True

    def call(self, inputs):
        images, _, _ = self.split_inputs(inputs)
        images = upsample_bilinear(images, self.scale)
        return images + ops.cast(self.head(self._body(images)), "float32")

    def _body(self, images):
        """The features of enlarged images."""
        x = to_network_range(images)
        for layer in self.convolutions:
            x = _normalized(layer(x))
        return x

    @property
    def feature_strides(self):
        """Stride of the only scale, that of the enlarged image."""
        return (1 / self.scale,) if self.scale > 1 else (1,)

    @property
    def feature_parts(self):
        """All layers but the last convolution."""
        return self.convolutions

    def encode(self, images, condition=None, training=None):
        return [self._body(upsample_bilinear(images, self.scale))]

    def get_config(self):
        return {**super().get_config(), "width": self.width, "scale": self.scale}
