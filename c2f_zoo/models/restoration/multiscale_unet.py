"""The U-Net of multiscale training: restoration by residual blocks on several scales."""

import keras
from keras import ops

from c2f_zoo.hub import PresetMixin, register_model
from c2f_zoo.layers import (
    crop_to,
    depth_to_space,
    pad_to_stride,
    space_to_depth,
    upsample_nearest,
)
from c2f_zoo.layers.time_embedding import sinusoid
from c2f_zoo.models.restoration.unet_blocks import (
    KEEPING,
    ResidualBlock,
    SelfAttention,
    activated,
    convolution,
    dense,
    normalization,
)
from c2f_zoo.tasks.restoration.task import RestorationTask, as_whole, to_network_range


@register_model(task="image_restoration")
@keras.saving.register_keras_serializable(package="c2f_zoo")
class MultiscaleUNet(PresetMixin, RestorationTask, keras.Model):
    """The U-Net with which Ahamed et al. denoise, deblur and inpaint (arXiv 2501.12739).

    Down by strided convolutions, up by nearest neighbours and a convolution, residual blocks on
    every scale, attention on the coarsest. Each block on the way down is handed across to one on
    the way up. A fresh network answers 1/2 everywhere: its last convolution starts at zero.

    The default is the paper's network, of 2,537,187 parameters. Any size: images are padded
    (replicated) to multiples of `stride` and the answer is cropped.

    The group normalisations and the attention of the paper's network see the whole image: the
    answer at a pixel depends on where the image was cut. Without both, for instance with
    `norm="pixel", attention=0`, it depends on the pixels within `reach` alone, so that large
    photographs can be restored in tiles.

    Args:
        width: Features of the finest scale.
        multipliers: Features of each scale, fine to coarse, as multiples of `width`.
        blocks: Residual blocks of each scale on the way down; one more on the way up.
        groups: Of the group normalisations; divides every scale's features.
        dropout: Share of features dropped within a block in training.
        attention: Attention heads on the coarsest scale; 0 for none. Its cost grows with the
            square of the image's pixels.
        time_embedding: Whether the network is told the time of `TimedNoise`.
        time_factor: What the time is multiplied by before its sines and cosines are taken. The
            released code has 1, by which those of a time in [0, 1] hardly vary.
        residual: Whether the network's answer is added to its input. Defaults to False, the
            paper's.
        mask: Whether the network fills what a mask leaves out, without time embedding. The
            pixels to be filled are set to 1/2 and the mask is a fourth channel of the input.
        patch: Side of the square of pixels that the network sees as one, of `3 * patch^2`
            channels: 2 makes it about four times as fast at the same width.
        norm: `"group"`, the paper's; `"pixel"`, every pixel's features by their root mean square,
            and none before the last convolution; or `"none"`, which trains at small learning
            rates only.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        inputs: Pair of images (B, H, W, 3), RGB in [0, 1] or uint8, and of their times (B,);
            without `time_embedding` the images alone; with `mask` images and their masks
            (B, H, W, 1), 1 where the image is known and 0 where it is to be filled.

    Returns:
        float32 tensor (B, H, W, 3), RGB in [0, 1] where the estimate is good; not clipped. With
        `mask` the known pixels are those of the input.

    Attributes:
        stride: Pixels to a feature of the coarsest scale.
        reach: Distance in pixels beyond which nothing has an influence; None without a limit.

    Raises:
        ValueError: Settings or inputs that do not fit.

    Source: Ahamed et al., arXiv 2501.12739, released code, after Dhariwal and Nichol,
    arXiv 2105.05233.

    Example:
        >>> import numpy as np
        >>> model = MultiscaleUNet(width=16, multipliers=(1, 2), time_embedding=False)
        >>> tuple(model(np.zeros((1, 33, 50, 3), "float32")).shape)
        (1, 33, 50, 3)
    """

    preset_defaults = {
        "paper": {
            "title": "Multiscale Training of Convolutional Neural Networks",
            "arxiv": "2501.12739",
        },
    }

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
        if not hasattr(multipliers, "__iter__"):
            raise ValueError(
                "multipliers is a tuple of whole numbers, one for each scale. "
                f"Received: {multipliers!r}"
            )
        self.width = as_whole("width", width)
        self.multipliers = tuple(as_whole("each of multipliers", m) for m in multipliers)
        self.blocks, self.groups = as_whole("blocks", blocks), as_whole("groups", groups)
        self.dropout, self.residual = float(dropout), bool(residual)
        self.attention, self.patch = as_whole("attention", attention), as_whole("patch", patch)
        self.time_embedding, self.time_factor = bool(time_embedding), float(time_factor)
        self.mask, self.norm_kind = bool(mask), norm
        self._check_settings()
        self.stride = self.patch * 2 ** (len(self.multipliers) - 1)
        self._create()
        self.built = True

    def _check_settings(self):
        widths = [self.width * multiplier for multiplier in self.multipliers]
        if not widths or self.width < 2 or min(widths) < 1 or self.blocks < 1:
            raise ValueError(
                "MultiscaleUNet takes width, multipliers and blocks of at least 1. Received: "
                f"width={self.width}, multipliers={self.multipliers}, blocks={self.blocks}"
            )
        if self.norm_kind not in ("group", "pixel", "none"):
            raise ValueError(f'norm is "group", "pixel" or "none". Received: {self.norm_kind!r}')
        has_groups = self.norm_kind == "group"
        if self.groups < 1 or (has_groups and any(n % self.groups for n in [self.width, *widths])):
            raise ValueError(
                f"groups divides the features of every scale, {widths}. Received: {self.groups}"
            )
        if self.attention < 0 or (self.attention and widths[-1] % self.attention):
            raise ValueError(
                f"attention is a number of heads that divides {widths[-1]} features. "
                f"Received: {self.attention}"
            )
        if self.time_embedding and self.width % 2:
            raise ValueError(f"A network with time has an even width. Received: {self.width}")
        if self.mask and self.time_embedding:
            raise ValueError(
                "A network that takes a mask is not told the time: time_embedding=False. "
                "Received: mask=True, time_embedding=True"
            )
        if self.patch < 1:
            raise ValueError(f"patch is a whole number of at least 1. Received: {self.patch}")

    def _create(self):
        dtype, width, pixels = self.dtype_policy, self.width, self.patch**2
        self.time_layers = []
        if self.time_embedding:
            self.time_layers = [
                dense(width, 4 * width, "time_0", dtype, activation="silu"),
                dense(4 * width, 4 * width, "time_1", dtype),
            ]
        self.stem = self._convolution((4 if self.mask else 3) * pixels, width, "stem")
        handed = self._create_down()
        self._create_middle(handed[-1])
        channels = self._create_up(handed)
        # The head needs the size of the features that the pixels' norm would take from it.
        last = "group" if self.norm_kind == "group" else "none"
        self.norm = normalization(last, channels, self.groups, "norm", dtype)
        self.head = convolution(channels, 3 * pixels, 3, "head", dtype, zero=True)

    def _create_down(self):
        """Create the way down; give the features of each of its outputs, the stem's first."""
        channels, handed = self.width, [self.width]
        self.down, self.shrink = [], []
        for level, multiplier in enumerate(self.multipliers):
            row = []
            for index in range(self.blocks):
                row.append(self._block(channels, self.width * multiplier, f"down_{level}_{index}"))
                channels = self.width * multiplier
                handed.append(channels)
            self.down.append(row)
            if level < len(self.multipliers) - 1:
                self.shrink.append(
                    self._convolution(channels, channels, f"shrink_{level}", strides=2)
                )
                handed.append(channels)
        return handed

    def _create_middle(self, channels):
        self.middle = [self._block(channels, channels, f"middle_{index}") for index in range(2)]
        self.middle_attention = None
        if self.attention:
            self.middle_attention = SelfAttention(
                channels,
                self.groups,
                self.attention,
                self.norm_kind,
                dtype=self.dtype_policy,
                name="attention",
            )

    def _create_up(self, handed):
        """Create the way up, which takes what was handed across; give the features at its end."""
        channels, handed = handed[-1], list(handed)
        self.up, self.enlarge = [], []
        for level, multiplier in reversed(list(enumerate(self.multipliers))):
            row = []
            for index in range(self.blocks + 1):
                known = channels + handed.pop()
                row.append(self._block(known, self.width * multiplier, f"up_{level}_{index}"))
                channels = self.width * multiplier
            self.up.append(row)
            if level:
                self.enlarge.append(self._convolution(channels, channels, f"enlarge_{level}"))
        return channels

    def _block(self, channels, filters, name):
        return ResidualBlock(
            channels,
            filters,
            self.groups,
            self.dropout,
            4 * self.width if self.time_embedding else None,
            self.norm_kind,
            dtype=self.dtype_policy,
            name=name,
        )

    def _convolution(self, channels, filters, name, **options):
        gain = 1.0 if self.norm_kind == "group" else KEEPING
        return convolution(channels, filters, 3, name, self.dtype_policy, gain=gain, **options)

    def call(self, inputs, training=None):
        images, condition = self.split_inputs(inputs)
        time, mask = (None, condition) if self.mask else (condition, None)
        if self.mask:
            known = images
            images = images * mask + 0.5 * (1.0 - mask)
        padded = to_network_range(pad_to_stride(images, self.stride))
        if self.mask:
            padded = ops.concatenate([padded, pad_to_stride(mask, self.stride)], axis=-1)
        answer = ops.cast(self.restore_features(padded, time, training), "float32")
        answer = crop_to(answer, *ops.shape(images)[1:3])
        answer = images + answer / 2.0 if self.residual else (answer + 1.0) / 2.0
        return known * mask + answer * (1.0 - mask) if self.mask else answer

    @property
    def reach(self):
        """Distance in pixels beyond which nothing has an influence, or None without a limit."""
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

    def restore_features(self, images, time=None, training=None):
        """Run the network proper.

        Args:
            images: Tensor (B, H, W, 3) in [-1, 1], or (B, H, W, 4) with the mask; H and W
                multiples of the stride.
            time: Tensor (B,), or None without time embedding.
            training: Whether to drop features.

        Returns:
            Tensor (B, H, W, 3): the estimate in [-1, 1].
        """
        if time is not None:
            time = sinusoid(time * self.time_factor, self.width)
            for layer in self.time_layers:
                time = layer(time)
        x = self.stem(space_to_depth(images, self.patch))
        handed = [x]
        for level, row in enumerate(self.down):
            for block in row:
                x = block(x, time, training=training)
                handed.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
                handed.append(x)

        x = self.middle[0](x, time, training=training)
        if self.middle_attention is not None:
            x = self.middle_attention(x)
        x = self.middle[1](x, time, training=training)

        for level, row in enumerate(self.up):
            for block in row:
                x = block(ops.concatenate([x, handed.pop()], axis=-1), time, training=training)
            if level < len(self.enlarge):
                x = self.enlarge[level](upsample_nearest(x))
        return depth_to_space(self.head(activated(x, self.norm)), self.patch)

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "multipliers": list(self.multipliers),
            "blocks": self.blocks,
            "groups": self.groups,
            "dropout": self.dropout,
            "attention": self.attention,
            "time_embedding": self.time_embedding,
            "time_factor": self.time_factor,
            "residual": self.residual,
            "mask": self.mask,
            "patch": self.patch,
            "norm": self.norm_kind,
        }
