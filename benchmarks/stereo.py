"""Speed and memory of the stereo networks, as ratios to their convolutions alone.

    python benchmarks/stereo.py                               every backend, float32 and bfloat16
    python benchmarks/stereo.py --backend tensorflow --cases basic-forward cascade-forward
    python benchmarks/stereo.py --tiny --rounds 1             a quick test, in seconds

- HEAD-forward, HEAD-step: the forward pass and a training step with Adam of PSMNet with the head
  `basic`, `stacked_hourglass` or `cascade`, and of PSMNet lite (`lite`), on one pair of 256x512
  with 192 disparities. A step is compared to three times the forward convolutions (forward,
  gradients for inputs and for kernels).
- lite-image: `disparity` of PSMNet lite for one pair of 370x420 with 192 disparities.
- HEAD-large: the forward pass on one pair of 544x960, the size of Scene Flow, for its memory.

`measuring.py` describes the method.
"""

from measuring import main, measure  # the file beside this one

HEADS = ("basic", "stacked_hourglass", "cascade", "lite")
CASES = (
    *(f"{head}-{kind}" for kind in ("forward", "step", "large") for head in HEADS),
    "lite-image",
)
# Forward convolutions, and the gradients of each for its input and for its kernel.
STEP_PASSES = 3


class Sizes:
    """Sizes to measure, or small ones to test the script."""

    def __init__(self, small):
        self.disparities = 32 if small else 192
        self.pairs = {
            "forward": (32, 64) if small else (256, 512),
            "step": (32, 64) if small else (256, 512),
            "large": (48, 64) if small else (544, 960),
            "image": (37, 42) if small else (370, 420),
        }


def measure_case(case, dtype, rounds, small):
    """Measure one case."""
    import numpy as np

    from c2f_zoo import PSMNet, PSMNetLite

    head, kind = case.rsplit("-", 1)
    sizes = Sizes(small)
    options = {"max_disparity": sizes.disparities, "dtype": dtype}
    model = PSMNetLite(**options) if head == "lite" else PSMNet(head, **options)
    model.compile()
    shape = (1, *sizes.pairs[kind], 3)
    left, right = np.random.default_rng(0).random((2, *shape), dtype="float32")
    pair, truth = (left, right), np.ones((*shape[:3], 1), "float32")

    def forward():
        return model(pair, training=False)

    functions = {
        "image": lambda: model.disparity(left[0], right[0]),
        "step": lambda: model.train_on_batch(pair, truth),
    }
    function = functions.get(kind, lambda: model.predict_on_batch(pair))
    passes = STEP_PASSES if kind == "step" else 1
    return measure(function, lambda: [(passes, forward)], rounds)


def heading(small):
    """The line above the table."""
    forward, large = (Sizes(small).pairs[kind] for kind in ("forward", "large"))
    return (
        f"One pair of {forward[0]}x{forward[1]} (large: {large[0]}x{large[1]}), "
        f"{Sizes(small).disparities} disparities"
    )


if __name__ == "__main__":
    main(__file__, CASES, measure_case, heading)
