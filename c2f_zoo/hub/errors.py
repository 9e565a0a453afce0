"""What can go wrong with a preset."""

import os
import re
import sys


class PresetError(ValueError):
    """A preset that cannot be used: damaged, incomplete, of another class, or out of reach."""


class PresetNotFoundError(PresetError):
    """There is no preset of this name; the message lists the forms and names that exist."""


def first_line(error):
    """Return the first line of an exception's text that is not empty, else its class's name.

    Tokens are replaced, as `without_tokens` does.
    """
    lines = (line.strip() for line in without_tokens(str(error)).splitlines())
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


def without_tokens(text, *tokens):
    """Return a text with every token for the Hub, known or recognisable, replaced by `***`."""
    for token in _tokens(tokens):
        text = text.replace(token, "***")
    return _TOKEN.sub("***", text)


def shown_cause(error, *tokens):
    """Return an error to raise another from, or None if its traceback would show a token."""
    seen, pending = set(), [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        text = f"{one} {one!r}"
        if without_tokens(text, *tokens) != text:
            return None
        pending += [one.__cause__, one.__context__]
    return error


# As the Hub writes its tokens; names of its own (hf_hub_download, hf_test) are shorter or no word.
_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{16,}")


def _tokens(given):
    known = [*given, *(os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))]
    if "huggingface_hub" in sys.modules:
        known.append(sys.modules["huggingface_hub"].get_token())
    stripped = {token.strip() for token in known if isinstance(token, str)}
    return sorted({*known, *stripped} - {None, "", True, False}, key=len, reverse=True)
