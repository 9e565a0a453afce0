"""PWC-Net: optical flow by pyramid, warping and cost volume (arXiv 1709.02371)."""

from dataclasses import dataclass

import keras
from keras import ops

from c2f_zoo.hub import PresetMixin, register_model
from c2f_zoo.layers import crop_to, local_correlation, pad_to_stride, upsample_bilinear, warp
from c2f_zoo.losses import MultiscaleEndPointError
from c2f_zoo.metrics import EndPointError
from c2f_zoo.models.pwcnet import blocks as blocks
from c2f_zoo.models.pwcnet.blocks import LEVELS, MAX_DISPLACEMENT, leaky_relu
from c2f_zoo.models.quantization import refuse_quantization
from c2f_zoo.tasks.flow import FlowTask, pad_truth
from c2f_zoo.training.deep_supervision import DeeplySupervised, is_supervising

OUTPUT_STRIDE = 64  # of the coarsest level: image sizes are padded to its multiples
FLOW_UNIT = 20.0  # published networks predict flow in units of 20 full-resolution pixels


@dataclass(frozen=True)
class Variant:
    """What tells one published shape of the network from another.

    `shared` variants reduce every level's features to `shared_features` channels, decode all
    levels by one decoder and measure flow in the level's own pixels, so that one set of weights
    fits each scale (as Hur and Roth, arXiv 1904.05290, found for PWC-Net).
    """

    convolutions: int  # per pyramid level
    pyramid: tuple = (16, 32, 64, 96, 128, 196)
    decoder: tuple = (128, 128, 96, 64, 32)
    context: tuple = (128, 128, 128, 96, 64, 32)
    dense: bool = True
    residual: bool = False
    normalize_features: bool = False
    shared_features: int | None = None


VARIANTS = {
    "released": Variant(convolutions=3),
    "paper": Variant(convolutions=2),
    "small": Variant(convolutions=2, dense=False),
    "lite": Variant(
        convolutions=2,
        pyramid=(16, 32, 64, 96, 112, 128),
        decoder=(64, 64, 48, 48, 32),
        context=(64, 64, 64, 48, 32, 32),
        dense=False,
        residual=True,
        normalize_features=True,
        shared_features=32,
    ),
}


