"""Short memory in a compiled or a predicting call: MemoryError, everything as before, and the next call works."""

import sys

import pytest

from support import fresh_interpreter as fresh

CODE = """
import resource
import numpy as np
import chainrule as cr
from chainrule import nn

cr.set_num_threads(1)
model = nn.Sequential(nn.Linear(8, 8, generator=cr.random.Generator(1)), nn.ReLU())
predict, step = cr.Predictor(model), cr.compile(cr.no_grad()(lambda x: cr.concatenate([model(x)] * 2, 1)))
pair = cr.compile(lambda x: (cr.relu(x) * 2.0, x + 1.0))
call = {{"Predictor": predict, "predict": model.predict, "compiled": lambda x: step(x).numpy(),
        "pair": lambda x: pair(x)[1].numpy()}}[{kind!r}]
errors = []
for rows in (100_000, 150_000, 200_000, 250_001, 300_000):
    x, few = np.ones((rows, 8), np.float32), np.ones((4, 8), np.float32)
    expected = [call(x).copy(), call(few).copy()]
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    for spare in (0, 1 << 20, 8 << 20):
        mapped = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (mapped + spare, hard))
        kept = []
        try:
            for _ in range(8):
                kept.append(call(x))
        except BaseException as error:
            errors.append(type(error).__name__)
        finally:
            del kept
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        assert np.array_equal(call(few), expected[1])
    assert np.array_equal(call(x), expected[0])
print(len(errors), *sorted(set(errors)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS")
@pytest.mark.parametrize("kind", ["Predictor", "predict", "compiled", "pair"])
def test_short_memory_is_a_memory_error(kind: str) -> None:
    """Five sizes, three limits above the memory of now, with results that are kept."""
    number, *names = fresh.output(CODE.format(kind=kind)).split()
    assert int(number) > 5 and names == ["MemoryError"]
