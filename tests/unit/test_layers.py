"""The layers of docs/design.rst: who may import whom, read from the import statements."""

import ast
from pathlib import Path

import pytest

import s3filters

PACKAGE = Path(s3filters.__file__).parent

# Layer -> the layers that it may import; a module's own layer goes without saying.
MAY_IMPORT = {
    "s3": set(),
    "store": set(),
    "options": set(),
    "offload": set(),
    "sign": {"s3"},
    "access": {"s3"},
    "tiers": {"store"},
    "events": set(),
    "backends": {"access", "store", "s3", "offload", "tiers", "events"},
    "pipeline": {"access", "backends", "sign", "s3", "options", "offload", "tiers", "events"},
    "server": {"options", "offload"},
    "commands": {
        *("access", "server", "pipeline", "backends", "sign", "s3", "options", "offload", "tiers"),
    },
}
# Library -> the only layers that may import it.
ONLY_IN = {
    "eventlet": {"server"},
    "greenlet": {"server"},
    "httptools": {"server"},
    "paste": {"commands", "server"},
    "webob": {"s3", "pipeline"},
    "awscrt": {"s3"},
    "defusedxml": {"s3"},
}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imported(path):
    """Yield the dotted names that a module imports; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path):
    return str(path.relative_to(PACKAGE))


def test_every_top_level_module_is_a_known_layer():
    assert {layer_of(path) for path in modules()} - {""} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_the_layers_below_it(path):
    layer = layer_of(path)
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("s3filters.")}
    assert ours - {layer, "__version__"} <= MAY_IMPORT.get(layer, set())


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_library_stays_in_its_layer(path):
    libraries = {name.split(".")[0] for name in imported(path)}
    for library in libraries & set(ONLY_IN):
        assert layer_of(path) in ONLY_IN[library], f"{library} in {name_of(path)}"
