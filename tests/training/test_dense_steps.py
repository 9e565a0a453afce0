"""One training step of each network for flow, stereo and depth against figures stored here.

Every backend is held to the same numbers, so that they agree with each other. The figures are
torch's in float32. After a change that is meant to change them,
`python -m tests.training.test_dense_steps` prints those of the backend in use.
"""

import contextlib
from unittest.mock import patch

import keras
import numpy as np
import pytest

from c2f_zoo import RAFT, DepthUNet, PSMNet, PSMNetLite
from c2f_zoo.backend import backend, to_numpy
from tests.training.step_figures import assert_step

RATE = 0.01
NETWORKS = {
    "raft-small": lambda: RAFT("small", iterations=1),
    "raft-lite": lambda: RAFT("lite", iterations=1),
    "psmnet": lambda: PSMNet("basic", max_disparity=16),
    "psmnet-lite": lambda: PSMNetLite(max_disparity=32),
    "depth-unet": lambda: DepthUNet(
        width=4, multipliers=(1, 3), groups=2, attention=2, residual=True, smoothness=0.1
    ),
}


def zeros(self, shape, dtype=None, **kwargs):
    return keras.ops.zeros(shape, dtype)


def network_of(name):
    """A network with weights that depend on no backend, of the sizes that initializers give."""
    random = np.random.default_rng(0)
    with contextlib.ExitStack() as stack:  # JAX would compile a draw for every shape
        for kind in ("RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling"):
            stack.enter_context(patch.object(getattr(keras.initializers, kind), "__call__", zeros))
        model = NETWORKS[name]()
    for weight in model.trainable_variables:
        value = to_numpy(weight)
        drawn = random.normal(size=value.shape)
        if value.ndim > 1:
            # Kernels that begin at zeros would keep others from their gradients.
            drawn /= np.sqrt(value[..., 0].size)
        else:
            drawn = value + 0.1 * drawn
        weight.assign(drawn.astype("float32"))
    return model


def batch_of(name):
    """Images (2, 64, 64, 3), a pair of them or one, and a truth of the network's kind."""
    random = np.random.default_rng(1)
    images = random.random((4, 64, 64, 3), dtype="float32")
    if name == "depth-unet":
        return images[:2], random.uniform(1, 9, (2, 64, 64, 1)).astype("float32")
    channels = 2 if "raft" in name else 1
    truth = random.uniform(1, 9, (2, 64, 64, channels)).astype("float32")
    return (images[:2], images[2:]), truth


def figures(name):
    """What a step reports, and of gradients and of changed statistics norm and two projections."""
    model = network_of(name)
    # Compilers would take most of the time.
    options = {"run_eagerly": True} if backend() == "tensorflow" else {}
    model.compile(keras.optimizers.SGD(RATE), **options)
    kinds = {"gradient": model.trainable_variables}
    if statistics := [v for v in model.non_trainable_variables if "moving" in v.path]:
        kinds["statistics"] = statistics  # of batch normalization
    before = {kind: values(variables) for kind, variables in kinds.items()}
    logs = model.train_on_batch(*batch_of(name), return_dict=True)
    report = {key: float(logs[key]) for key in sorted(logs)}
    for kind, variables in kinds.items():
        change = (before[kind] - values(variables)) / RATE
        norm = np.linalg.norm(change)
        random = np.random.default_rng(2)
        projections = [random.normal(size=change.size) @ change / norm for _ in "12"]
        report[kind] = [float(number) for number in (norm, *projections)]
    return report


def values(variables):
    arrays = [to_numpy(variable).ravel() for variable in variables]
    return np.concatenate(arrays).astype("float64")


EXPECTED = {
    "raft-small": {
        "epe": 7.1771631,
        "loss": 4.7691717,
        "gradient": [72.406282, -0.91008026, 0.37019383],
    },
    "raft-lite": {
        "epe": 7.1268673,
        "loss": 7.2569418,
        "gradient": [31.001212, -0.87338549, 0.096865701],
    },
    "psmnet": {
        "epe": 2.4008217,
        "loss": 1.9428382,
        "gradient": [14.174724, -0.23018541, -0.35955517],
        "statistics": [7388.9149, -1.1710006, -1.0415638],
    },
    "psmnet-lite": {
        "epe": 17.35902,
        "loss": 32.249691,
        "gradient": [305.06003, 0.12807451, -1.6757689],
        "statistics": [143.55167, 0.034264927, -0.88307182],
    },
    "depth-unet": {
        "abs_rel": 3.492774,
        "delta_1": 0.11767578,
        "loss": 1.3672802,
        "gradient": [0.68509273, 0.96500126, 0.48842002],
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_gives_the_same_losses_and_gradients_on_every_backend(name):
    # Rounding, another one on every processor, turns rectified units near zero on or off.
    assert_step(figures(name), EXPECTED[name], tolerance=5e-3)


if __name__ == "__main__":
    for network in NETWORKS:
        print(f"    {network!r}: {figures(network)},")
