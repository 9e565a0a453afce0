"""What Keras itself saved of the zoo's models, and files that only claim to be that."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from c2f_zoo.hub import PresetError, load, load_weights, read_metadata
from c2f_zoo.hub.hdf5 import check_weights
from c2f_zoo.models import ProGAN, SRParaConvNet


def equal(model, other):
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture
def small():
    return SRParaConvNet(width=8, name="mine")


@pytest.fixture
def file(small, tmp_path):
    small.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def rewrite(file, **members):
    """Replaces members of an archive; None leaves one out."""
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {name.replace("__", "."): data for name, data in members.items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)


def with_config(file, change):
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))
    change(config)
    rewrite(file, config__json=json.dumps(config))
    return file


def test_a_keras_file_is_loaded(small, file):
    assert equal(load(file), small)
    assert equal(SRParaConvNet.from_pretrained(str(file)), small)
    assert load(file).name != "mine"


def test_a_keras_file_of_a_compiled_model_is_loaded(tmp_path):
    model = SRParaConvNet(width=8)
    model.compile(loss="mse", optimizer="adam")
    image = np.random.default_rng(0).random((1, 16, 16, 3)).astype("float32")
    model.fit(image, keras.ops.convert_to_numpy(model(image)), verbose=0)
    model.save(tmp_path / "model.keras")
    assert equal(load(tmp_path / "model.keras"), model)


def test_a_keras_file_holds_the_whole_of_a_gan(tmp_path):
    gan = ProGAN(8, latent_size=4, num_filters=(8, 4))
    gan.save(tmp_path / "gan.keras")
    assert equal(load(tmp_path / "gan.keras"), gan)


def test_arguments_may_be_replaced_and_are_checked(file):
    with pytest.raises(PresetError, match="Of another shape"):
        load(file, width=16)
    with pytest.raises(PresetError, match="Did you mean 'width'"):
        load(file, widht=16)


def test_a_folder_that_keras_saved_is_loaded(small, tmp_path):
    keras.src.saving.saving_lib.save_model(small, str(tmp_path / "folder"), zipped=False)
    assert equal(load(tmp_path / "folder"), small)
    assert "keras_version" in read_metadata(tmp_path / "folder")


def test_sharded_weights_that_keras_saved_are_loaded(small, tmp_path):
    keras.src.saving.saving_lib.save_model(small, str(tmp_path), zipped=False)
    (tmp_path / "model.weights.h5").unlink()
    small.save_weights(tmp_path / "model.weights.json", max_shard_size=3e-6)
    assert len(list(tmp_path.glob("model_*.h5"))) > 1
    assert equal(load(tmp_path), small)
    index = json.loads((tmp_path / "model.weights.json").read_text())
    index["weight_map"]["x"] = ["../../etc/passwd"]
    (tmp_path / "model.weights.json").write_text(json.dumps(index))
    with pytest.raises(PresetError, match=r"no shard. Received: '../../etc/passwd'"):
        load(tmp_path)


def test_a_keras_file_has_no_card(file):
    with pytest.raises(PresetError, match="save it as a preset"):
        read_metadata(file)


# Nothing downloaded is executed.

LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wE="}}},
    "registered_name": None,
}


@pytest.fixture
def no_deserialization(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("an object was deserialized")

    monkeypatch.setattr("keras.src.saving.serialization_lib.deserialize_keras_object", refuse)
    monkeypatch.setattr("keras.saving.deserialize_keras_object", refuse)


@pytest.mark.parametrize("place", ["width", "scale", "name2"])
@pytest.mark.parametrize(
    "thing",
    [LAMBDA, {"class_name": "__lambda__"}, [{"registered_name": "os>system"}], {"a": [LAMBDA]}],
)
def test_an_object_in_a_config_is_refused(file, no_deserialization, place, thing):
    with_config(file, lambda config: config["config"].update({place: thing}))
    with pytest.raises(PresetError, match=r"nothing was built of it\. Received: "):
        load(file)


def test_what_belongs_to_a_session_is_not_even_read(small, file):
    with_config(file, lambda config: config["config"].update(dtype=LAMBDA, name=LAMBDA))
    assert equal(load(file), small)


@pytest.mark.parametrize(
    "name", ["Lambda", "os>system", "keras>Sequential", None, {}, "c2f_zoo>os", "c2f_zoo>Conv2D"]
)
def test_a_class_outside_the_zoos_models_is_never_built(file, no_deserialization, name):
    with_config(file, lambda config: config.update(registered_name=name, module="os"))
    with pytest.raises(PresetError):
        load(file)


def test_the_module_that_a_config_names_is_not_imported(small, file):
    with_config(file, lambda config: config.update(module="antigravity", class_name="popen"))
    assert equal(load(file), small)


# Archives that lie.


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "assets/x", "a.pkl", "model.weights.npz"])
def test_a_member_that_keras_does_not_write_is_refused(file, name):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(PresetError, match="each once and not encrypted. Received: "):
        load(file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice_is_refused(file):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("config.json", b"{}")
    with pytest.raises(PresetError, match="each once"):
        load(file)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "metadata.json"])
def test_a_bomb_is_refused_before_it_is_unpacked(file, name, monkeypatch):
    rewrite(file, **{name.replace(".json", "__json"): None} if "json" in name else {})
    with zipfile.ZipFile(file) as archive:
        rest = {n: archive.read(n) for n in archive.namelist() if n != name}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, data in rest.items():
            archive.writestr(other, data)
        archive.writestr(name, bytes(40 * 2**20))
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(PresetError, match="claims more than the archive holds"):
        load(file)


def test_a_recompressed_file_is_loaded(small, file):
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    assert equal(load(file), small)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"x" * 1000])
def test_what_is_no_archive_is_told(tmp_path, data):
    (tmp_path / "x.keras").write_bytes(data)
    with pytest.raises(PresetError, match=r"x\.keras"):
        load(tmp_path / "x.keras")


# Files of weights that lie.


@pytest.fixture
def weights(small, tmp_path):
    small.save_weights(tmp_path / "model.weights.h5")
    return tmp_path / "model.weights.h5"


def lie(path, name, **options):
    """Puts another data set in the place of the first."""
    with h5py.File(path, "r+") as file:
        names = []
        file.visit(names.append)
        first = next(n for n in names if isinstance(file[n], h5py.Dataset))
        del file[first]
        if name == "link":
            file[first] = h5py.ExternalLink("/etc/passwd", "/")
        elif name == "soft":
            file[first] = h5py.SoftLink("/elsewhere")
        elif name == "virtual":
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
            file.create_virtual_dataset(first, layout)
        else:
            file.create_dataset(first, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("link", {}),
        ("soft", {}),
        ("virtual", {}),
        ("external", {"shape": 4, "dtype": "f4", "external": [("/etc/passwd", 0, 16)]}),
        ("huge", {"shape": (2**20, 2**20), "dtype": "f4"}),
        ("chunks", {"shape": (2**20, 2**20), "dtype": "f4", "chunks": (4, 4)}),
        ("packed", {"data": np.zeros(10**6, "f4"), "compression": "gzip"}),
        ("text", {"data": ["x"] * 5}),
        ("objects", {"data": np.zeros(3, [("a", "f4"), ("b", "i4")])}),
    ],
)
def test_weights_outside_the_file_or_beyond_it_are_refused(small, weights, name, options):
    lie(weights, name, **options)
    before = [weight.copy() for weight in small.get_weights()]
    with pytest.raises(PresetError, match=r"model\.weights\.h5 (may hold plain|claims more)"):
        load_weights(small, weights)
    assert all(map(np.array_equal, before, small.get_weights()))


def test_a_group_within_itself_is_no_endless_loop(small, weights):
    with h5py.File(weights, "r+") as file:
        file["self"] = file["/"]
    assert check_weights(weights, "it") > 0


def test_the_numbers_of_a_file_are_counted(small, weights):
    assert check_weights(weights, "it") == small.count_params()
