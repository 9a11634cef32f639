"""Recurrent layers: the run against steps written in ops, states in and out, and nets with them."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.layers import tensors_of
from chainrule import nn
from chainrule.ops import _recurrent
from chainrule.ops._cells import CELLS, Run, swept_back
from reference.bits import Array, assert_same_bits

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
LAYERS = (nn.RNN, nn.GRU, nn.LSTM)
Dtype = type[np.float32] | type[np.float64]


def draw(*shape: int, seed: int = 0, dtype: Dtype = np.float32) -> Array:
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape).astype(dtype)


def layer(kind: type[Any], *sizes: int, **options: Any) -> Any:
    return kind(*sizes, generator=cr.random.Generator(seed=3), **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_a_run_has_the_bits_of_its_steps_in_ops(name: str, batch_first: bool, reverse: bool, dtype: Dtype) -> None:
    """Forward and backward; derivatives of derivatives are those of the steps in ops."""
    cell, (steps, rows, units) = CELLS[name], (4, 3, 21)
    first = (rows, steps) if batch_first else (steps, rows)
    inputs = [draw(*first, cell.gates * units), draw(rows, units), draw(units, cell.gates * units)]
    inputs += [draw(units)] if cell.has_bias else [draw(rows, units, seed=1)] if cell.has_cell else []
    leaves = [cr.tensor(x.astype(dtype), requires_grad=True) for x in inputs]
    y, operands = _recurrent._run(cell, leaves, batch_first, reverse)
    run = Run(cell, tuple(leaves), (batch_first, reverse))
    assert_same_bits(y.numpy(), run.stacked([v[0] for v in run.steps()[0]]).numpy())
    g = cr.tensor(draw(*y.shape, seed=2).astype(dtype))
    cr.backward(cr.sum(y * g))
    with cr.no_grad():
        dx, dp, before, (product, direct) = swept_back(run, g, None)
        rows_of = (cr.reshape(before, (-1, units)), cr.reshape(dp, (-1, cell.gates * units)))
        by_weight = cr.matmul(cr.transpose(rows_of[0]), rows_of[1])
    expected = [dx, direct + product if cell.carries else product, by_weight]
    for leaf, gradient in zip(leaves, expected, strict=False):
        assert leaf.grad is not None
        assert_same_bits(leaf.grad.numpy(), gradient.numpy())
    found = [leaf.grad.numpy().copy() for leaf in leaves if leaf.grad is not None]
    for leaf in leaves:
        leaf.grad = None
    cr.backward(cr.sum(y * g), create_graph=True)
    for leaf, gradient in zip(leaves, found, strict=True):
        assert leaf.grad is not None
        assert_same_bits(leaf.grad.numpy(), gradient)
    assert len(operands) == len(leaves) + (cell.planes > 1)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": True, "num_layers": 2}, {"batch_first": True, "bias": False}]
)
def test_compiled_training_has_the_bits_of_eager_steps(kind: type[Any], options: dict[str, Any]) -> None:
    x, target = draw(5, 3, 4), draw(5, 3, 6 * (1 + ("bidirectional" in options)), seed=1)
    weights = []
    for compiled in (False, True):
        model = layer(kind, 4, 6, **options)
        optimizer = cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x: Any, target: Any, model: Any = model, optimizer: Any = optimizer) -> cr.Tensor:
            optimizer.zero_grad()
            outputs, *states = tensors_of(model(x))
            loss = cr.mse_loss(outputs, target) + sum(cr.sum(cr.square(s)) for s in states) * 0.01
            loss.backward()
            optimizer.step()
            return loss

        run: Callable[..., cr.Tensor] = cr.compile(step) if compiled else step
        losses = [run(cr.tensor(x), cr.tensor(target)).item() for _ in range(4)]
        assert losses[-1] < losses[0]
        weights.append([p.numpy().copy() for p in model.parameters()])
    for eager, compiled_weights in zip(*weights, strict=True):
        assert_same_bits(compiled_weights, eager)


@pytest.mark.parametrize("kind", LAYERS)
def test_states_go_on(kind: type[Any]) -> None:
    """Two halves of a sequence have the bits of the whole, and so has one step at a time in a cell."""
    model, x = layer(kind, 3, 5, num_layers=2), cr.tensor(draw(6, 2, 3))
    whole = tensors_of(model(x))
    outputs, state = model(x[:4])
    rest = tensors_of(model(x[4:], state))
    assert_same_bits(np.concatenate([outputs.numpy(), rest[0].numpy()]), whole[0].numpy())
    for a, b in zip(rest[1:], whole[1:], strict=True):
        assert_same_bits(a.numpy(), b.numpy())
    one, cell = layer(kind, 3, 5), layer(getattr(nn, f"{kind.__name__}Cell"), 3, 5)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in one.state_dict().items()})
    h = None
    for t in range(6):
        h = cell(x[t], h)
    last = h if isinstance(h, tuple) else (h,)
    for a, b in zip(last, tensors_of(one(x))[1:], strict=True):
        assert_same_bits(a.numpy(), b.numpy()[0])


@pytest.mark.parametrize("kind", LAYERS)
def test_rows_first_and_without_rows(kind: type[Any]) -> None:
    x = draw(2, 5, 3)
    by_time = tensors_of(layer(kind, 3, 4, bidirectional=True)(x.swapaxes(0, 1)))
    by_row = tensors_of(layer(kind, 3, 4, bidirectional=True, batch_first=True)(x))
    assert_same_bits(by_row[0].numpy(), by_time[0].numpy().swapaxes(0, 1))
    alone = tensors_of(layer(kind, 3, 4, bidirectional=True)(x[1]))
    assert_same_bits(alone[0].numpy(), by_row[0].numpy()[1])
    for a, b, c in zip(by_row[1:], by_time[1:], alone[1:], strict=True):
        assert_same_bits(a.numpy(), b.numpy())
        assert_same_bits(c.numpy(), b.numpy()[:, 1])


@pytest.mark.parametrize("kind", LAYERS)
def test_dropout_is_between_layers_and_in_training(kind: type[Any]) -> None:
    x = draw(5, 3, 4)
    plain, dropped = layer(kind, 4, 6, num_layers=2), layer(kind, 4, 6, num_layers=2, dropout=0.5)
    same = tensors_of(dropped.eval()(x))[0].numpy()
    assert_same_bits(same, tensors_of(plain(x))[0].numpy())
    cr.manual_seed(1)
    outputs, h = tensors_of(dropped.train()(x))[:2]
    assert not np.array_equal(outputs.numpy(), same)
    assert_same_bits(h.numpy()[0], tensors_of(plain(x))[1].numpy()[0])  # nothing is dropped before the first layer
    dropped.dropout = 1.0
    zeros = cr.tensor(np.zeros((5, 3, 6), np.float32))
    second = layer(kind, 6, 6)
    state = {k.replace("_l1", "_l0"): v for k, v in dropped.state_dict().items() if "_l1" in k}
    second.load_state_dict(state)
    assert_same_bits(tensors_of(dropped(x))[0].numpy(), tensors_of(second(zeros))[0].numpy())


@pytest.mark.parametrize("kind", [*LAYERS, nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_a_model_file_has_it(kind: type[Any], tmp_path: Any) -> None:
    options = {"num_layers": 2, "bidirectional": True, "dropout": 0.25, "batch_first": True} if kind in LAYERS else {}
    options |= {"nonlinearity": "relu"} if "RNN" in kind.__name__ else {}
    model = layer(kind, 3, 4, **options)
    cr.save(model, tmp_path / "model.safetensors")
    loaded = cr.load(tmp_path / "model.safetensors")
    assert loaded.config() == model.config()
    for name, value in model.state_dict().items():
        assert_same_bits(loaded.state_dict()[name], value)


class Classifier(nn.Module):
    """The last state of a recurrent layer decides."""

    def __init__(self, kind: type[Any]) -> None:
        self.cells, self.out = layer(kind, 2, 12, batch_first=True), layer(nn.Linear, 12, 2)

    def forward(self, x: Any) -> Any:
        return self.out(self.cells(x)[0][:, -1])


@pytest.mark.parametrize("kind", LAYERS)
def test_a_classifier_trains_in_fit_and_predicts(kind: type[Any]) -> None:
    x = draw(96, 7, 2)
    y = (x[:, :, 0].sum(1) > 0).astype(np.int64)
    models = []
    for compiled in (True, False):
        model = Classifier(kind)
        loss, optimizer = nn.CrossEntropyLoss(), cr.optim.Adam(model.parameters(), lr=0.02)
        history = cr.fit(
            model, x, y, loss=loss, optimizer=optimizer, epochs=12, batch_size=32, seed=1, compile=compiled
        )
        assert history.loss[-1] < 0.5 * history.loss[0]
        models.append(model)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert_same_bits(a.numpy(), b.numpy())
    predicted = models[0].predict(x)
    assert_same_bits(predicted, models[0](cr.tensor(x)).numpy())
    assert_same_bits(predicted[5:6], models[0].predict(x[5:6]))
    assert (predicted.argmax(1) == y).mean() > 0.9


WRONG = (
    (lambda: nn.GRU(0, 3), ValueError, "GRU: input_size must be an integer of at least 1"),
    (lambda: nn.LSTM(3, 3, dropout=1.5), ValueError, "LSTM: dropout"),
    (lambda: nn.RNN(3, 3, nonlinearity="sigmoid"), ValueError, "RNN: nonlinearity must be 'tanh' or 'relu'"),
    (lambda: nn.RNN(3, 3, dtype=np.int64), TypeError, "RNN: dtype must be float32 or float64"),
    (lambda: nn.GRU(3, 4)(draw(5, 2, 4)), ValueError, r"GRU: x must be .* 3 features, got shape \(5, 2, 4\)"),
    (
        lambda: nn.GRU(3, 4)(draw(5, 2, 3), draw(2, 4)),
        ValueError,
        r"GRU: the state h must be \(1, 2, 4\), got \(2, 4\)",
    ),
    (lambda: nn.LSTM(3, 4)(draw(5, 2, 3), draw(1, 2, 4)), TypeError, r"LSTM: the state must be a pair \(h, c\)"),
    (lambda: nn.GRU(3, 4)(draw(0, 2, 3)), ValueError, "gru: x has no steps"),
    (lambda: nn.LSTMCell(3, 4)(draw(5, 2, 3)), ValueError, "LSTMCell: x must be"),
    (lambda: cr.gru(draw(2, 3, 7), None, draw(2, 6)), ValueError, r"gru: x must be \(steps, rows, 6\)"),
    (lambda: cr.gru(draw(2, 3, 6), None, draw(6, 2)), ValueError, r"gru: weight must be \(units, 3 \* units\)"),
    (lambda: cr.lstm(draw(2, 3, 8), draw(3, 1), None, draw(2, 8)), ValueError, r"lstm: h must be \(3, 2\)"),
)


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_errors(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(threads: int) -> None:
    model, x = layer(nn.GRU, 16, 32), cr.tensor(draw(9, 65, 16), requires_grad=True)
    found = []
    before = cr.get_num_threads()
    for n in (1, threads):
        cr.set_num_threads(n)
        outputs = model(x)[0]
        model.zero_grad()
        cr.backward(cr.sum(cr.square(outputs)))
        found.append([outputs.numpy().copy(), *(p.grad.numpy().copy() for p in model.parameters())])
    cr.set_num_threads(before)
    for a, b in itertools.zip_longest(*found):
        assert_same_bits(a, b)
