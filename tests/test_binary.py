"""The compiled objects: no AVX outside the levels that enable it, no symbols to merge at link time, no libm."""

import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chainrule import _core
from support.build_objects import objects

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or not shutil.which("objdump") or not shutil.which("nm"),
    reason="reads x86-64 ELF files with binutils",
)
LEVELS = ("kernels_scalar", "kernels_avx2", "kernels_avx512")
MATHEMATICS = (
    "exp exp2 exp10 expm1 log log2 log10 log1p pow sqrt cbrt sin cos tan sinh cosh tanh asinh acosh atanh asin acos "
    "atan atan2 erf erfc lgamma tgamma fma fmod remainder ldexp frexp scalbn modf floor ceil round trunc rint lrint "
    "llrint lround nearbyint fmax fmin hypot ilogb logb nextafter"
)
LIBM = {name + suffix for name in MATHEMATICS.split() for suffix in ("", "f", "l")}
# Above SSE2, which every x86-64 has.
AFTER_SSE2 = re.compile(
    r"^(round[sp][sd]|p?blend\w*|pshufb|palignr|pmul(ld|dq)|pinsr[bdq]|pextr[bdq]|ptest|movs[hl]dup|movddup|p?hadd\w*|"
    r"dp[ps]\w|pmin[su][bdw]|pmax[su][bdw]|pabs\w|pmov[sz]x\w+|pcmpgtq|popcnt|crc32|lddqu|insertps|extractps)$"
)


def compiled(target: str) -> list[Path]:
    found = objects()
    if found is None:
        pytest.skip("no build tree with current objects, and no cmake to make one")
    return found[target]


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def symbols(path: Path) -> list[tuple[str, str]]:
    """(type, name) of each symbol: small letters are local, W and V weak, U undefined."""
    lines = output("nm", "--demangle", path).splitlines()
    return [(match[1], match[2]) for line in lines if (match := re.match(r"[0-9a-f ]{16} (\w) (.*)", line))]


def instructions(path: Path) -> Counter[tuple[str, str]]:
    """How often each (encoding, mnemonic) occurs; encoding is vex, evex or legacy by the first byte."""
    encodings = {"c4": "vex", "c5": "vex", "62": "evex"}
    lines = (line.split("\t") for line in output("objdump", "-d", "-w", path).splitlines())
    parts = ((line[1], line[2]) for line in lines if len(line) == 3 and line[0].endswith(":"))
    return Counter((encodings.get(code[:2], "legacy"), text.split()[0]) for code, text in parts)


def encodings(target: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for path in compiled(target):
        for (encoding, _), count in instructions(path).items():
            total[encoding] += count
    return total


@pytest.mark.parametrize("target", ["kernels_scalar", "chainrule_core"])
def test_the_baseline_is_plain_x86_64(target: str) -> None:
    for path in compiled(target):
        found = instructions(path)
        above = [name for (encoding, name) in found if encoding != "legacy" or AFTER_SSE2.match(name)]
        assert not above, f"{path.name}: {above}"
        assert sum(found.values()) > 50, path


def test_each_level_has_its_own_instructions() -> None:
    avx2, avx512 = encodings("kernels_avx2"), encodings("kernels_avx512")
    assert avx2["vex"] > 10_000
    assert avx2["evex"] == 0
    assert avx512["evex"] > 10_000
    for target in ("kernels_avx2", "kernels_avx512"):
        names = Counter(name for path in compiled(target) for _, name in instructions(path))
        assert any(name.startswith("vfmadd") for name in names), target


@pytest.mark.parametrize("target", LEVELS)
def test_nothing_can_be_merged_with_another_level(target: str) -> None:
    """The linker merges weak symbols of the same name: code of another level could then run."""
    namespace = "chainrule::" + target.removeprefix("kernels_") + "::"
    for path in compiled(target):
        for kind, name in symbols(path):
            assert kind not in "WVwvu", f"{path.name}: {name} is weak"
            assert kind not in "TDBRG" or name.startswith(namespace), f"{path.name}: {name} is not the level's own"


@pytest.mark.parametrize("target", LEVELS)
def test_kernels_import_nothing(target: str) -> None:
    namespace = "chainrule::" + target.removeprefix("kernels_") + "::"
    allowed = {"memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
    imported = {name for path in compiled(target) for kind, name in symbols(path) if kind == "U"}
    assert {name for name in imported if not name.startswith(namespace)} <= allowed


def test_the_module_imports_no_mathematics() -> None:
    lines = output("nm", "--dynamic", "--undefined-only", _core.__file__).splitlines()
    imported = {line.split()[-1].split("@")[0] for line in lines}
    assert "PyModule_Create2" in imported or len(imported) > 50
    assert not imported & LIBM
    assert not {name for name in imported if name.endswith("_finite") or name.startswith("_ZGV")}