@register_model(task="optical_flow")
@keras.saving.register_keras_serializable(package="c2f_zoo")
class PWCNet(PresetMixin, FlowTask, DeeplySupervised, keras.Model):
    """Optical flow network of Sun, Yang, Liu and Kautz (CVPR 2018).

    From coarse to fine: at every pyramid level the second frame's features are warped by the
    flow so far, correlated with the first frame's, and decoded into this level's flow.

    Tensor level: `model((image1, image2))`, or `model(frames)` for the flows between consecutive
    frames; any size from 16x16 up. Image level: `model.flow(a, b)`.

    Args:
        variant: `"released"` (NVlabs' published weights: 3 convolutions a level, 9,374,274
            parameters), `"paper"` (of the paper's tables: 2 convolutions, 8,749,214), `"small"`
            (no dense connections, 4,080,004) or `"lite"` (ours, for CPUs: one shared residual
            decoder over normalised features, 1,023,590).
        residual: Decoders add to the upsampled flow instead of replacing it (the paper's
            ablation, Table 5f). None: as the variant has it (only `"lite"` does).
        normalize_features: Features of both frames are brought to zero mean and unit variance
            per sample and level before they are correlated. None: as the variant has it (only
            `"lite"` does). Training from scratch starts far more easily with it.
        weight_decay: The solver's weight decay on kernels, 0 for none. Biases have none.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        inputs: Pair of images, each (B, H, W, 3), RGB in [0, 1]; or N >= 2 consecutive frames
            (N, H, W, 3). For a stream of them a dictionary: `"frames"` (N, H, W, 3) and, from
            the second call on, the `"features"` that the last call returned.

    Returns:
        Flow (B, H, W, 2), or (N - 1, H, W, 2), float32, in pixels, of image 1 towards image 2.
        For a stream a dictionary: `"features"`, a list of (1, ceil64(H) / 2^l, ceil64(W) / 2^l,
        C_l) for levels l = 2 to 6 of the last frame, to hand on; and, where features were given,
        `"flow"` (N, H, W, 2), the flows that lead to each frame.

    Raises:
        ValueError: Unknown variant; images of the wrong shape, of different sizes or below
            16x16.

    Source: arXiv 1709.02371, section 3.

    Example:
        >>> import numpy as np
        >>> model = PWCNet("lite")
        >>> frames = np.random.default_rng(0).random((2, 1, 40, 72, 3), dtype="float32")
        >>> tuple(model((frames[0], frames[1])).shape)
        (1, 40, 72, 2)
    """

    minimum_size = 16
    quantize = refuse_quantization
    preset_defaults = {
        "paper": {
            "title": "PWC-Net: CNNs for Optical Flow Using Pyramid, Warping, and Cost Volume",
            "arxiv": "1709.02371",
        },
    }

    def __init__(
        self,
        variant="released",
        residual=None,
        normalize_features=None,
        weight_decay=4e-4,
        **kwargs,
    ):
        if variant not in VARIANTS:
            raise ValueError(f"variant must be one of {sorted(VARIANTS)}. Received: {variant!r}")
        # Features choose their precision layer by layer; images and flows keep float32, in which
        # a pixel coordinate is exact.
        super().__init__(autocast=False, **kwargs)
        shape = VARIANTS[variant]
        self.variant = variant
        self.residual = shape.residual if residual is None else bool(residual)
        self.normalize_features = (
            shape.normalize_features if normalize_features is None else bool(normalize_features)
        )
        self.weight_decay = float(weight_decay)
        self.shared = shape.shared_features is not None
        self._finest_level = LEVELS[0]
        # A shared decoder counts in pixels of its level: its first guesses must not be 64 pixels.
        flow_scale = 0.02 if self.shared else 1.0
        make = blocks.ConvolutionFactory(self.weight_decay, self.dtype_policy, flow_scale)
        self.pyramid_layers = blocks.pyramid_layers(make, shape)
        self.reducers = blocks.reducers(make, shape)
        self.decoders = blocks.decoders(make, shape)
        self.matching = blocks.Matching(make, shape.decoder[-1]) if self.shared else None
        finest = self.decoders["all" if self.shared else str(LEVELS[0])]
        self.context = blocks.context_layers(
            make, shape, finest.output_channels + (2 if self.shared else 0)
        )
        self.built = True

    @property
    def finest_level(self):
        """Level at which estimation stops: 2, unless training begins at a coarser one.

        A shared decoder that has learned on coarse levels is at once useful on finer ones, and
        level 3 costs a quarter of level 2. Call `compile` after setting it.
        """
        return self._finest_level

    @finest_level.setter
    def finest_level(self, level):
        if level not in LEVELS:
            raise ValueError(f"finest_level must be one of {LEVELS}. Received: {level}")
        self._finest_level = level

    # The network

    def pyramid(self, images):
        """Extract the features of levels 1 to 6.

        Args:
            images: Tensor (B, H, W, 3), RGB in [0, 1]; H and W multiples of 64.

        Returns:
            Dictionary from level l to features (B, H / 2^l, W / 2^l, C_l).
        """
        features, levels = ops.cast(images, self.compute_dtype), {}
        for level, layers in enumerate(self.pyramid_layers, start=1):
            for layer in layers:
                features = layer(features)
            levels[level] = features
        return levels

    def estimate(self, pyramid1, pyramid2):
        """Estimate the flow between two frames' pyramids, from coarse to fine.

        Args:
            pyramid1: Features of the first frames, as `pyramid` returns them.
            pyramid2: Features of the second frames.

        Returns:
            List of flows (B, H / 2^l, W / 2^l, 2), levels 6 to 2, in full-resolution pixels.
        """
        levels, flow, features = [], None, None
        for level in range(LEVELS[-1], self.finest_level - 1, -1):
            query, key = self._matchable(pyramid1[level], pyramid2[level], level)
            decoder = self.decoders["all" if self.shared else str(level)]
            if flow is not None:
                flow, features = self._upsample(flow, features, level)
                pixels = flow * (self._unit(level) / 2**level)
                key, inside = warp(key, pixels, return_mask=True)
                key = key * ops.cast(inside, key.dtype)
            elif self.shared:
                flow = ops.zeros((*ops.shape(query)[:3], 2), dtype="float32")
            cost = local_correlation(query, key, MAX_DISPLACEMENT)
            known = [leaky_relu(cost)] if flow is None else [leaky_relu(cost), query, flow]
            known += [] if features is None else [features]
            match = self.matching(cost) if self.shared else None
            known += [] if match is None else [match]
            update, features = decoder(known)
            if match is not None:
                update = update + self.matching.trust(features) * match
            flow = update + flow if self.residual and flow is not None else update
            if self.shared or level == LEVELS[0]:
                flow = flow + self._refine(features, flow)
            levels.append(flow * self._unit(level))
        return levels

    def flow_pyramid(self, inputs):
        """Estimate the flow at every level.

        Args:
            inputs: As of the model.

        Returns:
            List of flows, coarse to fine (levels 6 to 2), each (B, h, w, 2) in full-resolution
            pixels, where h = ceil64(H) / 2^l and w = ceil64(W) / 2^l.
        """
        self.check_inputs(inputs)
        if isinstance(inputs, dict):
            raise ValueError(
                "Every level of a flow is known, and trained, for pairs of images or a stack of "
                "frames. Received: a dictionary"
            )
        pyramid = self.pyramid(pad_to_stride(self.stack_inputs(inputs), OUTPUT_STRIDE))
        if isinstance(inputs, (list, tuple)):
            # Both frames went through the pyramid as one batch.
            halves = {level: ops.split(features, 2, axis=0) for level, features in pyramid.items()}
            first = {level: half[0] for level, half in halves.items()}
            second = {level: half[1] for level, half in halves.items()}
        else:
            first = {level: features[:-1] for level, features in pyramid.items()}
            second = {level: features[1:] for level, features in pyramid.items()}
        return self.estimate(first, second)

    def call(self, inputs):
        if isinstance(inputs, dict) and not is_supervising(self):
            return self._follow(**inputs)
        levels = self.flow_pyramid(inputs)
        if is_supervising(self):
            return levels
        size = ops.shape(inputs[0] if isinstance(inputs, (list, tuple)) else inputs)
        return crop_to(self.answer(levels), *(size[-3:-1]))

    def _follow(self, frames, features=None):
        """Flows of a stream: from the frame whose features are given through all of `frames`."""
        images = pad_to_stride(self.stack_inputs(frames), OUTPUT_STRIDE)
        pyramid = self.pyramid(images)
        result = {"features": [pyramid[level][-1:] for level in LEVELS]}
        if features is not None:
            before = dict(zip(LEVELS, features, strict=True))
            first = {
                level: ops.concatenate([before[level], pyramid[level][:-1]], axis=0)
                for level in LEVELS
            }
            flow = self.answer(self.estimate(first, pyramid))
            result["flow"] = crop_to(flow, *ops.shape(frames)[1:3])
        return result

    def check_inputs(self, inputs):
        super().check_inputs(inputs)
        if not isinstance(inputs, dict) or "features" not in inputs:
            return
        sizes = inputs["frames"].shape[1:3]
        padded = [None if size is None else -(-size // OUTPUT_STRIDE) for size in sizes]
        wanted = [
            (1, *(size and size * OUTPUT_STRIDE // 2**level for size in padded), channels)
            for level, channels in zip(LEVELS, VARIANTS[self.variant].pyramid[1:], strict=True)
        ]
        given = [tuple(level.shape) for level in inputs["features"]]
        fits = len(given) == len(wanted) and all(
            None in (a, b) or a == b
            for have, want in zip(given, wanted, strict=True)
            for a, b in zip(have, want, strict=True)
        )
        if not fits:
            raise ValueError(
                f"The features are those of the frame before, of shapes {wanted}. "
                f"Received: shapes {given}"
            )

    def answer(self, levels):
        """Enlarge the finest level to full resolution, bilinear; values are pixels already.

        Args:
            levels: Flows coarse to fine, the last (B, h, w, 2).

        Returns:
            Flow (B, 4 h, 4 w, 2) in pixels, bilinear between the level's own.
        """
        return upsample_bilinear(levels[-1], 2**self.finest_level)

    def _unit(self, level):
        """Full-resolution pixels per unit of the network's own flow at `level`."""
        return float(2**level) if self.shared else FLOW_UNIT

    def _matchable(self, query, key, level):
        """Bring two feature maps into the form in which they are correlated."""
        if self.shared:
            query, key = self.reducers[str(level)](query), self.reducers[str(level)](key)
        if self.normalize_features:
            query, key = blocks.normalize_together(query, key)
        return query, key

    def _upsample(self, flow, features, level):
        """Bring the coarser level's flow and features to this level's grid and unit."""
        if self.shared:
            return upsample_bilinear(flow, 2) * 2.0, None
        # The published units do not change with the level: neither do the values.
        return self.decoders[str(level + 1)].upsample(flow, features)

    def _refine(self, features, flow):
        """Residual of the context network."""
        x = features
        if self.shared:
            x = ops.concatenate([features, ops.cast(flow, features.dtype)], axis=-1)
        for layer in self.context:
            x = layer(x)
        return x

    # Training

    def compile(self, optimizer=None, loss=None, metrics=None, **kwargs):
        """Compile; without arguments, for training as in the paper.

        Args:
            optimizer: Default: Adam with learning rate 1e-4 (weight decay is the model's own).
            loss: Default: `MultiscaleEndPointError()`. A loss of the zoo sees every level; any
                other Keras loss sees the full-resolution flow.
            metrics: Default: `[EndPointError()]`. They see validity masks.
            **kwargs: Of `keras.Model.compile`.
        """
        super().compile(
            optimizer=keras.optimizers.Adam(1e-4) if optimizer is None else optimizer,
            loss=MultiscaleEndPointError() if loss is None else loss,
            metrics=[EndPointError(name="epe")] if metrics is None else metrics,
            **kwargs,
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if isinstance(y_pred, (list, tuple)):
            if getattr(self.loss, "takes_levels", False):
                y, sample_weight = pad_truth(y, sample_weight, OUTPUT_STRIDE)
            else:
                y_pred = crop_to(self.answer(y_pred), *ops.shape(y)[1:3])
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if isinstance(y_pred, (list, tuple)):
            y_pred = crop_to(self.answer(y_pred), *ops.shape(y)[1:3])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_config(self):
        return {
            **super().get_config(),
            "variant": self.variant,
            "residual": self.residual,
            "normalize_features": self.normalize_features,
            "weight_decay": self.weight_decay,
        }
