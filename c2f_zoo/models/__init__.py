"""Architectures, a folder a family, a file an architecture, readable beside their papers."""

from c2f_zoo import lazy

_attribute, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
# Public here until they moved down; to be removed in 0.3.
_MOVED_TO_TASKS = ("RestorationProtocol", "figures_of", "measure_restoration")


def __getattr__(name):
    if name in _MOVED_TO_TASKS:
        import warnings

        from c2f_zoo import tasks

        warnings.warn(
            f"c2f_zoo.models.{name} is c2f_zoo.tasks.{name} now.", DeprecationWarning, stacklevel=2
        )
        return getattr(tasks, name)
    return _attribute(name)
