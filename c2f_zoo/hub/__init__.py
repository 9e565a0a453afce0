"""Presets: where a name leads, loading, saving, model cards, and publishing on the Hub.

Everything is imported when it is first used, so that importing this package costs nothing. No
file here has the name of a function below: importing the file would hide the function.
"""

import importlib

_HOMES = {
    "HUB_ORGANISATION": "resolving",
    "PresetError": "errors",
    "PresetInfo": "resolving",
    "PresetMixin": "presets",
    "PresetNotFoundError": "errors",
    "PresetSaveError": "errors",
    "PresetSource": "resolving",
    "TASKS": "registry",
    "list_presets": "resolving",
    "load": "presets",
    "load_weights": "weights",
    "push": "publishing",
    "read_metadata": "download",
    "read_torch_checkpoint": "torch_pickle",
    "read_torchscript": "torchscript",
    "register_model": "registry",
    "registered_models": "registry",
    "render_card": "card",
    "resolve": "resolving",
    "save_preset": "presets",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
