import h5py
import keras
import numpy as np
import pytest

from c2f_zoo.hub import PresetError, load_weights
from c2f_zoo.hub.weights import save_weights


def values(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_that_do_not_fit_leave_the_model_as_it_was(tiny_models, tmp_path):
    save_weights(tiny_models.TinyFlow(depth=3), tmp_path)
    model = tiny_models.TinyFlow(depth=2)
    before = values(model)
    with pytest.raises(PresetError, match="Without a place in the model: blocks/container_2"):
        load_weights(model, tmp_path)
    assert_same(values(model), before)


def test_a_shape_that_differs_leaves_the_model_as_it_was(tiny_models, tmp_path):
    save_weights(tiny_models.TinyFlow(), tmp_path)
    with h5py.File(tmp_path / "model.weights.h5", "a") as file:
        del file["head/vars/0"]
        file["head/vars/0"] = np.zeros((4, 3), "float32")
    model = tiny_models.TinyFlow()
    before = values(model)
    with pytest.raises(PresetError, match=r"head/vars/0 \(the model has \(4, 2\), the preset"):
        load_weights(model, tmp_path)
    assert_same(values(model), before)


def test_a_file_that_is_no_hdf5_is_told(tiny_models, tmp_path):
    (tmp_path / "model.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(PresetError, match="the weights do not fit the model"):
        load_weights(tiny_models.TinyFlow(), tmp_path)


def test_a_compiled_model_takes_weights_without_an_optimizer(tiny_models, tmp_path):
    saved, model = tiny_models.TinyFlow(), tiny_models.TinyFlow()
    save_weights(saved, tmp_path)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    with pytest.warns(UserWarning, match="optimizer"):
        load_weights(model, tmp_path)
    assert_same(values(model), values(saved))


def test_weights_that_keras_saved_with_an_optimizer_are_loaded(tiny_models, tmp_path):
    saved, model = tiny_models.TinyFlow(), tiny_models.TinyFlow()
    saved.compile("adam", "mse")
    saved.optimizer.build(saved.trainable_variables)
    saved.save_weights(tmp_path / "mine.weights.h5")
    load_weights(model, tmp_path / "mine.weights.h5")
    assert_same(values(model), values(saved))


def test_a_model_with_a_seed_and_running_means_is_loaded(tiny_models, tmp_path):
    saved, model = tiny_models.TinyRestorer(), tiny_models.TinyRestorer()
    for either in (saved, model):
        either(np.random.default_rng(0).random((2, 4, 4, 3), "float32"), training=True)
    save_weights(saved, tmp_path, precision="float16")
    load_weights(model, tmp_path)
    for one, other in zip(values(model), values(saved), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_an_index_cannot_name_shards_elsewhere(tiny_models, tmp_path):
    save_weights(tiny_models.TinyFlow(), tmp_path, max_shard_size=1e-6)
    index = tmp_path / "model.weights.json"
    text = index.read_text()
    for name in ("../model_00000.weights.h5", "model_00099.weights.h5", "other.h5"):
        index.write_text(text.replace("model_00000.weights.h5", name))
        with pytest.raises(PresetError, match="names a missing shard"):
            load_weights(tiny_models.TinyFlow(), tmp_path)


def test_links_to_other_files_are_not_followed(tiny_models, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["vars/0"] = np.full((4, 2), 7.0, "float32")
        file["vars/1"] = np.full((2,), 7.0, "float32")
    save_weights(tiny_models.TinyFlow(), tmp_path)
    with h5py.File(tmp_path / "model.weights.h5", "a") as file:
        del file["head"]
        file["head"] = h5py.ExternalLink(str(secret), "/")
    model = tiny_models.TinyFlow()
    before = values(model)
    with pytest.raises(PresetError):
        load_weights(model, tmp_path)
    assert_same(values(model), before)
