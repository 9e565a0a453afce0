"""training/collect/blender: what needs no Blender. The slow references are loops over pixels."""

import importlib
import struct

import numpy as np
import pytest

from c2f_zoo.data import KITTI2015, FlyingThings3D, KITTI2015Stereo, RGBDFolder, SceneFlow

pytestmark = pytest.mark.backend_free


def module(name):
    return importlib.import_module(f"training.collect.blender.{name}")


truth, files, furniture, plans = (module(name) for name in ("truth", "files", "furniture", "plans"))
SIZE = (12, 20)


def seen(camera, index_and_plane):
    """A view of planes that face the camera's axis, nearest first: (index, depth, x limits)."""
    height, width = camera.size
    points, index = np.zeros((height, width, 3)), np.zeros((height, width), int)
    for y in range(height):
        for x in range(width):
            for number, depth, low, high in index_and_plane:
                local = np.array([x - width / 2 + 0.5, height / 2 - 0.5 - y, -camera.focal])
                local = local * depth / camera.focal
                world = camera.pose[:3, :3] @ local + camera.pose[:3, 3]
                if low <= world[0] <= high:
                    points[y, x], index[y, x] = world, number
                    break
    return truth.View(camera, points, index)


def camera_at(x=0.0):
    return truth.Camera(plans.pose(np.eye(3), (x, 0, 0)), 10.0, SIZE)


PLANES = ((1, 2.0, -0.5, 0.5), (2, 5.0, -100, 100))


def test_points_project_back_to_the_middle_of_their_pixels():
    view = seen(camera_at(0.3), PLANES)
    place, depth = truth.project(view.camera, view.points)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    np.testing.assert_allclose(place, np.stack([x, y], -1), atol=1e-9)
    np.testing.assert_allclose(depth, np.where(view.index == 1, 2.0, 5.0))


def test_disparity_is_the_displacement_to_the_right_camera():
    view = seen(camera_at(), PLANES)
    right = view.camera.moved_right(0.4)
    shift = truth.displacement(view, view.points, right)
    np.testing.assert_allclose(shift[..., 0], -10 * 0.4 / truth.depth_of(view))
    np.testing.assert_allclose(shift[..., 1], 0, atol=1e-9)


def test_things_move_with_their_poses():
    random = np.random.default_rng(0)
    poses = np.stack(
        [
            [plans.pose(plans.any_turn(random), random.normal(size=3)) for _ in range(2)]
            for _ in range(2)
        ]
    )
    points, index = random.normal(size=(3, 4, 3)), random.integers(0, 3, (3, 4))
    after = truth.moved(points, index, poses)
    for place in np.ndindex(3, 4):
        expected = points[place]
        if number := index[place]:
            own = np.linalg.solve(poses[0, number - 1], [*expected, 1])
            expected = (poses[1, number - 1] @ own)[:3]
        np.testing.assert_allclose(after[place], expected, atol=1e-9)


def test_hidden_pixels_are_those_behind_the_nearer_plane_or_outside():
    left, right = (seen(camera_at(x), PLANES) for x in (0.0, 0.4))
    hidden = truth.hidden(left, left.points, right)
    for y, x in np.ndindex(*SIZE):
        point = left.points[y, x]
        place = truth.project(right.camera, point)[0]
        inside = 0 <= place[0] <= SIZE[1] - 1 and 0 <= place[1] <= SIZE[0] - 1
        # Where the ray from the right camera to the point crosses the nearer plane.
        crossing = 0.4 + (point[0] - 0.4) * 2.0 / -point[2]
        covered = left.index[y, x] == 2 and -0.5 <= crossing <= 0.5
        near_edge = min(abs(crossing - 0.5), abs(crossing + 0.5)) < 2.0 / 10
        if not near_edge:
            assert hidden[y, x] == (covered or not inside), (y, x)
    assert 0 < hidden.mean() < 0.5


def test_an_object_that_nothing_of_is_seen_is_hidden():
    alone = seen(camera_at(), ((1, 2.0, -100, 100),))
    other = seen(camera_at(), ((2, 2.0, -100, 100),))
    assert truth.hidden(alone, alone.points, other).all()
    assert not truth.hidden(alone, alone.points, alone).any()


def test_blenders_vectors_become_flow():
    vectors = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    assert truth.motion_vectors(vectors, forward=True).tolist() == [[[-3.0, 4.0]]]
    assert truth.motion_vectors(vectors, forward=False).tolist() == [[[1.0, -2.0]]]


def exr(channels, height, width, compression=0):
    """A scanline OpenEXR file by its specification; channels by name, sorted, of float32."""
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<i4B2i", 2, 0, 0, 0, 0, 1, 1) for name in channels
    )
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = [
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", bytes([compression])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
    ]
    data = b"\x76\x2f\x31\x01" + struct.pack("<i", 2)
    for name, kind, value in attributes:
        data += f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value
    data += b"\0" + bytes(8 * height)
    for row in range(height):
        line = b"".join(one[row].astype("<f4").tobytes() for one in channels.values())
        data += struct.pack("<2i", row, len(line)) + line
    return data


