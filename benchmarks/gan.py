"""Speed and memory of the generative networks, as ratios to their convolutions alone.

    python benchmarks/gan.py                                  every backend, float32 and bfloat16
    python benchmarks/gan.py --backend tensorflow --cases progan-step --dtype float32
    python benchmarks/gan.py --small --rounds 1               a quick test, in seconds

A training step of WGAN-GP is compared to as many forward convolutions as it has passes (see
`STEP_PASSES`). `measuring.py` describes the method.
"""

import functools

from measuring import compiled, main, measure  # the file beside this one

CASES = (
    "progan-generator",
    "progan-generator-fused",
    "progan-discriminator",
    "stylegan-generator",
    "stylegan2-generator",
    "stylegan2-discriminator",
    "modulated",
    "modulated-fused",
    "modulated-up",
    "modulated-up-fused",
    "progan-step",
    "progan-step-fused",
)

# Passes over each network's convolutions in one step of WGAN-GP; a gradient for inputs or for
# kernels counts as one. Discriminator: 3 for real and 3 for fake images (forward, inputs,
# kernels), 6 for the penalty (forward and inputs, then both's gradients for inputs and kernels), 2
# for the generator's loss (forward, inputs). Generator: 1 for the discriminator's fakes, 3 for its
# own loss.
STEP_PASSES = {"discriminator": 14, "generator": 4}


class Sizes:
    """Sizes to measure, or small ones to test the script."""

    def __init__(self, small):
        self.resolution, self.batch = (16, 2) if small else (256, 4)
        self.step_resolution, self.step_batch = (8, 4) if small else (64, 16)
        self.features, self.channels = (8, 16) if small else (32, 512)
        self.options = {"channel_max": 32} if small else {}


def network_case(case, dtype, sizes):
    """A forward pass of a network, and its convolutions alone."""
    import numpy as np

    from c2f_zoo.models.gans import progan, stylegan, stylegan2

    networks = {
        "progan-generator": progan.ProGANGenerator,
        "progan-discriminator": progan.ProGANDiscriminator,
        "stylegan-generator": stylegan.StyleGANGenerator,
        "stylegan2-generator": stylegan2.StyleGAN2Generator,
        "stylegan2-discriminator": stylegan2.StyleGAN2Discriminator,
    }
    options = {**sizes.options, **({"fused": True} if case.endswith("-fused") else {})}
    network = networks[case.removesuffix("-fused")](sizes.resolution, dtype=dtype, **options)
    network.compile()
    shape = (sizes.batch, sizes.resolution, sizes.resolution, 3)
    if "generator" in case:
        shape = (sizes.batch, network.latent_size)
    inputs = np.random.default_rng(0).standard_normal(shape, dtype="float32")
    return lambda: network.predict_on_batch(inputs), [(1, lambda: network(inputs))]


def modulated_case(case, dtype, sizes):
    """A modulated convolution, and the plain convolution it contains."""
    import keras
    from keras import ops

    from c2f_zoo.layers import modulated_conv2d

    dtype = "bfloat16" if dtype == "mixed_bfloat16" else dtype
    channels, side = sizes.channels, sizes.features
    shapes = (
        (sizes.batch, side, side, channels),
        (3, 3, channels, channels),
        (sizes.batch, channels),
    )
    tensors = [ops.cast(keras.random.normal(shape), dtype) for shape in shapes]
    resample = "up" if "-up" in case else None

    modulated = functools.partial(modulated_conv2d, resample=resample)
    as_asked = functools.partial(modulated, fused=case.endswith("-fused"))

    # Fused or not, the reference is one ordinary convolution of the batch.
    return compiled(as_asked, *tensors), [(1, lambda: modulated(*tensors))]


def step_case(case, dtype, sizes):
    """A step of both networks, and as many convolutions as it has passes."""
    import numpy as np

    from c2f_zoo.models.gans.progan import ProGANDiscriminator, ProGANGenerator
    from c2f_zoo.training import AdversarialModel

    side, batch = sizes.step_resolution, sizes.step_batch
    options = {"dtype": dtype, "fused": case.endswith("-fused"), **sizes.options}
    generator = ProGANGenerator(side, **options)
    discriminator = ProGANDiscriminator(side, **options)
    model = AdversarialModel(generator, discriminator, seed=0)
    model.compile("progan")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, side, side, 3), dtype="uint8")
    latents = random.standard_normal((batch, generator.latent_size), dtype="float32")
    signed = images.astype("float32") / 127.5 - 1
    passes = [
        (STEP_PASSES["generator"], lambda: generator(latents)),
        (STEP_PASSES["discriminator"], lambda: discriminator(signed)),
    ]
    return lambda: model.train_on_batch(images), passes


def measure_case(case, dtype, rounds, small):
    """Measure the seconds of a case and of its convolutions, and its peak memory in MB."""
    kind = {"modulated": modulated_case}.get(case.split("-")[0], network_case)
    function, passes = (step_case if "-step" in case else kind)(case, dtype, Sizes(small))
    return measure(function, passes, rounds)


def heading(small):
    sizes = Sizes(small)
    return (
        f"Networks at {sizes.resolution}x{sizes.resolution} batch {sizes.batch}, modulated "
        f"convolutions {sizes.channels} to {sizes.channels} at {sizes.features}x{sizes.features} "
        f"batch {sizes.batch}, steps at {sizes.step_resolution}x{sizes.step_resolution} batch "
        f"{sizes.step_batch}."
    )


if __name__ == "__main__":
    main(__file__, CASES, measure_case, heading)
