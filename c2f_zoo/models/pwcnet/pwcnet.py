"""PWC-Net: optical flow by pyramid, warping and cost volume (arXiv 1709.02371)."""

from dataclasses import dataclass

from c2f_zoo import checks
from c2f_zoo.hub import register_model
from c2f_zoo.models.pwcnet import blocks
from c2f_zoo.models.pwcnet.base import PWCNetBase
from c2f_zoo.models.pwcnet.blocks import COST_CHANNELS, LEVELS, leaky_relu
from c2f_zoo.models.pwcnet.lite import PWCNetLite

PYRAMID = (16, 32, 64, 96, 128, 196)  # channels of levels 1 to 6
DECODER = (128, 128, 96, 64, 32)
CONTEXT = (128, 128, 128, 96, 64, 32)
FLOW_UNIT = 20.0  # the network predicts flow in units of 20 full-resolution pixels


@dataclass(frozen=True)
class Variant:
    """The difference between the published networks."""

    convolutions: int  # per pyramid level
    dense: bool = True  # connections within a decoder


VARIANTS = {
    "released": Variant(convolutions=3),
    "paper": Variant(convolutions=2),
    "small": Variant(convolutions=2, dense=False),
}


@register_model(task="optical_flow")
class PWCNet(PWCNetBase):
    """Optical flow network of Sun, Yang, Liu and Kautz (CVPR 2018).

    From coarse to fine: at every pyramid level the second frame's features are warped by the
    flow so far, correlated with the first frame's, and decoded into this level's flow.

    Tensor level: `model((image1, image2))`, or `model(frames)` for the flows between consecutive
    frames; any size from 16x16 up. Image level: `model.flow(a, b)`.

    Args:
        variant: `"released"` (NVlabs' published weights: 3 convolutions a level, 9,374,274
            parameters), `"paper"` (of the paper's tables: 2 convolutions, 8,749,214) or `"small"`
            (no dense connections, 4,080,004). `"lite"` constructs a `PWCNetLite`, which is no
            subclass; `PWCNetBase` of `c2f_zoo.models.pwcnet.base` is the base class of both.
        residual: Whether decoders add to the upsampled flow instead of replacing it (the paper's
            ablation, Table 5f). None: False.
        normalize_features: Whether the features of both frames are normalized per sample and
            level before they are correlated, which eases training from scratch. None: False.
        weight_decay: The solver's weight decay on kernels, 0 for none. Biases have none.
        finest_level: Level at which estimation stops, 2 to 6. The published networks use 2.
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
        ValueError: Unknown variant or level; images of the wrong shape, of different sizes or
            below 16x16.

    Source: arXiv 1709.02371, section 3.

    Example:
        >>> model = PWCNet("small")
        >>> frames = np.random.default_rng(0).random((2, 1, 40, 72, 3), dtype="float32")
        >>> tuple(model((frames[0], frames[1])).shape)
        (1, 40, 72, 2)
    """

    pyramid_widths = PYRAMID

    def __new__(
        cls,
        variant="released",
        residual=None,
        normalize_features=None,
        weight_decay=4e-4,
        finest_level=LEVELS[0],
        **kwargs,
    ):
        if cls is PWCNet and variant == "lite":
            # Presets, files and programs from before `PWCNetLite` was a class of its own.
            flags = {"residual": residual, "normalize_features": normalize_features}
            flags = {name: value for name, value in flags.items() if value is not None}
            return PWCNetLite(
                weight_decay=weight_decay, finest_level=finest_level, **flags, **kwargs
            )
        return super().__new__(cls, variant, **kwargs)

    def __init__(
        self,
        variant="released",
        residual=None,
        normalize_features=None,
        weight_decay=4e-4,
        finest_level=LEVELS[0],
        **kwargs,
    ):
        checks.one_of("variant", variant, VARIANTS)
        super().__init__(residual, normalize_features, weight_decay, finest_level, **kwargs)
        self.variant = variant
        convolutions, dense = VARIANTS[variant].convolutions, VARIANTS[variant].dense
        make = blocks.ConvolutionFactory(self.weight_decay, self.dtype_policy)
        self.pyramid_layers = blocks.pyramid_layers(make, PYRAMID, convolutions)
        self.decoders = {}
        for level in LEVELS:
            # The coarsest level sees the cost volume alone; the others also the first frame's
            # features and the upsampled flow (2) and features (2).
            channels = COST_CHANNELS + (0 if level == LEVELS[-1] else PYRAMID[level - 1] + 4)
            self.decoders[str(level)] = blocks.Decoder(
                make, channels, DECODER, dense, level > LEVELS[0], name=f"decoder_{level}"
            )
        channels = self.decoders[str(LEVELS[0])].output_channels
        self.context = blocks.context_layers(make, channels, CONTEXT)
        self.built = True

    @classmethod
    def preset_class(cls, config):
        if config.get("variant") != "lite":
            return cls, config
        return PWCNetLite, {key: value for key, value in config.items() if key != "variant"}

    @classmethod
    def preset_base(cls):
        # A `PWCNetLite` too, as when that was a variant of this class.
        return PWCNetBase if cls is PWCNet else cls

    def _unit(self, level):
        return FLOW_UNIT

    def _upsample(self, flow, features, level):
        # The unit does not change with the level: neither do the values.
        return self.decoders[str(level + 1)].upsample(flow, features)

    def _decode(self, cost, query, flow, features, level):
        known = [leaky_relu(cost)] if flow is None else [leaky_relu(cost), query, flow, features]
        update, features = self.decoders[str(level)](known)
        flow = update + flow if self.residual and flow is not None else update
        if level == LEVELS[0]:
            flow = flow + blocks.apply_in_turn(self.context, features)
        return flow, features

    def get_config(self):
        return {**super().get_config(), "variant": self.variant}
