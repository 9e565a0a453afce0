"""Renders rooms and scattered objects with exact flow, disparity, depth and occlusion.

Needs Blender as a module, which exists for Python 3.11 alone, in an environment of its own; the
project is not installed there:

    python3.11 -m venv blender && blender/bin/pip install "bpy==4.5.*" "numpy<2" pillow lazy-loader
    python training/collect/photographs.py textures
    blender/bin/python training/collect/blender_scenes.py --photographs textures --out rooms

The furniture of Debian's `sweethome3d-furniture` is fetched by `apt-get download` and unpacked
into `rooms/models`, or taken from `--furniture FILE.deb`. A scene follows from `--seed` and its
number; finished ones are skipped. Held-out scenes show other photographs and other furniture than
those for training. In the environment of the project,

    python training/collect/blender_scenes.py --check rooms/held_out
    python training/collect/blender_scenes.py --sheet scenes.jpg rooms/held_out

measure the truth of what was rendered, and make a contact sheet.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.collect.blender import files, furniture, rooms, scattered, truth

ATTEMPTS = 6
ROOM_SHARE = 0.6
MEMORY = 3 << 30  # bytes above which the process starts anew
PHOTOS = (".jpg", ".jpeg", ".png")


class Unsuitable(Exception):
    """A scene that teaches little: a wall before the camera, nothing of interest in view."""


def render(plan, options, models, seed):
    """Render a plan: a `files.Truth` and its record. Raises `Unsuitable`."""
    from training.collect.blender.stage import Stage

    how = options.size, options.samples, options.threads
    stage = Stage(plan, models, options.models, *how, seed)
    looks = {(0, "left"): stage.look(0)}
    first = looks[0, "left"][0]
    baseline = _baseline(plan, first)
    shift = {"left": 0.0, "right": baseline}
    wanted = files.views(options.layout)
    looks |= {view: stage.look(view[0], shift[view[1]]) for view in wanted[1:]}
    views = {key: look[0] for key, look in looks.items()}
    depth = {key: truth.depth_of(view) for key, view in views.items()}
    flow, hidden, off = {}, {}, []
    for now, then in ((0, 1), (1, 0)) if (1, "left") in wanted else ():
        view, other = views[now, "left"], views[then, "left"]
        points = truth.moved(view.points, view.index, stage.poses[[now, then]])
        flow[now] = truth.displacement(view, points, other.camera)
        hidden[now] = truth.hidden(view, points, other)
        vectors = truth.motion_vectors(looks[now, "left"][1], forward=now == 0)
        off.append(float(np.abs(vectors - flow[now]).max()))
    unseen, disparity = {}, {}
    for key in wanted:
        other = (key[0], {"left": "right", "right": "left"}[key[1]])
        with np.errstate(divide="ignore"):
            disparity[key] = np.where(depth[key] > 0, stage.focal * baseline / depth[key], 0)
        if other in views:
            unseen[key] = truth.hidden(views[key], views[key].points, views[other])
    if hidden and hidden[0].mean() > 0.5:
        raise Unsuitable("most of it leaves the picture")
    radiance = {key: stage.picture(key[0], shift[key[1]]) for key in wanted}
    grey, white = truth.exposure(radiance[0, "left"])
    images = {key: truth.exposed(one, grey, white) for key, one in radiance.items()}
    if images[0, "left"].std() < 20:
        raise Unsuitable("it has no contrast")
    record = {
        "kind": plan.kind,
        "focal": stage.focal,
        "baseline": baseline,
        "camera": plan.camera.tolist(),
        "vector_difference": off,
        "parts": [part.shape for part in plan.parts if part.shape not in stage.missing],
        "missing": stage.missing,
    }
    index = {key: view.index for key, view in views.items()}
    return files.Truth(images, depth, index, disparity, unseen, flow, hidden), record


def _baseline(plan, view):
    """Metres between the cameras, so that what is near has a chosen disparity."""
    depth = truth.depth_of(view)
    known = depth[depth > 0]
    if known.size < 0.99 * depth.size:
        raise Unsuitable("it has holes")
    if np.percentile(known, 1) < 0.35:
        raise Unsuitable("something is too near")
    share = np.sort(np.bincount(view.index.ravel()))[::-1] / view.index.size
    if (share > 0.002).sum() < 6 or share[0] > 0.75:
        raise Unsuitable("there is little in view")
    near = float(np.percentile(known, 3))
    width = view.index.shape[1]
    return plan.nearest_disparity * width * near / view.camera.focal


def scene(split, number, options, models, photographs):
    """Plan and render one scene, anew where it is unsuitable: truth and record, or None."""
    for attempt in range(ATTEMPTS):
        seed = [options.seed, split == files.HELD_OUT, number, attempt]
        random = np.random.default_rng(seed)
        kind = rooms if random.random() < ROOM_SHARE else scattered
        try:
            plan = kind.plan(random, list(models.values()), photographs)
            truth_, record = render(plan, options, models, int(random.integers(1 << 30)))
            return truth_, {**record, "seed": seed}
        except Unsuitable as reason:
            print(f"{split} {number}, attempt {attempt}: {reason}", flush=True)
        except (RuntimeError, ValueError, LookupError, OSError) as error:
            # One scene that Blender cannot make must not end a rendering of days.
            print(f"{split} {number}, attempt {attempt} failed: {error!r}", flush=True)
    return None


def _memory():
    """Bytes that the process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(options):
    """Render all scenes that are not there yet."""
    from training.collect.blender import stage

    options.models = options.models or options.out / "models"
    options.models.mkdir(parents=True, exist_ok=True)
    everything = furniture.unpack(options.furniture, options.models)
    usable = [one for one in everything if one.category != "Doors and windows"]
    names = sorted(stage.hdris().split(", "))
    options.out.mkdir(parents=True, exist_ok=True)
    text = furniture.attribution(usable, options.photographs, ", ".join(names))
    (options.out / "ATTRIBUTION.md").write_text(text, encoding="utf-8")
    begin, done, size = time.monotonic(), 0, 0
    for split, count, part in (
        (files.HELD_OUT, options.held_out, "validation"),
        (files.TRAIN, options.scenes, "train"),
    ):
        folder = options.photographs / part
        photographs = sorted(
            str(path.resolve()) for path in folder.iterdir() if path.suffix.lower() in PHOTOS
        )
        is_held_out = split == files.HELD_OUT
        models = {one.name: one for one in usable if furniture.is_held_out(one.name) == is_held_out}
        root = options.out / split
        for number in range(options.first, count):
            if files.record_of(root, number).is_file():
                continue
            found = scene(split, number, options, models, photographs)
            if found is None:
                print(f"{split} {number} is left out: no attempt was suitable", flush=True)
                continue
            size += files.Target(root, number, options.layout).write(*found)
            done += 1
            if done % 10 == 0:
                minutes = (time.monotonic() - begin) / 60
                print(
                    f"{split} {number + 1}/{count}: {done / minutes:.2f} scenes a minute, "
                    f"{size / done / 1e6:.2f} MB a scene",
                    flush=True,
                )
            if _memory() > MEMORY:
                os.execv(sys.executable, [sys.executable, *sys.argv])
    return 0


