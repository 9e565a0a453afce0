"""Makes the flow picture of the README: `python docs/make_flow_picture.py [PRESET]`."""

import sys
from pathlib import Path

import numpy as np

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import flow_picture, load_image, save_image
from c2f_zoo.hub import load
from c2f_zoo.layers import warp

ROOT = Path(__file__).parents[1]


def main(preset="pwcnet_lite.scenes"):
    frames = [load_image(ROOT / f"c2f_zoo/assets/frames/frame_{i}.jpg") for i in (1, 2)]
    flow = load(preset).flow(*frames)
    warped = to_numpy(warp(frames[1][None], flow[None]))[0]
    colors = np.asarray(flow_picture(flow))  # wider than the flow by its legend
    margin = ((0, 0), (0, colors.shape[1] - warped.shape[1]), (0, 0))
    warped = np.pad(warped, margin, constant_values=1.0)
    left, right = (np.concatenate(pair, axis=0) for pair in (frames, (colors, warped)))
    # Half the size is enough for a page.
    picture = np.concatenate([left, right], axis=1)
    height, width = (size // 2 * 2 for size in picture.shape[:2])
    picture = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    save_image(ROOT / "docs/images/flow.png", picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
