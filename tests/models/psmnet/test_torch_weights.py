"""Tests of the import of official weights, against an independent forward pass in PyTorch."""

import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.models import PSMNet
from c2f_zoo.models.psmnet import torch_weights as psmnet_import
from c2f_zoo.models.psmnet.torch_weights import convert_official_psmnet
from tests.models.psmnet.official import official_shapes, random_weights, reference_disparities


@pytest.fixture
def checkpoint(monkeypatch):
    """A function that makes the reader return given tensors, without a file."""

    def give(tensors):
        monkeypatch.setattr(psmnet_import, "read_torch_checkpoint", lambda path: tensors)
        return "weights.tar"

    return give


@pytest.mark.parametrize(
    ("variant", "align_corners", "is_zip", "size"),
    # The pooling of the release needs 256 pixels.
    [("stacked_hourglass", False, True, (64, 96)), ("basic", True, False, (256, 256))],
    ids=["zip", "legacy"],
)
def test_imported_weights_give_the_disparity_of_an_independent_forward_pass(
    variant, align_corners, is_zip, size, tmp_path, rng
):
    torch = pytest.importorskip("torch")
    weights = random_weights(variant)
    content = {f"module.{name}": torch.from_numpy(array) for name, array in weights.items()}
    if is_zip:  # as the released training script saves it
        content = {"epoch": 9, "state_dict": content, "train_loss": 0.5}
    path = tmp_path / "pretrained.tar"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    model = convert_official_psmnet(path, max_disparity=32, align_corners=align_corners)
    assert (model.variant, model.align_corners) == (variant, align_corners)
    left, right = rng.random((2, 1, *size, 3), dtype="float32")
    expected = reference_disparities(weights, variant, left, right, 32, align_corners)[-1]
    found = to_numpy(model.predict_on_batch([left, right]))
    assert found.shape == expected.shape == (1, *size, 1)
    assert expected.std() > 2 and expected.min() < 8 and expected.max() > 22
    assert np.abs(found - expected).max() < 2e-3


def test_the_conventions_of_pixel_places_differ(checkpoint, rng):
    path = checkpoint(random_weights("basic"))
    pair = list(rng.random((2, 1, 32, 48, 3), dtype="float32"))
    answers = [
        to_numpy(convert_official_psmnet(path, "basic", 16, align_corners)(pair))
        for align_corners in (False, True)
    ]
    assert np.abs(answers[0] - answers[1]).max() > 0.1


def test_every_variable_comes_from_the_file(checkpoint):
    weights = random_weights("stacked_hourglass")
    model = convert_official_psmnet(checkpoint(weights))
    names = [name for name in weights if not name.endswith("num_batches_tracked")]
    assert len(model.variables) - len(model.trainable_variables) > 0
    assert len(psmnet_import.official_variables(model)) == len(names)
    network = [v for v in model.weights if "seed" not in v.path]
    assert len(network) == len(names)


def test_half_precision_and_checkpoints_without_counters_are_read(checkpoint):
    weights = {
        name: array.astype("float16")
        for name, array in random_weights("basic").items()
        if not name.endswith("num_batches_tracked")
    }
    model = convert_official_psmnet(checkpoint(weights))
    bias = to_numpy(model.features.stem[0].normalization.beta)
    expected = weights["feature_extraction.firstconv.0.1.bias"]
    assert np.array_equal(bias, expected.astype("float32"))


def test_the_other_variants_weights_are_refused(checkpoint):
    path = checkpoint(random_weights("basic"))
    with pytest.raises(ValueError, match="asked for, 'stacked_.*of the variant 'basic'$"):
        convert_official_psmnet(path, variant="stacked_hourglass")
    with pytest.raises(ValueError, match="variant must be one of.*Received: 'big'$"):
        convert_official_psmnet(path, variant="big")


def test_tensors_that_do_not_fit_are_listed(checkpoint):
    weights = dict(random_weights("basic"))
    weights["classif1.2.weight"] = weights.pop("classify.2.weight")
    with pytest.raises(ValueError, match="'basic'; missing: classify.2.weight; not of this"):
        convert_official_psmnet(checkpoint(weights))
    weights = dict(random_weights("stacked_hourglass"))
    weights["dres2.conv5.0.weight"] = weights["dres2.conv6.0.weight"]
    with pytest.raises(ValueError) as raised:
        convert_official_psmnet(checkpoint(weights))
    message = str(raised.value)
    assert "dres2.conv5.0.weight (64, 32, 3, 3, 3) instead of (64, 64, 3, 3, 3)" in message
    assert message.endswith("tensors") and "Received: weights.tar" in message


def test_weights_of_another_network_are_refused(checkpoint):
    weights = {f"layer{i}.weight": np.zeros((1, 1, 3, 3)) for i in range(100)}
    with pytest.raises(
        ValueError, match="missing: feature_extraction.firstconv.0.0.weight, .*more"
    ):
        convert_official_psmnet(checkpoint(weights))


@pytest.mark.parametrize("variant", ["basic", "stacked_hourglass"])
def test_the_official_tensors_number_the_published_parameters(variant):
    shapes = official_shapes(variant)
    learned = [s for n, s in shapes.items() if s and "running" not in n]
    total = sum(int(np.prod(shape)) for shape in learned)
    model = PSMNet(variant)
    assert total == sum(int(np.prod(v.shape)) for v in model.trainable_variables)
