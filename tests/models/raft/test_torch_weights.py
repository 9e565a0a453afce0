"""The import of official weights, against a forward pass written from the paper."""

import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import read_flo
from c2f_zoo.models import RAFT
from c2f_zoo.models.raft import torch_weights
from c2f_zoo.models.raft.torch_weights import convert_official_raft, load_official
from tests.models.raft.reference import Reference, random_weights

PARAMETERS = {"large": 5_257_536, "small": 990_162}


def image_pair(size=(128, 136), seed=1):
    return np.random.default_rng(seed).random((2, 1, *size, 3), dtype="float32")


@pytest.mark.parametrize(
    ("variant", "is_zip"), [("large", True), ("small", False)], ids=["large-zip", "small-legacy"]
)
def test_imported_weights_give_the_flow_of_an_independent_forward_pass(variant, is_zip, tmp_path):
    torch = pytest.importorskip("torch")
    weights = random_weights(variant)
    content = {name: torch.from_numpy(array) for name, array in weights.items()}
    if is_zip:  # as saved from DataParallel
        content = {f"module.{name}": tensor for name, tensor in content.items()}
    path = tmp_path / "raft.pth"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    model = convert_official_raft(path)
    assert model.variant == variant
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    assert trainable == PARAMETERS[variant]

    images = image_pair()
    tensors = [torch.from_numpy(np.moveaxis(image, -1, 1).copy()) for image in images]
    with torch.no_grad():
        expected = Reference(weights, variant)(*tensors, iterations=4)[-1]
    expected = expected.permute(0, 2, 3, 1).numpy()
    assert 3 < np.abs(expected).max() < 300 and expected.std() > 1
    for each in (model(tuple(images), iterations=4), model.flow(*images[:, 0], iterations=4)[None]):
        assert np.abs(to_numpy(each) - expected).max() < 1e-3


@pytest.fixture
def official_small(shared_data):
    path = shared_data / "weights" / "raft-small.pth"
    if not path.is_file():
        pytest.skip(f"the published weights are not there: no file {path}")
    return convert_official_raft(path)


def mean_error(model, pairs, iterations):
    errors = []
    for image1, image2, flow in pairs:
        found = model.flow(image1, image2, iterations=iterations)
        errors.append(np.linalg.norm(found - flow, axis=-1).mean())
    return np.mean(errors)


def test_published_weights_have_their_error_on_flying_chairs(official_small, shared_data):
    folder = shared_data / "flow" / "FlyingChairs_release" / "data"
    stems = sorted(str(path)[: -len("img1.ppm")] for path in folder.glob("*_img1.ppm"))
    assert len(stems) == 9
    pairs = [(f"{s}img1.ppm", f"{s}img2.ppm", read_flo(f"{s}flow.flo")) for s in stems]
    assert mean_error(official_small, pairs, 12) == pytest.approx(1.51, abs=0.005)


@pytest.mark.parametrize("pass_name", ["clean", "final"])
def test_published_weights_have_their_error_on_sintel(official_small, shared_data, pass_name):
    root = shared_data / "flow" / "sintel" / "training"
    frames = sorted((root / pass_name / "alley_1").glob("*.png"))
    truth = read_flo(root / "flow" / "alley_1" / frames[0].with_suffix(".flo").name)
    pairs = [(*frames[:2], truth)]
    assert mean_error(official_small, pairs, 32) == pytest.approx(0.274, abs=0.001)


def test_half_precision_tensors_are_read():
    half = {name: array.astype("float16") for name, array in random_weights("small").items()}
    model = load_official(RAFT("small"), half, "weights")
    bias = to_numpy(model.update.merge.bias)
    assert np.array_equal(bias, half["update_block.encoder.conv.bias"].astype("float32"))


@pytest.fixture
def checkpoint(monkeypatch):
    """A function that makes the reader return given tensors, without a file."""

    def give(tensors):
        monkeypatch.setattr(torch_weights, "read_torch_checkpoint", lambda path: tensors)
        return "weights.pth"

    return give


def test_tensors_that_do_not_fit_are_listed(checkpoint):
    weights = random_weights("large")
    del weights["fnet.layer2.1.conv2.bias"]
    weights["mask.0.weight"] = np.zeros((1, 2, 3, 3))
    weights["cnet.layer3.0.downsample.1.running_var"] = np.zeros(5)
    with pytest.raises(ValueError, match="of the published RAFT, large; missing: ") as raised:
        convert_official_raft(checkpoint(weights))
    message = str(raised.value)
    assert "missing: fnet.layer2.1.conv2.bias;" in message
    assert "not of this network: mask.0.weight;" in message
    assert "downsample.1.running_var (5,) instead of (128,)." in message
    assert message.endswith("Received: weights.pth, with 154 tensors")


@pytest.mark.parametrize(("variant", "other"), [("large", "small"), ("small", "large")])
def test_a_checkpoint_of_the_other_variant_is_recognised(variant, other):
    with pytest.raises(ValueError, match=rf"RAFT, {variant}; .* those of RAFT\('{other}'\); "):
        load_official(RAFT(variant), random_weights(other), "weights.pth")


def test_weights_of_another_network_are_refused(checkpoint):
    weights = {f"layer{i}.weight": np.zeros((1, 1, 3, 3)) for i in range(100)}
    with pytest.raises(ValueError, match=r"missing: fnet.conv1.weight, .* and \d+ more; not of"):
        convert_official_raft(checkpoint(weights))
