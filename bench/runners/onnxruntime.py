"""ONNX Runtime: graphs with one input and constant weights, all optimisations, one session per case."""

from __future__ import annotations

import importlib
from typing import Any

from bench.cases import Case
from bench.problems import Array, Inputs, at_page_offset, output
from bench.runners.base import Call, NotOfferedError, Runner, Variants

OPSET = 17


class OnnxruntimeRunner(Runner):
    module = "onnxruntime"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.onnx: Any = importlib.import_module("onnx")

    def matmul(self, case: Case, data: Inputs) -> Call:
        # b is a constant and therefore packed once: the runtime's best setting, which the others do not get.
        node = self.onnx.helper.make_node("MatMul", ["x", "b"], ["y"])
        shape = (case.params["m"], case.params["n"])
        return self._bound([node], {"x": data["a"]}, {"b": data["b"]}, shape)

    def unary(self, case: Case, data: Inputs) -> Call:
        op = case.params["op"]
        if op == "copy":
            raise NotOfferedError("no copy")
        node = self.onnx.helper.make_node(op.capitalize(), ["x"], ["y"])
        return self._bound([node], {"x": data["x"]}, {}, data["x"].shape)

    def binary(self, case: Case, data: Inputs) -> Call:
        node = self.onnx.helper.make_node(case.params["op"].capitalize(), ["a", "b"], ["y"])
        return self._bound([node], {"a": data["a"], "b": data["b"]}, {}, data["a"].shape)

    def softmax(self, case: Case, data: Inputs) -> Call:
        node = self.onnx.helper.make_node("Softmax", ["x"], ["y"], axis=1)
        return self._bound([node], {"x": data["x"]}, {}, data["x"].shape)

    def forward(self, case: Case, data: Inputs) -> Call:
        nodes, constants, shape = self._net(case, data)
        feed, names = {"x": data["x"]}, ["y"]
        session = self._session(nodes, feed, constants, shape)
        return Call(session.run, (names, feed), answer=lambda: [session.run(names, feed)[0]])

    def predict(self, case: Case, data: Inputs) -> Variants:
        """With NumPy arrays per call, or with input and output bound once."""
        nodes, constants, shape = self._net(case, data)
        return {
            "run": lambda: self.forward(case, data),
            "bound": lambda: self._bound(nodes, {"x": data["x"]}, constants, shape),
        }

    def _net(self, case: Case, data: Inputs) -> tuple[list[Any], dict[str, Array], tuple[int, int]]:
        nodes, constants, value = [], {}, "x"
        layers = len(data["parameters"]) // 2
        for i in range(layers):
            weight, bias = f"w{i}", f"b{i}"
            constants[weight], constants[bias] = data["parameters"][2 * i : 2 * i + 2]
            last = i + 1 == layers
            nodes.append(self.onnx.helper.make_node("Gemm", [value, weight, bias], ["y" if last else f"z{i}"]))
            if not last:
                name = case.params["activation"].capitalize()
                nodes.append(self.onnx.helper.make_node(name, [f"z{i}"], [f"h{i}"]))
            value = f"h{i}"
        return nodes, constants, (case.params["batch"], case.params["widths"][-1])

    def _session(self, nodes: list[Any], feed: dict[str, Array], constants: dict[str, Array], shape: Any) -> Any:
        helper, lib = self.onnx.helper, self.lib
        dtype = next(iter(feed.values())).dtype
        element = helper.np_dtype_to_tensor_dtype(dtype)
        graph = helper.make_graph(
            nodes,
            "case",
            [helper.make_tensor_value_info(name, element, array.shape) for name, array in feed.items()],
            [helper.make_tensor_value_info("y", element, shape)],
            [self.onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        options = lib.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.graph_optimization_level = lib.GraphOptimizationLevel.ORT_ENABLE_ALL
        return lib.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def _bound(self, nodes: list[Any], feed: dict[str, Array], constants: dict[str, Array], shape: Any) -> Call:
        """A session whose inputs and output are bound once: the least overhead per call."""
        feed = {name: at_page_offset(array, slot) for slot, (name, array) in enumerate(feed.items())}
        session = self._session(nodes, feed, constants, shape)
        first = next(iter(feed.values()))
        out = output(shape, first.dtype)
        values = {name: self.lib.OrtValue.ortvalue_from_numpy(array) for name, array in feed.items()}
        binding = session.io_binding()
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        binding.bind_output("y", "cpu", 0, out.dtype, out.shape, out.ctypes.data)
        return Call(session.run_with_iobinding, (binding,), answer=lambda: [out])
