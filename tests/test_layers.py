"""The layers of the package: no module imports one above it. Import-linter checks the order (pyproject.toml)."""

from __future__ import annotations

import ast
from pathlib import Path

import chainrule

PACKAGE = Path(chainrule.__file__).parent
# Ops take and return tensors, and tensors have ops as operators and methods: see _tensor.py.
CIRCLE_OF_TENSORS = {
    *(
        "chainrule._tensor",
        "chainrule._util.in_place",
        "chainrule._util.op_methods",
        "chainrule._util.tensor_methods",
        "chainrule._util.torch_methods",
        "chainrule.autodiff._sweeps",
        "chainrule.ops",
    ),
}


def modules() -> dict[str, Path]:
    """The modules of the package by name."""
    found = {"chainrule._core": PACKAGE / "_core.pyi"}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join(("chainrule", *parts))] = path
    return found


def imports_of(name: str, path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a module imports: in functions and for annotations, too."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            inside = {f"{base}.{alias.name}" for alias in node.names} & known
            # `from . import a` imports nothing else from the package where all names are modules.
            found |= inside if len(inside) == len(node.names) else {*inside, base}
    return (found & known) - {name}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Modules that reach each other: the strongly connected components with more than one (Kosaraju's algorithm)."""
    order: list[str] = []

    def visit(start: str, edges: dict[str, set[str]], seen: set[str]) -> list[str]:
        """Depth first; in the order in which nodes are left."""
        left, stack = [], [(start, iter(sorted(edges[start])))]
        seen.add(start)
        while stack:
            node, rest = stack[-1]
            following = next((n for n in rest if n not in seen), None)
            if following is None:
                left.append(node)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(edges[following]))))
        return left

    seen: set[str] = set()
    for node in sorted(graph):
        if node not in seen:
            order += visit(node, graph, seen)
    backward: dict[str, set[str]] = {node: set() for node in graph}
    for node, targets in graph.items():
        for target in targets:
            backward[target].add(node)
    seen = set()
    components = [set(visit(node, backward, seen)) for node in reversed(order) if node not in seen]
    return [component for component in components if len(component) > 1]


def test_one_import_circle() -> None:
    known = modules()
    found = circles({name: imports_of(name, path, set(known)) for name, path in known.items()})
    shown = "\n".join(", ".join(sorted(circle)) for circle in found)
    assert len(found) == 1, f"import circles:\n{shown}"
    others = {name for name in found[0] if not name.startswith("chainrule.ops.")} - CIRCLE_OF_TENSORS
    assert not others, f"in the circle of tensors and ops: {others}"


def test_circles_are_found() -> None:
    graph: dict[str, set[str]] = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a", "f"}, "f": {"e"}}
    assert sorted(map(sorted, circles(graph))) == [["b", "c"], ["e", "f"]]


def test_the_root_has_few_modules() -> None:
    root = sorted(path.name for path in PACKAGE.glob("*.py"))
    assert len(root) <= 7, root
