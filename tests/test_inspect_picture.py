"""Drawings of graphs: complete, without overlaps, and equal to those in docs/pictures."""

import itertools
import os
import re
import time
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule._util.text_table import cells
from chainrule.inspect._formulas import symbol
from chainrule.inspect._graph import Graph
from chainrule.nn._record_calls import call_recorder
from support import pictures

SVG = "{http://www.w3.org/2000/svg}"


def parse(text: str) -> ET.Element:
    return ET.fromstring(text)


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in root.iter() if element.get("class") == name]


def texts(root: ET.Element, name: str) -> list[str]:
    return [element.text or "" for element in of_class(root, name)]


def edges(graph: Graph) -> list[tuple[str, str]]:
    return [(x.name, node.name) for node in graph for x in node.inputs if x.kind != "literal"]


def random_graph(seed: int, count: int) -> Graph:
    """Sums and products of random earlier nodes, with some long names."""
    draw = np.random.default_rng(seed)
    tensors = [cr.tensor(float(v), requires_grad=True) for v in draw.uniform(-1, 1, 4)]
    for _ in range(count):
        near, far = tensors[-1 - draw.integers(3)], tensors[draw.integers(len(tensors))]
        kind = draw.integers(4)
        tensors.append([near * far, near + far, cr.leaky_relu(near) - far, cr.sigmoid(near * 0.5)][kind])
    wide = cr.tensor(draw.uniform(-1, 1, (3, 4)).astype(np.float32), requires_grad=True)
    return cr.graph(cr.sum(wide * tensors[-1]) - tensors[0], {"a rather long name": tensors[0], "wide": wide})


Rectangle = tuple[float, float, float, float]


def rectangles(root: ET.Element) -> Iterator[tuple[str, Rectangle]]:
    """The areas of texts and boxes, for a font of the assumed character width."""
    for element in root.iter():
        kind = element.get("class", "")
        if element.tag == f"{SVG}text":
            size = 13.0 if kind == "in" else 11.0
            x, y, width = float(element.get("x", 0)), float(element.get("y", 0)), cells(element.text or "") * 0.6 * size
            left = x - width / 2 if kind in ("in", "title") else x
            yield f"{kind} {element.text}", (left, y - 0.75 * size, left + width, y + 0.2 * size)
        elif element.tag == f"{SVG}rect" and kind:
            x, y, width, height = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
            yield "box", (x, y, x + width, y + height)


def meet(a: Rectangle, b: Rectangle, distance: float = 0.0) -> bool:
    return a[0] < b[2] + distance and b[0] < a[2] + distance and a[1] < b[3] + distance and b[1] < a[3] + distance


def inside(a: Rectangle, b: Rectangle) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


def check_readable(text: str) -> None:
    """No text on another, none on a box but inside of it, all inside of the picture, no curve across any."""
    root = parse(text)
    found = list(rectangles(root))
    whole = (0.0, 0.0, float(root.get("width", 0)), float(root.get("height", 0)))
    for (name, a), (other, b) in itertools.combinations(found, 2):
        if name.startswith("in ") or other.startswith("in "):
            label, box = (a, b) if name.startswith("in ") else (b, a)
            assert not meet(a, b) or inside(label, box), (name, other)
        else:
            assert not meet(a, b, 2.5), (name, other)
    for name, a in found:
        assert inside(a, whole), name
    for path in of_class(root, "line"):
        for x, to in re.findall(r"([\d.]+),[\d.]+ C.*? .*? ([\d.]+),", path.get("d", "")):
            channel = (float(x) + 0.1, 0.0, float(to) - 0.1, whole[3])
            crossed = [name for name, a in found if meet(a, channel)]
            assert not crossed, f"a curve crosses {crossed}"


