import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.losses import MultilevelSmoothL1
from c2f_zoo.models import PSMNet
from c2f_zoo.models.psmnet import cascade


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return PSMNet("cascade", max_disparity=32)


@pytest.fixture
def pair(rng):
    return list(rng.random((2, 2, 32, 48, 3), dtype="float32"))


def test_trainable_parameters_are_as_documented(model, trainable_size):
    assert trainable_size(model) == 4_186_488


@pytest.mark.parametrize("limit", [16, 32])
def test_disparities_lie_in_the_range_at_any_size(model, limit):
    network = model if limit == 32 else PSMNet("cascade", max_disparity=limit)
    images = [np.random.default_rng(0).random((1, 17, 35, 3), "float32") for _ in range(2)]
    disparity = to_numpy(network.predict_on_batch(images))
    assert disparity.shape == (1, 17, 35, 1) and disparity.dtype == np.float32
    assert (disparity >= 0).all() and (disparity <= limit - 1).all()


class _Spy:
    """Stands in for a stage: keeps its volume and is sure of one disparity."""

    non_trainable_variables = ()

    def __init__(self, index):
        self.index = index

    def __call__(self, volume, training=None):
        self.volume = to_numpy(volume)
        cost = np.full(self.volume.shape[:-1], -1e4, "float32")
        cost[:, self.index] = 0.0
        return ops.convert_to_tensor(cost)


def test_each_stage_looks_around_the_disparity_of_the_one_before(rng):
    """With features that tell their column, each volume tells which disparities it holds."""
    head = cascade.Cascade("float32")
    sizes = [(8, 16), (16, 32), (32, 64)]
    sides = [
        ops.convert_to_tensor(np.tile(np.arange(1.0, w + 1)[:, None], (1, h, 1, 1)).astype("f4"))
        for h, w in sizes
    ]
    spies = [_Spy(3), _Spy(7), _Spy(5)]
    head.__dict__["stages"] = spies  # past Keras, which tracks layers alone
    levels = [to_numpy(level) for level in head(sides, sides, max_disparity=64)]
    found = []
    for spy, (_, width) in zip(spies, sizes, strict=True):
        left, right = spy.volume[0, :, 0, width - 1].T
        found.append((left - right).tolist())
    # 16 disparities at a quarter; 12 around 2 * 3; 8 around 2 * (0.5 + 7)
    assert found[0] == list(range(16))
    assert found[1] == pytest.approx(np.arange(12) + 0.5)
    assert found[2] == pytest.approx(np.arange(8) + 11.5)
    for level, expected in zip(levels, (12, 15, 16.5), strict=True):
        np.testing.assert_allclose(level, np.full((1, 32, 64, 1), expected), atol=1e-3)


def test_training_supervises_all_stages(model, pair, rng):
    truth = rng.uniform(-5, 40, (2, 32, 48, 1)).astype("float32")
    model.compile()
    logs = model.evaluate(pair, truth, batch_size=2, verbose=0, return_dict=True)
    sides = model._sides(ops.convert_to_tensor(np.concatenate(pair)), False)
    levels = [to_numpy(x) for x in model.aggregation(*sides, max_disparity=32)]
    expected = float(MultilevelSmoothL1(max_disparity=32)(truth, levels))
    assert logs["loss"] == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(to_numpy(model(pair)), levels[-1], atol=1e-4)


def test_fit_moves_every_weight(pair):
    keras.utils.set_random_seed(0)
    model = PSMNet("cascade", max_disparity=32)
    model.compile()
    before = [to_numpy(weight).copy() for weight in model.weights]
    truth = np.full((2, 32, 48, 1), 9, "float32")
    history = model.fit(pair, truth, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    idle = [
        new.path
        for old, new in zip(before, model.weights, strict=True)
        if np.array_equal(old, to_numpy(new))
    ]
    assert not idle


def test_it_has_no_costs_of_all_disparities(model, pair):
    with pytest.raises(ValueError, match="variant must be one of.*Received: 'cascade'$"):
        model.costs(ops.convert_to_tensor(np.concatenate(pair)))


def test_a_preset_keeps_the_variant(model, pair, tmp_path):
    again = PSMNet.from_pretrained(model.save_pretrained(tmp_path / "preset"))
    assert again.variant == "cascade"
    np.testing.assert_allclose(to_numpy(again(pair)), to_numpy(model(pair)), atol=1e-5)
