"""Compares what the shipped presets compute in half precision with what they compute in float32.

    KERAS_BACKEND=torch python -m benchmarks.precision
    KERAS_BACKEND=jax python -m benchmarks.precision pwcnet_lite.scenes

Prints the mean and the largest absolute difference: of flows and disparities in pixels, of images
in levels of 255. The images are the example frames at a quarter of their size.
"""

import argparse

import numpy as np
from PIL import Image

from c2f_zoo import list_presets, load
from c2f_zoo.tables import table

DTYPES = ("mixed_bfloat16", "mixed_float16", "bfloat16", "float16")


def frames():
    """The example frames, uint8 (120, 160, 3)."""
    import c2f_zoo

    folder = f"{c2f_zoo.__path__[0]}/assets/frames"
    paths = (f"{folder}/frame_{number}.jpg" for number in (1, 2))
    return [np.asarray(Image.open(path).resize((160, 120))) for path in paths]


def answer(model, task):
    """What a model makes of the frames, in the unit of the table, and the unit."""
    first, second = frames()
    if task == "optical_flow":
        return model.flow(first, second), "px"
    if task == "stereo_matching":
        return model.disparity(first, second), "px"
    if task == "image_generation":
        return 255 * model.generate(4, seed=0), "levels"
    if task == "image_inpainting":
        mask = np.ones(first.shape[:2], bool)
        mask[40:70, 50:90] = False
        return 255 * model.inpaint(first, mask), "levels"
    return 255 * getattr(model, model.image_verb)(first), "levels"


def compare(preset):
    """Rows of the table for one preset."""
    exact, unit = answer(load(preset.name, dtype="float32"), preset.task)
    for dtype in DTYPES:
        try:
            found, _ = answer(load(preset.name, dtype=dtype), preset.task)
        except Exception as error:
            yield [preset.name, dtype, None, None, " ".join(str(error).split())[:60]]
            continue
        off = np.abs(found.astype("float32") - exact)
        yield [preset.name, dtype, float(off.mean()), float(off.max()), unit]


def main(arguments=None):
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("presets", nargs="*", help="names (default: every shipped preset)")
    wanted = parser.parse_args(arguments).presets
    rows = []
    for preset in list_presets():
        if not wanted or preset.name in wanted:
            rows += compare(preset)
    print("\n".join(table(rows, ["preset", "dtype", "mean", "largest", "unit"])))


if __name__ == "__main__":
    main()