class TestSvg:
    def test_every_node_and_edge_of_the_neuron_is_there(self) -> None:
        graph = pictures.neuron()
        root = parse(graph.to_svg())
        assert sorted(texts(root, "in")) == sorted(
            ["w0", "x0", "w1", "x1", "w2", "*", "*", "+", "+", "*-1", "exp", "+1", "1/x"]
        )
        assert texts(root, "title") == [node.name for node in graph if node.kind == "op"]
        values = "2 -1 -3 -2 -3 -2 6 4 1 -1 0.3679 1.368 0.7311"
        gradients = "-0.1966 0.3932 -0.3932 -0.5898 " + 5 * "0.1966 " + "-0.1966 -0.5344 -0.5344 1"
        assert texts(root, "value") == values.split()
        assert texts(root, "gradient") == gradients.split()
        assert len(of_class(root, "tip")) == len(edges(graph)) == 12

    def test_row_26_a_sum_and_a_product(self) -> None:
        x, y, b = (cr.tensor(value, requires_grad=True) for value in (1.5, -0.5, 3.0))
        z = x + y
        f = z * b
        graph = cr.graph(f, {"x": x, "y": y, "b": b, "z": z, "f": f})
        assert edges(graph) == [("x", "z"), ("y", "z"), ("z", "f"), ("b", "f")]
        root = parse(graph.to_svg())
        assert (texts(root, "in"), texts(root, "title")) == (["x", "y", "b", "+", "*"], ["z", "f"])
        assert texts(root, "gradient") == ["3", "3", "1", "3", "1"]

    def test_tips_tell_the_formula(self) -> None:
        titles = [element.text or "" for element in parse(pictures.neuron().to_svg()).iter(f"{SVG}title")]
        assert "f = 1 / ξ7\n0.7310586\ngradient 1" in titles
        assert "w0: leaf\n2\ngradient -0.1966119" in titles

    def test_each_use_of_a_value_shows_what_it_passes_back(self) -> None:
        x = cr.tensor(3.0, requires_grad=True)
        root = parse(cr.graph(x * x, {"x": x}).to_svg())
        # What the product passes back twice, then the sum at x, and the product's own.
        assert texts(root, "gradient") == ["3", "3", "6", "1"]

    @pytest.mark.parametrize("seed", range(12))
    def test_random_graphs_are_readable(self, seed: int) -> None:
        graph = random_graph(seed, 5 + 4 * seed)
        text = graph.to_svg()
        check_readable(text)
        root = parse(text)
        assert len(of_class(root, "tip")) == len(edges(graph))
        assert len(texts(root, "title")) == sum(node.kind == "op" for node in graph)

    def test_names_are_escaped(self) -> None:
        x = cr.tensor(2.0, requires_grad=True)
        name = "<a & \"b\">'重み'"
        root = parse(cr.graph(x * x, {name: x}).to_svg())
        assert texts(root, "in") == [name, "*"]
        check_readable(cr.graph(x * x, {name: x}).to_svg())

    def test_without_a_gradient_there_are_values_only(self) -> None:
        x = cr.tensor([1.0, 2.0], requires_grad=True)
        root = parse(cr.graph(x * 2.0).to_svg())
        assert texts(root, "value") == ["[1, 2]", "[2, 4]"]
        assert texts(root, "gradient") == []
        assert texts(parse(cr.graph(x * 2.0, gradient=[1.0, 3.0]).to_svg()), "gradient") == ["[2, 6]", "[1, 3]"]

    def test_large_values_are_shown_by_shape_and_norm(self) -> None:
        x = cr.tensor(np.full((3, 4), 0.5, np.float32), requires_grad=True)
        root = parse(cr.graph(cr.sum(cr.square(x))).to_svg())
        assert texts(root, "value") == ["(3, 4)", "(3, 4)", "3"]
        assert texts(root, "gradient") == ["norm 3.464", "norm 3.464", "1"]

    def test_a_notebook_shows_a_picture_by_itself(self) -> None:
        graph = pictures.neuron()
        assert graph._repr_svg_() == graph.to_svg()


@pytest.mark.parametrize("name", sorted(pictures.drawn()))
def test_the_pictures_in_docs_are_those_drawn_now(name: str) -> None:
    text = pictures.drawn()[name]
    assert (pictures.FOLDER / name).read_text(encoding="utf-8") == text, "run: python tests/support/pictures.py"
    check_readable(text)


def test_no_other_pictures_are_in_docs() -> None:
    """Of graphs, that is."""
    links = re.findall(r"\]\(pictures/(\w+\.svg)\)", (pictures.FOLDER.parent / "graphs.md").read_text(encoding="utf-8"))
    assert sorted(links) == sorted(pictures.drawn())


