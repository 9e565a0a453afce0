"""The import of generative networks, against forward passes in PyTorch."""

import sys
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from c2f_zoo.backend import to_numpy  # noqa: E402
from c2f_zoo.hub import load  # noqa: E402
from c2f_zoo.models.gans.torch_progan import convert_torch_progan  # noqa: E402
from c2f_zoo.models.gans.torch_stylegan2 import convert_rosinality_stylegan2  # noqa: E402
from tests.models.gans import torch_reference as reference  # noqa: E402
from tests.models.gans.torch_reference import as_torch, random_tensors  # noqa: E402

SIZE = 16


def close(found, expected):
    expected = expected.detach().numpy()
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    assert expected.std() > 0.02
    np.testing.assert_allclose(to_numpy(found), expected, atol=2e-4 * np.abs(expected).max())


def images(rng, batch=4, colours=3):
    return rng.normal(size=(batch, SIZE, SIZE, colours)).astype("float32")


def channels_first(x):
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


# StyleGAN2


@pytest.fixture
def stylegan2():
    generator = random_tensors(reference.stylegan2_shapes(), seed=1)
    for name in generator:
        if name.startswith("style."):
            generator[name] *= 100  # kept divided by the multiplier of their rate
    discriminator = random_tensors(reference.stylegan2_discriminator_shapes(), seed=2)
    return generator, discriminator


def with_buffers(generator):
    kernel = torch.from_numpy(reference.TAPS.astype("float32"))
    buffers = {"convs.0.conv.blur.kernel": 4 * kernel, "to_rgbs.0.upsample.kernel": 4 * kernel}
    return {**as_torch(generator), **buffers, "noises.noise_0": torch.zeros(1, 1, 4, 4)}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_imported_stylegan2_is_the_function_of_its_torch_code(stylegan2, is_zip, tmp_path, rng):
    generator, discriminator = stylegan2
    average = rng.normal(size=5).astype("float32")
    raw = {name: array + 0.1 for name, array in generator.items()}
    content = {
        "g": {f"module.{name}": tensor for name, tensor in as_torch(raw).items()},
        "g_ema": with_buffers(generator),
        "d": as_torch(discriminator),
        "latent_avg": torch.from_numpy(average),
        "g_optim": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.002}]},
        "ada_aug_p": 0.3,
    }
    path = tmp_path / "550000.pt"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    model = convert_rosinality_stylegan2(path)
    assert model.resolution == (SIZE, SIZE) and model.generator.widths == (7, 6, 4)

    z = rng.normal(size=(2, 6)).astype("float32")
    maps = [rng.normal(size=(2, n, n, 1)).astype("float32") for n in (4, 8, 8, 16, 16)]
    for network, tensors in ((model.ema_generator, generator), (model.generator, raw)):
        t = as_torch(tensors)
        w = reference.stylegan2_mapping(t, torch.from_numpy(z))
        close(network.mapping(z)[:, 0], w)
        expected = reference.stylegan2_synthesis(t, w, [channels_first(map_) for map_ in maps])
        close(network(z, noise=maps), expected)
        np.testing.assert_array_equal(to_numpy(network.w_average), average)
    x = images(rng, batch=8)
    close(
        model.discriminator(x),
        reference.stylegan2_score(as_torch(discriminator), channels_first(x)),
    )


def test_an_averaged_stylegan2_alone_is_imported_with_warnings(stylegan2, tmp_path):
    path = tmp_path / "ffhq.pt"
    torch.save({"g_ema": as_torch(stylegan2[0])}, path)
    with pytest.warns(UserWarning) as caught:
        model = convert_rosinality_stylegan2(path)
    assert {str(each.message) for each in caught} == {
        "ffhq.pt holds no 'latent_avg': truncation pulls towards 0",
        "ffhq.pt holds no discriminator ('d')",
    }
    assert model.generate(1, seed=0).shape == (1, SIZE, SIZE, 3)
    # The generator's own dictionary, as some share it.
    torch.save(as_torch(stylegan2[0]), path)
    with pytest.warns(UserWarning):
        same = convert_rosinality_stylegan2(path)
    for mine, theirs in zip(model.generator.weights, same.generator.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(mine), to_numpy(theirs))


def test_another_low_pass_filter_is_refused(stylegan2, tmp_path):
    content = with_buffers(stylegan2[0])
    content["convs.0.conv.blur.kernel"] = torch.ones(4, 4)
    torch.save({"g_ema": content}, tmp_path / "box.pt")
    with pytest.raises(ValueError, match=r"low-pass filter must be \(1, 3, 3, 1\).*blur\.kernel"):
        convert_rosinality_stylegan2(tmp_path / "box.pt")


