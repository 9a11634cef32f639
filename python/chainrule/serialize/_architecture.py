"""The architecture of a model as JSON: class names with the arguments of their constructors.

A node is `{"class", "config"}`, of a container also `"layers"`, of a registered class also `"modules"`: what its
constructor is expected to make. A module that occurs again is `{"shared": name}`. The outermost node has `"links"`:
names of tensors, and of modules inside registered classes, that are the same object as an earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from ..nn import LAYERS, Buffer, Module, Parameter
from ..nn._containers import _Container
from ..nn._init import without_initial_weights
from ..nn._parameters import _Parameters
from ..nn._registry import REGISTERED
from ..random import default_generator
from ._container import dump

__all__ = ["build", "describe", "is_plain"]

_MAX_DEPTH = 64  # modules inside modules
_MAX_MODULES = 1 << 14


def is_plain(architecture: Any) -> bool:
    """Whether an architecture consists of layers of `cr.nn` that are all used once, as format version 1 knows them."""
    nodes = [architecture]
    while nodes:
        node = nodes.pop()
        if node.get("class") not in LAYERS or "links" in node:
            return False
        nodes.extend(node.get("layers", []))
    return True


# Describing.


def describe(model: Module, values: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Describe a model with these values; TypeError or ValueError for one that `build` would not build again."""
    description = _Description(model)
    node = description.node(model, 0)
    links = {**description.links, **_tied(model)}
    if links:
        node["links"] = links
    if not is_plain(node):
        try:
            build(json.loads(dump(node)), values)
        except (MemoryError, OSError):
            raise
        except Exception as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"save: the model cannot be built again from its description: {error}") from error
    return node


def _tied(model: Module) -> dict[str, str]:
    """The names of tensors that have an earlier name."""
    first: dict[int, str] = {}
    tied = {}
    for name, module in model.named_modules():
        for key, member in module._members():
            path = _join(name, key)
            if not isinstance(member, Module) and first.setdefault(id(member), path) != path:
                tied[path] = first[id(member)]
    return tied