class TestLayers:
    def model(self, layers: int = 3) -> cr.nn.Sequential:
        parts: list[cr.nn.Module] = []
        for _ in range(layers):
            parts += [cr.nn.Linear(4, 4), cr.nn.Tanh()]
        return cr.nn.Sequential(*parts)

    def test_a_box_for_each_layer_with_parameters_and_shape(self) -> None:
        graph = pictures.deep()
        root = parse(graph.to_svg(by="module"))
        assert texts(root, "in") == [
            "x", "y", "0: Linear", "8320 parameters", "→ (32, 128)", "1: Tanh", "→ (32, 128)",
            "2: Linear", "16512 parameters", "→ (32, 128)", "3: Tanh", "→ (32, 128)",
            "4: Linear", "1290 parameters", "→ (32, 10)", "CrossEntropyLoss", "→ ()",
        ]  # fmt: skip
        assert len(of_class(root, "layer")) == 6
        assert len(of_class(root, "tip")) == 7

    def test_modules_inside_of_modules_have_their_paths(self) -> None:
        class Net(cr.nn.Module):
            def __init__(self) -> None:
                self.body = cr.nn.Sequential(cr.nn.Linear(3, 5), cr.nn.ReLU())
                self.head = cr.nn.Linear(5, 3)

            def forward(self, x: cr.Tensor) -> cr.Tensor:
                return self.head(self.body(x)) + x

        net, x = Net(), cr.tensor([[0.5, -1.5, 2.0]])
        graph = cr.graph(lambda: cr.sum(net(x)), {"x": x})
        assert [node.layer.path if node.layer else None for node in graph if node.kind == "op"] == [
            "body.0", "body.0", "body.1", "head", "head", None, None,
        ]  # fmt: skip
        assert {"body.0: Linear", "head: Linear", "+", "sum"} <= set(texts(parse(graph.to_svg(by="module")), "in"))

    def test_a_module_that_no_model_holds_is_a_layer_without_a_path(self) -> None:
        class Net(cr.nn.Module):
            def forward(self, x: cr.Tensor) -> cr.Tensor:
                return hidden[0](x)

        hidden, net = {0: cr.nn.Linear(3, 2)}, Net()
        graph = cr.graph(lambda: cr.sum(net(cr.tensor([[0.5, -1.5, 2.0]]))))
        assert [node.layer.path if node.layer else None for node in graph if node.kind == "op"] == ["", "", None]

    def test_a_layer_called_twice_is_two_boxes_that_share_parameters(self) -> None:
        layer, x = cr.nn.Linear(3, 3), cr.tensor([[0.5, -1.5, 2.0]])
        graph = cr.graph(lambda: cr.sum(layer(cr.tanh(layer(x)))), {"x": x})
        root = parse(graph.to_svg(by="module"))
        assert texts(root, "in").count("Linear") == 2
        assert {"weight", "bias", "tanh"} <= set(texts(root, "in"))

    def test_of_a_tensor_computed_before_layers_are_known_by_their_parameters(self) -> None:
        model, x = self.model(2), cr.tensor([[0.5, -1.5, 2.0, 1.0]])
        graph = cr.graph(cr.sum(model(x)) + cr.sum(cr.square(next(model.parameters()))), {"x": x}, model=model)
        assert [(node.op, node.layer.path if node.layer else None) for node in graph if node.kind == "op"] == [
            ("matmul", "0"), ("add", "0"), ("tanh", None), ("matmul", "2"), ("add", "2"), ("tanh", None),
            ("sum", None), ("square", None), ("sum", None), ("add", None),
        ]  # fmt: skip
        root = parse(graph.to_svg(by="module"))
        assert len(of_class(root, "layer")) == 2
        assert "0.weight" in texts(root, "in")  # the penalty reads it, too

    def test_a_reshape_between_product_and_bias_belongs_to_the_layer(self) -> None:
        layer = cr.nn.Linear(3, 2)
        x = cr.tensor(np.ones((2, 5, 3), np.float32))
        graph = cr.graph(cr.sum(layer(x)), model=layer)
        assert [(node.op, node.layer is not None) for node in graph if node.kind == "op"] == [
            ("matmul", True), ("reshape", True), ("add", True), ("sum", False),
        ]  # fmt: skip
        assert len({node.layer for node in graph if node.layer is not None}) == 1

    def test_large_graphs_are_drawn_by_layers_unless_told(self) -> None:
        model, x = self.model(30), cr.tensor([[0.5, -1.5, 2.0, 1.0]])
        graph = cr.graph(lambda: cr.sum(model(x)))
        assert len(graph) > 100
        assert graph.to_svg() == graph.to_svg(by="module") != graph.to_svg(by="op")
        small = cr.graph(lambda: cr.sum(self.model(1)(x)))
        assert small.to_svg() == small.to_svg(by="op") != small.to_svg(by="module")

    def test_recording_calls_ends_with_the_block(self) -> None:
        model, x = self.model(1), cr.tensor([[0.5, -1.5, 2.0, 1.0]])

        def fails() -> cr.Tensor:
            model(x)
            raise RuntimeError("on the way")

        with pytest.raises(RuntimeError, match="on the way"):
            cr.graph(fails)
        assert call_recorder.calls is None
        inner = cr.graph(lambda: cr.sum(model(x)) * cr.graph(lambda: cr.sum(model(x)))["ξ1"].tensor.detach())
        assert {node.layer.path for node in inner if node.layer is not None} == {"0", "1"}

    def test_what_cannot_be_drawn_by_layers(self) -> None:
        x = cr.tensor(2.0, requires_grad=True)
        with pytest.raises(ValueError, match=r"^draw: the layers of the nodes are not known; pass a function"):
            cr.graph(x * x).to_svg(by="module")
        with pytest.raises(ValueError, match=r"^draw: by must be 'op' or 'module', got 'layer'"):
            cr.graph(x * x).to_dot(by="layer")


