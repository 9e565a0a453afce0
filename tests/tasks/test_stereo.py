"""The image level of stereo networks, tried on one that answers with the left image's red."""

import warnings

import keras
import numpy as np
import pytest

from c2f_zoo.data.files.images import save_image
from c2f_zoo.tasks.confidence import DisparityWithConfidence, checked_disparity
from c2f_zoo.tasks.stereo import StereoTask
from c2f_zoo.tasks.swapped import seem_swapped


class Red(StereoTask, keras.Model):
    """Gives as disparity 100 times the red of the left image."""

    def __init__(self):
        super().__init__()
        self.sizes = []
        self.built = True

    def call(self, inputs):
        left = keras.ops.split(self.stack_inputs(inputs), 2, axis=0)[0]
        self.sizes.append(tuple(left.shape))
        return 100 * left[..., :1]


@pytest.fixture
def model():
    model = Red()
    model.compile(run_eagerly=True)
    return model


def scene(rng, shift=12, size=(60, 160)):
    """A smooth random texture, seen by two cameras."""
    noise = rng.random((size[0] // 4 + 1, (size[1] + shift) // 4 + 1, 3))
    wide = np.kron(noise, np.ones((4, 4, 1)))[: size[0], : size[1] + shift]
    return wide[:, : size[1]], wide[:, shift:]  # left: things lie further to the right


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 16), (20, 31), (32, 48)])
def test_an_image_of_any_size_is_padded_and_its_disparity_cropped(model, rng, size):
    left, right = rng.random((2, *size, 3), dtype="float32")
    disparity = model.disparity(left, right)
    assert disparity.shape == (*size, 1) and disparity.dtype == np.float32
    np.testing.assert_allclose(disparity, 100 * left[..., :1], atol=1e-4)
    assert all(side % 16 == 0 for side in model.sizes[0][1:3])


@pytest.mark.parametrize("kind", ["list", "array"])
def test_several_pairs_give_a_list(model, rng, kind):
    left, right = rng.random((2, 3, 20, 31, 3), dtype="float32")
    give = list if kind == "list" else np.asarray
    disparities = model.disparity(give(left), give(right))
    assert isinstance(disparities, list) and len(disparities) == 3
    np.testing.assert_allclose(np.stack(disparities), 100 * left[..., :1], atol=1e-4)


def save(images, folder):
    folder.mkdir()
    for index, image in enumerate(images):
        save_image(folder / f"{index}.png", image)
    return folder


def test_folders_and_generators_give_a_list(model, rng, tmp_path):
    left, right = rng.integers(0, 256, (2, 3, 20, 31, 3)).astype("uint8")
    expected = left[..., :1] * (100 / 255)
    folders = save(left, tmp_path / "left"), str(save(right, tmp_path / "right"))
    for pair in (folders, (iter(left), (image for image in right))):
        np.testing.assert_allclose(model.disparity(*pair), expected, atol=1e-4)
    with pytest.raises(ValueError, match="equally many images. Received: 3 and at least 4$"):
        model.disparity(iter(left), (image for _ in range(2) for image in right))


@pytest.mark.parametrize("size", [(15, 16), (20, 31)])
def test_confidence_compares_with_the_disparity_of_the_mirrored_pair(model, rng, size):
    left, right = rng.uniform(0, 0.05, (2, *size, 3)).astype("float32")
    checked = model.disparity(left, right, confidence=True)
    assert isinstance(checked, DisparityWithConfidence)
    expected = checked_disparity(100 * left[..., :1], 100 * right[..., :1])
    for name in checked._fields:
        np.testing.assert_allclose(getattr(checked, name), getattr(expected, name), atol=1e-4)
    assert 0 < checked.occlusion.mean() < 1
    several = model.disparity([left, left], [right, right], confidence=True)
    np.testing.assert_array_equal(several[1].confidence, checked.confidence)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ((20, 20, 3), (20, 24, 3), "left and right must have the same size.*20x20.*24x20"),
        ((0, 5, 3), (0, 5, 3), r"\(0, 5, 3\)"),
        ((2, 9, 9, 3), (3, 9, 9, 3), "equally many images. Received: 2 and 3$"),
        ((2, 9, 9, 3), (9, 9, 3), "disparity takes two images.*Received: one ndarray$"),
    ],
)
def test_inputs_that_do_not_fit_are_named(model, left, right, message):
    with pytest.raises(ValueError, match=message):
        model.disparity(np.zeros(left), np.zeros(right))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((1, 32, 32, 3)), "takes two images, left and right. Received: ndarray$"),
        ([np.zeros((1, 32, 32, 3))] * 3, "takes two images.*Received: 3$"),
        ([np.zeros((1, 32, 32, 1))] * 2, r"takes images \(B, H, W, 3\).*Received: shapes"),
        ([np.zeros((1, 32, 32, 3)), np.zeros((1, 32, 33, 3))], "one shape. Received"),
        ([np.zeros((1, 12, 32, 3))] * 2, r"at least 16x16.*Received: shape \(1, 12, 32, 3\)$"),
        ([np.zeros((1, 16, 16, 3), "int32")] * 2, "uint8 in.*Received: int32$"),
    ],
)
def test_tensors_that_do_not_fit_are_named(model, inputs, message):
    with pytest.raises(ValueError, match=message):
        model(inputs)


def test_swapped_images_are_warned_of(model, rng):
    left, right = scene(rng)
    for pair in ((right, left), ([right] * 2, [left] * 2), (iter([right]), iter([left]))):
        with pytest.warns(UserWarning, match="seem to be swapped") as caught:
            model.disparity(*pair)
        swapped = [w for w in caught if "swapped" in str(w.message)]
        assert swapped and {warning.filename for warning in swapped} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.disparity(left, right)
        model.disparity(left, left)


@pytest.mark.backend_free
@pytest.mark.parametrize("shift", [4, 12, 24])
def test_the_order_of_a_pair_is_told_also_in_different_light(rng, shift):
    left, right = scene(rng, shift)
    darker = 0.9 * right + 0.05
    assert not seem_swapped(left, darker) and seem_swapped(darker, left)


@pytest.mark.backend_free
def test_nothing_is_said_of_images_that_do_not_tell(rng):
    flat = np.full((60, 160, 3), 0.5)
    assert not seem_swapped(flat, flat)
    assert not seem_swapped(*rng.random((2, 60, 160, 3)))
    assert not seem_swapped(*rng.random((2, 8, 8, 3)))


@pytest.mark.backend_free
def test_the_pairs_of_middlebury_at_hand_are_in_order(shared_data):
    from c2f_zoo.data.stereo.datasets import MiddleburyStereo

    root = shared_data / "stereo" / "middlebury"
    for edition, folder in [("2006", "2006"), ("2003", "2003"), ("2014", "MiddEval3/trainingQ")]:
        for sample in MiddleburyStereo(root / folder, edition):
            assert not seem_swapped(sample.left, sample.right), sample.name
            assert seem_swapped(sample.right, sample.left), sample.name
