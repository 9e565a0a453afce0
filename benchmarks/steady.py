"""Quality and flicker of a clip that is denoised frame by frame, and along the optical flow.

    python benchmarks/steady.py clip.mp4 --frames 12 --sigma 25

Gaussian noise, independent from frame to frame, is added to a clip. PSNR (dB) is the mean over the
frames. Flicker is the warping error (Lai et al., "Learning Blind Video Temporal Consistency", ECCV
2018), as its root, in grey levels of 255: how far consecutive results differ along the flow that
OpenCV's DIS finds in the clean clip, where `forward_backward_check` confirms it.
"""

import argparse
import itertools

import numpy as np


def flicker(frames, clean, flow):
    """Root of the mean squared difference along the flow of the clean frames, of 255."""
    from c2f_zoo.data import forward_backward_check
    from c2f_zoo.data.flow.between import sample

    total, count = 0.0, 0.0
    for pair, (first, second) in zip(
        itertools.pairwise(frames), itertools.pairwise(clean), strict=True
    ):
        forward = flow(first, second)
        confirmed = forward_backward_check(forward, flow(second, first))
        difference = np.square(pair[0] - sample(pair[1], forward)[0]).mean(-1, keepdims=True)
        total, count = total + (confirmed * difference).sum(), count + confirmed.sum()
    return 255 * float(np.sqrt(total / count))


def psnr(frames, clean):
    """Mean over the frames, in dB."""
    pairs = zip(frames, clean, strict=True)
    errors = [np.mean(np.square(np.clip(frame, 0, 1) - truth)) for frame, truth in pairs]
    return float(np.mean(-10 * np.log10(errors)))


def compare(clean, noisy, model, flow_model, flow, strengths):
    """Rows (what, PSNR, flicker) of the clean and noisy clip and of each strength."""
    from c2f_zoo.tasks import restore_stream

    results = {"clean": clean, "noisy": noisy}
    for strength in strengths:
        name = f"strength {strength:g}" if strength else "frame by frame"
        results[name] = list(restore_stream(model, flow_model, noisy, strength))
    return [
        (name, psnr(frames, clean) if name != "clean" else None, flicker(frames, clean, flow))
        for name, frames in results.items()
    ]


def main():
    """Measure what the command line asks for, and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", help="a video, or a folder of frames")
    parser.add_argument("--frames", type=int, metavar="N", help="at most so many")
    parser.add_argument("--sigma", type=float, default=25.0, help="noise, in grey levels of 255")
    parser.add_argument("--preset", default="unet_denoise.real")
    parser.add_argument("--flow-preset", default="pwcnet_lite.scenes")
    parser.add_argument("--strengths", type=float, nargs="*", default=[0.0, 0.8])
    arguments = parser.parse_args()

    from c2f_zoo.cli.baselines import make_baseline
    from c2f_zoo.data import read_frames
    from c2f_zoo.hub import load

    clean = list(itertools.islice(read_frames(arguments.clip), arguments.frames))
    random = np.random.default_rng(0)
    noise = arguments.sigma / 255
    noisy = [frame + noise * random.standard_normal(frame.shape, np.float32) for frame in clean]
    models = load(arguments.preset), load(arguments.flow_preset)
    rows = compare(clean, noisy, *models, make_baseline("dis"), arguments.strengths)
    print("| | PSNR, dB | flicker |\n| --- | --- | --- |")
    for name, quality, unrest in rows:
        print(f"| {name} | {'' if quality is None else f'{quality:.2f}'} | {unrest:.2f} |")


if __name__ == "__main__":
    main()
