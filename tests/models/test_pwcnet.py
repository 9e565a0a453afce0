import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.losses import MultiscaleRobust
from c2f_zoo.metrics import EndPointError
from c2f_zoo.models.pwcnet import PWCNet


@pytest.fixture(scope="module")
def lite():
    keras.utils.set_random_seed(0)
    return PWCNet("lite")


@pytest.fixture(scope="module")
def pair():
    random = np.random.default_rng(3)
    return random.random((2, 2, 64, 128, 3), dtype="float32")


@pytest.mark.parametrize(
    ("variant", "parameters"),
    # Published counts (the unused deconv2 of the released code, 66, is left out); ours for lite.
    [("released", 9_374_274), ("paper", 8_749_214), ("small", 4_080_004), ("lite", 1_023_590)],
)
def test_parameter_counts_are_the_published_ones(variant, parameters):
    assert PWCNet(variant).count_params() == parameters


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (64, 64), (65, 130)])
def test_any_size_from_16_gives_a_flow_of_that_size(lite, size):
    images = np.zeros((1, *size, 3), "float32")
    assert tuple(lite((images, images)).shape) == (1, *size, 2)


def test_levels_are_coarse_to_fine_in_full_resolution_pixels(lite, pair):
    levels = lite.flow_pyramid((pair[0], pair[1]))
    assert [tuple(level.shape[1:3]) for level in levels] == [
        (1, 2), (2, 4), (4, 8), (8, 16), (16, 32)
    ]  # fmt: skip
    flow = ops.convert_to_numpy(lite((pair[0], pair[1])))
    finest = ops.image.resize(levels[-1], (64, 128), interpolation="bilinear")
    np.testing.assert_allclose(flow, ops.convert_to_numpy(finest), atol=1e-4)


def test_a_stack_of_frames_gives_the_flows_between_neighbours(lite, pair):
    frames = np.concatenate([pair[0], pair[1]])
    together = ops.convert_to_numpy(lite(frames))
    for index in range(3):
        apart = lite((frames[index : index + 1], frames[index + 1 : index + 2]))
        np.testing.assert_allclose(together[index], ops.convert_to_numpy(apart)[0], atol=1e-3)


def test_uint8_equals_float_in_unit_range(lite):
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 64, 64, 3)).astype("uint8")
    exact = lite(tuple(images / np.float32(255)))
    np.testing.assert_allclose(
        ops.convert_to_numpy(lite(tuple(images))), ops.convert_to_numpy(exact), atol=0.05
    )


def test_nan_in_one_sample_leaves_the_others_alone(lite, pair):
    spoilt = pair.copy()
    spoilt[0, 0, 5, 5] = np.nan
    clean, flow = lite((pair[0], pair[1])), lite((spoilt[0], spoilt[1]))
    np.testing.assert_allclose(
        ops.convert_to_numpy(flow)[1], ops.convert_to_numpy(clean)[1], atol=1e-4
    )


@pytest.mark.parametrize("residual", [False, True])
def test_residual_decoders_are_an_option(residual, pair):
    keras.utils.set_random_seed(1)
    model = PWCNet("small", residual=residual)
    levels = model.flow_pyramid((pair[0], pair[1]))
    assert model.count_params() == 4_080_004
    assert np.isfinite(ops.convert_to_numpy(levels[-1])).all()
    assert PWCNet.from_config(model.get_config()).residual is residual


def test_fit_evaluate_and_predict_work_without_arguments_to_compile(pair):
    model = PWCNet("lite")
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)
    images = (pair[0], pair[1])
    flow = np.ones((2, 64, 128, 2), "float32")
    history = model.fit(images, flow, batch_size=2, epochs=2, verbose=0).history
    assert set(history) == {"loss", "epe"} and np.isfinite(history["loss"]).all()
    result = model.evaluate(images, flow, batch_size=2, verbose=0, return_dict=True)
    error = np.linalg.norm(model.predict(images, verbose=0) - flow, axis=-1).mean()
    assert result["epe"] == pytest.approx(error, rel=1e-3)


def test_the_loss_of_fit_is_that_of_the_levels_plus_weight_decay(pair):
    model = PWCNet("lite", weight_decay=1e-3)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    images, flow = (pair[0], pair[1]), np.ones((2, 64, 128, 2), "float32")
    logged = model.evaluate(images, flow, batch_size=2, verbose=0, return_dict=True)["loss"]
    levels = float(model.loss(flow, model.flow_pyramid(images)))
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
    decay = sum(float(ops.sum(ops.square(kernel))) for kernel in kernels) * 1e-3 / 2
    assert logged == pytest.approx(levels + decay, rel=1e-4)


def test_invalid_pixels_count_neither_in_loss_nor_in_metric(pair):
    model = PWCNet("lite")
    model.compile(loss=MultiscaleRobust(sparse=True), metrics=[EndPointError(name="epe")])
    images = (pair[0][:, :50, :100], pair[1][:, :50, :100])
    flow = np.full((2, 50, 100, 2), np.nan, "float32")
    valid = np.zeros((2, 50, 100, 1), "float32")
    flow[:, 10:30], valid[:, 10:30] = 2.0, 1.0
    result = model.evaluate(images, flow, sample_weight=valid, verbose=0, return_dict=True)
    estimate = model.predict(images, verbose=0)[:, 10:30]
    error = np.linalg.norm(estimate - 2, axis=-1).mean()
    assert result["epe"] == pytest.approx(error, rel=1e-3) and np.isfinite(result["loss"])