class _Description:
    """Describes the modules of a model, each once."""

    def __init__(self, model: Module) -> None:
        self.names = {id(module): name for name, module in model.named_modules()}
        if len(self.names) > _MAX_MODULES:
            raise ValueError(f"save: the model has {len(self.names)} modules, at most {_MAX_MODULES} can be saved")
        self.done: set[int] = set()
        self.active: set[int] = set()
        self.links: dict[str, str] = {}

    def node(self, module: Module, depth: int) -> dict[str, Any]:
        name = self.names[id(module)]
        subject = f"layer {name!r}" if name else "the model"
        if id(module) in self.active:
            raise ValueError(f"save: {subject} contains itself")
        if id(module) in self.done:
            return {"shared": name}
        if depth > _MAX_DEPTH:
            raise ValueError(f"save: {subject} is nested deeper than {_MAX_DEPTH} modules")
        key = _key_of(type(module))
        if key is None:
            raise TypeError(
                f"save: {subject} is a {type(module).__name__}, which is not a layer of cr.nn; decorate the class with "
                "cr.nn.register_serializable, or save the model's state_dict()"
            )
        self.active.add(id(module))
        node: dict[str, Any] = {"class": key}
        if key in REGISTERED:
            self._own(module, node, name, subject, depth)
        else:
            layers = [self.node(child, depth + 1) for child in module.children()]
            node |= {"config": module.config(), **({"layers": layers} if layers else {})}
        self.active.remove(id(module))
        self.done.add(id(module))
        return node

    def _own(self, module: Module, node: dict[str, Any], name: str, subject: str, depth: int) -> None:
        """Describe a module of a registered class: the constructor makes all inside, except what is in its config."""
        where = f"save: {subject}: config() of {type(module).__name__}"
        node["config"] = self._value(module.config(), where, depth)
        node["modules"] = _outline(module)
        linked = "?"  # the latest inner module that occurs elsewhere, too; those inside it follow
        for inner_name, inner in module.named_modules(name):
            first = self.names[id(inner)]
            if id(inner) in self.done and inner_name != first and not inner_name.startswith(f"{linked}."):
                self.links[inner_name] = first
                linked = inner_name
            self.done.add(id(inner))

    def _value(self, value: Any, where: str, depth: int) -> Any:
        """A value of a configuration as JSON."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (list, tuple)):
            return [self._value(item, where, depth) for item in value]
        if isinstance(value, Mapping) and all(isinstance(key, str) and key != "module" for key in value):
            return {key: self._value(item, where, depth) for key, item in value.items()}
        if isinstance(value, Module) and id(value) in self.names:
            return {"module": self.names[id(value)], "node": self.node(value, depth + 1)}
        raise TypeError(
            f"{where} contains {type(value).__name__} {value!r:.50}; expected numbers, strings, bools, None, lists and "
            "dicts of these with strings as keys, and modules that are attributes of it"
        )


def _key_of(kind: type[Module]) -> str | None:
    """The name of a class in model files."""
    if LAYERS.get(kind.__name__) is kind:
        return kind.__name__
    return next((key for key, found in REGISTERED.items() if found is kind), None)


def _outline(module: Module) -> dict[str, Any]:
    """The classes and configurations of all modules inside a module, by name."""
    inside = ((name, inner) for name, inner in module.named_modules() if inner is not module)
    return {name: [type(inner).__name__, _plain_config(inner)] for name, inner in inside}


def _plain_config(module: Module) -> Any:
    """A configuration without the modules in it, which are listed under their own names."""

    def plain(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else None

    return json.loads(json.dumps(module.config(), default=plain))


# Building.


def build(architecture: Any, values: Mapping[str, npt.NDArray[Any]]) -> Module:
    """Build a model and load its values; sizes are compared with the values before anything is allocated.

    The initial weights are not drawn, and the default generator continues where it was.
    """
    generator = default_generator()
    before = generator.state_dict()
    try:
        with without_initial_weights(max((value.size for value in values.values()), default=0)):
            model = _Construction(architecture, values).model
    finally:
        generator.load_state_dict(before)
    # As tensors, which must have the dtype of the parameters; arrays would be converted to it.
    model.load_state_dict({name: Tensor._wrap(value) for name, value in values.items()})
    return model


class _Construction:
    """Builds modules from nodes."""

    def __init__(self, architecture: Any, values: Mapping[str, npt.NDArray[Any]]) -> None:
        self.values = values
        links = architecture.get("links", {}) if isinstance(architecture, dict) else {}
        if not isinstance(links, dict) or not all(isinstance(name, str) for name in links.values()):
            raise TypeError("architecture: links must map names to names")
        self.links: dict[str, str] = links
        self.built: dict[str, Module] = {}
        self.model = self._node(architecture, "", 0)
        for kind in (Module, (Parameter, Buffer)) if links else ():  # the modules first: they bring tensors
            self._link(kind)

    def _node(self, node: Any, name: str, depth: int) -> Module:
        if isinstance(node, dict) and "shared" in node:
            earlier = node["shared"]
            if not isinstance(earlier, str) or earlier not in self.built:
                raise ValueError(f"architecture: {name} is the same as {earlier!r}, which does not precede it")
            return self.built[earlier]
        if not isinstance(node, dict) or not isinstance(node.get("config"), dict):
            raise TypeError(f"architecture: {name or 'the model'} has no class and config")
        if depth > _MAX_DEPTH:
            raise ValueError(f"architecture: nested deeper than {_MAX_DEPTH} modules")
        if len(self.built) >= _MAX_MODULES:
            raise ValueError(f"architecture: more than {_MAX_MODULES} modules")
        module = self._module(node, name, depth)
        for inner_name, inner in module.named_modules(name) if node["class"] in REGISTERED else [(name, module)]:
            self.built.setdefault(inner_name, inner)
        return module

    def _module(self, node: dict[str, Any], name: str, depth: int) -> Module:
        kind, config = node.get("class"), node["config"]
        prefix = f"{name}." if name else ""
        if not isinstance(kind, str) or (kind not in LAYERS and kind not in REGISTERED):
            raise ValueError(
                f"architecture: unknown layer class {str(kind)[:80]!r}; register a class of your own before loading, "
                "with cr.nn.register_serializable"
            )
        if kind in REGISTERED:
            module = REGISTERED[kind](**self._value(config, depth))
            if not isinstance(node.get("modules"), dict) or dump(_outline(module)) != dump(node["modules"]):
                raise ValueError(f"{kind}: {_difference(node.get('modules'), _outline(module))}")
            return module
        layer = LAYERS[kind]
        if "modules" in node:
            raise ValueError(
                f"architecture: {kind} is a class of one's own in this file, and the name of a layer of cr.nn now; "
                "save the model under another name= with the version that wrote it"
            )
        if issubclass(layer, _Container):
            layers = node.get("layers", [])
            if not isinstance(layers, list):
                raise TypeError(f"architecture: the layers of {name or 'the model'} are no list")
            names = layer._names(config, len(layers))
            made = [self._node(inner, prefix + key, depth + 1) for key, inner in zip(names, layers, strict=True)]
            return layer._made_of(config, made)

        def stored(key: str, shape: tuple[Any, ...] | None) -> npt.NDArray[Any]:
            value = self.values.get(self.links.get(prefix + key, prefix + key))
            if value is None or (shape is not None and value.shape != shape):
                found = "is missing" if value is None else f"has shape {value.shape}"
                expected = "" if shape is None else f", expected shape {shape}"
                raise ValueError(f"architecture: {prefix}{key} {found}{expected}")
            return value

        return layer._rebuild(config, stored)

    def _value(self, value: Any, depth: int) -> Any:
        """A value of a registered class's configuration, with the modules in it."""
        if isinstance(value, list):
            return [self._value(item, depth) for item in value]
        if not isinstance(value, dict):
            return value
        if "module" in value:
            return self._node(value.get("node"), str(value["module"]), depth + 1)
        return {key: self._value(item, depth) for key, item in value.items()}

    def _link(self, kind: Any) -> None:
        """Put the earlier object in the place of each later name that is the same object."""
        places = dict(_places(self.model))
        for alias, name in self.links.items():
            if alias not in places or name not in places:
                if kind is Module:
                    continue
                raise ValueError(f"architecture: {alias} is the same as {name}, which the model does not have")
            (holder, key, old), new = places[alias], places[name][2]
            if not isinstance(new, kind) or old is new:
                continue
            if type(old) is not type(new) or getattr(old, "shape", None) != getattr(new, "shape", None):
                raise ValueError(f"architecture: {alias} and {name} are of different kinds or shapes")
            _put(holder, key, new)


