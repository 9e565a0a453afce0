"""A U-Net that estimates depth at every scale, coarse to fine."""

from dataclasses import dataclass

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.hub import PresetMixin, register_model
from c2f_zoo.layers import crop_to, decode_depth, pad_to_stride, upsample_bilinear, upsample_nearest
from c2f_zoo.layers.depth_coding import REPRESENTATIONS, check_limits
from c2f_zoo.losses import MultiscaleDepthLoss
from c2f_zoo.losses.depth import edge_aware_smoothness
from c2f_zoo.metrics import AbsoluteRelativeError, DepthAccuracy
from c2f_zoo.models.restoration.blocks import (
    ResidualBlock,
    SelfAttention,
    activated,
    convolution,
    normalization,
    to_network_range,
)
from c2f_zoo.tasks.depth import DepthTask
from c2f_zoo.tasks.pixels import to_unit_range
from c2f_zoo.training.deep_supervision import DeeplySupervised, is_supervising


@dataclass(frozen=True)
class Variant:
    """Features of a named network."""

    width: int
    multipliers: tuple
    groups: int


# Half the time of a step is spent at the full size, most parameters are at 1/16: the lite network
# is narrow where it is expensive and wide where a pixel sees much of the image.
VARIANTS = {
    "base": Variant(16, (1, 2, 4, 8, 16), 8),
    "lite": Variant(8, (1, 2, 4, 12, 20), 4),
}


