"""Public names of a package, imported from the modules of its stub when they are first used."""

import lazy_loader


def attach_stub(package, file):
    """Make the `__getattr__`, `__dir__` and `__all__` of a package from its `__init__.pyi`.

    Args:
        package: `__name__` of the package.
        file: `__file__` of its `__init__.py`.

    Returns:
        Function that imports a name, or raises an `AttributeError` with the nearest one; function
        that lists the names; list of the names.
    """
    import_name, list_names, names = lazy_loader.attach_stub(package, file)
    known = frozenset(names)

    def get(name):
        if name in known:
            return import_name(name)
        from c2f_zoo.checks import suggestion

        near = suggestion(name, sorted(known))
        raise AttributeError(f"module {package!r} has no such name.{near} Received: {name!r}")

    return get, list_names, names
