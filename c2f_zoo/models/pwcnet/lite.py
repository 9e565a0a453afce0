"""PWC-Net lite: one decoder, shared by all levels, in the place of five."""

from keras import ops

from c2f_zoo.hub import register_model
from c2f_zoo.layers import upsample_bilinear
from c2f_zoo.models.pwcnet import blocks
from c2f_zoo.models.pwcnet.base import PWCNetBase
from c2f_zoo.models.pwcnet.blocks import COST_CHANNELS, LEVELS, leaky_relu

PYRAMID = (16, 32, 64, 96, 112, 128)  # channels of levels 1 to 6
REDUCED = 32  # channels of every level once reduced
DECODER = (64, 64, 48, 48, 32)
CONTEXT = (64, 64, 64, 48, 32, 32)


@register_model(task="optical_flow")
class PWCNetLite(PWCNetBase):
    """PWC-Net for CPUs, with 1,023,590 parameters: all levels share one decoder.

    Each level's features are reduced to 32 channels and flow is measured in pixels of the level,
    so that the weights of the decoder and of the context network fit every level. The decoder
    refines the flow so far, at every level, and is also given the best match of the cost volume.

    Args:
        residual: Whether the decoder adds to the upsampled flow instead of replacing it.
        normalize_features: Whether the features of both frames are normalized per sample and
            level before they are correlated.
        weight_decay: The solver's weight decay on kernels, 0 for none. Biases have none.
        finest_level: Level at which estimation stops, 2 to 6. A shared decoder that has learned
            on coarse levels is useful on finer ones at once, so training may begin at level 3,
            which costs a quarter of level 2.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Attributes:
        variant: `"lite"`, as of a `PWCNet` constructed by that name.

    Call arguments:
        inputs: Pair of images, each (B, H, W, 3), RGB in [0, 1]; N >= 2 consecutive frames
            (N, H, W, 3); or the dictionary of a stream, see `PWCNet`.

    Returns:
        Flow (B, H, W, 2), or (N - 1, H, W, 2), float32, in pixels, of image 1 towards image 2; of
        a stream a dictionary, see `PWCNet`.

    Raises:
        ValueError: Unknown level; images of the wrong shape, of different sizes or below 16x16.

    Source: Sun et al., arXiv 1709.02371; one decoder for all levels after Hur and Roth, arXiv
    1904.05290.

    Example:
        >>> model = PWCNetLite()
        >>> frames = np.random.default_rng(0).random((2, 1, 40, 72, 3), dtype="float32")
        >>> tuple(model((frames[0], frames[1])).shape)
        (1, 40, 72, 2)
    """

    variant = "lite"
    pyramid_widths = PYRAMID

    def __init__(
        self,
        residual=True,
        normalize_features=True,
        weight_decay=4e-4,
        finest_level=LEVELS[0],
        **kwargs,
    ):
        super().__init__(residual, normalize_features, weight_decay, finest_level, **kwargs)
        # Flow is in pixels of the level: the first estimates must not be 64 pixels.
        make = blocks.ConvolutionFactory(self.weight_decay, self.dtype_policy, flow_scale=0.02)
        self.pyramid_layers = blocks.pyramid_layers(make, PYRAMID, convolutions=2)
        self.reducers = {
            str(level): make.convolution(
                PYRAMID[level - 1], REDUCED, f"reduce_{level}", kernel_size=1, linear=True
            )
            for level in LEVELS
        }
        channels = COST_CHANNELS + REDUCED + 4  # flow so far (2), best match (2)
        decoder = blocks.Decoder(make, channels, DECODER, False, False, name="decoder")
        self.decoders = {"all": decoder}  # a dictionary, as in the published weights file
        self.matching = blocks.Matching(make, DECODER[-1])
        self.context = blocks.context_layers(make, decoder.output_channels + 2, CONTEXT)
        self.built = True

    def _unit(self, level):
        return float(2**level)

    def _matchable(self, query, key, level):
        reduce = self.reducers[str(level)]
        return super()._matchable(reduce(query), reduce(key), level)

    def _upsample(self, flow, features, level):
        return upsample_bilinear(flow, 2) * 2.0, None

    def _decode(self, cost, query, flow, features, level):
        if flow is None:
            # Zeros of a tensor, not of a shape: TensorFlow then knows what is known of the size.
            flow = ops.cast(ops.zeros_like(query[..., :2]), "float32")
        match = self.matching(cost)
        update, features = self.decoders["all"]([leaky_relu(cost), query, flow, match])
        update = update + self.matching.trust(features) * match
        flow = flow + update if self.residual else update
        seen = ops.concatenate([features, ops.cast(flow, features.dtype)], axis=-1)
        return flow + blocks.apply_in_turn(self.context, seen), features
