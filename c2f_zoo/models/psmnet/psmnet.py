"""Pyramid stereo matching network (PSMNet): both published variants, and a cascade."""

from keras import ops

from c2f_zoo import checks
from c2f_zoo.hub import register_model
from c2f_zoo.layers import concatenation_volume, crop_to, pad_to_stride, soft_argmin
from c2f_zoo.models.psmnet.aggregation import BasicAggregation, StackedHourglass
from c2f_zoo.models.psmnet.base import StereoNetwork
from c2f_zoo.models.psmnet.cascade import Cascade
from c2f_zoo.rematerialization import rematerialize
from c2f_zoo.training.deep_supervision import is_supervising

PUBLISHED = {"basic": BasicAggregation, "stacked_hourglass": StackedHourglass}
VARIANTS = {**PUBLISHED, "cascade": Cascade}
STRIDE = 4  # of the features and the cost volume
BAND = 32  # rows of the full-size cost volume that are there at once


@register_model(task="stereo_matching")
class PSMNet(StereoNetwork):
    """Stereo matching network of Chang and Chen (CVPR 2018).

    The features of both images, which see context through spatial pyramid pooling, are joined into
    a cost volume over all disparities at a quarter of the size. 3-D convolutions regularize it,
    and the disparity is its mean under a softmax at full size.

    Tensor level: `model((left, right))`, any size from 16x16 up; where the released network's
    pooling has no window (images below 256 pixels) the whole feature map is one. Image level:
    `model.disparity(left, right)`.

    Args:
        variant: `"stacked_hourglass"` (the paper's: 5,224,768 trainable parameters, three outputs
            in training), `"basic"` (3,672,896, one output) or `"cascade"` (4,186,488, three
            outputs), which is not of the paper: one hourglass over the whole range at a quarter
            of the size, then narrow cost volumes around its disparity at a half and at the full
            size (`Cascade`).
        max_disparity: Disparities are in [0, max_disparity). Rounded up to a multiple of 16 (of 4
            for `"basic"`) with a warning.
        align_corners: Where pixels lie when maps are enlarged: True for weights published before
            2021, trained with PyTorch 0.4.0, whose corners stay in place; False for later ones.
            In the cascade it is about the features alone.
        rematerialize: Whether training computes the 3-D networks, part by part, and the
            disparities of their costs again for the gradient, instead of keeping what they compute
            in between: less memory for more time.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        inputs: Rectified pair of images, left and right, each (B, H, W, 3), RGB in [0, 1].
        training: Whether to normalize by the statistics of the batch.

    Returns:
        Disparity (B, H, W, 1), float32, in pixels, of the left image.

    Raises:
        ValueError: Unknown variant; images of the wrong shape, of different sizes or below 16x16.

    Source: arXiv 1803.08669, section 3; the cascade after arXiv 1912.06378.

    Example:
        >>> import numpy as np
        >>> model = PSMNet("basic", max_disparity=32)
        >>> left, right = np.random.default_rng(0).random((2, 1, 24, 40, 3), dtype="float32")
        >>> tuple(model((left, right)).shape)
        (1, 24, 40, 1)
    """

    preset_defaults = {
        "paper": {"title": "Pyramid Stereo Matching Network", "arxiv": "1803.08669"},
    }

    def __init__(
        self,
        variant="stacked_hourglass",
        max_disparity=192,
        align_corners=False,
        rematerialize=False,
        **kwargs,
    ):
        stride = STRIDE * VARIANTS[checks.one_of("variant", variant, VARIANTS)].stride
        super().__init__(max_disparity, stride, **kwargs)
        self.variant, self.align_corners = variant, bool(align_corners)
        self.output_stride = stride
        self.features = VARIANTS[variant].features(self.align_corners, self.dtype_policy)
        self.rematerialize = bool(rematerialize)
        self.aggregation = VARIANTS[variant](self.dtype_policy, self.rematerialize)
        self.built = True

    @property
    def feature_strides(self):
        """Strides of the maps of `encode`; the cascade has one of the full size too."""
        return (1, 2, 4) if self.variant == "cascade" else (2, 4)

    def encode(self, images, condition=None, training=None):
        images = self.normalized(images)
        if self.variant == "cascade":
            return self.features(images, training=training)[::-1]
        return list(self.features.extract(images, training))[::-1]

    def costs(self, images, training=None):
        """Compute the costs of all disparities at a quarter of the size, for each output.

        Args:
            images: Tensor (2 B, H, W, 3) in [0, 1], the left images, then the right ones; H and W
                multiples of `output_stride`.
            training: Whether to normalize by the statistics of the batch.

        Returns:
            List of tensors (B, max_disparity / 4, H / 4, W / 4); a large value is likely.

        Raises:
            ValueError: The network is a cascade, whose costs are not of all disparities.
        """
        checks.one_of("variant", self.variant, PUBLISHED)
        volume = concatenation_volume(*self._sides(images, training), self.max_disparity // STRIDE)
        return self.aggregation(volume, training=training)

    def _sides(self, images, training):
        """Features of the left and of the right images, each a tensor or a list of them."""
        images = self.normalized(images)
        if training:  # as released, batch normalization takes the statistics of each side
            return [self.features(side, training=True) for side in ops.split(images, 2)]
        features = self.features(images, training=False)
        if not isinstance(features, list):
            return ops.split(features, 2)
        return list(zip(*(ops.split(level, 2) for level in features), strict=True))

    def _levels(self, images, training):
        """Disparities (B, H, W, 1) of images (2 B, H, W, 3), of each output."""
        if self.variant == "cascade":
            left, right = self._sides(images, training)
            return self.aggregation(
                left, right, max_disparity=self.max_disparity, training=training
            )
        size = (self.max_disparity, *ops.shape(images)[1:3])
        # A step keeps what it needs for the gradients anyway: there bands would only cost time.
        band = None if training else BAND
        costs = self.costs(images, training)
        costs = costs if is_supervising(self) else costs[-1:]

        def disparity(cost):
            return soft_argmin(cost, size, self.align_corners, band)

        is_wanted = self.rematerialize and training
        return [rematerialize(disparity, cost, when=is_wanted) for cost in costs]

    def call(self, inputs, training=None):
        images = pad_to_stride(self.stack_inputs(inputs), self.output_stride)
        size = ops.shape(inputs[0])[1:3]
        levels = [crop_to(level, *size) for level in self._levels(images, training)]
        return levels if is_supervising(self) else levels[-1]

    def get_config(self):
        return {
            **super().get_config(),
            "variant": self.variant,
            "align_corners": self.align_corners,
            "rematerialize": self.rematerialize,
        }