class TestLarge:
    def test_a_thousand_ops_take_no_time_and_are_readable(self) -> None:
        x = cr.tensor(1.5, requires_grad=True)
        y = x
        for _ in range(500):
            y = (y + x) * 1.0
        begun = time.thread_time()
        graph = cr.graph(y)
        text = graph.to_svg()
        assert time.thread_time() - begun < 5
        assert len(of_class(parse(text), "tip")) == len(edges(graph)) == 1500
        assert graph.to_dot().count(" -> ") == 1501

    def test_there_is_a_limit(self) -> None:
        x = cr.tensor(1.0, requires_grad=True)
        y = x
        for _ in range(3000):
            y = y * 1.0
        graph = cr.graph(y)
        with pytest.raises(ValueError, match=r"^draw: 3001 nodes are too many for a drawing, expected at most 3000"):
            graph.to_svg()
        assert graph._repr_svg_() is None


class TestDraw:
    def test_it_writes_the_picture(self, tmp_path: Path) -> None:
        graph = pictures.neuron()
        graph.draw(tmp_path / "f.svg")
        assert (tmp_path / "f.svg").read_text(encoding="utf-8") == graph.to_svg()

    def test_other_formats_are_rejected(self, tmp_path: Path) -> None:
        for name in ("f.png", "f.pdf", "f"):
            with pytest.raises(ValueError, match=r"^draw: expected a path that ends in \.svg, got .*to_dot\(\)"):
                pictures.neuron().draw(tmp_path / name)
        assert os.listdir(tmp_path) == []

    def test_a_path_that_cannot_be_written(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing" / "f.svg"
        with pytest.raises(FileNotFoundError, match=r"missing.f\.svg"):
            pictures.neuron().draw(missing)


class TestDot:
    def read(self, text: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydot's grammar makes pyparsing warn
            import pydot

            graphs = pydot.graph_from_dot_data(text)
        assert graphs is not None
        assert len(graphs) == 1
        return graphs[0]

    def test_a_parser_finds_every_node_and_edge(self) -> None:
        graph = pictures.two_layers()
        found = self.read(graph.to_dot())
        labels = {node.get_name(): node.get_label() for node in found.get_nodes() if node.get_name().startswith("n")}
        del labels["node"]
        signs = [symbol(node) if node.kind == "op" else "" for node in graph]
        assert list(labels.values())[-len(graph) :] == [
            f'"{node.name}: {sign}"' if sign else f'"{node.name}"' for node, sign in zip(graph, signs, strict=True)
        ]
        number = {node.name: f"n{i}" for i, node in enumerate(graph)}
        expected = [(number[a], number[b]) for a, b in edges(graph)]
        drawn = [(edge.get_source(), edge.get_destination()) for edge in found.get_edges()]
        assert [pair for pair in drawn if not pair[1].startswith("end")] == expected
        assert drawn[-1] == (number[graph.outputs[0].name], f"end{len(graph) - 1}")

    def test_values_and_gradients_are_on_the_edges(self) -> None:
        found = self.read(pictures.neuron().to_dot())
        labels = [edge.get_label() for edge in found.get_edges()]
        assert '<<font color="#1a7f37">-1</font><br/><font color="#cf222e">0.3932</font>>' in labels
        assert labels[-1] == '<<font color="#1a7f37">0.7311</font><br/><font color="#cf222e">1</font>>'

    def test_names_are_escaped(self) -> None:
        x = cr.tensor(2.0, requires_grad=True)
        name = 'a "b" \\n <c> & d'
        found = self.read(cr.graph(x * x, {name: x}).to_dot())
        assert len(found.get_nodes()) == 5  # with the defaults of nodes and edges, and the end
        assert found.get_node("n0")[0].get_label() == '"a \\"b\\" \\\\n <c> & d"'
