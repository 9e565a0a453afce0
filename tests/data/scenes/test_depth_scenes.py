"""Rooms with depth, against rays cast one by one in float64."""

import keras
import numpy as np
import pytest

from c2f_zoo.data.scenes import DepthScenes
from c2f_zoo.data.scenes.depth import FINER
from c2f_zoo.data.scenes.depth_parameters import FACES
from c2f_zoo.data.scenes.depth_rays import mip_pyramid

SIZE = (10, 14)


def numpy_of(batch):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, batch)


@pytest.fixture(scope="module")
def plain():
    """Textures of one colour each."""
    colors = np.random.default_rng(0).integers(0, 256, (20, 1, 1, 3))
    return np.tile(colors, (1, 8, 8, 1)).astype("uint8")


@pytest.fixture(scope="module")
def scenes(plain):
    return DepthScenes(SIZE, batch_size=2, textures=plain, objects=(3, 5))


def hits(scene, start, ray):
    """All (t, box) at which a ray passes a face of a box or an ellipsoid, faces by intersection."""
    found = []
    for box, (centre, axes, half, is_round) in enumerate(
        zip(scene["centre"], scene["axes"], scene["half"], scene["round"], strict=True)
    ):
        origin, way = axes @ (start - centre), axes @ ray
        if is_round:
            a, b, c = (way / half) ** 2, 2 * origin * way / half**2, (origin / half) ** 2
            roots = np.roots([a.sum(), b.sum(), c.sum() - 1])
            found += [(t, box) for t in roots.real if abs(roots.imag).max() == 0]
            continue
        for axis in range(3):
            for side in (-1, 1):
                t = (side * half[axis] - origin[axis]) / way[axis]
                point = origin + t * way
                others = [other for other in range(3) if other != axis]
                if (abs(point[others]) <= half[others]).all():
                    found.append((t, box))
    return found


def look(scene, ray):
    """What a ray sees: depth, box, place in the frame of the box, normal towards the camera."""
    depth, box = min(hit for hit in hits(scene, np.zeros(3), ray) if hit[0] > 0)
    place = scene["axes"][box] @ (depth * ray - scene["centre"][box])
    half = scene["half"][box]
    axis = np.argmax(abs(place / half))
    normal = place / half**2 if scene["round"][box] else np.eye(3)[axis] * np.sign(place[axis])
    normal = normal / np.linalg.norm(normal)
    if normal @ (scene["axes"][box] @ ray) > 0:
        normal = -normal
    return depth, box, place, axis, normal


def rays_of(scene, finer):
    """Directions (H', W', 3) of the rays."""
    rows, columns = ((np.arange(side * finer) + 0.5) / finer - side / 2 for side in SIZE)
    x, y = np.meshgrid(columns / scene["focal"], rows / scene["focal"])
    return np.stack([x, y, np.ones_like(x)], -1) @ scene["rotation"].T


def each(parameters):
    """The scenes of a batch, in float64."""
    count = len(parameters["focal"])
    return [
        {name: np.asarray(value[index], "float64") for name, value in parameters.items()}
        for index in range(count)
    ]


def brightness(scene, ray, depth, box, normal):
    """Light of a lamp at a place, 0 in the shadow of any object, and what is everywhere."""
    place = depth * ray
    way = scene["light"] - place
    between = [hit for hit in hits(scene, place, way) if hit[1] and 1e-3 < hit[0] < 1]
    # An object that begins where the ray ends lies behind the surface, not before it.
    toward = scene["axes"][box] @ way
    cosine = max(normal @ toward / np.linalg.norm(toward), 0)
    lit = 0 if any(other != box for _, other in between) else cosine
    return scene["ambient"] + (1 - scene["ambient"]) * lit


