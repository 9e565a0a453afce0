import keras
import pytest

from c2f_zoo.hub import PresetError, register_model, registered_models
from c2f_zoo.hub.registry import find_model, registered_name, task_of


def test_a_registered_class_is_found_by_its_name(tiny_models):
    assert find_model("TinyFlow") is tiny_models.TinyFlow
    assert registered_models()["TinyRestorer"] is tiny_models.TinyRestorer
    assert task_of(tiny_models.TinyRestorer) == "image_restoration"


def test_the_zoos_own_models_are_found_before_anyone_imports_them():
    assert find_model("PWCNet").__name__ == "PWCNet"


@pytest.mark.parametrize("name", ["Sequential", "os.system", "TinyFlo", "__doc__", "packages"])
def test_nothing_but_a_registered_class_is_found(tiny_models, name):
    with pytest.raises(PresetError, match=rf"Registered: .*TinyFlow.*Received: '{name}'"):
        find_model(name)


def test_a_subclass_goes_by_the_name_of_its_registered_base(tiny_models):
    class Mine(tiny_models.TinyFlow):
        pass

    assert registered_name(Mine) == "TinyFlow"


def test_a_class_that_is_not_registered_is_told_how(tiny_models):
    with pytest.raises(PresetError, match="needs a class decorated by @register_model"):
        task_of(keras.Sequential)


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match=r"Unknown task\..*Received: 'flying'"):
        register_model(task="flying")


def test_only_models_are_registered():
    with pytest.raises(TypeError, match=r"Only a keras\.Model"):
        register_model(task="optical_flow")(dict)


def test_two_classes_cannot_share_a_name(tiny_models):
    other = type("TinyFlow", (keras.Model,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match=r"registered already.*Received: elsewhere\.TinyFlow"):
        register_model(task="optical_flow")(other)


def test_a_keras_file_of_a_registered_class_opens_without_custom_objects(tiny_models, tmp_path):
    model = tiny_models.TinyFlow(channels=3)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").channels == 3
