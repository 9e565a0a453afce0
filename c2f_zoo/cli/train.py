"""`c2f train`: runs the recipe that makes a checkpoint."""

import ast
import importlib.util
import sys
from pathlib import Path

from c2f_zoo.checks import suggestion
from c2f_zoo.cli.common import OK, CommandError, UsageError, choose_backend, say, start_backend

EXAMPLES = """A recipe is a Python file with a function main(argv): one of the repository's folder
training/, by its name, or any other, by its path. What follows it on the command line is its own,
but for --devices, --hosts and --accumulate. (--debug, to see where an error comes from, goes before
the verb: c2f --debug train RECIPE.)

examples:
  c2f train --list
  c2f train pwcnet_lite_scenes --help
  c2f train pwcnet_lite_scenes --tiny
  c2f train pwcnet_lite_scenes --devices all
  c2f train pwcnet_lite_scenes --accumulate 4    (a quarter of the memory, the same training)
  c2f train pwcnet_lite_scenes --hosts auto    (started by srun, on every host)
  c2f train pwcnet_lite_scenes --hosts 10.0.0.1:1234,2,0    (and ...,2,1 on the second host)
  c2f train my_recipe.py --epochs 10"""


# Options of ours, each with a value, that a recipe's may stand before.
OURS = ("--devices", "--hosts", "--accumulate")

# Folders and files of training/ that train nothing.
NO_RECIPES = frozenset({"collect", "common", "data", "measure"})


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "train",
        help="run the recipe that trains a checkpoint",
        description="Run a training recipe.",
        epilog=EXAMPLES,
        usage="c2f train [-h] [--list] RECIPE [--devices N|all] [--hosts HOSTS] [--accumulate K] "
        "[ARGUMENT ...]",
    )
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help="name or path of the recipe")
    parser.add_argument("--list", action="store_true", help="list the recipes found and exit")
    parser.add_argument(
        "--devices",
        metavar="N|all",
        help="train on so many GPUs, or all; without a GPU on so many parts of the processor, to "
        "try it out (default: 1; with --hosts all)",
    )
    parser.add_argument(
        "--hosts",
        metavar="auto|ADDRESS:PORT,N,I",
        help="train on all devices of several hosts, each of which runs this command (JAX): auto "
        "where Slurm, Open MPI, Kubernetes or Cloud TPU started it, else the first host's address, "
        "the number of hosts, and which of them this is, from 0",
    )
    parser.add_argument(
        "--accumulate",
        metavar="K",
        help="compute the gradient of each batch in so many parts, one after another, of which "
        "one is in memory at a time; K must divide the batches",
    )
    return parser


def split_recipe_arguments(argv):
    """Split the command line of `c2f train` into ours, up to the recipe, and the recipe's own."""
    words = [
        index
        for index, word in enumerate(argv)
        if not word.startswith("-") and argv[index - 1 : index] not in [[name] for name in OURS]
    ]
    if len(words) < 2 or argv[words[0]] != "train":
        return argv, []
    end = words[1] + 1
    ours, recipes = argv[:end], argv[end:]
    # Options of ours that may stand behind the recipe.
    for name in OURS:
        for index, word in enumerate(recipes):
            if word.partition("=")[0] == name:
                behind = index + (1 if "=" in word else 2)
                ours += recipes[index:behind]
                recipes = recipes[:index] + recipes[behind:]
                break
    return ours, recipes


