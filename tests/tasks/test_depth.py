import numpy as np
import pytest
from PIL import Image

from c2f_zoo import DepthUNet
from c2f_zoo.data.files.images import resize_smoothly


@pytest.fixture(scope="module")
def model():
    return DepthUNet(width=4, multipliers=(1, 2, 4), groups=2)


def test_several_images_are_taken_in_turn(model, tmp_path, rng):
    frames = rng.integers(0, 256, (3, 12, 17, 3)).astype("uint8")
    expected = np.stack([model.depth(frame) for frame in frames])
    assert expected.shape == (3, 12, 17, 1)
    found = model.depth(frames)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    listed = model.depth([frames[0], Image.fromarray(frames[1])])
    assert isinstance(listed, list)
    np.testing.assert_allclose(np.stack(listed), expected[:2], rtol=1e-5)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    np.testing.assert_allclose(np.stack(model.depth(tmp_path)), expected, rtol=1e-5)
    assert model.depth([]) == []


def test_16_bit_grey_and_transparent_images_are_taken(model, rng):
    wide = rng.integers(0, 65536, (9, 14)).astype("uint16")
    assert model.depth(wide).shape == (9, 14, 1)
    colour = rng.integers(0, 256, (9, 14, 4)).astype("uint8")
    np.testing.assert_array_equal(model.depth(colour), model.depth(colour[..., :3]))


def test_an_error_names_the_image_that_caused_it(model):
    with pytest.raises(ValueError, match="empty") as caught:
        model.depth([np.zeros((4, 4, 3), "uint8"), np.zeros((0, 4, 3), "uint8")])
    assert any("image 1 of 2" in note for note in caught.value.__notes__)
    with pytest.raises(FileNotFoundError):
        model.depth("none.png")
    with pytest.raises(ValueError, match="finite.*Received"):
        model.depth(np.full((4, 4, 3), np.nan))


def test_images_are_brought_to_the_side_of_the_network(rng):
    model = DepthUNet(width=4, multipliers=(1, 2), groups=2, image_side=24)
    seen, predict = [], model.predict_on_batch
    model.predict_on_batch = lambda batch: seen.append(batch.shape) or predict(batch)
    for size in ((30, 60), (60, 30), (3, 6), (200, 1)):
        assert model.depth(rng.random((*size, 3))).shape == (*size, 1)
    assert seen == [(1, 12, 24, 3), (1, 24, 12, 3), (1, 12, 24, 3), (1, 24, 2, 3)]


def test_shrinking_takes_the_mean_over_what_a_pixel_covers(rng):
    image = rng.random((40, 60, 2)).astype("float32")
    found = resize_smoothly(image, (4, 6))
    cells = image.reshape(4, 10, 6, 10, 2).mean((1, 3))
    assert found.shape == (4, 6, 2) and np.abs(found - cells).max() < 0.1
    assert abs(found.mean() - image.mean()) < 0.01
    assert resize_smoothly(image, (40, 60)) is image
