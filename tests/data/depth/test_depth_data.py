import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import (
    DepthSample,
    DepthStream,
    NYUDepth,
    RGBDFolder,
    TUMDepth,
    depth_picture,
    open_depth_dataset,
    read_depth,
    save_image,
    write_depth,
    write_pfm,
)

pytestmark = pytest.mark.backend_free


@pytest.fixture
def depth(rng):
    depth = rng.uniform(0.4, 9, (6, 8)).astype("float32")
    depth[0, :3] = 0, np.nan, np.inf
    return depth


@pytest.mark.parametrize("suffix", [".png", ".npy", ".pfm"])
def test_a_depth_map_survives_its_file(suffix, depth, tmp_path):
    write_depth(tmp_path / f"a{suffix}", depth)
    found, valid = read_depth(tmp_path / f"a{suffix}")
    assert found.shape == valid.shape == (6, 8, 1) and found.dtype == valid.dtype == np.float32
    known = np.isfinite(depth) & (depth > 0)
    np.testing.assert_array_equal(valid[..., 0], known)
    np.testing.assert_allclose(found[..., 0][known], depth[known], atol=6e-4)
    assert (found[..., 0][~known] == 0).all()


def test_a_png_holds_steps_of_the_scale(tmp_path):
    write_depth(tmp_path / "a.png", np.array([[[2.0], [1e-6], [0.0]]]), scale=5000)
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[10000, 1, 0]]
    assert read_depth(tmp_path / "a.png", 5000)[0][0, 0, 0] == 2
    with pytest.raises(ValueError, match="up to 13.107 m.*Received: 20 m"):
        write_depth(tmp_path / "a.png", np.full((2, 2), 20.0), scale=5000)


