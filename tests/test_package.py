"""The package as a whole: exports, documentation, types, examples, import time."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import chainrule as cr
from chainrule import _core
from support import fresh_interpreter as fresh

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(cr.__file__).parent
MODULES = sorted(m.name for m in pkgutil.walk_packages(cr.__path__, "chainrule.") if m.name != "chainrule._core")
INTERNAL_PACKAGES = {"chainrule._ir", "chainrule._util", "chainrule.cli"}  # their files are imported one by one


def test_the_version_is_one() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.*)"$', text, re.MULTILINE) == [cr.__version__]


class TestImport:
    @pytest.mark.alone
    def test_takes_less_than_50_ms_beyond_numpy(self, tmp_path: Path) -> None:
        # Time of this thread (NumPy's BLAS has others that wait busily), the best of several, bytecode as installed.
        code = "import time, numpy; t = time.thread_time(); import chainrule; print(time.thread_time() - t)"

        def once() -> float:
            return float(fresh.output(code, PYTHONPYCACHEPREFIX=str(tmp_path), PYTHONDONTWRITEBYTECODE=""))

        assert min(once() for _ in range(9)) < 0.050

    def test_loads_nothing_heavy(self) -> None:
        heavy = (
            "typer",
            "rich",
            "tqdm",
            "safetensors",
            "asyncio",
            "unittest",
            "email",
            "http",
            "sqlite3",
            "importlib.metadata",
        )
        code = (
            f"import numpy, sys; b = set(sys.modules); import chainrule; print(*{{*{heavy!r}}} & {{*sys.modules}} - b)"
        )
        assert fresh.output(code) == ""

    def test_loads_what_few_programs_need_on_first_use(self) -> None:
        """Also inside a trace, and where the compiler is not called by its name."""
        code = """import sys, numpy as np, chainrule as cr
later = ["chainrule.compiler", "chainrule.nn.functional", "chainrule.nn.init", "chainrule.nn.utils", "dataclasses"]
print({*later} & {*sys.modules})
x = cr.tensor(np.arange(40.0))
print(cr.jacobian(lambda x: x * x)(x).sum().item(), "chainrule.compiler" in sys.modules)
f = cr.compile(lambda x: cr.nn.functional.relu(x) + cr.metrics.accuracy([1], [1]))
print(f(x).sum().item(), f(x).sum().item(), f._traced, {*later[1:4]} <= {f"chainrule.nn.{n}" for n in dir(cr.nn)})
from chainrule.nn import *
print(init.__name__, utils.__name__, functional.relu is cr.relu)"""
        assert fresh.output(code).splitlines() == [
            "set()",
            "1560.0 True",
            "820.0 820.0 1 True",
            "chainrule.nn.init chainrule.nn.utils True",
        ]

    def test_leaves_numpy_s_error_state_and_threads_alone(self) -> None:
        code = (
            "import numpy, threading, signal\nseen = lambda: (numpy.geterr(), signal.getsignal(signal.SIGINT))\n"
            "before = seen()\nimport chainrule\nprint(before == seen(), threading.active_count())"
        )
        assert fresh.output(code) == "True 1"


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_runs_code_from_data(path: Path) -> None:
    forbidden = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
    if path.name == "tuning.py":
        forbidden.remove("joblib")  # which starts processes with the caller's own functions
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not forbidden & {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in forbidden
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "compile", "__import__"}


class TestTypes:
    def test_the_package_is_typed(self) -> None:
        assert (PACKAGE / "py.typed").is_file()

    def stub(self) -> dict[str, list[str]]:
        """Functions of the stub with the names of their arguments; classes with None as arguments."""
        tree = ast.parse((PACKAGE / "_core.pyi").read_text())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        return {f.name: [a.arg for a in f.args.args] for f in functions}

    def test_the_stub_names_everything_in_the_core(self) -> None:
        tree = ast.parse((PACKAGE / "_core.pyi").read_text())
        names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        names |= {
            node.target.id
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        assert names == {name for name in dir(_core) if not name.startswith("_")}

    def test_the_stub_s_arguments_are_the_core_s(self) -> None:
        for name, arguments in self.stub().items():
            signature = (getattr(_core, name).__doc__ or "").splitlines()[0]
            assert re.findall(r"(\w+): ", signature.split(" -> ")[0]) == arguments, signature


class TestNames:
    @pytest.mark.parametrize("name", [name for name in MODULES if name not in INTERNAL_PACKAGES])
    def test_a_module_says_what_it_exports(self, name: str) -> None:
        module = importlib.import_module(name)
        if name == "chainrule.__main__":
            return
        assert module.__all__, name
        assert len(set(module.__all__)) == len(module.__all__)
        assert [n for n in module.__all__ if not hasattr(module, n)] == []

    def test_what_is_imported_on_first_use_is_named_by_its_package(self) -> None:
        for package, names in cr._ON_FIRST_USE.items():
            apart = ("data", "distributions", "metrics", "optim", "tabular")  # used as cr.data.NAME
            exported = [] if package in apart else importlib.import_module(f"chainrule.{package}").__all__
            assert sorted(names) == sorted(exported), package
            assert all(getattr(cr, name) is getattr(getattr(cr, package), name) for name in names)
        assert set(cr._PACKAGE_OF) <= {*cr.__all__, *dir(cr)}
        with pytest.raises(AttributeError, match=r"^module 'chainrule' has no attribute 'no_such_name'$"):
            _ = cr.no_such_name  # type: ignore[attr-defined]

    def test_the_package_exports_all_that_is_public(self) -> None:
        submodules = {name.split(".")[1] for name in MODULES}
        public = {name for name in vars(cr) if not name.startswith("_")}
        assert public - set(cr.__all__) <= submodules | {"annotations"}
        assert [name for name in cr.__all__ if not hasattr(cr, name)] == []


def documented() -> Iterator[tuple[str, Any]]:
    """Functions and classes that users meet."""
    spaces: list[ModuleType] = [
        cr,
        cr.autodiff,
        cr.compiler,
        cr.config,
        cr.data,
        cr.inspect,
        cr.nn,
        cr.optim,
        cr.random,
        cr.serialize,
        cr.train,
    ]
    for space in spaces:
        for name in space.__all__:
            thing = getattr(space, name)
            if inspect.isfunction(thing) or (inspect.isclass(thing) and not issubclass(thing, Exception)):
                yield f"{space.__name__}.{name}", thing


@pytest.mark.parametrize(("name", "thing"), list(documented()), ids=lambda x: x if isinstance(x, str) else "")
def test_what_is_public_has_an_example(name: str, thing: Any) -> None:
    text = inspect.getdoc(thing) or ""
    assert text.split("\n", 1)[0].endswith((".", ":")) or "\n\n" in text, f"{name}: no sentence"
    assert doctest.DocTestParser().get_examples(text), f"{name}: no example"


@pytest.mark.parametrize("name", [n for n in MODULES if n != "chainrule.__main__"])
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the package that is imported, installed or not."""
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), verbose=False)
    assert failed == 0