def test_openexr_is_read_as_it_was_written():
    random = np.random.default_rng(0)
    channels = {name: random.normal(size=(3, 5)).astype(np.float32) for name in ("A.X", "B.Y")}
    found = truth.read_exr(exr(channels, 3, 5))
    assert list(found) == list(channels)
    for name, values in channels.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("data", [b"PNG", exr({"A": np.zeros((1, 1))}, 1, 1, compression=3)])
def test_other_openexr_is_refused(data):
    with pytest.raises(ValueError, match="Received"):
        truth.read_exr(data)


def test_exposure_shows_dark_and_bright_scenes_alike():
    radiance = np.random.default_rng(0).uniform(0.1, 1, (8, 8, 3))
    pictures = [truth.exposed(k * radiance, *truth.exposure(k * radiance)) for k in (0.01, 100.0)]
    np.testing.assert_allclose(*[one.astype(int) for one in pictures], atol=1)
    assert 60 < pictures[0].mean() < 190


LICENCES = {
    "under the Creative Commons Zero (Public Domain) license": "CC0-1.0",
    "under the Creative Commons\nAttribution 3.0 license": "CC-BY-3.0",
    "the Creative Commons Attribution 3.0 United States license": "CC-BY-3.0 US",
    "This model is in the public domain.": "public domain",
    "Creative Commons Attribution-NonCommercial 3.0": None,
    "Creative Commons Attribution-ShareAlike 3.0": None,
    "http://creativecommons.org/licenses/by-nd/3.0": None,
    "All rights reserved": None,
}


@pytest.mark.parametrize("text", LICENCES)
def test_only_free_licences_count(text):
    assert furniture.licence_of(text) == LICENCES[text]


def test_a_catalogue_is_read_in_metres_and_by_licence():
    text = (
        "id#1=Scopia#bed\nmodel#1=/scopia/bed/bed.obj\nwidth#1=170.5\ndepth#1=216\nheight#1=110\n"
        "dropOnTopElevation#1=55\ncategory#1=Bedroom\ncreator#1=Ann\n"
        "id#2=x\nmodel#2=/scopia/lamp/lamp.obj\nelevation#2=190\n"
        "modelRotation#2=0 0 1 0 1 0 -1 0 0\n"
        "id#3=y\nmodel#3=/scopia/mine/mine.obj\nid#4=z\nmodel#4=/scopia/film/film.dae\n"
    )
    own = {"scopia/mine": "Creative Commons Attribution-NonCommercial 3.0"}
    bed, lamp = furniture.read_catalogue(text, "Scopia", "CC-BY-3.0", own)
    assert bed == furniture.Model(
        "Scopia#bed",
        "Scopia/scopia/bed/bed.obj",
        (1.705, 2.16, 1.1),
        0.0,
        0.55,
        category="Bedroom",
        author="Ann",
        licence="CC-BY-3.0",
    )
    assert (lamp.elevation, lamp.top, lamp.rotation[2]) == (1.9, None, 1)


def test_a_tenth_of_the_models_is_held_out():
    shares = [furniture.is_held_out(f"model {number}") for number in range(5000)]
    assert 0.08 < np.mean(shares) < 0.12


def models(count=40):
    random = np.random.default_rng(1)
    kinds = (*plans.INDOORS, "Lights", "Characters", "Vehicles")
    return [
        furniture.Model(
            f"{number}",
            "",
            tuple(random.uniform(0.15, 1.8, 3)),
            float(number % 5 == 0),
            0.5 if number % 2 else None,
            category=kinds[number % len(kinds)],
        )
        for number in range(count)
    ] + [furniture.Model(f"small {n}", "", (0.2, 0.2, 0.3), category="Kitchen") for n in range(5)]


@pytest.mark.parametrize("kind", ["rooms", "scattered"])
def test_plans_follow_from_the_seed_and_move_rigidly(kind):
    make = module(kind).plan
    for seed in range(20):
        plan, again = (
            make(np.random.default_rng(seed), models(), ["a.jpg", "b.jpg"]) for _ in range(2)
        )
        np.testing.assert_array_equal(plan.camera, again.camera)
        assert [part.shape for part in plan.parts] == [part.shape for part in again.parts]
        assert len(plan.parts) < 255  # object indices are bytes
        for pose in (*plan.camera, *(pose for part in plan.parts for pose in part.poses)):
            np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
            np.testing.assert_allclose(np.linalg.det(pose[:3, :3]), 1)