def test_any_keras_loss_trains_the_full_resolution_flow(pair):
    model = PWCNet("lite", weight_decay=0)
    model.compile(optimizer="sgd", loss="mse")
    images, flow = (pair[0][:, :50], pair[1][:, :50]), np.zeros((2, 50, 128, 2), "float32")
    logged = model.evaluate(images, flow, batch_size=2, verbose=0, return_dict=True)["loss"]
    expected = np.mean(np.square(ops.convert_to_numpy(model(images))))
    assert logged == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_stays_near_float32(policy, pair):
    keras.utils.set_random_seed(0)
    exact = PWCNet("lite")
    keras.utils.set_random_seed(0)
    model = PWCNet("lite", dtype=policy)
    images = (pair[0], pair[1])
    flow, expected = (ops.convert_to_numpy(m(images)) for m in (model, exact))
    assert flow.dtype == np.float32
    assert model.decoders["all"].compute_dtype == model.compute_dtype != "float32"
    assert np.abs(flow - expected).mean() < 0.1 * np.abs(expected).mean()
    model.compile()
    history = model.fit(images, expected, batch_size=2, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_keras_file_restores_weights_and_configuration(lite, pair, tmp_path):
    lite.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = (pair[0], pair[1])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(again(images)), ops.convert_to_numpy(lite(images))
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a SavedModel of open size needs TensorFlow"
)
def test_saved_model_serves_any_size(lite, pair, tmp_path):
    import tensorflow as tf

    lite.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    for images in ((pair[0], pair[1]), (pair[0, :1, :50, :70], pair[1, :1, :50, :70])):
        flow = served.serve(images).numpy()
        np.testing.assert_allclose(flow, lite(images).numpy(), atol=1e-3)


def test_flow_takes_any_kind_of_image(lite, tmp_path):
    from PIL import Image

    array = np.random.default_rng(0).integers(0, 256, (20, 31, 3)).astype("uint8")
    Image.fromarray(array).save(tmp_path / "a.png")
    expected = lite.flow(array, array[:, ::-1])
    assert expected.shape == (20, 31, 2) and expected.dtype == np.float32
    others = [tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(array), array / 255.0]
    for image in others:
        np.testing.assert_allclose(lite.flow(image, array[:, ::-1]), expected, atol=1e-4)
    for image in (array[..., 0], np.dstack([array, array[..., :1]])):
        assert lite.flow(image, image).shape == (20, 31, 2)


def test_a_list_of_frames_gives_the_flows_of_each_pair(lite):
    frames = np.random.default_rng(0).random((4, 20, 31, 3), dtype="float32")
    flows = lite.flow(list(frames), batch_size=2)
    assert len(flows) == 3
    for index, flow in enumerate(flows):
        np.testing.assert_allclose(flow, lite.flow(frames[index], frames[index + 1]), atol=1e-3)


def test_a_second_size_in_the_same_process_is_as_good_as_the_first(lite):
    for size in ((33, 47), (32, 48), (70, 20)):
        assert lite.flow(np.zeros((*size, 3)), np.zeros((*size, 3))).shape == (*size, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((20, 20, 3)), np.zeros((20, 24, 3))), r"20x20 and then 24x20"),
        ((np.zeros((1, 1, 3)), np.zeros((1, 1, 3))), r"16x16.*\(1, 1, 3\)$"),
        ((np.zeros((0, 5, 3)), np.zeros((0, 5, 3))), r"\(0, 5, 3\)"),
        ((np.full((20, 20, 3), np.nan), np.zeros((20, 20, 3))), "(?i)nan"),
        ((np.zeros((20, 20, 5)), np.zeros((20, 20, 5))), r"\(20, 20, 5\)"),
        (([np.zeros((20, 20, 3))],), "1$"),
        ((np.zeros((20, 20, 3)),), "ndarray$"),
    ],
)
def test_bad_images_are_named(lite, arguments, message):
    with pytest.raises(ValueError, match=message):
        lite.flow(*arguments)


def test_bad_tensors_and_variants_are_named(lite):
    good = np.zeros((1, 64, 64, 3), "float32")
    with pytest.raises(ValueError, match=r"\(1, 64, 65, 3\)\]$"):
        lite((good, np.zeros((1, 64, 65, 3), "float32")))
    with pytest.raises(ValueError, match="3$"):
        lite((good, good, good))
    with pytest.raises(ValueError, match=r"\(1, 64, 64, 1\)"):
        lite((good[..., :1], good[..., :1]))
    with pytest.raises(ValueError, match=r"\(1, 64, 64, 3\)$"):
        lite(good)
    with pytest.raises(ValueError, match="'huge'$"):
        PWCNet("huge")
