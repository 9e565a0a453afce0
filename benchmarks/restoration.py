"""Speed and memory of the restoration U-Nets, as ratios to their convolutions alone.

    python benchmarks/restoration.py                          every backend, float32 and bfloat16
    python benchmarks/restoration.py --backend torch --cases unet-step unet-forward
    python benchmarks/restoration.py --tiny --rounds 1        a quick test, in seconds

- unet-step, unet-forward: a training step with Adam and the forward pass of the paper's network
  (2,537,187 parameters, attention, dropout, time) on 16 images of 64x64. A step is compared to
  three times the forward convolutions (forward, gradients for inputs and for kernels).
- unet-512, local-512: the forward pass on one image of 512x512, of the paper's network, which is
  dominated by attention, and of the local network for photographs.
- tiled-24: `restore` for a photograph of 24 megapixels with the local network, in tiles. The
  convolutions of all tiles are counted. Memory above the network and the photograph includes the
  tiles, the blending and the result of 288 MB.
- inpaint-24: `inpaint` for a photograph of 24 megapixels with a hole of 1000x1000.
- upscale-24: `upscale` for a photograph of 6 megapixels to 24, with the x2 network for photographs.

`measuring.py` describes the method.
"""

import functools

from measuring import main, measure  # the file beside this one

CASES = (
    "unet-step",
    "unet-forward",
    "unet-512",
    "local-512",
    "tiled-24",
    "inpaint-24",
    "upscale-24",
)
# Forward convolutions, and the gradients of each for its input and for its kernel.
STEP_PASSES = 3
# The network of the presets for photographs.
LOCAL_SIZE = {"width": 48, "multipliers": (1, 2, 2)}
LOCAL = {
    "norm": "pixel",
    "attention": 0,
    "dropout": 0,
    "time_embedding": False,
    "patch": 2,
}
# The network that doubles their sides.
ENLARGING = {
    "width": 48,
    "blocks": 8,
    "time_embedding": False,
    "scale": 2,
    "normalize": False,
    "enlarge": "last",
}


class Sizes:
    """Sizes to measure, or small ones to test the script."""

    def __init__(self, small):
        self.batch, self.side, self.large = (2, 16, 32) if small else (16, 64, 512)
        self.photograph = (100, 120) if small else (4000, 6000)
        self.tile = 64 if small else None
        self.hole = 40 if small else 1000
        self.paper = {"width": 16, "multipliers": (1, 2)} if small else {}
        self.small_photograph = tuple(side // 2 for side in self.photograph)
        self.enlarging = ENLARGING | ({"width": 8, "blocks": 1} if small else {})
        self.local = {"width": 8, "multipliers": (1, 2)} if small else LOCAL_SIZE


def network_case(case, dtype, sizes):
    """A step or forward pass of a network, and passes over its convolutions."""
    import keras
    import numpy as np

    from c2f_zoo.models import MultiscaleUNet

    is_local, is_step = case.startswith("local"), case.endswith("-step")
    options = {**sizes.local, **LOCAL} if is_local else sizes.paper
    network = MultiscaleUNet(**options, dtype=dtype)
    batch, side = (1, sizes.large) if case.endswith("-512") else (sizes.batch, sizes.side)
    random = np.random.default_rng(0)
    images = random.random((batch, side, side, 3), dtype="float32")
    inputs = images if is_local else (images, random.random(batch, dtype="float32"))
    network.compile(keras.optimizers.Adam(5e-4), "mse", metrics=[])
    passes = [(STEP_PASSES if is_step else 1, lambda: network(inputs))]
    if is_step:
        return lambda: network.train_on_batch(inputs, images), passes
    return lambda: network.predict_on_batch(inputs), passes


def tiled_case(case, dtype, sizes):
    """A photograph processed in tiles, and the convolutions of each batch of tiles."""
    import numpy as np

    from c2f_zoo.models import MultiscaleUNet, RestorationResNet

    if case == "upscale-24":
        network = RestorationResNet(**sizes.enlarging, dtype=dtype)
        run, shape = network.upscale, (*sizes.small_photograph, 3)
    else:
        has_hole = case == "inpaint-24"
        network = MultiscaleUNet(**sizes.local, **LOCAL, mask=has_hole, dtype=dtype)
        run, shape = network.restore, (*sizes.photograph, 3)
        if has_hole:
            known = np.ones(sizes.photograph, bool)
            top, left = (side // 3 for side in sizes.photograph)
            known[top : top + sizes.hole, left : left + sizes.hole] = False
            run = functools.partial(network.inpaint, mask=known)
    photograph = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")

    def restore():
        return run(photograph, tile=sizes.tile, progress=False)

    def passes():
        shapes, predict = [], network.predict_on_batch

        def noted(inputs):
            tiles = inputs[0] if network.mask else inputs
            shapes.append(tiles.shape)
            return tiles.repeat(network.scale, axis=1).repeat(network.scale, axis=2)

        network.predict_on_batch = noted
        try:
            restore()
        finally:
            network.predict_on_batch = predict
        return [
            (shapes.count(shape), lambda s=shape: network(given(s)))
            for shape in dict.fromkeys(shapes)
        ]

    def given(shape):
        images = np.zeros(shape, "float32")
        return (images, images[..., :1]) if network.mask else images

    return restore, passes


def measure_case(case, dtype, rounds, small):
    """Measure the seconds of a case and of its convolutions, and its peak memory in MB."""
    sizes = Sizes(small)
    if not case.endswith("-24"):
        return measure(*network_case(case, dtype, sizes), rounds)
    # Takes minutes on a CPU: once to compile, once timed with its convolutions.
    return measure(*tiled_case(case, dtype, sizes), min(rounds, 2), warm_up=1)


def heading(small):
    sizes = Sizes(small)
    height, width = sizes.photograph
    return (
        f"The paper's U-Net at {sizes.side}x{sizes.side} batch {sizes.batch}, forward passes at "
        f"{sizes.large}x{sizes.large} batch 1, a photograph of {width}x{height} in tiles, and one "
        f"enlarged to that."
    )


if __name__ == "__main__":
    main(__file__, CASES, measure_case, heading)
