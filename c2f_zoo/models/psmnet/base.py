"""What the stereo networks of the family share: range, answer, training."""

import warnings

import keras
import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.hub import PresetMixin
from c2f_zoo.losses import MultilevelSmoothL1
from c2f_zoo.metrics import DisparityError
from c2f_zoo.tasks.stereo import StereoTask
from c2f_zoo.training.deep_supervision import DeeplySupervised

# Of ImageNet's images, with which the published network normalizes.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class StereoNetwork(PresetMixin, StereoTask, DeeplySupervised, keras.Model):
    """Base class of PSMNet and PSMNet lite.

    Args:
        max_disparity: Disparities are in [0, max_disparity), rounded up to a multiple of
            `range_stride` with a warning.
        range_stride: Positive integer.
        **kwargs: Of `keras.Model`.
    """

    def __init__(self, max_disparity, range_stride, **kwargs):
        # Features choose their precision layer by layer; images and disparities keep float32.
        super().__init__(autocast=False, **kwargs)
        self.max_disparity = _rounded_up(max_disparity, range_stride)

    def normalized(self, images):
        """Images (B, H, W, 3) in [0, 1] as the features take them."""
        images = ops.subtract(images, np.array(MEAN, "float32"))
        images = ops.divide(images, np.array(DEVIATION, "float32"))
        return ops.cast(images, self.compute_dtype)

    @property
    def feature_parts(self):
        """The layer that computes the features."""
        return [self.features]

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
            **kwargs: Of `keras.Model.compile`, and `micro_batches`, see `MicroBatched`.
        """
        limit = self.max_disparity
        super().compile(
            optimizer=keras.optimizers.Adam(1e-3) if optimizer is None else optimizer,
            loss=MultilevelSmoothL1(max_disparity=limit) if loss is None else loss,
            metrics=[DisparityError(max_disparity=limit)] if metrics is None else metrics,
            **kwargs,
        )

    def get_config(self):
        return {**super().get_config(), "max_disparity": self.max_disparity}


def _rounded_up(max_disparity, stride):
    given = checks.whole("max_disparity", max_disparity, least=1)
    rounded = -(-given // stride) * stride
    if rounded != given:
        warnings.warn(
            f"max_disparity must be a multiple of {stride}: {rounded} is used. Received: {given}",
            stacklevel=4,
        )
    return rounded
