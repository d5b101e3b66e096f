"""Print the largest modules and functions of the package: something to talk about, not a limit."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "s3filters"


def functions(path):
    """Yield (lines, name) of each function of a module, its docstring counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield (
                node.end_lineno - node.lineno + 1,
                f"{path.relative_to(PACKAGE.parent)}:{node.name}",
            )


def main():
    modules = sorted(PACKAGE.rglob("*.py"))
    sizes = [(len(m.read_text().splitlines()), str(m.relative_to(PACKAGE.parent))) for m in modules]
    for title, rows in (
        ("modules", sizes),
        ("functions", [row for module in modules for row in functions(module)]),
    ):
        print(f"largest {title} of {len(rows)}")
        for lines, name in sorted(rows, reverse=True)[:10]:
            print(f"{lines:6} {name}")


if __name__ == "__main__":
    main()