def test_files_that_hold_no_depth_are_refused(tmp_path, rng):
    save_image(tmp_path / "a.png", rng.random((4, 5, 3)))
    with pytest.raises(ValueError, match="16 bits. Received: uint8, 3 channels"):
        read_depth(tmp_path / "a.png")
    write_pfm(tmp_path / "a.pfm", rng.random((4, 5, 3)).astype("float32"))
    with pytest.raises(ValueError, match=r"Received: shape \(4, 5, 3\)"):
        read_depth(tmp_path / "a.pfm")
    np.save(tmp_path / "a.npy", np.ones((4, 5), int))
    with pytest.raises(ValueError, match="floats. Received: int64"):
        read_depth(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_bytes(b"none")
    with pytest.raises(ValueError, match="Received: .*b.npy"):
        read_depth(tmp_path / "b.npy")
    with pytest.raises(ValueError, match="Received: .*a.tiff"):
        write_depth(tmp_path / "a.tiff", np.ones((2, 2)))
    with pytest.raises(ValueError, match="depth .*Received: shape"):
        write_depth(tmp_path / "a.png", np.ones((2, 2, 3)))
    with pytest.raises(ValueError, match="scale .*Received: 0"):
        read_depth(tmp_path / "a.png", 0)
    with pytest.raises(FileNotFoundError):
        read_depth(tmp_path / "none.png")


def recording(folder, images, depths, names=("rgb", "depth"), scale=1000, size=(6, 8)):
    """A folder of frames; the image of number i is grey of i / 100, its depth i + 1 metres."""
    for part in names:
        (folder / part).mkdir(parents=True)
    for number, name in enumerate(images):
        save_image(folder / names[0] / name, np.full((*size, 3), number / 100))
    for number, name in enumerate(depths):
        write_depth(folder / names[1] / name, np.full((6, 8), number + 1.0), scale)


@pytest.mark.parametrize(
    ("names", "images", "depths"),
    [
        (("rgb", "depth"), ["00.png", "01.png"], ["00.png", "01.png"]),
        (("color", "depth"), ["9.png", "10.png"], ["9.png", "10.png"]),
        (("images", "depths"), ["frame-9.png", "frame-10.png"], ["d-0009.png", "d-0010.png"]),
    ],
)
def test_frames_are_joined_by_name_or_number(names, images, depths, tmp_path):
    recording(tmp_path, images, depths, names)
    dataset = RGBDFolder(tmp_path)
    assert len(dataset) == 2 and set(dataset.names) == {name[:-4] for name in images}
    for sample in dataset:
        number = images.index(f"{sample.name}.png")
        np.testing.assert_allclose(sample.image, number / 100, atol=3e-3)
        np.testing.assert_allclose(sample.depth, number + 1)
        assert sample.image.shape == (6, 8, 3) and sample.valid.all()


def test_recordings_of_a_folder_and_images_of_another_size(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / name, ["0.png"], ["0.png"], ("color", "depth"), size=(12, 16))
    dataset = open_depth_dataset("RGB-D", tmp_path)
    assert dataset.names == ("a/0", "b/0")
    assert dataset[0].image.shape == (6, 8, 3) and dataset[:1].names == ("a/0",)
    recording(tmp_path / "c", ["0.png"], ["0.png"], ("color", "depth"), size=(12, 12))
    with pytest.raises(ValueError, match="same shape.*Received.*12x12 and 8x6"):
        open_depth_dataset("rgbd", tmp_path)[2]


def test_incomplete_and_other_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the folder .*Received"):
        RGBDFolder(tmp_path)
    recording(tmp_path / "a", ["0.png", "1.png"], ["0.png"])
    with pytest.raises(FileNotFoundError, match="1.png lacks a depth map"):
        RGBDFolder(tmp_path / "a")
    recording(tmp_path / "b", [], [])
    with pytest.raises(FileNotFoundError, match="No samples"):
        RGBDFolder(tmp_path / "b")
    with pytest.raises(ValueError, match="rgbd.*Received: 'kinect'"):
        open_depth_dataset("kinect", tmp_path)


def test_frames_of_tum_are_joined_by_time(tmp_path):
    images = ["100.000.png", "100.030.png", "100.100.png"]
    depths = ["100.011.png", "100.012.png", "100.040.png", "100.200.png"]
    recording(tmp_path, images, depths, scale=5000)
    dataset = TUMDepth(tmp_path)
    assert [(f.image.name, f.depth.name) for f in dataset.files] == [
        ("100.000.png", "100.011.png"),
        ("100.030.png", "100.040.png"),
    ]
    np.testing.assert_allclose(dataset[1].depth, 3)
    with pytest.raises(ValueError, match="max_difference .*Received: 0"):
        TUMDepth(tmp_path, max_difference=0)
    with pytest.raises(FileNotFoundError, match="No samples"):
        TUMDepth(tmp_path, max_difference=1e-4)
    save_image(tmp_path / "rgb" / "x.png", np.zeros((6, 8, 3)))
    with pytest.raises(ValueError, match="named by its time. Received: .*x.png"):
        TUMDepth(tmp_path)


def test_the_mock_data_of_nyu_depth_is_read():
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=3):
        dataset = NYUDepth(split="validation")
        samples = [*iter(dataset)]  # the mock does not know the length
    assert len(samples) == 3
    for sample in samples:
        assert sample.image.shape == (480, 640, 3) and sample.image.max() <= 1
        assert sample.depth.shape == sample.valid.shape == (480, 640, 1)
        assert np.isfinite(sample.depth).all() and sample.depth.dtype == np.float32


def test_the_real_frames_are_read(shared_data):
    dataset = RGBDFolder(shared_data / "depth")
    assert len(dataset) == 5
    sample = dataset[0]
    assert sample.image.shape == (480, 640, 3) and sample.depth.shape == (480, 640, 1)
    known = sample.depth[sample.valid > 0]
    assert 0.3 < np.median(known) < 6 and sample.valid.mean() > 0.5


@pytest.fixture
def samples(rng):
    return [
        DepthSample(np.full((9, 12, 3), i / 10), np.full((9, 12, 1), i), np.ones((9, 12, 1)))
        for i in range(5)
    ]


