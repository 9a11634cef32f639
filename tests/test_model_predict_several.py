"""model.predict of several inputs: compiled from the second call on, with the bits and errors of eager calls."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

draw = np.random.default_rng(0)
N = 700
CODES, NUMBERS, FLAGS = draw.integers(0, 7, N), draw.normal(size=(N, 3)), draw.random(N) < 0.5
TABLE = {"numbers": NUMBERS, "codes": CODES, "flags": FLAGS}


class Mixed(nn.Module):
    """An embedding, a layer and a flag."""

    def __init__(self) -> None:
        generator = cr.random.Generator(seed=1)
        self.table, self.layer = nn.Embedding(7, 4, generator=generator), nn.Linear(3, 4, generator=generator)
        self.scale = 2.0

    def forward(self, codes: cr.Tensor, numbers: cr.Tensor, flags: cr.Tensor) -> Any:
        both = self.table(codes) * self.layer(numbers) * self.scale
        return self.outputs(cr.where(cr.reshape(flags, (-1, 1)), both, cr.tanh(both)))

    def outputs(self, x: cr.Tensor) -> Any:
        return x


class Named(Mixed):
    def outputs(self, x: cr.Tensor) -> Any:
        return {"sum": cr.sum(x, 1), "x": x}


class Pair(Mixed):
    def outputs(self, x: cr.Tensor) -> Any:
        return x, cr.argmax(x, 1)


class Centred(Mixed):
    """Rows depend on each other."""

    def outputs(self, x: cr.Tensor) -> Any:
        return x - cr.mean(x, 0)


class Noisy(Mixed):
    def outputs(self, x: cr.Tensor) -> Any:
        return x + cr.randn_like(x, generator=NOISE)


class Reading(Mixed):
    """Needs values in Python."""

    def outputs(self, x: cr.Tensor) -> Any:
        return x * float(cr.max(x).item())


class Constant(Mixed):
    """An output that is none of rows."""

    def outputs(self, x: cr.Tensor) -> Any:
        return x, self.layer.bias


NOISE = cr.random.Generator(seed=2)
FORMS: dict[str, Callable[[int], Any]] = {
    "tuple": lambda n: (CODES[:n], NUMBERS[:n], FLAGS[:n]),
    "dict": lambda n: {name: part[:n] for name, part in TABLE.items()},
    "other dict": lambda n: OrderedDict((name, part[:n]) for name, part in TABLE.items()),
}


def eager(model: nn.Module, given: Any) -> Any:
    """By calls of the model, `predict`'s rows at a time."""
    parts = given if isinstance(given, dict) else dict(zip(("codes", "numbers", "flags"), given, strict=True))
    with cr.no_grad():
        outputs = model.eval()(parts["codes"], parts["numbers"].astype(np.float32), parts["flags"])
    return outputs


def bits(outputs: Any) -> Any:
    if isinstance(outputs, dict):
        return {key: bits(value) for key, value in outputs.items()}
    if isinstance(outputs, tuple):
        return tuple(bits(value) for value in outputs)
    array = outputs.numpy() if isinstance(outputs, cr.Tensor) else outputs
    return array.shape, array.dtype, array.tobytes()


@pytest.mark.parametrize("kind", [Mixed, Named, Pair])
@pytest.mark.parametrize("form", FORMS)
def test_equals_eager_calls(kind: type[Mixed], form: str) -> None:
    model = kind()
    for n in (3, 3, 1, 300, N, 3, 0):
        given = FORMS[form](n)
        assert bits(model.predict(given)) == bits(eager(model, given)), n
    assert bits(model.predict(FORMS[form](N))) == bits(model.predict(FORMS[form](N), batch_size=7))
    assert len(programs(model)) == 1
    model.layer.weight.copy_(np.ones((3, 4)))
    model.scale = 3.0
    assert bits(model.predict(given := FORMS[form](20))) == bits(eager(model, given))
    model.layer = nn.Linear(3, 4)
    for _ in range(3):
        assert bits(model.predict(given)) == bits(eager(model, given))
    assert len(programs(model)) == 1


def programs(model: nn.Module) -> dict[Any, Any]:
    """The programs of `predict`, by the kind of the inputs."""
    return vars(model)["_predictions"]._runs  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [Centred, Reading])
def test_models_that_are_computed_op_by_op(kind: type[Mixed]) -> None:
    model = kind()
    for n in (5, 5, 300, 5):
        assert bits(model.predict(FORMS["tuple"](n))) == bits(eager(model, FORMS["tuple"](n)))
    assert programs(model) == {}


def test_draws_are_those_of_eager_calls() -> None:
    model, found = Noisy(), []
    for compiled in (True, False):
        NOISE.stream = 0
        calls = [model.predict if compiled else (lambda given: eager(model, given).numpy())] * 4
        found.append([bits(call(FORMS["dict"](n))) for call, n in zip(calls, (5, 5, 300, 5), strict=True)])
        assert NOISE.stream == 4
    assert found[0] == found[1]


def test_an_output_without_rows() -> None:
    model = Constant()
    for _ in range(3):
        first, second = model.predict(FORMS["tuple"](5))
        assert bits(first) == bits(eager(model, FORMS["tuple"](5))[0])
        assert second.tolist() == model.layer.bias.tolist()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"codes": np.array([0, 9, 0, 0])}, IndexError, "9"),
        ({"codes": np.array([0, 1, 2])}, ValueError, r"predict: the inputs must have the same number of rows, got X\["),
        ({"numbers": np.ones((4, 2))}, ValueError, "features|columns"),
        ({"numbers": np.array(["a"] * 4)}, TypeError, r"predict: X\['numbers'\]"),
    ],
)
def test_errors_are_those_of_the_first_call(change: dict[str, Any], error: type[Exception], message: str) -> None:
    model = Mixed()
    wrong = {**FORMS["dict"](4), **change}
    with pytest.raises(error, match=message) as first:
        model.predict(wrong)
    for n in (4, 4, 300):
        model.predict(FORMS["dict"](n))
    for _ in range(3):
        with pytest.raises(error) as later:
            model.predict(wrong)
        assert str(later.value) == str(first.value)
    assert bits(model.predict(FORMS["dict"](4))) == bits(eager(model, FORMS["dict"](4)))
