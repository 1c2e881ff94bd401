"""The project's own files as the house tests read them: text and syntax, never imported."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "instructloop"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


@dataclass(frozen=True)
class Function:
    """A function as written, and where."""

    path: Path
    node: FunctionNode
    exempt: bool
    """A comment `# exempt: reason` stands on the line of its `def` or right above it."""

    @property
    def name(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.node.lineno} {self.node.name}"

    @property
    def lines(self) -> int:
        return span(self.node)

    @property
    def arguments(self) -> int:
        """Arguments a caller may give, whatever their kind; `self` and `cls` are not."""
        given = self.node.args
        names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        return len(names) - (names[:1] in (["self"], ["cls"])) + (given.vararg is not None) + (given.kwarg is not None)

    @property
    def nesting(self) -> int:
        """How deep its blocks stand inside one another; an `elif` is no deeper than its `if`."""
        return max((_depth(statement) for statement in self.node.body), default=0)


def python_files(*folders: str) -> list[Path]:
    """Every Python file under the given folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(*folders: str) -> Iterator[Function]:
    """Every function and method under the given folders."""
    for path in python_files(*folders):
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(parse(path)):
            if isinstance(node, FunctionNode):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                around = [*lines[max(first - 2, 0) : first - 1], *lines[first - 1 : node.body[0].lineno - 1]]
                yield Function(path, node, exempt=any("# exempt: " in line for line in around))


def span(node: ast.stmt) -> int:
    """Lines of a definition, docstring included, decorators not."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _depth(node: ast.AST) -> int:
    inner = max((_depth(child) for child in ast.iter_child_nodes(node) if not isinstance(child, (*_DEFINITIONS, ast.Lambda))), default=0)
    if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        then = max((_depth(child) for child in node.body), default=0)
        return max(1 + then, _depth(node.orelse[0]))
    return inner + isinstance(node, BLOCKS)


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