@pytest.mark.parametrize("index", range(3))
def test_depth_is_that_of_rays_cast_one_by_one(scenes, index):
    parameters = scenes.parameters(index)
    found = numpy_of(scenes.render(parameters))["depth"]
    assert found.shape == (2, *SIZE, 1) and found.dtype == np.float32
    for scene, depth in zip(each(parameters), found[..., 0], strict=True):
        expected = np.array([[look(scene, ray)[0] for ray in row] for row in rays_of(scene, 1)])
        # Rays along an edge may take either side.
        close = np.abs(depth / expected - 1) < 1e-3
        assert close.mean() > 0.985
        assert np.abs(depth / expected - 1)[close].mean() < 1e-5


def test_colours_light_and_shadows_are_those_of_rays_cast_one_by_one(scenes, plain):
    parameters = scenes.parameters(3)
    parameters["ambient"][:] = 0.3
    parameters["color"][:] = np.eye(3, 4)
    parameters["noise"][:] = 0
    parameters["tone"][:] = [1, 1, 1, 0, 0, 0, 0]
    image = numpy_of(scenes.render(parameters))["image"]
    shadowed = 0
    for scene, found in zip(each(parameters), image, strict=True):
        rays = rays_of(scene, FINER)
        expected = np.zeros((*rays.shape[:2], 3))
        for pixel in np.ndindex(*rays.shape[:2]):
            depth, box, place, axis, normal = look(scene, rays[pixel])
            surface = FACES - 1 + box if box else 2 * axis + (place[axis] > 0)
            color = plain[int(scene["texture"][surface]), 0, 0] / 255
            light = brightness(scene, rays[pixel], depth, box, normal)
            shadowed += light == scene["ambient"]
            expected[pixel] = color * light
        expected = expected.reshape(SIZE[0], FINER, SIZE[1], FINER, 3).mean((1, 3))
        assert (np.abs(found - expected).max(-1) < 5e-3).mean() > 0.97
    assert shadowed > 20


def test_textures_lie_on_the_surfaces_in_perspective():
    # Red is the column of a texel and green the row.
    rows, columns = np.mgrid[:200, :200]
    ramp = np.stack([columns, rows, 0 * rows], -1).astype("uint8")[None]
    scenes = DepthScenes(SIZE, 2, ramp, objects=(2, 4), effects=False)
    parameters = scenes.parameters(0)
    parameters["color"][:] = np.eye(3, 4)
    # Few texels a metre, and none beyond the texture's border.
    parameters["mapping"][..., [1, 2, 4, 5]] *= 3 / np.abs(parameters["mapping"][..., 1:2]).max()
    parameters["mapping"][..., [0, 3]] = 100
    image = 255 * numpy_of(scenes.render(parameters))["image"]
    for scene, found in zip(each(parameters), image, strict=True):
        seen = [[look(scene, ray) for ray in row] for row in rays_of(scene, 1)]
        good = []
        for pixel in np.ndindex(*SIZE):
            _, box, place, axis, _ = seen[pixel[0]][pixel[1]]
            surface = FACES - 1 + box if box else 2 * axis + (place[axis] > 0)
            a, b = place[list([(2, 1), (0, 2), (0, 1)][axis])]
            start_u, ua, ub, start_v, va, vb = scene["mapping"][surface]
            expected = start_u + ua * a + ub * b, start_v + va * a + vb * b
            good.append(np.abs(found[pixel][:2] - expected).max() < 0.6)
        assert np.mean(good) > 0.8  # the others are on edges


def test_textures_are_halved_by_the_mean_of_four_texels(plain):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (2, 12, 20, 3)).astype("uint8")
    packed, places = mip_pyramid(pixels)
    assert [place[1:] for place in places] == [(12, 20), (6, 10), (3, 5)]
    assert packed.size == 2 * sum(h * w for _, h, w in places)
    _, (offset, height, width), _ = places
    half = packed[offset : offset + 2 * height * width].reshape(2, height, width)
    expected = pixels.reshape(2, 6, 2, 10, 2, 3).astype("float64").mean((2, 4))
    for channel in range(3):
        assert np.abs((half >> 8 * channel & 255) - expected[..., channel]).max() <= 0.5


