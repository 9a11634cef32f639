"""What holds for each program of tests/test_programs_*.py: compiled as eager, loaded as saved."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule import nn
from reference import assert_same_bits

Step = Callable[..., Any]
# make() -> the modules that learn, and the step that a batch is given to.
Make = Callable[[], tuple[nn.Module, Step]]


def assert_compiled_equals_eager(make: Make, batches: Sequence[Sequence[Any]]) -> None:
    """Train one model eagerly and an equal one with the compiled step: all losses, weights and buffers are the same."""
    models, losses = [], []
    for compiles in (False, True):
        cr.manual_seed(3)
        model, step = make()
        run = cr.compile(step) if compiles else step
        losses.append([run(*batch).item() for batch in batches])
        models.append(model)
    assert losses[0] == losses[1]
    assert len(set(losses[0])) > 1
    states = [model.state_dict() for model in models]
    assert states[0].keys() == states[1].keys()
    for name, wanted in states[0].items():
        assert_same_bits(states[1][name], wanted, name)


def saved_and_loaded(model: nn.Module, folder: Path) -> Any:
    """The model that `cr.load` builds from the file of this one: its classes, arguments, weights and buffers."""
    path = folder / "model.safetensors"
    cr.save(model, path)
    loaded = cr.load(path)
    assert type(loaded) is type(model)
    assert loaded is not model
    return loaded.eval()
