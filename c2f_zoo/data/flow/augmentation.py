"""Random augmentation of optical flow training pairs, on the device that trains."""

import functools

import keras
import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.backend import jit, to_numpy
from c2f_zoo.data.degradations.base import sample_numbers
from c2f_zoo.data.files.flow_array import UNKNOWN_FLOW_THRESHOLD
from c2f_zoo.data.flow.augmentation_batch import standardize
from c2f_zoo.data.flow.augmentation_colour import EigenColour, Eraser, JitterColour, add_noise
from c2f_zoo.data.flow.augmentation_geometry import (
    AffineGeometry,
    ScaleGeometry,
    device_parameters,
    resample,
    transform_flow,
)
from c2f_zoo.data.flow.augmented_stream import AugmentedStream

# RAFT's released training stages: crop, range of the scale's binary logarithm, sparse truth.
RAFT_STAGES = {
    "chairs": ((368, 496), (-0.1, 1.0), False),
    "things": ((400, 720), (-0.4, 0.8), False),
    "sintel": ((368, 768), (-0.2, 0.6), False),
    "kitti": ((288, 960), (-0.2, 0.4), True),
}


class FlowAugmentation:
    """Augment batches of image pairs with their flow: geometry, colours, noise, erased boxes.

    The random numbers are drawn on the host from (`seed`, number of the sample) alone: they do not
    depend on backend or batch partition, and a resumed training continues with the same ones. The
    arrays are changed by compiled functions in `keras.ops`.

    Args:
        size: (h, w) of the output, in pixels.
        geometry: `AffineGeometry`, `ScaleGeometry` or an object with the same `draw`.
        colour: `EigenColour`, `JitterColour` or None for no change.
        noise: Range of the standard deviation of additive Gaussian noise on [0, 1] images.
        noise_probability: Of adding noise.
        eraser: `Eraser` or None.
        motion_boundary: Pixels by which neighbouring flows may differ and still be blended; 0
            takes the nearest source pixel's flow (sparse ground truth).
        max_magnitude: Flow longer than this is marked invalid, in pixels of the source.
        ramp: Strength of the relative changes (between the frames) at the first step, and the steps
            after which half of the way to full strength is gone; None for full strength.
        seed: Non-negative integer.

    Call arguments:
        images: Pair of arrays (B, H, W, 3), RGB, float in [0, 1] or uint8; or pair of lists of
            B arrays (H_i, W_i, 3) of different sizes.
        flow: (B, H, W, 2) in pixels, or list of (H_i, W_i, 2). Not finite or beyond 1e9: unknown.
        valid: (B, H, W, 1) or (B, H, W) weight, 0 = unknown; or a list. Default: all known.
        index: Number of this batch since the training's beginning, or array (B,) of sample numbers.
        step: Training step, for the ramp. Defaults to the batch number.

    Returns:
        `((image1, image2), flow, valid)`: float32 tensors (B, h, w, 3), (B, h, w, 2) and
        (B, h, w, 1). Images are in [0, 1]; flow is 0 where `valid` is 0.

    Raises:
        ValueError: If shapes do not fit each other, or a source is smaller than 2x2 pixels.

    Source: Dosovitskiy et al., FlowNet, ICCV 2015; Ilg et al., FlowNet 2.0, CVPR 2017; Sun et
    al., PWC-Net, CVPR 2018 and its released prototxt files.

    Example:
        >>> images = tuple(np.random.default_rng(0).random((2, 1, 60, 80, 3), dtype="float32"))
        >>> augmentation = FlowAugmentation.chairs(size=(40, 48))
        >>> (image1, image2), flow, valid = augmentation(images, np.ones((1, 60, 80, 2)), index=3)
        >>> tuple(image2.shape), tuple(flow.shape), tuple(valid.shape)
        ((1, 40, 48, 3), (1, 40, 48, 2), (1, 40, 48, 1))
    """

    def __init__(
        self,
        size,
        geometry=None,
        colour=None,
        noise=(0.0, 0.0),
        noise_probability=1.0,
        eraser=None,
        motion_boundary=1.0,
        max_magnitude=None,
        ramp=None,
        seed=0,
    ):
        self.size = checks.whole_pair("size", size, least=2)
        self.geometry = AffineGeometry() if geometry is None else geometry
        self.colour = colour
        self.noise = tuple(float(bound) for bound in noise)
        self.noise_probability = float(noise_probability)
        self.eraser = eraser
        self.motion_boundary = float(motion_boundary)
        self.max_magnitude = max_magnitude
        self.ramp = ramp
        self.seed = int(seed)

    @classmethod
    def chairs(cls, size=(384, 448), **changes):
        """PWC-Net's scheme for FlyingChairs.

        Args:
            size: Crop. Defaults to the paper's.
            **changes: Arguments of the constructor.

        Returns:
            `FlowAugmentation`.
        """
        scheme = {
            "geometry": AffineGeometry(),
            "colour": EigenColour(),
            "noise": (0.0, 0.06),  # the prototxt: uniform, 0.03 +- 0.03
            "ramp": (0.5, 50_000),
        }
        return cls(size, **{**scheme, **changes})

    @classmethod
    def things(cls, size=(384, 768), **changes):
        """PWC-Net's scheme for FlyingThings3D: as Chairs', flow over 1000 px excluded.

        Args:
            size: Crop. Defaults to the paper's.
            **changes: Arguments of the constructor.

        Returns:
            `FlowAugmentation`.
        """
        return cls.chairs(size, **{"max_magnitude": 1000.0, **changes})

    @classmethod
    def sintel(cls, size=(384, 768), **changes):
        """PWC-Net's scheme for fine-tuning on Sintel: horizontal flips, no noise.

        Args:
            size: Crop. Defaults to the paper's.
            **changes: Arguments of the constructor.

        Returns:
            `FlowAugmentation`.
        """
        scheme = {"geometry": AffineGeometry(horizontal_flip=0.5), "noise": (0.0, 0.0)}
        return cls.chairs(size, **{**scheme, **changes})

    @classmethod
    def kitti(cls, size=(320, 896), **changes):
        """PWC-Net's scheme for fine-tuning on KITTI: every change but the shift half as often.

        Args:
            size: Crop. Defaults to the paper's.
            **changes: Arguments of the constructor.

        Returns:
            `FlowAugmentation`, for sparse ground truth.
        """
        scheme = {
            "geometry": AffineGeometry(horizontal_flip=0.5, probability=0.5),
            "colour": EigenColour(probability=0.5),
            "noise_probability": 0.5,
            "motion_boundary": 0.0,
        }
        return cls.chairs(size, **{**scheme, **changes})

    @classmethod
    def raft(cls, stage="chairs", size=None, **changes):
        """RAFT's scheme: scale, stretch, flips, crop, colour jitter, erased boxes.

        Args:
            stage: `"chairs"`, `"things"`, `"sintel"` or `"kitti"`.
            size: Crop. Defaults to the stage's.
            **changes: Arguments of the constructor.

        Returns:
            `FlowAugmentation`.

        Raises:
            ValueError: If `stage` is unknown.
        """
        crop, scale, sparse = RAFT_STAGES[checks.one_of("stage", stage, RAFT_STAGES)]
        scheme = {
            "geometry": ScaleGeometry(scale),
            "colour": JitterColour(),
            "eraser": Eraser(),
            "max_magnitude": 400.0,
        }
        if sparse:
            scheme["geometry"] = ScaleGeometry(scale, stretch=0.0, vertical_flip=0.0)
            scheme["colour"] = JitterColour(0.3, 0.3, 0.3, 0.3 / np.pi, asymmetric=0.0)
            scheme["motion_boundary"] = 0.0
        return cls(crop if size is None else size, **{**scheme, **changes})

    def strength(self, step) -> float:
        """Strength of the relative changes at a training step.

        Args:
            step: Training step, from 0.

        Returns:
            From the ramp's start towards 1; halfway after its half-life.
        """
        if self.ramp is None:
            return 1.0
        start, half_life = self.ramp
        progress = 2.0 / (1.0 + 3.0 ** (-step / half_life)) - 1.0
        return start + (1.0 - start) * progress

    def draw(self, source_sizes, index=0, step=None) -> dict:
        """Draw the random numbers of a batch.

        Args:
            source_sizes: (H, W) of each of the B samples.
            index, step: As in the call.

        Returns:
            Nested dictionary of numpy arrays whose first axis is B, to be given to `apply`.
        """
        samples = sample_numbers(len(source_sizes), index)
        strength = self.strength(samples[0] // len(samples) if step is None else step)
        drawn = [
            self._draw_sample(int(sample), size, strength)
            for sample, size in zip(samples, source_sizes, strict=True)
        ]
        batch = keras.tree.map_structure(lambda *values: np.stack(values), *drawn)
        batch["geometry"] = device_parameters(*batch.pop("maps"))
        batch["extent"] = np.array(source_sizes, "float32")
        return batch

    def _draw_sample(self, sample, source_size, strength):
        # A stream of numbers for each purpose: switching noise off does not change the geometry.
        streams = iter(np.random.default_rng((self.seed, sample)).spawn(4))
        numbers = {"maps": self.geometry.draw(next(streams), source_size, self.size, strength)}
        colours, noise, boxes = streams
        if self.colour is not None:
            numbers["colour"] = self.colour.draw(colours, strength)
        if self.noise[1] > 0:
            sigma = noise.uniform(*self.noise) * (noise.random() < self.noise_probability)
            seed = noise.integers(-(2**31), 2**31, dtype="int32")
            numbers["noise"] = {"sigma": np.float32(sigma), "seed": seed}
        if self.eraser is not None:
            numbers["boxes"] = self.eraser.draw(boxes, self.size)
        return numbers

    def apply(self, image1, image2, flow, valid, numbers):
        """Augment a batch by given numbers: a pure function of tensors.

        Args:
            image1, image2: Tensors (B, H, W, 3), float32 in [0, 1] or uint8.
            flow: Tensor (B, H, W, 2), float32.
            valid: Tensor (B, H, W, 1), float32.
            numbers: What `draw` returned, as tensors.

        Returns:
            As the call.
        """
        return self._run((image1, image2, flow, valid), numbers, lambda function: function)

    def _run(self, arrays, numbers, compiled):
        """Apply the steps, each a function of tensors that `compiled` may compile."""
        transform = compiled(_transformer(self.size, self.motion_boundary, self.max_magnitude))
        image1, image2, flow, valid = transform(*arrays, numbers["geometry"], numbers["extent"])
        if self.colour is not None:
            image1, image2 = compiled(self.colour.apply)(image1, image2, numbers["colour"])
        if self.noise[1] > 0:
            image1, image2 = compiled(add_noise)(image1, image2, **numbers["noise"])
        if self.eraser is not None:
            image2 = compiled(self.eraser.apply)(image2, numbers["boxes"])
        return (image1, image2), flow, valid

    def __call__(self, images, flow, valid=None, index=0, step=None):
        """Augment a batch; arguments and results are in the class's documentation."""
        *arrays, source_sizes = standardize(images, flow, valid)
        numbers = self.draw(source_sizes, index, step)
        numbers = keras.tree.map_structure(ops.convert_to_tensor, numbers)
        return self._run(arrays, numbers, _compiled)

    def map(self, stream, epoch=None):
        """Augment every batch of a stream.

        Args:
            stream: `keras.utils.PyDataset`, or any iterable, of batches
                `((image1, image2), flow)` or `((image1, image2), flow, valid)`.
            epoch: Number of a PyDataset's first epoch, in a resumed training. Defaults to the
                stream's own attribute `epoch`, or 0.

        Returns:
            `AugmentedStream`, or for an iterable a generator, of augmented batches.
        """
        if isinstance(stream, keras.utils.PyDataset):
            return AugmentedStream(stream, self, epoch=epoch)
        return self._generate(stream)

    def _generate(self, stream):
        for index, batch in enumerate(stream):
            yield keras.tree.map_structure(to_numpy, self(*batch, index=index))


@functools.cache
def _compiled(function):
    # XLA also on TensorFlow's CPU: its own gathers are seven times slower. Step by step, because
    # within one function XLA fuses the steps and computes each pixel anew for every use of it.
    return jit(function, xla=True)


@functools.cache  # one function, and so one compilation, for all augmentations of one size
def _transformer(size, motion_boundary, max_magnitude):
    """Make the function that resamples frames and transforms the flow."""

    def transform(image1, image2, flow, valid, geometry, extent):
        flow, valid = _known(flow, valid, max_magnitude)
        image1 = resample(_as_float(image1), geometry["to_frame1"], extent, size)
        image2 = resample(_as_float(image2), geometry["to_frame2"], extent, size)
        flow, valid = transform_flow(flow, valid, geometry, extent, size, motion_boundary)
        return image1, image2, flow, valid

    return transform


def _known(flow, valid, max_magnitude):
    """Set unknown flow and its weight to 0; no garbage may reach the arithmetic."""
    is_small = ops.abs(flow) < UNKNOWN_FLOW_THRESHOLD  # not so NaN
    known = ops.logical_and(ops.all(is_small, axis=-1, keepdims=True), valid > 0)
    flow = ops.where(known, flow, 0.0)
    if max_magnitude is not None:
        squared = ops.sum(flow * flow, axis=-1, keepdims=True)
        known = ops.logical_and(known, squared <= float(max_magnitude) ** 2)
        flow = ops.where(known, flow, 0.0)
    return flow, ops.where(known, valid, 0.0)


def _as_float(image):
    if keras.backend.standardize_dtype(image.dtype) == "uint8":
        return ops.cast(image, "float32") / 255.0
    return ops.cast(image, "float32")
