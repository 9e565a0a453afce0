import subprocess
import sys
import types

import pytest

import c2f_zoo.data

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("name", c2f_zoo.data.__all__)
def test_every_listed_name_can_be_imported(name):
    value = getattr(c2f_zoo.data, name)
    assert not isinstance(value, types.ModuleType)
    assert name in dir(c2f_zoo.data)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Scene"):
        c2f_zoo.data.Scene  # noqa: B018


def test_importing_the_package_imports_no_optional_package():
    code = (
        "import sys, c2f_zoo.data; from c2f_zoo.data import load_image, read_flow, Sintel; "
        "print({'PIL', 'keras', 'tensorflow', 'cv2', 'imageio'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