def test_rooms_keep_furniture_apart_and_off_the_camera():
    for seed in range(20):
        room = module("rooms").Room(np.random.default_rng(seed), models(), ["a.jpg"])
        eye = room.plan().camera[0, :3, 3]
        assert 0 < eye[0] < room.width and 0 < eye[1] < room.length and 0.9 < eye[2] < 1.8
        for place, (x0, y0, x1, y1) in enumerate(room.taken):
            assert place == 0 or not (x0 <= eye[0] <= x1 and y0 <= eye[1] <= y1)
            for a, b, c, d in room.taken[:place]:
                assert x1 < a or x0 > c or y1 < b or y0 > d


def rendered(layout):
    """A Truth whose disparity and depth agree, and its record."""
    random = np.random.default_rng(0)
    keys = files.views(layout)
    every = dict.fromkeys(keys)
    depth = {key: random.uniform(1, 8, SIZE) for key in every}
    return files.Truth(
        images={key: random.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for key in every},
        depth=depth,
        index={key: random.integers(1, 9, SIZE) for key in every},
        disparity={key: 20 / depth[key] for key in every},
        unseen={key: random.random(SIZE) < 0.3 for key in every},
        flow={time: random.normal(size=(*SIZE, 2)) * 20 for time in (0, 1)},
        hidden={time: random.random(SIZE) < 0.3 for time in (0, 1)},
    ), {"kind": "room", "focal": 100.0, "baseline": 0.2, "vector_difference": [0.0]}


def test_kittis_layout_is_read_with_occlusion(tmp_path):
    made, record = rendered("kitti")
    root = tmp_path / files.TRAIN
    size = files.Target(root, 3, "kitti").write(made, record)
    assert size > 0 and files.record_of(root, 3).is_file()
    flow, stereo = KITTI2015(root)[0], KITTI2015Stereo(root)[0]
    np.testing.assert_allclose(flow.flow, made.flow[0], atol=0.5 / 64 + 1e-6)
    np.testing.assert_array_equal(flow.occlusion[..., 0] > 0, made.hidden[0])
    np.testing.assert_allclose(
        stereo.disparity[..., 0], made.disparity[0, "left"], atol=0.5 / 256 + 1e-6
    )
    np.testing.assert_array_equal(stereo.occlusion[..., 0] > 0, made.unseen[0, "left"])
    np.testing.assert_array_equal(np.rint(255 * flow.image2), made.images[1, "left"])
    depth = RGBDFolder(root / "rgbd")[0]
    np.testing.assert_allclose(depth.depth[..., 0], made.depth[0, "left"], atol=0.00051)


def test_depth_alone_is_written_alone(tmp_path):
    made, record = rendered("rgbd")
    files.Target(tmp_path, 3, "rgbd").write(made, record)
    sample = RGBDFolder(tmp_path / "rgbd")[0]
    np.testing.assert_array_equal(np.rint(255 * sample.image), made.images[0, "left"])
    np.testing.assert_allclose(sample.depth[..., 0], made.depth[0, "left"], atol=0.00051)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rgbd", "scenes"]
    with pytest.raises(FileNotFoundError, match="--layout rgbd leaves out. Received: "):
        module("report").check(tmp_path)


def test_flyingthings_layout_is_read(tmp_path):
    made, record = rendered("things")
    root = tmp_path / files.HELD_OUT
    files.Target(root, 0, "things").write(made, record)
    there, back = FlyingThings3D(root, split="test")
    np.testing.assert_allclose(there.flow, made.flow[0], atol=1e-5)
    np.testing.assert_allclose(back.flow, made.flow[1], atol=1e-5)
    first, second = SceneFlow(root, split="test")
    np.testing.assert_allclose(second.disparity[..., 0], made.disparity[1, "left"], rtol=1e-6)
    np.testing.assert_array_equal(np.rint(255 * first.right), made.images[0, "right"])


@pytest.mark.parametrize("layout", ["kitti", "things"])
def test_scenes_are_checked_and_shown(tmp_path, layout):
    report = module("report")
    made, record = rendered(layout)
    root = tmp_path / files.TRAIN
    for number in range(2):
        files.Target(root, number, layout).write(made, record)
    figures = report.check(root)
    assert figures["scenes"] == 2 and figures["amounts"]["known flow"] == 1
    assert figures["geometry"]["beyond 0.001 and half a step"] == 0
    report.sheet(tmp_path / "sheet.png", root)
    assert (tmp_path / "sheet.png").is_file()


def test_following_a_motion_is_bilinear():
    report = module("report")
    image = np.random.default_rng(0).random((4, 6, 1))
    shift = np.random.default_rng(1).normal(size=(4, 6, 2))
    found = report.follow(image, shift)
    for y, x in np.ndindex(4, 6):
        u = np.clip(x + shift[y, x, 0], 0, 5)
        v = np.clip(y + shift[y, x, 1], 0, 3)
        rows = [np.interp(u, np.arange(6), image[row, :, 0]) for row in range(4)]
        np.testing.assert_allclose(found[y, x, 0], np.interp(v, np.arange(4), rows))
