"""RAFT: recurrent all-pairs field transforms for optical flow (arXiv 2003.12039)."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.hub import PresetMixin, register_model
from c2f_zoo.layers import (
    CorrelationPyramid,
    convex_upsample,
    crop_to,
    pad_to_stride,
    resize_bilinear,
)
from c2f_zoo.layers.correlation_pyramid import VOLUME_MEMORY, pooling_factors
from c2f_zoo.losses import MixtureOfLaplaceLoss, SequenceLoss
from c2f_zoo.losses.laplace import PARAMETERS, expected_error
from c2f_zoo.metrics import EndPointError
from c2f_zoo.models.raft import blocks
from c2f_zoo.models.raft.image_level import RefinedFlowTask
from c2f_zoo.models.raft.repeating import check_options, repeat
from c2f_zoo.models.raft.variants import VARIANTS
from c2f_zoo.rematerialization import rematerialize
from c2f_zoo.training.deep_supervision import DeeplySupervised, is_supervising
from c2f_zoo.training.optimizers import ClippedAdamW
from c2f_zoo.training.schedules import OneCycle

LARGE = 2**20  # pixels of a frame above which frames are encoded one at a time
STRIDE = 8  # of the features and of the flow that is refined
OPTIONS = ("iterations", "initial_flow")  # of a dictionary, beside images or frames
PADDING = {"sintel": "centre", "kitti": "bottom"}
FIRST_FLOWS = ("zero", "regressed")


@register_model(task="optical_flow")
class RAFT(PresetMixin, RefinedFlowTask, DeeplySupervised, keras.Model):
    """Optical flow network of Teed and Deng (ECCV 2020).

    The features of all pairs of pixels are correlated once, at 1/8 resolution and four scales; a
    recurrent unit then refines one flow field again and again, each time looking up the
    correlations around where the flow points.

    Tensor level: `model((image1, image2))`, or `model(frames)` for the flows between consecutive
    frames; any size from 16x16 up (the coarsest scale sees something from 64x64 up). Image level:
    `model.flow(a, b, iterations=12)`.

    Args:
        variant: `"large"` (5,257,536 parameters), `"small"` (990,162), or `"lite"` (1,203,339), a
            network of this library for CPUs, with both options of SEA-RAFT.
        iterations: Refinements. The paper trains with 12 and measures with 32 on Sintel and 24 on
            KITTI and FlyingChairs. Defaults to 12, of the lite network to 4.
        radius: Radius of the lookup, in cells of each scale. Defaults to the variant's: 4 for
            the large network, 3 for the small one.
        pooling: Pooling factors of the scales. Defaults to the variant's: (1, 2, 4, 8), of the
            lite network (1, 3, 8).
        padding: Where images are padded to multiples of 8: `"sintel"`, half to each side, or
            `"kitti"`, to the bottom and half to the left and right.
        tolerance: Refinement stops early where the mean length of the update, over a batch's
            pixels, falls below this many pixels; 0 never stops, and training never does.
        freeze_batch_norm: Whether the large network's batch normalization uses its running
            statistics in training too, as the paper does after FlyingChairs.
        correlation_memory: Largest correlation volume of a scale that is stored, in bytes; see
            `CorrelationPyramid`.
        mixture: Whether the network also estimates how its errors are distributed, which
            `MixtureOfLaplaceLoss` trains and `flow(..., uncertainty=True)` tells. Defaults to
            the variant's: False for the published networks.
        rematerialize: Whether training saves memory by computing refinements twice.
        first_flow: Where refinement starts: `"zero"`, or `"regressed"`, a flow that the context
            encoder, which then sees both images, estimates. Defaults to the variant's.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        inputs: Pair of images, each (B, H, W, 3), RGB in [0, 1]; or N >= 2 consecutive frames
            (N, H, W, 3). For a stream of them a dictionary: `"frames"` (N, H, W, 3) and, from
            the second call on, the `"features"` that the last call returned. A dictionary may
            also hold a pair, `"images"`, and the options `"iterations"` and `"initial_flow"`.
        iterations: Refinements of this call; an integer, or a scalar integer tensor outside of
            training.
        initial_flow: Flow (B, h, w, 2) to start from, at 1/8 of the padded size and in its
            pixels. For several pairs of a stack of frames, of the first; the others start at 0.
        training: Whether batch normalization uses the batch's own statistics.

    Returns:
        Flow (B, H, W, 2), or (N - 1, H, W, 2), float32, in pixels, of image 1 towards image 2.
        For a dictionary of frames a dictionary: `"features"` of the last frame, to hand on,
        (1, h, w, C) each; and, from the second call on, `"flow"` (N, H, W, 2) and
        `"coarse_flow"` (N, h, w, 2), in the form of an `initial_flow`. For one of `"images"`
        `"flow"` alone. With `mixture` `"flow"` comes with the `"uncertainty"` (B, H, W, 1), the
        expected error of a component in pixels.

    Raises:
        ValueError: Unknown variant, padding, first flow or scales; fewer than one refinement;
            images or an initial flow of the wrong shape or size.

    Source: arXiv 2003.12039, section 3 and appendix; mixture and regressed first flow: SEA-RAFT,
    arXiv 2405.14793, sections 3.2 and 3.3.

    Example:
        >>> import numpy as np
        >>> model = RAFT("small", iterations=2)
        >>> frames = np.random.default_rng(0).random((2, 1, 40, 72, 3), dtype="float32")
        >>> tuple(model((frames[0], frames[1])).shape)
        (1, 40, 72, 2)
    """

    output_stride = STRIDE
    preset_defaults = {
        "paper": {
            "title": "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow",
            "arxiv": "2003.12039",
        },
    }

    def __init__(
        self,
        variant="large",
        iterations=None,
        radius=None,
        pooling=None,
        padding="sintel",
        tolerance=0.0,
        freeze_batch_norm=False,
        correlation_memory=VOLUME_MEMORY,
        mixture=None,
        first_flow=None,
        rematerialize=False,
        **kwargs,
    ):
        # Coordinates and flows keep float32; the layers choose their own precision.
        super().__init__(autocast=False, **kwargs)
        self.variant = checks.one_of("variant", variant, VARIANTS)
        self.sizes = sizes = VARIANTS[variant]
        iterations = sizes.iterations if iterations is None else iterations
        self.iterations = checks.whole("iterations", iterations, least=1)
        radius = sizes.radius if radius is None else radius
        self.radius = checks.whole("radius", radius, least=0)
        self.pooling = pooling_factors(sizes.pooling if pooling is None else pooling)
        self.padding = checks.one_of("padding", padding, PADDING)
        self.tolerance = checks.number("tolerance", tolerance, least=0)
        self.freeze_batch_norm, self.rematerialize = bool(freeze_batch_norm), bool(rematerialize)
        self.correlation_memory = checks.number("correlation_memory", correlation_memory, least=0)
        self.mixture = sizes.mixture if mixture is None else bool(mixture)
        first_flow = sizes.first_flow if first_flow is None else first_flow
        self.first_flow = checks.one_of("first_flow", first_flow, FIRST_FLOWS)
        self.is_regressed = first_flow == "regressed"
        dtype = self.dtype_policy
        self.feature_encoder = blocks.Encoder(
            sizes, sizes.features, "instance", dtype=dtype, name="feature_encoder"
        )
        self.context_encoder = blocks.Encoder(
            sizes,
            sizes.context_channels,
            sizes.context_norm,
            images=2 if self.is_regressed else 1,
            dtype=dtype,
            name="context_encoder",
        )
        channels = len(self.pooling) * (2 * self.radius + 1) ** 2
        mixture = PARAMETERS if self.mixture else 0
        self.update = blocks.UpdateBlock(sizes, channels, mixture, dtype=dtype, name="update")
        self.upsampling_head = None
        if sizes.convex:
            self.upsampling_head = blocks.UpsamplingHead(
                sizes.hidden, STRIDE, sizes.upsampling, dtype=dtype, name="upsampling_head"
            )
        self.built = True

    @property
    def padding_place(self):
        """Where images are padded: a `place` of `pad_to_stride`."""
        return PADDING[self.padding]

    # The network

    def _features(self, images):
        shape = images.shape
        if None in shape or shape[1] * shape[2] <= LARGE or is_supervising(self):
            return self.feature_encoder(2.0 * images - 1.0)
        # Frame by frame, which takes as long and less memory.
        frames = (self.feature_encoder(2.0 * images[i : i + 1] - 1.0) for i in range(shape[0]))
        return ops.concatenate(list(frames), axis=0)

    def _context(self, first, second, training):
        training = False if self.freeze_batch_norm else training
        images = ops.concatenate([first, second], axis=-1) if self.is_regressed else first
        return self.context_encoder(2.0 * images - 1.0, training=training)

    def refine(self, query, key, context, iterations=None, initial_flow=None, keep_all=False):
        """Estimate the flow between two frames by repeated refinement.

        Args:
            query: Features (B, h, w, D) of the first frames.
            key: Features (B, h, w, D) of the second frames.
            context: Context (B, h, w, C) of the first frames.
            iterations: Refinements; None: `self.iterations`.
            initial_flow: Flow (b, h, w, 2) to start the first b pairs from; the others, and all
                if it is None, start from `first_flow`.
            keep_all: Whether to return the flow of every refinement.

        Returns:
            Flow (B, h, w, 2) in pixels of this grid, the last state, and of a mixture its
            parameters (B, h, w, 3). With `keep_all` a list of what `enlarge` makes of each
            refinement, and before them of a first flow that is regressed.
        """
        pyramid = CorrelationPyramid(query, key, self.pooling, self.correlation_memory)
        hidden, context = ops.split(context, [self.sizes.hidden], axis=-1)
        hidden, of_context = ops.tanh(hidden), self.update.of_context(ops.relu(context))
        flow = ops.cast(ops.zeros_like(query[..., :2]), "float32")
        rows, columns = ops.shape(query)[1:3]
        x = ops.arange(columns, dtype="float32")[None, None, :] + flow[..., 0]
        y = ops.arange(rows, dtype="float32")[None, :, None] + flow[..., 1]
        grid = ops.stack([x, y], axis=-1)
        check_options(iterations, initial_flow, query.shape[:3])
        mixture = [ops.repeat(flow[..., :1], PARAMETERS, axis=-1)] if self.mixture else []
        if self.is_regressed:
            flow, mixture = self._parts(self.update.estimate(hidden))
        if initial_flow is not None:
            initial_flow = ops.cast(initial_flow, "float32")
            flow = ops.concatenate([initial_flow, flow[ops.shape(initial_flow)[0] :]], axis=0)

        def step(flow, hidden, *_, pyramid=pyramid, of_context=of_context):
            # Gradients reach earlier refinements through the state alone.
            flow = ops.stop_gradient(flow)
            correlation = pyramid.lookup(grid + flow, self.radius)
            hidden, estimate = self.update(hidden, of_context, correlation, flow)
            change, mixture = self._parts(estimate)
            return flow + change, hidden, *mixture

        iterations = self.iterations if iterations is None else iterations
        state = (flow, hidden, *mixture)
        if not keep_all:
            return repeat(step, state, iterations, self.tolerance / STRIDE)

        def supervised(state, tensors, of_context):
            state = step(*state, pyramid=pyramid.replaced(tensors), of_context=of_context)
            return state, self.enlarge(*state)

        levels = [self.enlarge(*state)] if self.is_regressed else []
        inputs, when = (pyramid.tensors, of_context), self.rematerialize
        for _ in range(iterations):
            state, level = rematerialize(supervised, state, *inputs, when=when)
            levels.append(level)
        return levels

    def _parts(self, estimate):
        """The flow, and a list of the mixture's parameters if there are any."""
        return estimate[..., :2], [estimate[..., 2:]] if self.mixture else []

    def enlarge(self, flow, hidden, *mixture):
        """Enlarge a flow to full resolution.

        Args:
            flow: Flow (B, h, w, 2) in pixels of its grid.
            hidden: The state that came with it.
            *mixture: Parameters (B, h, w, 3) of a mixture, enlarged alike if they are given.

        Returns:
            Tensor (B, 8 h, 8 w, 2), the flow in full-resolution pixels, or (B, 8 h, 8 w, 5).
        """
        coarse = ops.concatenate([STRIDE * flow, *mixture], axis=-1)
        if self.upsampling_head is None:
            size = (STRIDE * side for side in ops.shape(flow)[1:3])
            return resize_bilinear(coarse, *size, align_corners=True)
        return convex_upsample(coarse, self.upsampling_head(hidden), STRIDE)

    def call(self, inputs, iterations=None, initial_flow=None, training=None):
        if isinstance(inputs, dict):
            return self._follow(**inputs)
        state, size = self._estimate(inputs, iterations, initial_flow, training)
        if is_supervising(self):
            return [crop_to(level, *size, self.padding_place) for level in state]
        return crop_to(self.enlarge(*state[:2]), *size, self.padding_place)

    def _estimate(self, inputs, iterations, initial_flow, training):
        """What `refine` makes of a pair or of a stack of frames, and the size of the images."""
        images = self._padded_inputs(inputs)
        features = self._features(images)
        if isinstance(inputs, (list, tuple)):
            query, key = ops.split(features, 2, axis=0)
            first, second = ops.split(images, 2, axis=0)
        else:
            query, key = features[:-1], features[1:]
            first, second = images[:-1], images[1:]
        context = self._context(first, second, training)
        keep_all = is_supervising(self)
        result = self.refine(query, key, context, iterations, initial_flow, keep_all)
        return result, ops.shape(inputs[0] if isinstance(inputs, (list, tuple)) else inputs)[-3:-1]

    def _answers(self, state, size):
        """The flow and, of a mixture, its uncertainty in a dictionary, of the images' size."""
        fine = crop_to(self.enlarge(*state), *size, self.padding_place)
        result = {"flow": fine[..., :2]}
        return {**result, "uncertainty": expected_error(fine[..., 2:])} if self.mixture else result

    def _padded_inputs(self, inputs):
        images = self.stack_inputs(inputs)
        return pad_to_stride(images, self.output_stride, place=self.padding_place)

    def _follow(self, frames=None, features=None, images=None, iterations=None, initial_flow=None):
        """The pair or stream of a dictionary; see "Call arguments"."""
        if images is not None:
            return self._answers(*self._estimate(images, iterations, initial_flow, training=False))
        padded = self._padded_inputs(frames)
        encoded = self._features(padded), self._context_of_frames(padded)
        result = {"features": [part[-1:] for part in encoded]}
        if features is not None:
            query, context = (
                ops.concatenate([ops.cast(before, part.dtype), part[:-1]], axis=0)
                for before, part in zip(features, encoded, strict=True)
            )
            if self.is_regressed:
                context = self._context(context, padded, training=False)
            state = self.refine(query, encoded[0], context, iterations, initial_flow)
            result |= {"coarse_flow": state[0], **self._answers(state, ops.shape(frames)[1:3])}
        return result

    def _context_of_frames(self, padded):
        """What the context of a frame can be had from without the next one: or the frame itself."""
        return padded if self.is_regressed else self._context(padded, None, training=False)

    def check_inputs(self, inputs):
        if not isinstance(inputs, dict):
            return super().check_inputs(inputs)
        inputs = {name: value for name, value in inputs.items() if name not in OPTIONS}
        super().check_inputs(inputs["images"] if set(inputs) == {"images"} else inputs)
        if "features" not in inputs:
            return None
        given = inputs["features"]
        grid = [size and -(-size // STRIDE) for size in inputs["frames"].shape[1:3]]
        context = (1, *grid, self.sizes.context_channels)
        if self.is_regressed:
            context = (1, *(size and STRIDE * size for size in grid), 3)
        parts = ((1, *grid, self.sizes.features), context)
        if len(given) != len(parts):
            raise ValueError(f"features must be two tensors. Received: {len(given)} of them")
        for part, axes in zip(given, parts, strict=True):
            checks.shape("features of the frame before", part, str(axes), axes)
        return None

    def check_options(self, inputs, iterations=None, initial_flow=None, training=None):
        images = inputs
        if isinstance(inputs, dict):
            iterations, initial_flow = map(inputs.get, OPTIONS)
            images = inputs.get("images", inputs.get("frames"))
        is_pair = isinstance(images, (list, tuple))
        count, height, width, _ = (images[0] if is_pair else images).shape
        is_stack = not (is_pair or isinstance(inputs, dict))
        grid = [size and -(-size // STRIDE) for size in (height, width)]
        check_options(iterations, initial_flow, (count and count - is_stack, *grid))

    # Training

    def answer(self, levels):
        """The flow of the last refinement.

        Args:
            levels: Tensors (B, H, W, 2 or 5), one for each refinement, that begin with a flow.

        Returns:
            Flow (B, H, W, 2).
        """
        return levels[-1][..., :2]

    def compile(self, optimizer=None, loss=None, metrics=None, **kwargs):
        """Compile; without arguments, for training on FlyingChairs as in the paper.

        Args:
            optimizer: Default: `ClippedAdamW`, weight decay 1e-4, gradients clipped to norm 1,
                the rate `OneCycle(4e-4, 100_100)`.
            loss: Default: `SequenceLoss()`, of a mixture `MixtureOfLaplaceLoss()`, which see
                every refinement; any other Keras loss sees the last one's flow.
            metrics: Default: `[EndPointError()]`. They see validity masks.
            **kwargs: Of `keras.Model.compile`, and `micro_batches`, see `MicroBatched`.
        """
        if optimizer is None:
            optimizer = ClippedAdamW(OneCycle(4e-4, 100_100), weight_decay=1e-4, epsilon=1e-8)
        if loss is None:
            loss = MixtureOfLaplaceLoss() if self.mixture else SequenceLoss()
        super().compile(
            optimizer=optimizer,
            loss=loss,
            metrics=[EndPointError(name="epe")] if metrics is None else metrics,
            **kwargs,
        )

    def get_config(self):
        names = ("variant", "iterations", "radius", "padding", "tolerance", "freeze_batch_norm")
        names = (*names, "correlation_memory", "mixture", "first_flow", "rematerialize")
        config = {name: getattr(self, name) for name in names}
        return {**super().get_config(), "pooling": list(self.pooling), **config}