def test_fine_textures_are_seen_as_their_mean():
    checks = np.indices((64, 64)).sum(0)[..., None] % 2 * np.full(3, 254)
    scenes = DepthScenes(SIZE, 1, checks[None].astype("uint8"), objects=(0, 0), effects=False)
    parameters = scenes.parameters(0)
    parameters["color"][:] = np.eye(3, 4)
    parameters["mapping"][..., [1, 2, 4, 5]] *= 50
    image = numpy_of(scenes.render(parameters))["image"]
    np.testing.assert_allclose(image, 127 / 255, atol=0.02)


def test_a_batch_follows_from_seed_and_number(scenes, plain):
    first, again = numpy_of(scenes.batch(5)), numpy_of(scenes.batch(5))
    keras.tree.map_structure(np.testing.assert_array_equal, first, again)
    assert not np.array_equal(first[1], numpy_of(scenes.batch(6))[1])
    twin = DepthScenes(SIZE, 2, plain, objects=(3, 5))
    keras.tree.map_structure(np.testing.assert_array_equal, first, numpy_of(twin.batch(5)))
    other = DepthScenes(SIZE, 2, plain, objects=(3, 5), seed=1)
    assert not np.array_equal(first[1], numpy_of(other.batch(5))[1])
    image, depth = first
    assert image.shape == (2, *SIZE, 3) and image.min() >= 0 and image.max() <= 1
    assert not np.allclose(depth[0], depth[1])


def test_a_stream_trains_a_model(scenes):
    stream = scenes.stream(2, first_epoch=1)
    expected = numpy_of(scenes.batch(3))
    keras.tree.map_structure(np.testing.assert_array_equal, numpy_of(stream[1]), expected)
    model = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Conv2D(1, 3, padding="same")])
    model.compile("sgd", "mae")
    assert np.isfinite(model.fit(stream, verbose=0, shuffle=False).history["loss"]).all()


def test_a_room_may_be_empty_and_of_odd_size(plain):
    scenes = DepthScenes((9, 8), 1, plain, objects=0, room=4, field_of_view=60)
    image, depth = numpy_of(scenes.batch(0))
    assert image.shape == (1, 9, 8, 3) and depth.shape == (1, 9, 8, 1)
    assert 0 < depth.min() and depth.max() < 4 * 2**0.5


@pytest.mark.backend_free
def test_no_object_holds_the_camera_or_leaves_the_room(plain):
    scenes = DepthScenes(SIZE, 8, plain, objects=(4, 10))
    count = 0
    for index in range(20):
        for scene in each(scenes.parameters(index)):
            inside = abs(scene["axes"][0] @ -scene["centre"][0]) / scene["half"][0]
            assert (inside < 0.9).all()
            lamp = scene["axes"][0] @ (scene["light"] - scene["centre"][0]) / scene["half"][0]
            assert (abs(lamp) < 0.95).all()
            for box in range(1, 11):
                place = abs(scene["axes"][box] @ scene["centre"][box])
                assert (place > scene["half"][box]).any()
                within = scene["axes"][0] @ (scene["centre"][box] - scene["centre"][0])
                if scene["half"][box].max() > 2e-3:
                    count += 1
                    assert (abs(within) <= scene["half"][0]).all()
    assert count > 160 * 3


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (4, 64)}, r"size .*Received: \(4, 64\)"),
        ({"batch_size": 0}, "batch_size .*Received: 0"),
        ({"objects": (3, 2)}, r"objects .*Received: \(3, 2\)"),
        ({"room": (0.5, 2)}, r"room .*Received: \(0.5, 2\)"),
        ({"field_of_view": 180}, "field_of_view .*Received: 180"),
        ({"seed": -1}, "seed .*Received: -1"),
        ({"textures": np.zeros((1, 8, 8))}, "textures.*Received"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, plain):
    with pytest.raises(ValueError, match=message):
        DepthScenes(**{"textures": plain, **arguments})