def _places(model: Module) -> Iterator[tuple[str, tuple[Module, str, Any]]]:
    """The name of each member of each module, with the module, its name there, and the member."""
    for name, module in model.named_modules():
        for key, member in module._members():
            yield _join(name, key), (module, key, member)


def _put(holder: Module, key: str, value: Any) -> None:
    """Replace a member: an attribute, or an item of a list, tuple or dict, which may be nested."""
    attribute, *path = key.split(".")
    if isinstance(holder, (_Container, _Parameters)):
        holder._put(key, value)
    elif attribute in vars(holder):
        setattr(holder, attribute, _replaced(vars(holder)[attribute], path, value))
    else:
        raise ValueError(f"architecture: {key} of {type(holder).__name__} cannot be the same as another")


def _replaced(item: Any, path: Sequence[str], value: Any) -> Any:
    """`value` in the place of the member at the end of the path; containers on the way are copied."""
    if not path:
        return value
    if isinstance(item, dict):
        return {key: _replaced(part, path[1:], value) if str(key) == path[0] else part for key, part in item.items()}
    changed = [_replaced(part, path[1:], value) if str(i) == path[0] else part for i, part in enumerate(item)]
    return type(item)(changed)


def _difference(expected: Any, found: dict[str, Any]) -> str:
    if not isinstance(expected, dict):
        return "the modules inside are no dict"
    for name in [*expected, *found]:
        texts = [dump(part.get(name)) if name in part else "nothing" for part in (expected, found)]
        if texts[0] != texts[1]:
            return f"{name} was {texts[0][:100]}, the constructor makes {texts[1][:100]}"
    return "the modules inside differ"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
