"""Quality of interpolated frames: every second frame is left out, and computed from its neighbours.

    python benchmarks/interpolation.py clip.mp4 frames/ --preset pwcnet_lite.scenes
    python benchmarks/interpolation.py --scenes 32

PSNR (dB) and SSIM are means over the frames left out, beside the mean of the two neighbours and
the flow of OpenCV's DIS with the same synthesis. `--syntheses` also compares, with the flow of DIS,
two other ways to use it: softmax splatting of colours (Niklaus and Liu, CVPR 2020) and backward
warping with the approximated flow of Super SloMo (Jiang et al., CVPR 2018, equation 4).
`--scenes N` renders N scenes of 256x320 at three equally spaced times.
"""

import argparse
import itertools
import sys

import numpy as np


def clip_triplets(path, limit):
    """Yield (before, left out, after) of a video or folder, each frame in at most one middle."""
    from c2f_zoo.data import read_frames

    frames = iter(read_frames(path, min_frames=3))
    before = next(frames)
    for middle, after in itertools.islice(zip(frames, frames, strict=False), limit):
        yield before, middle, after
        before = after


def scene_triplets(count, size=(256, 320), seed=7):
    """Yield (before, middle, after) of rendered scenes whose every point moves in a line."""
    from c2f_zoo.backend import to_numpy
    from c2f_zoo.data.scenes import Scenes

    scenes = Scenes(size=size, batch_size=1, effects=False, seed=seed)
    for index in range(count):
        parameters = scenes.parameters(index)
        control = parameters["control"]
        # The renderer draws frame 1 by its way to frame 2: half of the way is halfway.
        halfway = scenes.render({**parameters, "control": control * 0.5}, masks=False)
        whole = scenes.render(parameters, masks=False)
        yield tuple(
            to_numpy(image)[0] for image in (whole["image1"], halfway["image1"], whole["image2"])
        )


def splatted_colors(first, second, forward, backward):
    """The middle frame by softmax splatting of colours, mixed where nothing lands."""
    from c2f_zoo.data.flow.between import SHARPNESS, sample
    from c2f_zoo.data.flow.splatting import splat

    total, weights = 1e-3 * (first + second) / 2, 1e-3
    for image, other, flow in ((first, second, forward), (second, first, backward)):
        error = np.abs(image - sample(other, flow)[0]).mean(-1, keepdims=True)
        color, weight = splat(image, flow / 2, np.exp(-SHARPNESS * error))
        total, weights = total + weight * color, weights + weight
    return total / weights


def approximated_flow(first, second, forward, backward):
    """The middle frame by backward warping along the flow of Super SloMo, equation 4."""
    from c2f_zoo.data.flow.between import sample
    from c2f_zoo.tasks import checked_flow

    onward = checked_flow(forward, backward).confidence
    back = checked_flow(backward, forward).confidence
    offset1, offset2 = (backward - forward) / 4, (forward - backward) / 4
    seen1, seen2 = sample(back, offset2)[0], sample(onward, offset1)[0]
    weight1, weight2 = seen1 + 1e-3, seen2 + 1e-3
    mixed = weight1 * sample(first, offset1)[0] + weight2 * sample(second, offset2)[0]
    return mixed / (weight1 + weight2)


def methods(presets, with_syntheses):
    """Dictionary of functions of two frames that return the one between them."""
    from c2f_zoo.cli.baselines import make_baseline
    from c2f_zoo.hub import load
    from c2f_zoo.tasks import interpolate

    dis = make_baseline("dis")
    found = {
        "mean of the two": lambda first, second: (first + second) / 2,
        "DIS": lambda first, second: interpolate(dis, first, second),
    }
    if with_syntheses:
        for name, synthesis in (("colours", splatted_colors), ("Super SloMo", approximated_flow)):
            found[f"DIS, {name}"] = lambda first, second, synthesis=synthesis: synthesis(
                first, second, dis(first, second), dis(second, first)
            )
    for preset in presets:
        model = load(preset)
        found[preset] = lambda first, second, model=model: interpolate(model, first, second)
    return found


def measure(triplets, named):
    """Mean (PSNR, SSIM) of every method over triplets, and the number of these."""
    from c2f_zoo.backend import to_numpy
    from c2f_zoo.metrics.image_quality import psnr, ssim

    figures = {name: [] for name in named}
    for before, middle, after in triplets:
        for name, method in named.items():
            frame = np.clip(method(before, after), 0, 1).astype(np.float32)
            pair = middle[None], frame[None]
            figures[name].append([float(to_numpy(figure(*pair))[0]) for figure in (psnr, ssim)])
    count = len(next(iter(figures.values())))
    return {name: tuple(np.mean(rows, axis=0)) for name, rows in figures.items()}, count


def table(results):
    """Format the results, (name, figures, count) of each clip, as a Markdown table."""
    names = list(results[0][1])
    lines = [
        f"| PSNR, SSIM | frames | {' | '.join(names)} |",
        "| --- |" + " --- |" * (1 + len(names)),
    ]
    for clip, figures, count in results:
        best = max(figures.values())[0]
        cells = [f"{p:.2f}, {s:.4f}" for p, s in figures.values()]
        cells = [
            f"**{cell}**" if figures[name][0] == best else cell
            for name, cell in zip(names, cells, strict=True)
        ]
        lines.append(f"| {clip} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Measure what the command line asks for, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="*", help="videos, or folders of frames")
    parser.add_argument("--preset", nargs="*", default=["pwcnet_lite.scenes"], metavar="NAME")
    parser.add_argument("--scenes", type=int, default=0, metavar="N", help="rendered scenes")
    parser.add_argument("--frames", type=int, metavar="N", help="at most so many of each clip")
    parser.add_argument("--syntheses", action="store_true", help="also two other syntheses")
    arguments = parser.parse_args()
    if not (arguments.clips or arguments.scenes):
        parser.error("give clips, or --scenes")
    named = methods(arguments.preset, arguments.syntheses)
    sources = [(path, clip_triplets(path, arguments.frames)) for path in arguments.clips]
    if arguments.scenes:
        sources.append(("rendered scenes", scene_triplets(arguments.scenes)))
    results = []
    for name, triplets in sources:
        results.append((name, *measure(triplets, named)))
        print(table(results[-1:]), file=sys.stderr, flush=True)  # the next one may take long
    print(table(results))


if __name__ == "__main__":
    main()
