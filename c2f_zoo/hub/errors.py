"""What can go wrong with a preset."""


class PresetError(ValueError):
    """A preset that cannot be used: damaged, incomplete, of another class, or out of reach.

    Example:
        >>> issubclass(PresetError, ValueError)
        True
    """


class PresetNotFoundError(PresetError):
    """A name that leads nowhere; the message lists the forms and names that do.

    Example:
        >>> issubclass(PresetNotFoundError, PresetError)
        True
    """


class DamagedFileError(PresetError):
    """A file of a preset that is missing or was changed.

    Args:
        message: What is wrong with it.
        path: The file.

    Example:
        >>> DamagedFileError("It is truncated.", "model.weights.h5").path
        'model.weights.h5'
    """

    def __init__(self, message, path):
        super().__init__(message)
        self.path = path


class PresetSaveError(OSError, PresetError):
    """A preset that could not be written. What stood in its place before still does.

    It is an `OSError` too, with the `errno` of the failure (28 where the disk is full).

    Example:
        >>> error = PresetSaveError(28, "The disk is full.")
        >>> error.errno, str(error)
        (28, 'The disk is full.')
    """

    def __str__(self):
        return str(self.strerror)
