"""What can go wrong with a preset."""


class PresetError(ValueError):
    """A preset that cannot be used: damaged, incomplete, of another class, or out of reach."""


class PresetNotFoundError(PresetError):
    """There is no preset of this name; the message lists the forms and names that exist."""


def first_line(error):
    """Return the first line of an exception's text that is not empty, else its class's name."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


class DamagedFileError(PresetError):
    """A file of a preset, at `path`, that is missing or was changed."""

    def __init__(self, message, path):
        super().__init__(message)
        self.path = path


class PresetSaveError(OSError, PresetError):
    """A preset could not be written; what was in its place before is unchanged.

    It is an `OSError` too, with the `errno` of the failure (28 where the disk is full).
    """

    def __str__(self):
        return str(self.strerror)
