"""A small instance of every registered model, and what its task asks of it.

A model that is registered needs a line in `SMALL`, and may have another, NAME-VARIANT, for a
variant with parts of its own; a new task needs a case in `CASES`.
"""

from c2f_zoo import models

SMALL = {
    "DepthUNet": lambda **options: models.DepthUNet(
        width=4, multipliers=(1, 2), groups=2, **options
    ),
    "MSGGAN": lambda **options: models.MSGGAN(8, latent_size=4, num_filters=(8, 4), **options),
    "MultiscaleUNet": lambda **options: models.MultiscaleUNet(
        width=8, multipliers=(1, 2), norm="pixel", attention=0, time_embedding=False, **options
    ),
    "PSMNet": lambda **options: models.PSMNet("basic", max_disparity=16, **options),
    "PSMNetLite": lambda **options: models.PSMNetLite(max_disparity=32, **options),
    "PWCNet": lambda **options: models.PWCNet("small", **options),
    "PWCNetLite": lambda **options: models.PWCNetLite(**options),
    "ProGAN": lambda **options: models.ProGAN(8, latent_size=4, num_filters=(8, 4), **options),
    "RAFT": lambda **options: models.RAFT("small", iterations=2, **options),
    "RAFT-lite": lambda **options: models.RAFT("lite", iterations=2, **options),
    "RestorationResNet": lambda **options: models.RestorationResNet(
        width=8, blocks=1, time_embedding=False, **options
    ),
    "SRParaConvNet": lambda **options: models.SRParaConvNet(width=8, **options),
    "StyleGAN": lambda **options: models.StyleGAN(
        8, latent_size=4, w_size=4, mapping_depth=2, num_filters=(8, 4), **options
    ),
    "StyleGAN2": lambda **options: models.StyleGAN2(
        8, latent_size=4, w_size=4, mapping_depth=2, num_filters=(8, 4), **options
    ),
}

# In which mixed precision and export are tried: one of a kind, since the others share their code.
REPRESENTATIVES = (
    "PWCNetLite",
    "PSMNet",
    "PSMNetLite",
    "DepthUNet",
    "MultiscaleUNet",
    "ProGAN",
    "StyleGAN2",
)

# Whose precision is tried as well, where the tests may take longer (`tests/slow.txt`).
PRECISE = (*REPRESENTATIVES, "RAFT", "RAFT-lite")

# Weights that have no gradient, and why: a relativistic loss sees differences of scores alone.
IDLE = {"MSGGAN": ["head_score/bias"]}

# Weights whose gradient is zero but for rounding, so that they may move or not: an instance
# normalization removes the bias before it.
BLOCKS = [f"block_{stage}_{index}" for stage in range(3) for index in range(2)]
ROUNDING = {
    "RAFT": [
        "feature_encoder/stem/bias",
        *(
            f"feature_encoder/{block}/conv_{name}/bias"
            for block in BLOCKS
            for name in (0, 1, 2, "shortcut")
        ),
    ],
}
ROUNDING["RAFT-lite"] = ROUNDING["RAFT"]


class Flow:
    """Two images in, (H, W, 2) out."""

    sizes = ((64, 64), (49, 83))

    def inputs(self, rng, size, batch=1):
        return tuple(rng.random((2, batch, *size, 3)).astype("float32"))

    def output_shape(self, model, size, batch=1):
        return (batch, *size, 2)

    def data(self, rng):
        flow = rng.normal(size=(2, 64, 64, 2)).astype("float32")
        return self.inputs(rng, (64, 64), 2), flow

    def verb(self, model, image, **options):
        return model.flow(image, image, **options)

    def verb_shape(self, model, size):
        return (*size, 2)


class Stereo:
    """Two images in, (H, W, 1) out."""

    sizes = ((32, 48), (21, 35))

    def inputs(self, rng, size, batch=1):
        return tuple(rng.random((2, batch, *size, 3)).astype("float32"))

    def output_shape(self, model, size, batch=1):
        return (batch, *size, 1)

    def data(self, rng):
        disparity = rng.uniform(0, 16, (2, 32, 32, 1)).astype("float32")
        return self.inputs(rng, (32, 32), 2), disparity

    def verb(self, model, image, **options):
        return model.disparity(image, image, **options)

    def verb_shape(self, model, size):
        return (*size, 1)


class Depth:
    """One image in, (H, W, 1) out."""

    sizes = ((32, 48), (21, 35))

    def inputs(self, rng, size, batch=1):
        return rng.random((batch, *size, 3)).astype("float32")

    def output_shape(self, model, size, batch=1):
        return (batch, *size, 1)

    def data(self, rng):
        return self.inputs(rng, (32, 32), 2), rng.uniform(1, 9, (2, 32, 32, 1)).astype("float32")

    def verb(self, model, image, **options):
        return model.depth(image, **options)

    def verb_shape(self, model, size):
        return (*size, 1)


class Restoration:
    """One image in, an image of `model.scale` times its size out."""

    sizes = ((32, 32), (21, 35))

    def inputs(self, rng, size, batch=1):
        return rng.random((batch, *size, 3)).astype("float32")

    def output_shape(self, model, size, batch=1):
        return (batch, *(model.scale * side for side in size), 3)

    def data(self, rng):
        images = self.inputs(rng, (32, 32), 2)
        return images, images

    def verb(self, model, image, **options):
        return (model.upscale if model.scale > 1 else model.restore)(image, **options)

    def verb_shape(self, model, size):
        return (*(model.scale * side for side in size), 3)


class SuperResolution(Restoration):
    """As restoration; the truth is larger."""

    def data(self, rng):
        images = self.inputs(rng, (32, 32), 2)
        return images, rng.random((2, 64, 64, 3)).astype("float32")


class Generation:
    """Latents in, images out; images train it."""

    sizes = ()

    def inputs(self, rng, size=None, batch=1):
        return rng.normal(size=(batch, 4)).astype("float32")

    def output_shape(self, model, size=None, batch=1):
        return (batch, 8, 8, 3)

    def data(self, rng):
        return (rng.integers(0, 256, (8, 8, 8, 3)).astype("uint8"),)


CASES = {
    "optical_flow": Flow(),
    "stereo_matching": Stereo(),
    "depth_estimation": Depth(),
    "image_restoration": Restoration(),
    "super_resolution": SuperResolution(),
    "image_generation": Generation(),
}
