"""The instruction schema, as reported by the compiled core."""

import itertools

import pytest

import chainrule as cr
from chainrule import _core

PRODUCT = ["m", "n", "k", "rs_a", "cs_a", "rs_b", "cs_b", "rs_c"]


def test_fields_of_records() -> None:
    fields = _core.instruction_fields()
    assert fields["Map"] == ["ndim", "dims[ndim]", "strides[inputs][ndim]"]
    assert fields["MapStep"] == ["operands[inputs][2]", "out_row_stride"]
    assert fields["Gemm"] == [*PRODUCT, "continues", "ends", "bias", "relu", "relu_grad"]
    assert fields["Matmul"] == ["ndim", "batch[ndim]", *PRODUCT, "batch_a[ndim]", "batch_b[ndim]"]
    assert fields["MatmulAccumulate"] == ["batch", *PRODUCT, "batch_a", "batch_b", "continues"]
    assert fields["Update"] == ["n", "row_size"]
    assert fields["Copy"][-3:] == ["dims[ndim]", "out_strides[ndim]", "in_strides[ndim]"]
    assert len(fields) == 33
    for record, names in fields.items():
        assert len(set(names)) == len(names) > 0, record


RECORDS = {
    **dict.fromkeys(["sum", "max", "min", "argmax"], "Reduce"),
    **dict.fromkeys(["softmax", "softmax_grad", "log_softmax", "log_softmax_grad"], "Rowwise"),
    **dict.fromkeys(["cross_entropy", "cross_entropy_grad"], "CrossEntropy"),
    **dict.fromkeys(["unfold", "fold", "max_pool", "max_pool_grad"], "Windows"),
    **dict.fromkeys(["uniform", "normal"], "Random"),
    **dict.fromkeys(["draw_uniform", "draw_normal", "draw_integers", "draw_permutation"], "Bernoulli"),
    **dict.fromkeys(["attention", "attention_grad"], "Attention"),
    **dict.fromkeys(["moments"], "Channels"),
    **dict.fromkeys(["rnn_tanh", "rnn_relu", "gru", "lstm", "lstm_grad"], "Recurrent"),
    **dict.fromkeys([f"convolution{kind}" for kind in ("", "_by_weight", "_by_images")], "Convolution"),
    "cross_entropy_both": "CrossEntropyBoth",
    "matmul_accumulate": "MatmulAccumulate",
    "matmul_integers": "Matmul",
    "index_add": "IndexAdd",
    "overlay": "Scatter",
    "argsort": "Order",
    **dict.fromkeys(["cumsum", "recurrence"], "Scan"),
    "check_index": "CheckIndex",
    "check_finite": "CheckFinite",
    **{
        name: name.capitalize()
        for name in (
            *("matmul", "gemm", "chain", "advance", "bernoulli", "copy", "fill", "cast", "take", "gather", "scatter"),
            *("draw", "distinct"),
        )
    },
}


def test_records_of_instructions() -> None:
    for name in _core.elementwise_names():
        assert _core.instruction_record(name) == "Map"
    for name in _core.update_names():
        assert _core.instruction_record(name) == "Update"
    for name, record in RECORDS.items():
        assert _core.instruction_record(name) == record
    used = {"Map", "Update", *RECORDS.values()}
    assert used | {"MapStep", "UpdateStep"} == set(_core.instruction_fields())


@pytest.mark.parametrize("name", ["", "frobnicate", "Gemm", "pick"])
def test_unknown_instructions(name: str) -> None:
    with pytest.raises(ValueError, match=f"no instruction is called '{name}'"):
        _core.instruction_record(name)


def test_wrong_lists_are_explained_by_the_fields() -> None:
    code = [("gemm", 0, [0], [1, 2], [3, 4, 5, 5, 1, 4, 1, 4, 0, 1], [])]
    with pytest.raises(ValueError, match=r"expected 1 outputs, 2 inputs, 13 ints.*the ints are m, n, k, .*relu_grad"):
        _core.Program([(0, (3, 4)), (0, (3, 5)), (0, (5, 4))], [], [], code)


def test_slots_of_tensor() -> None:
    """The core fills a Tensor's slots by itself: both lists name the same ones."""
    assert cr.Tensor.__slots__ == _core.TENSOR_SLOTS

    class Other:
        __slots__ = (*_core.TENSOR_SLOTS, "_extra")

    with pytest.raises(TypeError, match=r"the class has other slots .*_extra"):
        _core.register_tensor(Other, itertools.count())
