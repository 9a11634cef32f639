"""Other libraries with threads of their own in the same process, imported before or after: the same bits, no hang."""

from importlib.util import find_spec

import pytest

from support import fresh_interpreter as fresh

pytestmark = pytest.mark.full

# Work of the other library on its threads, and the thread pools that it can see before and after ours.
WORK = {
    "sklearn": """
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info
def work():
    x = numpy.random.default_rng(1).standard_normal((2000, 5))
    HistGradientBoostingClassifier(max_iter=5).fit(x, x[:, 0] > 0).predict(x)
    return [(pool["user_api"], pool["num_threads"]) for pool in threadpool_info()]
""",
    "torch": """
import torch
def work():
    x = torch.ones(600, 600)
    assert (x @ x)[0, 0] == 600
    return torch.get_num_threads()
""",
}
OURS = """
import test_threads
"""
BODY = """
before = work()
test_threads.force_threads(3)
found = test_threads.work()
assert work() == before
assert test_threads.work() == found
print(found)
"""
ALONE = f"{OURS}\ntest_threads.force_threads(3)\nprint(test_threads.work())"


@pytest.mark.parametrize("first", [True, False], ids=["imported first", "imported last"])
@pytest.mark.parametrize("library", WORK)
def test_another_library_in_the_process(library: str, first: bool) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    imports = [WORK[library], OURS] if first else [OURS, WORK[library]]
    code = "\n".join(["import warnings, numpy", "warnings.simplefilter('ignore')", *imports, BODY])
    assert fresh.output(code, timeout=200) == fresh.output(ALONE)
