"""The sizes of the two published networks, and of one for CPUs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """The sizes of a network."""

    widths: tuple  # channels of the encoders' three stages
    features: int
    hidden: int  # channels of the recurrent state, from the context encoder
    context: int  # its other channels
    bottleneck: bool
    context_norm: str
    correlation_encoder: tuple  # (filters, kernel size) of each convolution
    flow_encoder: tuple
    motion: int  # channels of the motion features
    kernels: tuple  # of the recurrent units
    head: int  # channels inside the flow head
    convex: bool  # learned upsampling, instead of bilinear
    radius: int  # of the lookup
    stem: int = 7  # kernel size of the encoders' first convolution
    blocks: tuple = (2, 2, 2)  # residual blocks of each stage
    upsampling: int = 256  # channels inside the head of the learned upsampling
    pooling: tuple = (1, 2, 4, 8)  # factors of the scales of the lookup
    iterations: int = 12
    mixture: bool = False  # whether it predicts how the errors are distributed
    first_flow: str = "zero"

    @property
    def context_channels(self):
        """Output channels of the context encoder: the first state, then the context."""
        return self.hidden + self.context


VARIANTS = {
    "large": Variant(
        widths=(64, 96, 128),
        features=256,
        hidden=128,
        context=128,
        bottleneck=False,
        context_norm="batch",
        correlation_encoder=((256, 1), (192, 3)),
        flow_encoder=((128, 7), (64, 3)),
        motion=128,
        kernels=((1, 5), (5, 1)),
        head=256,
        convex=True,
        radius=4,
    ),
    "small": Variant(
        widths=(32, 64, 96),
        features=128,
        hidden=96,
        context=64,
        bottleneck=True,
        context_norm="none",
        correlation_encoder=((96, 1),),
        flow_encoder=((64, 7), (32, 3)),
        motion=82,
        kernels=((3, 3),),
        head=128,
        convex=False,
        radius=3,
    ),
    # Little at 1/2 resolution, where a convolution costs most, and what SEA-RAFT found to pay.
    "lite": Variant(
        widths=(24, 48, 80),
        features=64,
        hidden=80,
        context=48,
        bottleneck=False,
        context_norm="none",
        correlation_encoder=((80, 1),),
        flow_encoder=((48, 7), (32, 3)),
        motion=64,
        kernels=((3, 3),),
        head=80,
        convex=True,
        radius=3,
        stem=5,
        blocks=(0, 1, 2),
        upsampling=96,
        # A step of a scale is as far as the one before it reaches.
        pooling=(1, 3, 8),
        iterations=4,
        mixture=True,
        first_flow="regressed",
    ),
}