def run(arguments):
    """Run the recipe and return its exit status."""
    recipes = find_recipes()
    if arguments.list:
        say(*_listing(recipes))
        return OK
    if arguments.recipe is None:
        raise UsageError(f"Name a recipe. Known: {', '.join(recipes) or 'none'}. Received: no name")
    path = _resolve(arguments.recipe, recipes)
    if not _has_main(path):
        raise CommandError(f"A recipe has a function main(argv). Received: {path} without one")
    devices = _count("devices", arguments.devices or "1")
    parts = _count("accumulate", arguments.accumulate or "1", or_all=False)
    hosts = _hosts(arguments)
    if {"-h", "--help"} & set(arguments.recipe_arguments):
        choose_backend()
        return _run_recipe(path, arguments.recipe_arguments)
    start_backend(processors=1 if devices == "all" else devices)
    from c2f_zoo.training import in_micro_batches, join_hosts, on_devices

    with on_devices(devices) if hosts is None else join_hosts(*hosts), in_micro_batches(parts):
        return _run_recipe(path, arguments.recipe_arguments)


def _count(option, given, or_all=True):
    if or_all and given == "all":
        return given
    if not given.isdecimal() or int(given) < 1:
        choices = "a number from 1 up" + ", or all" * or_all
        raise UsageError(f"--{option} is {choices}. Received: {given}")
    return int(given)


def _hosts(arguments):
    """What `join_hosts` takes, of --hosts; None for one host."""
    if arguments.hosts is None:
        return None
    if arguments.devices not in (None, "all"):
        raise UsageError(
            f"--hosts takes all devices of the hosts. Received: --devices {arguments.devices}"
        )
    if arguments.hosts == "auto":
        return ()
    address, *numbers = arguments.hosts.split(",")
    is_number = [number.isdecimal() for number in numbers]
    if ":" not in address or is_number != [True, True] or not int(numbers[1]) < int(numbers[0]):
        raise UsageError(
            "--hosts is auto, or ADDRESS:PORT,N,I: of the first host, the number of hosts, and "
            f"which of them this is, from 0. Received: {arguments.hosts}"
        )
    return address, *map(int, numbers)


def find_recipes():
    """Return the recipes of this repository and of the current folder: {name: path}, sorted."""
    import c2f_zoo

    folders = [Path(c2f_zoo.__file__).resolve().parents[1] / "training", Path("training")]
    found = {}
    for folder in folders:
        for path in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")]):
            is_tool = not NO_RECIPES.isdisjoint((path.parent.name, path.stem))
            if not path.name.startswith("_") and not is_tool and _has_main(path):
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def _listing(recipes):
    if not recipes:
        return ["no recipes here: they are in the folder training/ of the repository"]
    width = max(map(len, recipes))
    return [f"{name.ljust(width)}  {_summary(path)}" for name, path in recipes.items()]


def _resolve(recipe, recipes):
    path = Path(recipe).expanduser()
    if path.suffix == ".py" and path.is_file():
        return path
    name = recipe.replace(".", "_")  # the preset that it makes, too
    if name in recipes:
        return recipes[name]
    raise CommandError(
        "A recipe is the path of a Python file, or one of: "
        f"{', '.join(recipes) or 'none found (run in a clone of the repository)'}."
        f"{suggestion(name, recipes)} Received: {recipe}"
    )


def _parsed(path):
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        raise CommandError(
            f"The recipe is not readable Python ({error}). Received: {path}"
        ) from error


def _has_main(path):
    # Looked up in the text: importing a recipe would import a framework.
    body = _parsed(path).body
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in body)


def _summary(path):
    text = ast.get_docstring(_parsed(path)) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def _run_recipe(path, argv):
    path = path.resolve()
    before = sys.argv
    # As a script: it imports the helpers beside it, and calls itself by its own name.
    sys.argv = [str(path), *argv]
    sys.path.insert(0, str(path.parent))
    try:
        spec = importlib.util.spec_from_file_location(f"c2f_recipe_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        # Known by its name while it runs, for dataclasses, pickle and worker processes.
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        status = module.main(list(argv))
    except SystemExit as stop:
        status = stop.code
        if isinstance(status, str):
            raise CommandError(status) from stop
    finally:
        sys.path.remove(str(path.parent))
        sys.argv = before
    is_status = isinstance(status, int) and not isinstance(status, bool)
    return status if is_status else OK
