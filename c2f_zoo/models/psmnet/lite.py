"""PSMNet lite: stereo matching for CPUs, coarse to fine."""

from keras import ops

from c2f_zoo.hub import register_model
from c2f_zoo.layers import crop_to, pad_to_stride, upsample_bilinear
from c2f_zoo.models.psmnet.base import StereoNetwork
from c2f_zoo.models.psmnet.lite_features import EIGHTH, QUARTER, SIXTEENTH, FeaturePyramid
from c2f_zoo.models.psmnet.lite_matching import Aggregation, Matching
from c2f_zoo.models.psmnet.lite_refinement import HalfRefinement, QuarterRefinement
from c2f_zoo.training.deep_supervision import is_supervising

STRIDE = 32  # of the coarsest volume, along all three axes


@register_model(task="stereo_matching")
class PSMNetLite(StereoNetwork):
    """Stereo matching network for CPUs.

    As in PSMNet a cost volume over all disparities at a quarter of the size is regularized by an
    hourglass of 3-D convolutions, and disparity is its mean under a softmax. To be cheap, a voxel
    holds cosine similarities instead of features, the 3-D convolutions work at an eighth of the
    size and less, and the rest is done in two dimensions: the disparity at a quarter, then at a
    half of the size is corrected, guided by the left image's features and by what matches nearby,
    and enlarged by learned convex combinations.

    No weight depends on `max_disparity`: a network may be used with another range than it was
    trained with. 835,276 trainable parameters.

    Tensor level: `model((left, right))`, any size from 16x16 up. Image level:
    `model.disparity(left, right)`.

    Args:
        max_disparity: Disparities are in [0, max_disparity). Rounded up to a multiple of 32 with a
            warning.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        inputs: Rectified pair of images, left and right, each (B, H, W, 3), RGB in [0, 1].
        training: Whether the 3-D network normalizes by the statistics of the batch.

    Returns:
        Disparity (B, H, W, 1), float32, in pixels, of the left image.

    Raises:
        ValueError: Images of the wrong shape, of different sizes or below 16x16.

    Source: PSMNet (arXiv 1803.08669); group-wise correlation after GwcNet (arXiv 1903.04025),
    excitation by the left image's features after CoEx (arXiv 2108.05773), convex upsampling after
    RAFT (arXiv 2003.12039).

    Example:
        >>> import numpy as np
        >>> model = PSMNetLite(max_disparity=32)
        >>> left, right = np.random.default_rng(0).random((2, 1, 24, 40, 3), dtype="float32")
        >>> tuple(model((left, right)).shape)
        (1, 24, 40, 1)
    """

    output_stride = STRIDE
    feature_strides = (2, 4, 8, 16)
    preset_defaults = {
        "paper": {"title": "Pyramid Stereo Matching Network", "arxiv": "1803.08669"},
    }

    def __init__(self, max_disparity=192, **kwargs):
        super().__init__(max_disparity, STRIDE, **kwargs)
        policy = self.dtype_policy
        self.features = FeaturePyramid(policy)
        self.matchings = [
            Matching(channels, policy, f"matching_{channels}")
            for channels in (QUARTER, EIGHTH, SIXTEENTH)
        ]
        self.aggregation = Aggregation(policy)
        self.quarter_refinement = QuarterRefinement(policy)
        self.half_refinement = HalfRefinement(policy)
        self.built = True

    def encode(self, images, condition=None, training=None):
        return self.features(self.normalized(images))

    def levels(self, images, training=None):
        """Estimate the disparity at a quarter, a half and the full size.

        Args:
            images: Tensor (2 B, H, W, 3) in [0, 1], the left images, then the right ones; H and W
                multiples of 32.
            training: Whether the 3-D network normalizes by the statistics of the batch.

        Returns:
            List of disparities (B, H / s, W / s, 1) for s = 4, 2, 1, float32, each in pixels of
            its own size.
        """
        half, *coarser = self.features(self.normalized(images))
        volumes = [
            matching(features, disparities=self.max_disparity // 2**level)
            for level, (matching, features) in enumerate(
                zip(self.matchings, coarser, strict=True), start=2
            )
        ]
        left = [ops.split(features, 2)[0] for features in coarser]
        logits = self.aggregation(volumes, left[1:], training=training)
        probability = ops.softmax(logits, axis=-1)
        steps = ops.arange(self.max_disparity // 4, dtype="float32")
        quarter = ops.sum(probability * steps, axis=-1, keepdims=True)
        cosine = ops.cast(volumes[0][..., 0], "float32")
        finer = self.quarter_refinement(quarter, left[0], cosine, probability)
        return [quarter, finer, self.half_refinement(finer, *ops.split(half, 2))]

    def call(self, inputs, training=None):
        images = pad_to_stride(self.stack_inputs(inputs), STRIDE)
        levels = self.levels(images, training)
        size = ops.shape(inputs[0])[1:3]
        if not is_supervising(self):
            return crop_to(ops.relu(levels[-1]), *size)
        return [
            crop_to(factor * upsample_bilinear(level, factor), *size)
            for level, factor in zip(levels, (4, 2, 1), strict=True)
        ]