class TestReadme:
    TEXT = (ROOT / "README.md").read_text()

    def test_its_example_prints_what_it_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        code, said = re.findall(r"```(?:python|text)\n(.*?)```", self.TEXT, re.DOTALL)
        monkeypatch.chdir(tmp_path)
        assert fresh.output(code) == said.strip()

    @pytest.mark.parametrize("page", ["compiling", "training"])
    def test_the_example_of_a_page_prints_what_it_says(self, page: str) -> None:
        text = (ROOT / "docs" / f"{page}.md").read_text()
        code, said = re.search(r"```python\n(.*?)```\n\nIt prints `(.*?)`", text, re.DOTALL).groups()  # type: ignore[union-attr]
        assert fresh.output(code) == said

    def test_the_examples_of_autodiff_print_what_they_say(self) -> None:
        text = (ROOT / "docs" / "autodiff.md").read_text()
        blocks = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
        examples = doctest.DocTestParser().get_doctest(blocks, {}, "autodiff.md", "docs/autodiff.md", 0)
        assert len(examples.examples) > 20
        assert doctest.DocTestRunner().run(examples).failed == 0

    @pytest.mark.parametrize("command", ["'.[cli]' && .venv/bin/chainrule train", "'.[test]' && .venv/bin/pytest"])
    def test_it_has_the_two_commands(self, command: str) -> None:
        assert f"    python3 -m venv .venv && .venv/bin/pip install {command}\n" in self.TEXT

    def test_links_lead_somewhere(self) -> None:
        for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
            prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)  # a lambda of C++ looks like a link
            for target in re.findall(r"\]\(([^)#]+)\)", prose):
                assert "://" in target or (path.parent / target).exists(), f"{path.name}: {target}"


def test_files_are_short() -> None:
    folders = ("python", "tests", "bench", "cpp")
    paths = [p for folder in folders for end in ("py", "h", "cpp", "c") for p in (ROOT / folder).rglob(f"*.{end}")]
    long = {str(p.relative_to(ROOT)): n for p in paths if (n := len(p.read_text().splitlines())) > 400}
    assert not long
