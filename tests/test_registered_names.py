"""`.keras` files of the zoo's classes load after `import c2f_zoo` alone."""

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import c2f_zoo
from c2f_zoo import registered_names
from c2f_zoo.layers import EqualizedConv2D, PixelNorm
from c2f_zoo.layers.equalized import scaled_leaky_relu
from c2f_zoo.losses import SSIMLoss
from c2f_zoo.metrics import PSNR
from c2f_zoo.training.schedules import Halving

ROOT = Path(__file__).parents[1]
DECORATORS = {"register_keras_serializable", "register_model"}


def registered_in_the_source():
    """Names that the source registers with Keras, and the modules that do."""
    found = {}
    for path in (ROOT / "c2f_zoo").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "c2f_zoo").with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for decorator in getattr(node, "decorator_list", ()):
                function = getattr(decorator, "func", None)
                name = getattr(function, "attr", getattr(function, "id", None))
                if name in DECORATORS:
                    found[node.name] = module
    return dict(sorted(found.items()))


@pytest.mark.backend_free
def test_the_table_lists_what_the_source_registers():
    found, written = registered_in_the_source(), registered_names.MODULES
    missing = [f'"{name}": "{found[name]}",' for name in found if written.get(name) != found[name]]
    assert not missing, "MODULES lacks " + " ".join(missing)
    assert list(written) == list(found), "MODULES has names that nothing registers, or no order"


@pytest.mark.parametrize("name", registered_names.MODULES)
def test_each_module_registers_its_names(name):
    module = importlib.import_module(f"c2f_zoo.{registered_names.MODULES[name]}")
    assert keras.saving.get_registered_object(f"c2f_zoo>{name}") is getattr(module, name)


def own_model():
    """A user's model with a zoo layer, activation, loss, metric and schedule."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 1, activation=scaled_leaky_relu)(inputs)
    model = keras.Model(inputs, EqualizedConv2D(3, 3)(PixelNorm()(x)))
    model.compile(keras.optimizers.Adam(Halving(1e-3, (10,))), SSIMLoss(), metrics=[PSNR()])
    return model


# Imports two modules in the order given and loads every file: prints sums of the weights.
LOAD = """
import json, sys
first, second, *files = sys.argv[1:]
__import__(first)
assert first == "keras" or "keras" not in sys.modules
__import__(second)
import keras, c2f_zoo
zoo = {{name for name in sys.modules if name.startswith("c2f_zoo.")}}
assert zoo == {{"c2f_zoo.lazy", "c2f_zoo.registered_names"}}, zoo
print(json.dumps({{file: {facts} for file in files for model in [keras.models.load_model(file)]}}))
"""
FACTS = "[type(model).__name__, float(sum(abs(w).sum() for w in model.get_weights()))]"
COMPILED = (
    "[type(model.loss).__name__, type(model.optimizer._learning_rate).__name__, "
    "[metric.name for metric in model._compile_metrics._user_metrics], "
    "type(model.layers[3]).__name__, "
    "model.layers[1].get_config()['activation']['config'], "
    "tuple(model(keras.ops.ones((1, 8, 8, 3))).shape)]"
)


def load_elsewhere(order, files, facts=FACTS):
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(facts=facts), *order, *map(str, files)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_models_load_in_a_process_that_imported_only_the_package(tmp_path):
    models = [
        c2f_zoo.PWCNet("small"),
        c2f_zoo.PWCNetLite(),
        c2f_zoo.MultiscaleUNet(width=8, multipliers=(1, 2), groups=4, attention=0),
        c2f_zoo.ProGAN(8, latent_size=4, num_filters=(4, 4)),
    ]
    files = [tmp_path / f"{type(model).__name__}.keras" for model in models]
    for model, file in zip(models, files, strict=True):
        model.save(file)
    loaded = load_elsewhere(("c2f_zoo", "keras"), files)
    for model, file in zip(models, files, strict=True):
        total = sum(np.abs(weight).sum() for weight in model.get_weights())
        name, found = loaded[str(file)]
        assert name == type(model).__name__
        np.testing.assert_allclose(found, total, rtol=1e-5)


@pytest.mark.parametrize("order", [("c2f_zoo", "keras"), ("keras", "c2f_zoo")])
def test_a_users_model_keeps_its_layers_loss_metric_and_schedule(tmp_path, order):
    own_model().save(tmp_path / "own.keras")
    loaded = load_elsewhere(order, [tmp_path / "own.keras"], COMPILED)
    function = "c2f_zoo>scaled_leaky_relu"
    expected = ["SSIMLoss", "Halving", ["psnr"], "EqualizedConv2D", function, [1, 8, 8, 3]]
    assert loaded[str(tmp_path / "own.keras")] == expected


def test_a_name_that_a_user_registered_is_left_alone(monkeypatch):
    objects = keras.saving.get_custom_objects()
    monkeypatch.setitem(objects, "c2f_zoo>PixelNorm", "mine")
    registered_names.register()
    assert objects["c2f_zoo>PixelNorm"] == "mine"
