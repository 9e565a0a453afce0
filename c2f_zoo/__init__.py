"""Coarse-to-fine vision models for Keras 3, how to train them, and trained checkpoints.

Importing the package loads nothing but this file; each name below is imported when it is first
used.
"""

import importlib

__version__ = "0.1.0"

_MODULES = ("data", "hub", "layers", "losses", "metrics", "models", "training")
_OBJECTS = {
    **dict.fromkeys(
        (
            "MSGGAN",
            "MultiscaleUNet",
            "PWCNet",
            "ProGAN",
            "RestorationResNet",
            "SRParaConvNet",
            "StyleGAN",
            "StyleGAN2",
        ),
        "c2f_zoo.models",
    ),
    "Multilevel": "c2f_zoo.training",
    "list_presets": "c2f_zoo.hub",
}

__all__ = ["__version__", *_MODULES, *_OBJECTS]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"c2f_zoo.{name}")
    if name in _OBJECTS:
        value = getattr(importlib.import_module(_OBJECTS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(
        f"module 'c2f_zoo' has the public names {', '.join(sorted(__all__))}. Received: {name!r}"
    )


def __dir__():
    return sorted(__all__)
