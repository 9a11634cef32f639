"""Packed sequences: round trips, and recurrent layers whose sequences have the results that each has alone."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn.utils import rnn
from reference.bits import Array, assert_same_bits

LENGTHS = [2, 4, 1, 4]
LAYERS: dict[str, Any] = {
    "RNN": lambda **options: nn.RNN(3, 5, **options),
    "RNN of relu": lambda **options: nn.RNN(3, 5, nonlinearity="relu", **options),
    "GRU": lambda **options: nn.GRU(3, 5, **options),
    "LSTM": lambda **options: nn.LSTM(3, 5, **options),
}


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def states_of(last: Any) -> list[cr.Tensor]:
    return list(last) if isinstance(last, tuple) else [last]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("name", LAYERS)
def test_each_sequence_has_the_bits_that_it_has_alone(name: str, options: dict[str, Any]) -> None:
    """Outputs, last states and the gradients of inputs and first states, eager and compiled."""
    layer = LAYERS[name](**options, generator=cr.random.Generator(seed=3))
    count = layer.num_layers * (1 + layer.bidirectional)
    x = cr.tensor(draw(5, 4, 3), requires_grad=True)
    first = [cr.tensor(draw(count, 4, 5, seed=i), requires_grad=True) for i in range(1 + (name == "LSTM"))]

    def run(x: cr.Tensor, *first: cr.Tensor) -> tuple[cr.Tensor, ...]:
        packed = rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
        outputs, last = layer(packed, first if len(first) > 1 else first[0])
        padded, lengths = rnn.pad_packed_sequence(outputs)
        assert lengths.tolist() == LENGTHS
        return (padded, *states_of(last))

    found = run(x, *first)
    for a, b in zip(found, cr.compile(run)(x, *first), strict=True):
        assert_same_bits(a.detach().numpy(), b.detach().numpy())
    cr.backward(sum(((cr.sum(y * y)) for y in found), cr.tensor(0.0)))
    for i, n in enumerate(LENGTHS):
        alone = cr.tensor(x.numpy()[:n, i : i + 1], requires_grad=True)
        begin = [cr.tensor(t.numpy()[:, i : i + 1], requires_grad=True) for t in first]
        y, last = layer(alone, tuple(begin) if len(begin) > 1 else begin[0])
        expected = (y, *states_of(last))
        assert_same_bits(found[0].detach().numpy()[:n, i], y.detach().numpy()[:, 0])
        assert not found[0].numpy()[n:, i].any()
        for a, b in zip(found[1:], expected[1:], strict=True):
            assert_same_bits(a.detach().numpy()[:, i], b.detach().numpy()[:, 0])
        cr.backward(sum(((cr.sum(y * y)) for y in expected), cr.tensor(0.0)))
        for a, b, part in [(x, alone, slice(n)), *((a, b, slice(None)) for a, b in zip(first, begin, strict=True))]:
            assert a.grad is not None and b.grad is not None
            assert_same_bits(a.grad.numpy()[part, i], b.grad.numpy()[:, 0])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_that_grow_behind_the_end_leave_gradients_finite(bidirectional: bool) -> None:
    layer = nn.RNN(1, 1, nonlinearity="relu", bias=False, bidirectional=bidirectional)
    with cr.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1e6)
    packed = rnn.pack_sequence([-cr.ones(40, 1), cr.ones(2, 1)])  # the states of the first one are 0
    outputs, _ = layer(packed)
    cr.backward(cr.sum(outputs.data))
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in layer.parameters())


def test_packing_padding_and_unpacking_are_inverse() -> None:
    for dtype in (np.float32, np.float64, np.int64, np.bool_):
        sequences = [cr.tensor((draw(n, 2) * 3).astype(dtype)) for n in LENGTHS]
        packed = rnn.pack_sequence(sequences, enforce_sorted=False)
        assert packed.data.dtype == dtype
        assert packed.batch_sizes.tolist() == [4, 3, 2, 2]
        for first in (True, False):
            padded = rnn.pad_sequence(sequences, batch_first=first)
            again = rnn.pack_padded_sequence(padded, cr.tensor(LENGTHS), first, enforce_sorted=False)
            assert again.data.tolist() == packed.data.tolist()
            back, lengths = rnn.pad_packed_sequence(packed, first)
            assert back.tolist() == padded.tolist()
            for found in (rnn.unpad_sequence(back, lengths, first), rnn.unpack_sequence(packed)):
                assert [t.tolist() for t in found] == [t.tolist() for t in sequences]
    left = rnn.pad_sequence([[1.0, 2.0], np.array([3.0], np.float32)], True, 9.0, padding_side="left")
    assert left.tolist() == [[1.0, 2.0], [9.0, 3.0]]
    long, _ = rnn.pad_packed_sequence(rnn.pack_sequence([[1, 2], [3]]), True, -1, total_length=4)
    assert long.tolist() == [[1, 2, -1, -1], [3, -1, -1, -1]]
    packed = rnn.pack_sequence([[1, 2], [3]])
    assert packed.sorted_indices is None
    assert packed.double().data.dtype == np.float64


def test_packed_sequences_are_containers_of_tensors() -> None:
    """In compiled functions, where lengths are part of the program, and in transformations."""
    packed = rnn.pack_sequence([cr.tensor([1.0, 2.0, 3.0]), cr.tensor([4.0])])
    double = cr.compile(lambda p: p._replace(data=p.data * 2.0))
    assert double(packed).data.tolist() == [2.0, 8.0, 4.0, 6.0]
    assert double(packed).batch_sizes.tolist() == packed.batch_sizes.tolist()
    gradient = cr.grad(lambda p: cr.sum(p.data * p.data))(packed)
    assert isinstance(gradient, rnn.PackedSequence)
    assert gradient.data.tolist() == [2.0, 8.0, 4.0, 6.0]
    made = rnn.PackedSequence(packed.data, [2, 1, 1], unsorted_indices=[1, 0])
    assert [t.tolist() for t in rnn.unpack_sequence(made)] == [[4.0], [1.0, 2.0, 3.0]]

    @cr.compile
    def pack(x: cr.Tensor, lengths: cr.Tensor) -> cr.Tensor:
        return rnn.pack_padded_sequence(x, lengths).data

    with pytest.raises(cr.CompileError, match="pass a list of numbers"):
        pack(cr.ones(2, 2), cr.tensor([2, 1]))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: rnn.pack_padded_sequence(cr.ones(3, 2), [1, 2]), ValueError, "enforce_sorted=False"),
        (lambda: rnn.pack_padded_sequence(cr.ones(3, 2), [4, 2]), ValueError, "from 1 to 3"),
        (lambda: rnn.pack_padded_sequence(cr.ones(3, 2), [3, 0]), ValueError, "from 1 to 3"),
        (lambda: rnn.pack_padded_sequence(cr.ones(3, 2), [3]), ValueError, "expected 2 lengths"),
        (lambda: rnn.pack_padded_sequence(cr.ones(3, 0), []), ValueError, "at least one"),
        (lambda: rnn.pack_padded_sequence(cr.ones(3), [3]), ValueError, "input must be"),
        (lambda: rnn.pack_padded_sequence(cr.ones(3, 2), [3.0, 1.0]), TypeError, "must be integers"),
        (lambda: rnn.pack_sequence([]), ValueError, "no sequences"),
        (lambda: rnn.pad_sequence([cr.ones(2, 3), cr.ones(2, 4)]), ValueError, "equal but for their lengths"),
        (lambda: rnn.pad_sequence([cr.ones(2), cr.ones(2).double()]), TypeError, "float32 and float64"),
        (lambda: rnn.pad_sequence([cr.ones(2)], padding_side="top"), ValueError, "padding_side"),
        (lambda: rnn.unpad_sequence(cr.ones(3, 2), [4, 1]), ValueError, "from 0 to 3"),
        (lambda: rnn.pad_packed_sequence(cr.ones(3, 2)), TypeError, "got Tensor"),
        (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([[1, 2]]), total_length=1), ValueError, "below 2"),
        (lambda: rnn.PackedSequence(cr.ones(3), [1, 2]), ValueError, "must not grow"),
        (lambda: rnn.PackedSequence(cr.ones(4), [2, 1]), ValueError, "3 rows"),
        (lambda: rnn.PackedSequence(cr.ones(3), [2, 1], [0, 0]), ValueError, "an order of 2"),
        (lambda: nn.GRU(2, 3)(rnn.pack_sequence([cr.ones(2, 4)])), ValueError, "2 features"),
        (lambda: nn.GRU(2, 3)(rnn.pack_sequence([cr.ones(2, 2)]), cr.ones(1, 2, 3)), ValueError, "state h must be"),
    ],
)
def test_errors_say_what_to_write(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()
