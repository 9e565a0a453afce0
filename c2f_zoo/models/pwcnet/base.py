"""Shared parts of PWC-Net and PWC-Net lite: the pyramid, the loop over its levels, training."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.hub import PresetMixin
from c2f_zoo.layers import crop_to, local_correlation, pad_to_stride, upsample_bilinear, warp
from c2f_zoo.losses import MultiscaleEndPointError
from c2f_zoo.metrics import EndPointError
from c2f_zoo.models.pwcnet import blocks
from c2f_zoo.models.pwcnet.blocks import LEVELS, MAX_DISPLACEMENT
from c2f_zoo.tasks.flow import FlowTask, pad_truth
from c2f_zoo.training.deep_supervision import DeeplySupervised, is_supervising


class PWCNetBase(PresetMixin, FlowTask, DeeplySupervised, keras.Model):
    """Base class of the PWC-Net family; see `PWCNet` for how a network is called.

    A subclass creates `pyramid_layers`, gives the channels of levels 1 to 6 in `pyramid_widths`
    and defines, for a level l:

    - `_unit(level)`: full-resolution pixels per unit of the network's flow;
    - `_upsample(flow, features, level)`: flow and features of level l + 1 on the grid of level l;
    - `_decode(cost, query, flow, features, level)`: flow (B, h, w, 2) and the decoder's features,
      from the cost volume (B, h, w, 81), the first frame's features and what `_upsample`
      returned; `flow` and `features` are None at the coarsest level.

    Args:
        residual: Whether decoders add to the upsampled flow instead of replacing it.
        normalize_features: Whether features are normalized before they are correlated.
        weight_decay: The solver's weight decay on kernels, 0 for none.
        finest_level: Level at which estimation stops.
        **kwargs: Of `keras.Model`.
    """

    output_stride = 64  # of the coarsest level
    preset_defaults = {
        "paper": {
            "title": "PWC-Net: CNNs for Optical Flow Using Pyramid, Warping, and Cost Volume",
            "arxiv": "1709.02371",
        },
    }

    def __init__(self, residual, normalize_features, weight_decay, finest_level, **kwargs):
        # Features choose their precision layer by layer; images and flows keep float32, in which
        # a pixel coordinate is exact.
        super().__init__(autocast=False, **kwargs)
        self.residual, self.normalize_features = bool(residual), bool(normalize_features)
        self.weight_decay = checks.number("weight_decay", weight_decay, least=0)
        self.finest_level = finest_level

    @property
    def finest_level(self):
        """Level at which estimation stops, 2 to 6. Call `compile` after setting it."""
        return self._finest_level

    @finest_level.setter
    def finest_level(self, level):
        self._finest_level = checks.one_of("finest_level", level, LEVELS)

    # The network

    def pyramid(self, images):
        """Features (B, H / 2^l, W / 2^l, C_l) of images (B, H, W, 3), by level l = 1 to 6."""
        features, levels = ops.cast(images, self.compute_dtype), {}
        for level, layers in enumerate(self.pyramid_layers, start=1):
            levels[level] = features = blocks.apply_in_turn(layers, features)
        return levels

    feature_strides = (2, 4, 8, 16, 32, 64)

    @property
    def feature_parts(self):
        """The convolutions of the pyramid."""
        return [layer for layers in self.pyramid_layers for layer in layers]

    def encode(self, images, condition=None, training=None):
        return list(self.pyramid(images).values())

    def estimate(self, pyramid1, pyramid2):
        """Estimate the flow between the pyramids of first and second frames, coarse to fine.

        Returns a list of flows (B, H / 2^l, W / 2^l, 2), levels 6 to 2, in full-resolution pixels.
        """
        levels, flow, features = [], None, None
        for level in range(LEVELS[-1], self.finest_level - 1, -1):
            query, key = self._matchable(pyramid1[level], pyramid2[level], level)
            if flow is not None:
                flow, features = self._upsample(flow, features, level)
                key, inside = warp(key, flow * (self._unit(level) / 2**level), return_mask=True)
                key = key * ops.cast(inside, key.dtype)
            cost = local_correlation(query, key, MAX_DISPLACEMENT)
            flow, features = self._decode(cost, query, flow, features, level)
            levels.append(flow * self._unit(level))
        return levels

    def _matchable(self, query, key, level):
        """Prepare the features of two frames for their correlation."""
        return blocks.normalize_together(query, key) if self.normalize_features else (query, key)

    def flow_pyramid(self, inputs):
        """Estimate the flow at every level.

        Args:
            inputs: Pair of images or frames, as the model is called with.

        Returns:
            List of flows, coarse to fine (levels 6 to 2), each (B, h, w, 2) in full-resolution
            pixels, where h = ceil64(H) / 2^l and w = ceil64(W) / 2^l.

        Raises:
            ValueError: The inputs do not fit, or are the dictionary of a stream.
        """
        self.check_inputs(inputs)
        if isinstance(inputs, dict):
            raise ValueError(
                "flow_pyramid takes a pair of images or a stack of frames. Received: a dictionary"
            )
        pyramid = self.pyramid(pad_to_stride(self.stack_inputs(inputs), self.output_stride))
        is_pair = isinstance(inputs, (list, tuple))  # one batch: all first frames, all second ones
        halves = {
            level: ops.split(features, 2, axis=0) if is_pair else (features[:-1], features[1:])
            for level, features in pyramid.items()
        }
        first = {level: half[0] for level, half in halves.items()}
        second = {level: half[1] for level, half in halves.items()}
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
        pyramid = self.pyramid(pad_to_stride(self.stack_inputs(frames), self.output_stride))
        result = {"features": [pyramid[level][-1:] for level in LEVELS]}
        if features is not None:
            first = {
                level: ops.concatenate([before, pyramid[level][:-1]], axis=0)
                for level, before in zip(LEVELS, features, strict=True)
            }
            flow = self.answer(self.estimate(first, pyramid))
            result["flow"] = crop_to(flow, *ops.shape(frames)[1:3])
        return result

    def check_inputs(self, inputs):
        super().check_inputs(inputs)
        if not isinstance(inputs, dict) or "features" not in inputs:
            return
        sizes = inputs["frames"].shape[1:3]
        padded = [None if size is None else -(-size // self.output_stride) for size in sizes]
        wanted = [
            (1, *(size and size * self.output_stride // 2**level for size in padded), channels)
            for level, channels in zip(LEVELS, self.pyramid_widths[1:], strict=True)
        ]
        given = [tuple(level.shape) for level in inputs["features"]]
        fits = len(given) == len(wanted) and all(
            None in (a, b) or a == b
            for have, want in zip(given, wanted, strict=True)
            for a, b in zip(have, want, strict=True)
        )
        if not fits:
            raise ValueError(
                f"The features must be those of the frame before, of shapes {wanted}. "
                f"Received: shapes {given}"
            )

    def answer(self, levels):
        """Enlarge the finest level, whose values are pixels already, to full resolution."""
        return upsample_bilinear(levels[-1], 2**self.finest_level)

    # Training

    def compile(self, optimizer=None, loss=None, metrics=None, **kwargs):
        """Compile; without arguments, for training as in the paper.

        Args:
            optimizer: Default: Adam with learning rate 1e-4 (weight decay is the model's own).
            loss: Default: `MultiscaleEndPointError()`. A loss of the zoo sees every level; any
                other Keras loss sees the full-resolution flow.
            metrics: Default: `[EndPointError()]`. They see validity masks.
            **kwargs: Of `keras.Model.compile`, and `micro_batches`, see `MicroBatched`.
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
                y, sample_weight = pad_truth(y, sample_weight, self.output_stride)
            else:
                y_pred = crop_to(self.answer(y_pred), *ops.shape(y)[1:3])
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if isinstance(y_pred, (list, tuple)):
            y_pred = crop_to(self.answer(y_pred), *ops.shape(y)[1:3])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_config(self):
        names = ("residual", "normalize_features", "weight_decay", "finest_level")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
