"""One step of each paper's own pair, narrow and small, against figures stored here.

Every backend is held to the same numbers, second derivatives included, so that they agree with
each other. The figures are torch's in float32. After a change that is meant to change them,
`python -m tests.training.adversarial.test_zoo_steps` prints those of the backend in use.
"""

import keras
import numpy as np
import pytest

from c2f_zoo.backend import backend, to_numpy
from c2f_zoo.models.gans import msg_progan, progan, stylegan, stylegan2
from c2f_zoo.training import AdversarialModel, AdversarialTraining
from tests.training.step_figures import assert_step

BATCH, LATENT, RATE = 4, 6, 0.01
WIDTHS = {"num_filters": (6, 4)}  # at 4x4 and 8x8
STYLES = {"latent_size": LATENT, "w_size": 6, "mapping_depth": 2}
PAIRS = {
    "progan": lambda: (
        progan.ProGANGenerator(8, latent_size=LATENT, **WIDTHS),
        progan.ProGANDiscriminator(8, **WIDTHS),
    ),
    "stylegan": lambda: (
        stylegan.StyleGANGenerator(8, **STYLES, **WIDTHS),
        stylegan.StyleGANDiscriminator(8, **WIDTHS),
    ),
    "stylegan2": lambda: (
        stylegan2.StyleGAN2Generator(8, **STYLES, **WIDTHS),
        stylegan2.StyleGAN2Discriminator(8, **WIDTHS),
    ),
    "msg-progan": lambda: (
        msg_progan.MSGGenerator(8, latent_size=LATENT, **WIDTHS),
        msg_progan.MSGDiscriminator(8, **WIDTHS),
    ),
}


def normal(random, *shape):
    return random.normal(size=shape).astype("float32")


def pair_of(name):
    """The networks with weights and noise that depend on no backend, growing ones in a fade."""
    random = np.random.default_rng(0)
    networks = PAIRS[name]()
    for network in networks:
        for weight in network.trainable_variables:
            value = to_numpy(weight)
            drawn = normal(random, *value.shape)
            # What begins at zeros or ones stays near it; what is drawn keeps its size, which is
            # 1, or 100 in a mapping network. The deviation of a few numbers is far from exact.
            is_constant = np.ptp(value) == 0
            scale = 1.0 if is_constant or value.std() < 10 else 100.0
            weight.assign(value + 0.1 * drawn if is_constant else scale * drawn)
    generator = networks[0]
    if hasattr(generator, "noise_shapes"):
        maps = [normal(random, 1, *size, 1) for size in generator.noise_shapes]
        generator.noise_of = lambda _, layer: keras.ops.convert_to_tensor(maps[layer])
    return networks


def batch():
    random = np.random.default_rng(1)
    names = ("discriminator_latents", "generator_latents", "path_latents")
    latents = {name: normal(random, BATCH, LATENT) for name in names}
    return latents | {
        "images": random.random((BATCH, 8, 8, 3), dtype="float32"),
        "path_noise": normal(random, BATCH, 8, 8, 3),
        "interpolation": random.random((BATCH, 1, 1, 1), dtype="float32"),
    }


def figures(name):
    """What a step reports, and of each network's gradients the norm and two random projections."""
    model = AdversarialModel(*pair_of(name), seed=0)
    settings = AdversarialTraining.named(name, style_mixing=0.0)
    # TensorFlow's compilers would take most of the time.
    options = {"run_eagerly": True} if backend() == "tensorflow" else {}
    sgd = keras.optimizers.SGD
    model.compile(settings, sgd(RATE), sgd(RATE), **options)
    if hasattr(model.generator, "stage"):
        model.set_stage(1)
        model.set_alpha(0.25)
    networks = {"generator": model.generator, "discriminator": model.discriminator}
    before = {key: values(network) for key, network in networks.items()}
    logs = model.train_on_batch(batch(), return_dict=True)
    report = {key: float(logs[key]) for key in sorted(logs)}
    for key, network in networks.items():
        # Gradients, where there is one update; with lazy penalties the sum of both.
        gradient = (before[key] - values(network)) / RATE
        norm = np.linalg.norm(gradient)
        random = np.random.default_rng(2)
        projections = [random.normal(size=gradient.size) @ gradient / norm for _ in "12"]
        report[key] = [float(number) for number in (norm, *projections)]
    return report


def values(network):
    arrays = [to_numpy(weight).ravel() for weight in network.trainable_variables]
    return np.concatenate(arrays).astype("float64")


EXPECTED = {
    "progan": {
        "d_loss": -0.19522862,
        "fake_score": -0.2140511,
        "g_loss": 0.13459933,
        "loss": 7.3264346,
        "penalty": 7.387064,
        "real_score": -0.018821076,
        "generator": [0.67100067, -1.6033587, -0.19517199],
        "discriminator": [2.7039952, -1.0565263, 0.78752162],
    },
    "stylegan": {
        "d_loss": 1.604715,
        "fake_score": 0.53727078,
        "g_loss": 0.49362707,
        "loss": 2.2091336,
        "penalty": 0.11079141,
        "real_score": 0.18825683,
        "generator": [0.72794165, -0.46539597, -0.62965147],
        "discriminator": [0.45631669, 0.70259787, 1.018449],
    },
    "stylegan2": {
        "d_loss": 1.4985979,
        "fake_score": 0.2528961,
        "g_loss": 0.59545738,
        "loss": 2.0940552,
        "path_length": 0.65927219,
        "penalty": 0.084225968,
        "real_score": 0.045350142,
        "generator": [8.5020994, -0.17620013, -1.9247280],
        "discriminator": [2.3343857, -0.79706069, 0.85028396],
    },
    "msg-progan": {
        "d_loss": 1.6989393,
        "fake_score": -0.23782709,
        "g_loss": 2.4522271,
        "loss": 4.1511664,
        "real_score": -0.087296814,
        "generator": [4.3262274, -1.4663381, 1.0292999],
        "discriminator": [1.2854292, 0.3231879, 1.2842443],
    },
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_step_gives_the_same_losses_and_gradients_on_every_backend(name):
    assert_step(figures(name), EXPECTED[name])


if __name__ == "__main__":
    for pair in PAIRS:
        print(f"    {pair!r}: {figures(pair)},")
