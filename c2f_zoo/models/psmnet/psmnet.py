"""Pyramid stereo matching network (PSMNet), both published variants."""

import warnings

import keras
import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.hub import PresetMixin, register_model
from c2f_zoo.layers import concatenation_volume, crop_to, pad_to_stride, soft_argmin
from c2f_zoo.losses import MultilevelSmoothL1
from c2f_zoo.metrics import DisparityError
from c2f_zoo.models.psmnet.aggregation import BasicAggregation, StackedHourglass
from c2f_zoo.models.psmnet.features import Features
from c2f_zoo.tasks.stereo import StereoTask
from c2f_zoo.training.deep_supervision import DeeplySupervised, is_supervising

VARIANTS = {"basic": BasicAggregation, "stacked_hourglass": StackedHourglass}
STRIDE = 4  # of the features and the cost volume
# Of ImageNet's images, with which the published network normalizes.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BAND = 32  # rows of the full-size cost volume that are there at once


@register_model(task="stereo_matching")
class PSMNet(PresetMixin, StereoTask, DeeplySupervised, keras.Model):
    """Stereo matching network of Chang and Chen (CVPR 2018).

    The features of both images, which see context through spatial pyramid pooling, are joined into
    a cost volume over all disparities at a quarter of the size. 3-D convolutions regularize it,
    and the disparity is its mean under a softmax at full size.

    Tensor level: `model((left, right))`, any size from 16x16 up; where the released network's
    pooling has no window (images below 256 pixels) the whole feature map is one. Image level:
    `model.disparity(left, right)`.

    Args:
        variant: `"stacked_hourglass"` (the paper's: 5,224,768 trainable parameters, three outputs
            in training) or `"basic"` (3,672,896, one output).
        max_disparity: Disparities are in [0, max_disparity). Rounded up to a multiple of 16 (of 4
            for `"basic"`) with a warning.
        align_corners: Where pixels lie when maps are enlarged: True for weights published before
            2021, trained with PyTorch 0.4.0, whose corners stay in place; False for later ones.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        inputs: Rectified pair of images, left and right, each (B, H, W, 3), RGB in [0, 1].
        training: Whether to normalize by the statistics of the batch.

    Returns:
        Disparity (B, H, W, 1), float32, in pixels, of the left image.

    Raises:
        ValueError: Unknown variant; images of the wrong shape, of different sizes or below 16x16.

    Source: arXiv 1803.08669, section 3.

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
        self, variant="stacked_hourglass", max_disparity=192, align_corners=False, **kwargs
    ):
        # Features choose their precision layer by layer; images and disparities keep float32.
        super().__init__(autocast=False, **kwargs)
        self.variant = checks.one_of("variant", variant, VARIANTS)
        self.align_corners = bool(align_corners)
        self.output_stride = STRIDE * VARIANTS[variant].stride
        self.max_disparity = _rounded_up(max_disparity, self.output_stride)
        self.features = Features(self.align_corners, self.dtype_policy)
        self.aggregation = VARIANTS[variant](self.dtype_policy)
        self.built = True

    def costs(self, images, training=None):
        """Compute the costs of all disparities at a quarter of the size, for each output.

        Args:
            images: Tensor (2 B, H, W, 3) in [0, 1], the left images, then the right ones; H and W
                multiples of `output_stride`.
            training: Whether to normalize by the statistics of the batch.

        Returns:
            List of tensors (B, max_disparity / 4, H / 4, W / 4); a large value is likely.
        """
        images = ops.subtract(images, np.array(MEAN, "float32"))
        images = ops.divide(images, np.array(DEVIATION, "float32"))
        images = ops.cast(images, self.compute_dtype)
        if training:  # as released, batch normalization takes the statistics of each side
            left, right = (self.features(side, training=True) for side in ops.split(images, 2))
        else:
            left, right = ops.split(self.features(images, training=False), 2)
        volume = concatenation_volume(left, right, self.max_disparity // STRIDE)
        return self.aggregation(volume, training=training)

    def call(self, inputs, training=None):
        images = pad_to_stride(self.stack_inputs(inputs), self.output_stride)
        costs = self.costs(images, training)
        levels = costs if is_supervising(self) else costs[-1:]
        size = (self.max_disparity, *ops.shape(images)[1:3])
        # A step keeps what it needs for the gradients anyway: there bands would only cost time.
        band = None if training else BAND
        levels = [
            crop_to(soft_argmin(cost, size, self.align_corners, band), *ops.shape(inputs[0])[1:3])
            for cost in levels
        ]
        return levels if is_supervising(self) else levels[0]

    def answer(self, levels):
        """Take the last output.

        Args:
            levels: List of disparities (B, H, W, 1).

        Returns:
            Disparity (B, H, W, 1).
        """
        return levels[-1]

    def compile(self, optimizer=None, loss=None, metrics=None, **kwargs):
        """Compile; without arguments, for training as in the paper.

        Args:
            optimizer: Default: Adam with learning rate 1e-3.
            loss: Default: `MultilevelSmoothL1` below this model's `max_disparity`. A loss of the
                zoo sees every output; any other Keras loss sees the last.
            metrics: Default: `[DisparityError()]`, likewise. They see validity masks.
            **kwargs: Of `keras.Model.compile`.
        """
        limit = self.max_disparity
        super().compile(
            optimizer=keras.optimizers.Adam(1e-3) if optimizer is None else optimizer,
            loss=MultilevelSmoothL1(max_disparity=limit) if loss is None else loss,
            metrics=[DisparityError(max_disparity=limit)] if metrics is None else metrics,
            **kwargs,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "variant": self.variant,
            "max_disparity": self.max_disparity,
            "align_corners": self.align_corners,
        }


def _rounded_up(max_disparity, stride):
    given = checks.whole("max_disparity", max_disparity, least=1)
    rounded = -(-given // stride) * stride
    if rounded != given:
        warnings.warn(
            f"max_disparity must be a multiple of {stride}: {rounded} is used. Received: {given}",
            stacklevel=3,
        )
    return rounded