def test_a_missing_tensor_of_stylegan2_is_named(stylegan2, tmp_path):
    content = as_torch(stylegan2[0])
    del content["convs.1.noise.weight"]
    torch.save({"g_ema": content}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"missing: convs\.1\.noise\.weight"):
        convert_rosinality_stylegan2(tmp_path / "a.pt")
    torch.save({"state_dict": {"a": torch.ones(2)}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"holds the generator as 'g_ema' or 'g'\. Received: .*"):
        convert_rosinality_stylegan2(tmp_path / "a.pt")
    torch.save({"g": {"a": torch.ones(2)}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"with a tensor 'input.input'\. Received: .*"):
        convert_rosinality_stylegan2(tmp_path / "a.pt")


# ProGAN


@pytest.fixture
def settings(monkeypatch):
    """An object of the class in which pytorch_GAN_zoo keeps its settings."""
    kind = type("BaseConfig", (), {"__module__": "models.utils.config"})
    for name in ("models", "models.utils", "models.utils.config"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["models.utils.config"].BaseConfig = kind

    def make(**fields):
        config = kind()
        config.__dict__.update(fields)
        return config

    return make


def test_imported_gan_zoo_progan_is_the_function_of_its_torch_code(settings, tmp_path, rng):
    shapes = reference.gan_zoo_shapes()
    average, raw = (random_tensors(shapes[0], seed) for seed in (1, 2))
    scores = random_tensors(shapes[1], 3)
    path = tmp_path / "celeba_s2.pth"
    content = {
        "config": settings(leakyReluLeak=0.2, lossCriterion="WGANGP", depthScales=[7, 6, 4]),
        # Either of the two ways in which its layers name their weights.
        "avgG": as_torch({n.replace(".w", ".module.w"): a for n, a in average.items()}),
        "netG": as_torch(raw),
        "netD": as_torch(scores),
    }
    content["avgG"] = {n.replace(".b", ".module.b"): a for n, a in content["avgG"].items()}
    torch.save(content, path)
    model = convert_torch_progan(path)
    assert model.resolution == (SIZE, SIZE) and model.get_config()["pixel_bias"]

    z = rng.normal(size=(3, 6)).astype("float32")
    for network, tensors in ((model.ema_generator, average), (model.generator, raw)):
        close(network(z), reference.gan_zoo_images(as_torch(tensors), torch.from_numpy(z)))
    x = images(rng)
    close(model.discriminator(x), reference.gan_zoo_score(as_torch(scores), channels_first(x)))

    again = load(model.save_pretrained(tmp_path / "progan.zoo"))
    np.testing.assert_array_equal(to_numpy(again.generator(z)), to_numpy(model.ema_generator(z)))


def test_labels_of_the_gan_zoo_are_kept(settings, tmp_path, rng):
    shapes = reference.gan_zoo_shapes(labels=2)
    tensors, scores = random_tensors(shapes[0]), random_tensors(shapes[1])
    path = tmp_path / "labels.pth"
    content = {"netG": as_torch(tensors), "netD": as_torch(scores)}
    torch.save({"config": settings(categoryVectorDim=2), **content}, path)
    model = convert_torch_progan(path)
    assert model.latent_size == 6
    z, labels = rng.normal(size=(3, 6)).astype("float32"), np.eye(2, dtype="float32")[[0, 1, 1]]
    joined = torch.from_numpy(np.concatenate([z, labels], axis=1))
    close(model.generator(z, labels), reference.gan_zoo_images(as_torch(tensors), joined))
    x = images(rng)
    expected = reference.gan_zoo_score(as_torch(scores), channels_first(x))
    found, logits = model.discriminator(x)
    close(np.concatenate([to_numpy(found), to_numpy(logits)], axis=1), expected)


@pytest.mark.parametrize("equalized", [True, False])
def test_imported_pro_gan_pytorch_is_the_function_of_its_torch_code(equalized, tmp_path, rng):
    shapes = reference.pro_gan_shapes()
    average, raw = (random_tensors(shapes[0], seed) for seed in (1, 2))
    scores = random_tensors(shapes[1], 3)
    conf = {"depth": 4, "num_channels": 3, "latent_size": 6, "use_eql": equalized}
    content = {
        "generator": {"conf": conf, "state_dict": as_torch(raw)},
        "shadow_generator": {"conf": conf, "state_dict": as_torch(average)},
        "discriminator": {"conf": {**conf, "num_classes": None}, "state_dict": as_torch(scores)},
        "gen_optim": {"state": {}, "param_groups": [{"lr": 0.003, "betas": (0, 0.99)}]},
    }
    path = tmp_path / "depth_4_epoch_20.bin"
    torch.save(content, path)
    model = convert_torch_progan(path)
    assert model.resolution == (SIZE, SIZE)
    assert model.get_config()["normalization"] == "convolutions"
    z = rng.normal(size=(3, 6)).astype("float32")
    for network, tensors in ((model.ema_generator, average), (model.generator, raw)):
        expected = reference.pro_gan_images(as_torch(tensors), torch.from_numpy(z), equalized)
        close(network(z), expected)
    x = images(rng)
    expected = reference.pro_gan_score(as_torch(scores), channels_first(x), equalized)
    close(model.discriminator(x), expected)


def test_another_activation_of_the_gan_zoo_is_refused(settings, tmp_path):
    tensors = as_torch(random_tensors(reference.gan_zoo_shapes()[0]))
    torch.save({"config": settings(lossCriterion="DCGAN"), "netG": tensors}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"slope 0\.2 and a linear output\. Received: .*DCGAN"):
        convert_torch_progan(tmp_path / "a.pth")


def test_a_progan_without_discriminator_is_imported_with_a_warning(tmp_path):
    tensors = as_torch(random_tensors(reference.gan_zoo_shapes()[0]))
    torch.save({"netG": tensors}, tmp_path / "a.pth")
    with pytest.warns(UserWarning, match=r"a\.pth holds no discriminator"):
        convert_torch_progan(tmp_path / "a.pth")


def test_what_is_no_progan_is_refused(tmp_path):
    torch.save({"netX": {"a": torch.ones(2)}}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"generator as 'avgG'.*Received: .*'netX'"):
        convert_torch_progan(tmp_path / "a.pth")
    torch.save({"netG": {"a": torch.ones(2)}}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"must be that of pytorch_GAN_zoo, with a tensor"):
        convert_torch_progan(tmp_path / "a.pth")
    scores = as_torch(random_tensors(reference.gan_zoo_shapes()[1]))
    torch.save({"netD": scores}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"must hold a generator\. Received: .*'discriminator'"):
        convert_torch_progan(tmp_path / "a.pth")
