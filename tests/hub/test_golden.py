import json

import numpy as np
import pytest

from c2f_zoo.hub import PresetError, list_presets, load, read_metadata
from c2f_zoo.hub.golden import check_golden, golden_output, record_golden, waves


@pytest.fixture
def golden_folder(tiny_models, tmp_path):
    return tiny_models.GoldenFlow().save_pretrained(
        tmp_path / "golden", precision="float16", golden=True
    )


def test_the_input_is_an_image():
    image = waves()
    assert image.dtype == np.float32 and 0 <= image.min() < 0.1 and 0.9 < image.max() <= 1
    np.testing.assert_allclose(waves(3.0)[:, :-3], image[:, 3:], atol=1e-6)


def test_the_output_is_that_of_the_rounded_weights(golden_folder):
    golden = read_metadata(golden_folder)["golden"]
    expected = np.float16(0.3001) * np.concatenate([waves(), waves(3.0)], -1).sum(-1, dtype=float)
    assert golden["shape"] == [64, 96, 2]
    assert golden["values"][0] == pytest.approx(expected.mean(), rel=1e-5)
    assert golden["values"][3] == pytest.approx(expected.max(), rel=1e-5)
    check_golden(load(golden_folder), read_metadata(golden_folder), "it")


def test_other_weights_are_told(golden_folder):
    model = load(golden_folder)
    model.head.kernel.assign(model.head.kernel * 1.01)
    with pytest.raises(PresetError, match="does not reproduce the golden output .* Received: "):
        check_golden(model, read_metadata(golden_folder), "it")


@pytest.mark.parametrize(
    "change", [{"values": [1.0]}, {"values": None}, {"shape": [2]}, {"tolerance": -1.0}]
)
def test_a_changed_golden_output_is_told(golden_folder, change):
    metadata = read_metadata(golden_folder)
    metadata["golden"].update(change)
    with pytest.raises(PresetError, match="Received: "):
        check_golden(load(golden_folder), metadata, "it")


def test_a_preset_without_one_says_how_to_add_it(model, folder):
    with pytest.raises(PresetError, match="record_golden"):
        check_golden(model, read_metadata(folder), "it")
    with pytest.raises(PresetError, match="the method of its task. Received: TinyFlow"):
        record_golden(folder)


def test_one_is_added_and_nothing_else_changes(tiny_models, tmp_path):
    saved = tiny_models.GoldenFlow().save_pretrained(
        tmp_path / "golden", {"summary": "S."}, golden=True
    )
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    record = json.loads(before["metadata.json"])
    del record["golden"]
    (saved / "metadata.json").write_text(json.dumps(record))
    record_golden(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


SHIPPED = [preset.name for preset in list_presets()]
QUICK = [name for name in SHIPPED if name.startswith(("progan_32", "srnet"))]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED if name not in QUICK]


@pytest.mark.parametrize("name", QUICK + SLOW)
def test_a_shipped_preset_reproduces_its_golden_output(name):
    check_golden(load(name), read_metadata(name), name)


def test_a_task_without_a_method_has_none(model):
    assert golden_output(model, "image_classification") is None
