import keras
import pytest

from c2f_zoo.training import on_devices


def test_one_device_needs_no_strategy():
    with on_devices(1) as count:
        assert count == 1
        assert keras.distribution.distribution() is None


@pytest.mark.parametrize("devices", [0, -1, 1.5, "two", None])
def test_a_number_of_devices_is_a_number(devices):
    with pytest.raises(ValueError, match="devices must be .*Received: "), on_devices(devices):
        pass


def test_more_devices_than_there_are_are_refused_before_anything_is_made():
    with pytest.raises(ValueError, match=r"at most \d+, .* sees .*Received: 4097"):
        with on_devices(4097):
            pytest.fail("the block must not run")


@pytest.mark.distributed
def test_a_recipe_trains_on_two_devices_by_the_command(tmp_path, monkeypatch, capsys):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch's trainer has one device")
    from c2f_zoo.cli.main import main

    # As the command does before Keras starts.
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    out = str(tmp_path / "run")
    command = ["train", "pwcnet_lite_scenes", "--tiny", "--out", out, "--devices", "2"]
    assert main(command) == 0, capsys.readouterr().err
    assert (tmp_path / "run_tiny" / "pwcnet_lite.scenes" / "model.weights.h5").is_file()
    assert keras.distribution.distribution() is None