def test_a_stream_serves_every_sample_once_an_epoch(samples):
    stream = DepthStream(samples, batch_size=2, drop_remainder=False)
    assert len(stream) == 3 and len(DepthStream(samples, batch_size=2)) == 2
    orders = []
    for _ in range(2):
        batches = [stream[index] for index in range(3)]
        orders.append([int(depth[0, 0, 0]) for _, depths, _ in batches for depth in depths])
        for image, depth, _ in batches:
            np.testing.assert_allclose(image[..., :1] * 10, depth, atol=1e-5)
        stream.on_epoch_end()
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(5)) and orders[0] != orders[1]
    assert [array.shape for array in stream[2]] == [(1, 9, 12, 3), (1, 9, 12, 1), (1, 9, 12, 1)]


def test_crops_and_mirrors_keep_image_and_depth_together(rng):
    image = rng.random((9, 12, 3)).astype("float32")
    samples = [DepthSample(image, image[..., :1] + 1, image[..., 1:2])] * 4
    stream = DepthStream(samples, 4, crop_size=(5, 6), horizontal_flip=0.5)
    images, depth, valid = stream[0]
    assert images.shape == (4, 5, 6, 3)
    np.testing.assert_array_equal(images[..., :1] + 1, depth)
    np.testing.assert_array_equal(images[..., 1:2], valid)
    windows = np.lib.stride_tricks.sliding_window_view(image, (5, 6, 3))[:, :, 0]
    for crop in images:
        ways = [(windows == way).all((2, 3, 4)).any() for way in (crop, crop[:, ::-1])]
        assert any(ways)


def test_tensorflow_reads_the_same_batches(samples):
    pytest.importorskip("tensorflow")
    stream = DepthStream(samples, 2, crop_size=(5, 6), horizontal_flip=0.5, initial_epoch=3)
    expected = [stream.batch(3, index) for index in range(2)]
    for found, want in zip(stream.as_tf_dataset(), expected, strict=True):
        for array, wanted in zip(found, want, strict=True):
            np.testing.assert_array_equal(array, wanted)
    assert stream.epoch == 4


def test_bad_streams_are_refused(samples):
    with pytest.raises(ValueError, match="batch of 8. Received: 5"):
        DepthStream(samples)
    with pytest.raises(ValueError, match="horizontal_flip .*Received: 2$"):
        DepthStream(samples, 2, horizontal_flip=2)
    with pytest.raises(ValueError, match="as the crop.*Received: 12x9 for sample"):
        DepthStream(samples, 2, crop_size=(10, 10))[0]
    mixed = [samples[0], samples[0]._replace(image=np.zeros((4, 4, 3)))]
    with pytest.raises(ValueError, match="one size.*Received.*4x4, 12x9"):
        DepthStream(mixed, 2)[0]
    with pytest.raises(IndexError, match="Received: 2"):
        DepthStream(samples, 2)[2]


def test_near_is_warm_far_is_cold_unknown_is_black():
    picture = depth_picture(np.array([[1.0, 2.0, 8.0, np.nan, 0.0]]), limits=(1, 8))
    assert picture.shape == (1, 5, 3) and picture.dtype == np.float32
    assert picture[0, 0, 0] > picture[0, 0, 2] and picture[0, 2, 2] > picture[0, 2, 0]
    assert (picture[0, 3:] == 0).all() and (picture[0, :3].max(-1) > 0).all()
    masked = depth_picture(np.ones((2, 2, 1)), valid=np.array([[1, 0], [1, 1]]))
    assert (masked[0, 1] == 0).all() and np.isfinite(masked).all()
    assert (depth_picture(np.zeros((2, 3))) == 0).all()
    with pytest.raises(ValueError, match="Received"):
        depth_picture(np.ones((2, 3)), limits=(0, 3))
    with pytest.raises(ValueError, match="Received"):
        depth_picture(np.ones((2, 3, 3)))