def main(arguments=None):
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder of the scenes")
    parser.add_argument("--photographs", type=Path, help="what photographs.py wrote")
    parser.add_argument("--furniture", type=Path, help="the .deb file; default: fetched")
    parser.add_argument("--models", type=Path, help="unpacked furniture; default: OUT/models")
    parser.add_argument("--scenes", type=int, default=6000, help="scenes for training")
    parser.add_argument("--held-out", type=int, default=200, help="held-out scenes")
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--size", type=int, nargs=2, default=(320, 448), metavar=("HEIGHT", "WIDTH")
    )
    parser.add_argument("--samples", type=int, default=4, help="rays per pixel, then denoised")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--layout",
        choices=files.LAYOUTS,
        default="kitti",
        help="KITTI's or FlyingThings3D's, both with rgbd/ beside them; or rgbd/ alone, for depth, "
        "in a third of the time",
    )
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="measure rendered scenes")
    parser.add_argument(
        "--sheet", type=Path, nargs=2, metavar=("IMAGE", "FOLDER"), help="make a contact sheet"
    )
    options = parser.parse_args(arguments)
    options.size = tuple(options.size)
    if options.check or options.sheet:
        from training.collect.blender import report

        if options.check:
            print(json.dumps(report.check(options.check), indent=1))
        if options.sheet:
            report.sheet(*options.sheet)
        return 0
    if not (options.out and options.photographs):
        parser.error("rendering needs --out and --photographs")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
