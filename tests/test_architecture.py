"""Who may import whom: the picture in docs/architecture.md, held against the code."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "pttrust_lightning"
LEAVES = {"types", "errors", "hashing"}
ALLOWED = {
    "types": set(),
    "errors": set(),
    "hashing": set(),
    "source": set(),
    "states": {"source"},
    "labelling": {"source", "states"},
    "cache": set(),
    "datamodules": {"cache", "states", "source"},
    "losses": set(),
    "metrics": set(),
    "models": set(),
    "baselines": {"models", "losses", "metrics", "source"},
    "modules": {"models", "losses", "metrics", "baselines"},
    "interpretation": {"models", "metrics"},
    "report": {"metrics", "source", "interpretation"},
    "figures": {"metrics"},
    "callbacks": {"report", "figures", "metrics"},
    "tools": {
        "parsing",
        "cache",
        "labelling",
        "datamodules",
        "modules",
        "baselines",
        "interpretation",
        "report",
        "source",
        "figures",
        "metrics",
        "models",
        "callbacks",
    },
    "parsing": set(),
    "cli": {"parsing", "callbacks", "datamodules", "modules", "source"},
    "main": {"cli", "tools"},
}
WITHOUT_TORCH = {"source", "errors"}


def room_of(file: Path) -> str:
    relative = file.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_modules(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names.add(node.module or "")
            if node.module == "pttrust_lightning":
                names |= {f"pttrust_lightning.{alias.name}" for alias in node.names}
    return names


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[str(f.relative_to(PACKAGE)) for f in FILES])
def test_imports_only_from_the_rooms_it_may(file):
    room = room_of(file)
    if room == "__init__":
        return
    imported = {n.split(".")[1] for n in imported_modules(file) if n.startswith("pttrust_lightning.")}
    rooms = {n for n in imported if n in ALLOWED or (PACKAGE / n).exists()} - {room}
    forbidden = rooms - ALLOWED[room] - LEAVES
    assert not forbidden, f"{room} must not import {sorted(forbidden)}"


@pytest.mark.parametrize("room", sorted(WITHOUT_TORCH))
def test_rooms_without_torch(room):
    for file in FILES:
        if room_of(file) == room:
            heavy = {n.split(".")[0] for n in imported_modules(file)} & {"torch", "transformers", "lightning"}
            assert not heavy, f"{file.name} imports {heavy}"


def test_every_room_is_in_the_picture():
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert rooms <= ALLOWED.keys()
    assert {p.name for p in PACKAGE.iterdir() if p.suffix == ".py"} <= {f"{r}.py" for r in ALLOWED} | {"__init__.py"}
    picture = (PACKAGE.parent.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert all(f"{room}/" in picture for room in rooms)
