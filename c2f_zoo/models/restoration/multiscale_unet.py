"""The U-Net of multiscale training: restoration by residual blocks on several scales."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.hub import PresetMixin, register_model
from c2f_zoo.layers import (
    crop_to,
    depth_to_space,
    pad_to_stride,
    space_to_depth,
    upsample_nearest,
)
from c2f_zoo.layers.time_embedding import sinusoid
from c2f_zoo.models.restoration.blocks import (
    KEEPING,
    PAPER,
    ResidualBlock,
    SelfAttention,
    activated,
    convolution,
    dense,
    inside_of,
    normalization,
    to_network_range,
    uniform_kernel,
    within,
)
from c2f_zoo.tasks.restoration.task import RestorationTask


@register_model(task="image_restoration")
class MultiscaleUNet(PresetMixin, RestorationTask, keras.Model):
    """The U-Net with which Ahamed et al. denoise, deblur and inpaint (arXiv 2501.12739).

    Down by strided convolutions, up by nearest neighbours and a convolution, residual blocks on
    every scale, attention on the coarsest. Each block on the way down is connected to one on the
    way up. A new network returns 1/2 everywhere: its last convolution starts at zero.

    The default is the paper's network, of 2,537,187 parameters. Images of any size are padded
    (replicated) to multiples of `stride` and the result is cropped.

    Group normalisation and attention see the whole image. Without both, for instance with
    `norm="pixel", attention=0`, the result at a pixel depends on the pixels within `reach` alone,
    so that large photographs can be restored in tiles.

    Args:
        width: Features of the finest scale.
        multipliers: Features of each scale, fine to coarse, as multiples of `width`.
        blocks: Residual blocks of each scale on the way down; one more on the way up.
        groups: Groups of the group normalisations; divides every scale's features.
        dropout: Share of features dropped within a block in training.
        attention: Attention heads on the coarsest scale; 0 for none. Its cost grows with the
            square of the image's pixels.
        time_embedding: Whether the network takes the time of `TimedNoise`.
        time_factor: Factor of the time before its sines and cosines are taken. At 1, as in the
            released code, those of a time in [0, 1] hardly vary.
        residual: Whether the network's output is added to its input; not in the paper.
        mask: Whether the network fills what a mask leaves out, without time embedding. The
            pixels to be filled are set to 1/2 and the mask is a fourth channel of the input.
        patch: Side of the square of pixels that the network sees as one, of `3 * patch^2`
            channels: 2 makes it about four times as fast at the same width.
        norm: `"group"`, the paper's; `"pixel"`, each pixel by its root mean square, and none
            before the last convolution; or `"none"`, which trains at small learning rates only.
        **kwargs: `name` and `dtype` of `keras.Model`.

    Call arguments:
        inputs: As for `RestorationResNet`; or with `mask` a pair of images and their masks
            (B, H, W, 1), 1 where the image is known and 0 where it is to be filled.

    Returns:
        float32 tensor (B, H, W, 3), RGB in [0, 1] where the estimate is good; not clipped. With
        `mask` the known pixels are those of the input.

    Attributes:
        stride: Pixels to a feature of the coarsest scale.
        reach: Distance in pixels beyond which nothing has an influence; None without a limit.

    Raises:
        ValueError: If an argument is out of range or inputs have another form.

    Source: Ahamed et al., arXiv 2501.12739, released code, after Dhariwal and Nichol,
    arXiv 2105.05233.

    Example:
        >>> model = MultiscaleUNet(width=16, multipliers=(1, 2), time_embedding=False)
        >>> tuple(model(np.zeros((1, 33, 50, 3), "float32")).shape)
        (1, 33, 50, 3)
    """

    takes_size = True
    preset_defaults = PAPER

    def __init__(
        self,
        width=32,
        multipliers=(1, 2, 4),
        blocks=1,
        groups=16,
        dropout=0.5,
        attention=1,
        time_embedding=True,
        time_factor=1.0,
        residual=False,
        mask=False,
        patch=1,
        norm="group",
        **kwargs,
    ):
        # Images keep float32; the layers cast to their own precision.
        super().__init__(autocast=False, **kwargs)
        self.width = checks.whole("width", width, 2)
        self.multipliers = checks.several("multipliers", multipliers, checks.whole, least=1)
        self.blocks = checks.whole("blocks", blocks, 1)
        self.groups = checks.whole("groups", groups, 1)
        self.attention = checks.whole("attention", attention, 0)
        self.patch = checks.whole("patch", patch, 1)
        self.dropout, self.residual = float(dropout), bool(residual)
        self.time_embedding, self.time_factor = bool(time_embedding), float(time_factor)
        self.mask = bool(mask)
        self.norm_kind = checks.one_of("norm", norm, ("group", "pixel", "none"))
        self._check_settings()
        self.stride = self.patch * 2 ** (len(self.multipliers) - 1)
        self._create()
        self.built = True

    def _check_settings(self):
        widths = [self.width, *(self.width * multiplier for multiplier in self.multipliers)]
        if self.norm_kind == "group" and any(width % self.groups for width in widths):
            raise ValueError(
                f"groups must divide the features of every scale, {widths[1:]}. "
                f"Received: {self.groups}"
            )
        if self.attention and widths[-1] % self.attention:
            raise ValueError(
                f"attention, the number of heads, must divide {widths[-1]} features. "
                f"Received: {self.attention}"
            )
        if self.time_embedding and self.width % 2:
            raise ValueError(f"width must be even with time_embedding=True. Received: {self.width}")
        if self.mask and self.time_embedding:
            raise ValueError(
                "mask=True needs time_embedding=False. Received: mask=True, time_embedding=True"
            )

    def _create(self):
        dtype, width, pixels = self.dtype_policy, self.width, self.patch**2
        self.time_layers = []
        if self.time_embedding:
            self.time_layers = [
                dense(width, 4 * width, "time_0", dtype, activation="silu"),
                dense(4 * width, 4 * width, "time_1", dtype),
            ]
        self.stem = self._convolution((4 if self.mask else 3) * pixels, width, "stem")
        skips = self._create_down()
        self._create_middle(skips[-1])
        channels = self._create_up(skips)
        # The head needs the size of the features that the pixels' norm would take from it.
        last = "group" if self.norm_kind == "group" else "none"
        self.norm = normalization(last, channels, self.groups, "norm", dtype)
        self.head = convolution(channels, 3 * pixels, 3, "head", dtype, kernel="zeros")

    def _create_down(self):
        """Create the way down; return the features of each skip, the stem's first."""
        channels, skips = self.width, [self.width]
        self.down, self.shrink = [], []
        for level, multiplier in enumerate(self.multipliers):
            width, row = self.width * multiplier, []
            for index in range(self.blocks):
                row.append(self._block(channels, width, f"down_{level}_{index}"))
                channels = width
                skips.append(channels)
            self.down.append(row)
            if level < len(self.multipliers) - 1:
                shrink = self._convolution(channels, channels, f"shrink_{level}", strides=2)
                self.shrink.append(shrink)
                skips.append(channels)
        return skips

    def _create_middle(self, channels):
        self.middle = [self._block(channels, channels, f"middle_{index}") for index in range(2)]
        self.middle_attention = None
        if self.attention:
            options = {"dtype": self.dtype_policy, "name": "attention"}
            self.middle_attention = SelfAttention(
                channels, self.groups, self.attention, self.norm_kind, **options
            )

    def _create_up(self, skips):
        """Create the way up, which takes the skips; return the features at its end."""
        channels, skips = skips[-1], list(skips)
        self.up, self.enlarge = [], []
        for level, multiplier in reversed(list(enumerate(self.multipliers))):
            width, row = self.width * multiplier, []
            for index in range(self.blocks + 1):
                row.append(self._block(channels + skips.pop(), width, f"up_{level}_{index}"))
                channels = width
            self.up.append(row)
            if level:
                self.enlarge.append(self._convolution(channels, channels, f"enlarge_{level}"))
        return channels

    def _block(self, channels, filters, name):
        time_width = 4 * self.width if self.time_embedding else None
        settings = (self.groups, self.dropout, time_width, self.norm_kind)
        return ResidualBlock(channels, filters, *settings, dtype=self.dtype_policy, name=name)

    def _convolution(self, channels, filters, name, **options):
        kernel = uniform_kernel(1.0 if self.norm_kind == "group" else KEEPING)
        return convolution(channels, filters, 3, name, self.dtype_policy, kernel=kernel, **options)

    def call(self, inputs, training=None):
        images, condition, size = self.split_inputs(inputs)
        time, mask = (None, condition) if self.mask else (condition, None)
        known, padded_mask = images, None
        if self.mask:
            images, padded_mask = _without_holes(images, mask), pad_to_stride(mask, self.stride)
        padded = _as_seen(pad_to_stride(images, self.stride), padded_mask)
        if size is not None:
            size = (size + self.stride - 1) // self.stride * self.stride
        answer = self._features(padded, time, size, training)
        answer = crop_to(ops.cast(answer, "float32"), *ops.shape(images)[1:3])
        answer = images + answer / 2.0 if self.residual else (answer + 1.0) / 2.0
        return known * mask + answer * (1.0 - mask) if self.mask else answer

    @property
    def feature_strides(self):
        """Strides of the scales."""
        return tuple(self.patch * 2**level for level in range(len(self.multipliers)))

    @property
    def feature_parts(self):
        """The layers of the way down, and those of the time."""
        blocks = [block for row in self.down for block in row]
        return [*self.time_layers, self.stem, *blocks, *self.shrink]

    def encode(self, images, condition=None, training=None):
        time, mask = (None, condition) if self.mask else (condition, None)
        seen = _as_seen(_without_holes(images, mask) if self.mask else images, mask)
        return self._descend(seen, self._embedded(time), None, training)[0]

    @property
    def reach(self):
        """Receptive-field radius in pixels, or None if unlimited."""
        if self.norm_kind == "group" or self.attention:
            return None
        levels = range(len(self.multipliers))
        distance = 2 + 4 * 2 ** levels[-1]  # stem and head; the two blocks of the middle
        for level in levels:
            distance += 2 * (2 * self.blocks + 1) * 2**level  # two convolutions a block
            if level:
                # Down, up, and where a pixel lies within the square that is one feature.
                distance += 2 * 2 ** (level - 1) + 2 ** (level - 1)
        return self.patch * distance + self.patch - 1

    def _embedded(self, time):
        """Features (B, 4 * width) of times (B,), None without."""
        if time is None:
            return None
        time = sinusoid(time * self.time_factor, self.width)
        for layer in self.time_layers:
            time = layer(time)
        return time

    def _descend(self, images, time, size, training):
        """The way down: the last features of each scale, all of them, and what is `within`."""
        x = space_to_depth(images, self.patch)
        inside = inside_of(x, None if size is None else size // self.patch)
        x = self.stem(within(x, inside))
        levels, skips, insides = [], [x], [inside]
        for level, row in enumerate(self.down):
            for block in row:
                x = block(x, time, inside, training=training)
                skips.append(x)
            levels.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](within(x, inside))
                inside = None if inside is None else inside[:, ::2, ::2]
                skips.append(x)
                insides.append(inside)
        return levels, skips, insides

    def _features(self, images, time=None, size=None, training=None):
        """The network proper, from images (and mask) in [-1, 1] to the estimate in [-1, 1]."""
        time = self._embedded(time)
        levels, skips, insides = self._descend(images, time, size, training)
        x, inside = levels[-1], insides[-1]
        x = self.middle[0](x, time, inside, training=training)
        if self.middle_attention is not None:
            x = self.middle_attention(x)
        x = self.middle[1](x, time, inside, training=training)

        for level, row in enumerate(self.up):
            inside = insides.pop()
            for block in row:
                x = ops.concatenate([x, skips.pop()], axis=-1)
                x = block(x, time, inside, training=training)
            if level < len(self.enlarge):
                x = self.enlarge[level](within(upsample_nearest(x), insides[-1]))
        return depth_to_space(self.head(within(activated(x, self.norm), inside)), self.patch)

    def get_config(self):
        names = ("width", "blocks", "groups", "dropout", "attention", "time_embedding")
        names += ("time_factor", "residual", "mask", "patch")
        config = {"multipliers": list(self.multipliers), "norm": self.norm_kind}
        return {**super().get_config(), **config, **{name: getattr(self, name) for name in names}}


def _without_holes(images, mask):
    """Images (B, H, W, 3) in [0, 1], 1/2 where the mask (B, H, W, 1) is 0."""
    return images * mask + 0.5 * (1.0 - mask)


def _as_seen(images, mask):
    """Images in [0, 1] in the network's range, and the mask beside them if there is one."""
    seen = to_network_range(images)
    return seen if mask is None else ops.concatenate([seen, mask], axis=-1)