@register_model(task="depth_estimation")
class DepthUNet(PresetMixin, DepthTask, DeeplySupervised, keras.Model):
    """Encoder and decoder with a head for depth at every scale, from 1/16 to the full size.

    Residual blocks on every scale, down by strided convolutions, up by nearest neighbours and a
    convolution beside the features of the same scale from the way down. Each head is a convolution
    and a sigmoid, which gives the logarithm or the inverse of depth within `limits`. In training
    every scale is supervised; otherwise the network returns the finest alone.

    Tensor level: `model(images)`, any size. Image level: `model.depth(image)`.

    Args:
        variant: `"base"` (4,178,677 parameters) or `"lite"` (1,769,533), for CPUs.
        width: Features of the finest scale. Defaults to the variant's: 16, of the lite network 8.
        multipliers: Features of each scale, fine to coarse, as multiples of `width`; their number
            is that of the scales. Defaults to the variant's: (1, 2, 4, 8, 16), of the lite network
            (1, 2, 4, 12, 20).
        blocks: Residual blocks of each scale on either way.
        groups: Groups of the group normalizations; divides every scale's features. Defaults to
            the variant's: 8, of the lite network 4.
        attention: Attention heads on the coarsest scale; 0 for none. Its cost grows with the
            square of the image's pixels.
        representation: `"log"` or `"inverse"`: what the heads give, see `layers.encode_depth`.
        limits: (near, far), metres: the range of the depths.
        residual: Whether each head adds to the enlarged answer of the coarser one, before the
            sigmoid, rather than to answer for itself.
        smoothness: Weight in training of `losses.edge_aware_smoothness` of inverse depth, halved
            from each scale to the coarser one; Monodepth2 has 1e-3.
        image_side: Longer side in pixels that `depth()` brings images to, or None to take them as
            they are. Choose that of the training images: what looks half as large in pixels seems
            to a network to be twice as far.
        **kwargs: `name` and `dtype` of `keras.Model`.

    Call arguments:
        inputs: Images (B, H, W, 3), RGB, uint8 or float in [0, 1].

    Returns:
        Depth (B, H, W, 1), float32, metres.

    Raises:
        ValueError: If an argument is out of range or the images have another shape.

    Source: Ronneberger et al., arXiv 1505.04597 (U-Net); Godard et al., arXiv 1609.03677 and
    1806.01260 (a head at every scale, inverse depth by a sigmoid).

    Example:
        >>> model = DepthUNet("lite")
        >>> tuple(model(np.zeros((1, 33, 50, 3), "float32")).shape)
        (1, 33, 50, 1)
    """

    def __init__(
        self,
        variant="base",
        width=None,
        multipliers=None,
        blocks=1,
        groups=None,
        attention=0,
        representation="log",
        limits=(0.1, 100.0),
        residual=False,
        smoothness=0.0,
        image_side=None,
        **kwargs,
    ):
        # Images and depths keep float32; the layers cast to their own precision.
        super().__init__(autocast=False, **kwargs)
        self.variant = checks.one_of("variant", variant, VARIANTS)
        sizes = VARIANTS[variant]
        width = sizes.width if width is None else width
        multipliers = sizes.multipliers if multipliers is None else multipliers
        groups = sizes.groups if groups is None else groups
        self.width = checks.whole("width", width, 1)
        self.multipliers = checks.several("multipliers", multipliers, checks.whole, least=1)
        self.blocks = checks.whole("blocks", blocks, 1)
        self.groups = checks.whole("groups", groups, 1)
        self.attention = checks.whole("attention", attention, 0)
        self.representation = checks.one_of("representation", representation, REPRESENTATIONS)
        self.limits = check_limits(limits)
        self.residual = bool(residual)
        self.smoothness = checks.number("smoothness", smoothness, least=0)
        self.image_side = None if image_side is None else checks.whole("image_side", image_side, 1)
        self.output_stride = 2 ** (len(self.multipliers) - 1)
        widths = [self.width * multiplier for multiplier in self.multipliers]
        if any(channels % self.groups for channels in widths):
            raise ValueError(
                f"groups must divide the features of every scale, {widths}. Received: {groups}"
            )
        if self.attention and widths[-1] % self.attention:
            raise ValueError(
                f"attention, the number of heads, must divide {widths[-1]} features. "
                f"Received: {attention}"
            )
        self._create(widths)
        self.built = True

    def _create(self, widths):
        dtype, coarsest = self.dtype_policy, len(widths) - 1
        self.stem = convolution(3, widths[0], 3, "stem", dtype)
        self.down, self.shrink, self.up, self.enlarge, self.heads = [], [], [], [], []
        for level, channels in enumerate(widths):
            names = [f"down_{level}_{index}" for index in range(self.blocks)]
            self.down.append([self._block(channels, channels, name) for name in names])
            if level < coarsest:
                shrink = convolution(
                    channels, widths[level + 1], 3, f"shrink_{level}", dtype, strides=2
                )
                self.shrink.append(shrink)
        self.attend = None
        if self.attention:
            self.attend = SelfAttention(
                widths[-1], self.groups, self.attention, dtype=dtype, name="attention"
            )
        for level in reversed(range(len(widths))):
            channels, names = widths[level], [f"up_{level}_{i}" for i in range(self.blocks)]
            if level < coarsest:
                name = f"enlarge_{level}"
                self.enlarge.append(convolution(widths[level + 1], channels, 3, name, dtype))
            first = channels if level == coarsest else 2 * channels
            row = [self._block(first, channels, names[0])]
            self.up.append(row + [self._block(channels, channels, name) for name in names[1:]])
            norm = normalization("group", channels, self.groups, f"head_norm_{level}", dtype)
            self.heads.append((norm, convolution(channels, 1, 3, f"head_{level}", dtype)))

    def _block(self, channels, filters, name):
        return ResidualBlock(
            channels, filters, self.groups, 0.0, dtype=self.dtype_policy, name=name
        )

    @property
    def feature_strides(self):
        """Strides of the scales."""
        return tuple(2**level for level in range(len(self.multipliers)))

    @property
    def feature_parts(self):
        """The layers of the way down."""
        attend = [] if self.attend is None else [self.attend]
        return [self.stem, *(block for row in self.down for block in row), *self.shrink, *attend]

    def encode(self, images, condition=None, training=None):
        x = self.stem(ops.cast(to_network_range(images), self.compute_dtype))
        levels = []
        for level, row in enumerate(self.down):
            for block in row:
                x = block(x, training=training)
            levels.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
        return levels if self.attend is None else [*levels[:-1], self.attend(x)]

    def codes(self, images, training=None):
        """Compute the representation of depth at every scale.

        Args:
            images: float tensor (B, H, W, 3) in [0, 1], H and W multiples of `output_stride`.
            training: As for `call`.

        Returns:
            List of float32 tensors (B, H / s, W / s, 1) in (0, 1), s from `output_stride` to 1.
        """
        skips = self.encode(images, training=training)
        x = skips[-1]
        answers, logits = [], None
        for step, (row, (norm, head)) in enumerate(zip(self.up, self.heads, strict=True)):
            if step:
                x = self.enlarge[step - 1](upsample_nearest(x))
                x = ops.concatenate([x, skips[-1 - step]], axis=-1)
            for block in row:
                x = block(x, training=training)
            change = ops.cast(head(activated(x, norm)), "float32")
            is_added = self.residual and logits is not None
            logits = change + upsample_bilinear(logits, 2) if is_added else change
            answers.append(ops.sigmoid(logits))
        return answers

    def call(self, inputs, training=None):
        images = to_unit_range(ops.convert_to_tensor(inputs))
        padded = pad_to_stride(images, self.output_stride)
        codes = self.codes(padded, training)
        if not is_supervising(self):
            codes = codes[-1:]
        levels, (height, width) = [], ops.shape(images)[1:3]
        for index, code in enumerate(codes):
            factor = 2 ** (len(codes) - 1 - index)
            sides = ((side + factor - 1) // factor for side in (height, width))
            levels.append(crop_to(decode_depth(code, self.representation, self.limits), *sides))
        if not is_supervising(self):
            return levels[0]
        if self.smoothness:
            self.add_loss(self.smoothness * self._roughness(levels, padded))
        return levels

    def _roughness(self, levels, images):
        """Sum over the scales of the edge-aware changes of inverse depth."""
        total = 0.0
        for index, depth in enumerate(reversed(levels)):
            shrunk = images
            if index:
                side = 2**index
                shrunk = ops.average_pool(images, side, side, data_format="channels_last")
            shrunk = crop_to(shrunk, *ops.shape(depth)[1:3])
            total = total + edge_aware_smoothness(1.0 / depth, shrunk) / 2**index
        return total

    def answer(self, levels):
        """Take the finest scale.

        Args:
            levels: List of depths, coarse to fine, the last (B, H, W, 1).

        Returns:
            Depth (B, H, W, 1), metres.
        """
        return levels[-1]

    def compile(self, optimizer=None, loss=None, metrics=None, **kwargs):
        """Compile; without arguments, for training at every scale.

        Args:
            optimizer: Default: Adam with learning rate 1e-4, as Monodepth2.
            loss: Default: `MultiscaleDepthLoss` of this network's representation and limits, all
                scales of weight 1. A loss of the zoo for depth sees every scale; any other Keras
                loss sees the finest.
            metrics: Default: AbsRel and the accuracy below 1.25, within the limits. They see
                validity masks.
            **kwargs: Of `keras.Model.compile`, and `micro_batches`, see `MicroBatched`.
        """
        if loss is None:
            loss = MultiscaleDepthLoss(
                (1.0,) * len(self.multipliers),
                representation=self.representation,
                limits=self.limits,
            )
        if metrics is None:
            metrics = [AbsoluteRelativeError(limits=self.limits), DepthAccuracy(limits=self.limits)]
        super().compile(
            optimizer=keras.optimizers.Adam(1e-4) if optimizer is None else optimizer,
            loss=loss,
            metrics=metrics,
            **kwargs,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "variant": self.variant,
            "width": self.width,
            "multipliers": list(self.multipliers),
            "blocks": self.blocks,
            "groups": self.groups,
            "attention": self.attention,
            "representation": self.representation,
            "limits": list(self.limits),
            "residual": self.residual,
            "smoothness": self.smoothness,
            "image_side": self.image_side,
        }
