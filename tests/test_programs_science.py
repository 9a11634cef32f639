"""Whole programs in PyTorch's manner, on functions: SIREN fits an image, a PINN solves an equation with L-BFGS."""

from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from support.whole_programs import Step, assert_compiled_equals_eager, saved_and_loaded

# SIREN: layers of sines, from coordinates to brightness.


@nn.register_serializable
class SineLayer(nn.Module):
    def __init__(self, in_features: int, out_features: int, is_first: bool = False, omega_0: float = 30.0) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.is_first, self.omega_0 = is_first, omega_0
        self.linear = nn.Linear(in_features, out_features)
        with cr.no_grad():
            bound = 1 / in_features if is_first else np.sqrt(6 / in_features) / omega_0
            self.linear.weight.uniform_(-bound, bound)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.sin(self.omega_0 * self.linear(x))

    def config(self) -> dict[str, Any]:
        names = "in_features", "out_features", "is_first", "omega_0"
        return {name: getattr(self, name) for name in names}


def siren() -> tuple[nn.Module, Step]:
    model = nn.Sequential(SineLayer(2, 32, is_first=True, omega_0=10.0), SineLayer(32, 32), nn.Linear(32, 1))
    optimizer = cr.optim.Adam(model.parameters(), lr=3e-3)

    def step(coordinates: cr.Tensor, pixels: cr.Tensor) -> cr.Tensor:
        output = model(coordinates)
        loss = ((output - pixels) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def picture(side: int = 24) -> tuple[cr.Tensor, cr.Tensor]:
    axis = cr.linspace(-1, 1, side)
    x, y = cr.meshgrid(axis, axis, indexing="xy")
    coordinates = cr.stack((x, y), dim=-1).reshape(-1, 2)
    disc = cr.sigmoid(20 * (0.5 - cr.sqrt(x**2 + y**2)))
    return coordinates, (disc + 0.3 * cr.sin(12 * x)).reshape(-1, 1)


def test_siren(tmp_path: Path) -> None:
    coordinates, pixels = picture()
    cr.manual_seed(0)
    model, step = siren()
    compiled = cr.compile(step)
    for _ in range(400):
        loss = compiled(coordinates, pixels)
    psnr = -10 * np.log10(loss.item())
    assert psnr > 35
    with cr.no_grad():
        image = model(coordinates).view(24, 24).cpu().numpy()
    assert np.abs(image - pixels.numpy().reshape(24, 24)).max() < 0.15
    loaded = saved_and_loaded(model, tmp_path)
    assert np.array_equal(loaded(coordinates).detach().numpy().reshape(24, 24), image)
    # The Laplacian of the fitted image, at the middle: finite, and that of differences.
    spot = cr.tensor([[0.03, 0.02]], requires_grad=True)
    (slope,) = cr.autograd.grad(model(spot).sum(), spot, create_graph=True)
    laplacian = sum(cr.autograd.grad(slope[:, i].sum(), spot, create_graph=True)[0][:, i] for i in range(2))
    assert np.isfinite(laplacian.item())
    assert_compiled_equals_eager(siren, [(coordinates, pixels)] * 4)


# A physics-informed net: u'' = -pi^2 sin(pi x) on [-1, 1], u(-1) = u(1) = 0; the solution is sin(pi x).


@nn.register_serializable
class PINN(nn.Module):
    def __init__(self, layers: list[int]) -> None:
        super().__init__()
        self.layers = layers
        self.linears = nn.ModuleList([nn.Linear(layers[i], layers[i + 1]) for i in range(len(layers) - 1)])
        self.activation = nn.Tanh()
        for linear in self.linears:
            nn.init.xavier_normal_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        for linear in self.linears[:-1]:
            x = self.activation(linear(x))
        return self.linears[-1](x)

    def config(self) -> dict[str, Any]:
        return {"layers": self.layers}


def residuals(model: nn.Module, x: cr.Tensor, ends: cr.Tensor) -> cr.Tensor:
    u = model(x)
    u_x = cr.autograd.grad(u, x, grad_outputs=cr.ones_like(u), create_graph=True, retain_graph=True)[0]
    u_xx = cr.autograd.grad(u_x, x, grad_outputs=cr.ones_like(u_x), create_graph=True)[0]
    f = u_xx + np.pi**2 * cr.sin(np.pi * x)
    return cr.mean(f**2) + 10 * F.mse_loss(model(ends), cr.zeros_like(ends))


def pinn() -> tuple[nn.Module, Step]:
    model = PINN([1, 20, 20, 1])
    optimizer = cr.optim.Adam(model.parameters(), lr=5e-3)

    def step(x: cr.Tensor, ends: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = residuals(model, x, ends)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def points() -> tuple[cr.Tensor, cr.Tensor]:
    x = cr.linspace(-1, 1, 48).view(-1, 1)
    x.requires_grad = True
    return x, cr.tensor([[-1.0], [1.0]])


def test_a_physics_informed_net(tmp_path: Path) -> None:
    x, ends = points()
    cr.manual_seed(0)
    model, step = pinn()
    for _ in range(100):
        step(x, ends)
    optimizer = cr.optim.LBFGS(model.parameters(), lr=1.0, max_iter=150, history_size=50, line_search_fn="strong_wolfe")

    def closure() -> cr.Tensor:
        optimizer.zero_grad()
        loss = residuals(model, x, ends)
        loss.backward()
        return loss

    first = optimizer.step(closure)
    last = closure().item()
    assert last < 2e-3 < first.item()
    model.eval()
    at = cr.linspace(-1, 1, 101).unsqueeze(1)
    with cr.no_grad():
        u = model(at)
    error = cr.norm(u - cr.sin(np.pi * at), 2) / cr.norm(cr.sin(np.pi * at), 2)
    assert error.item() < 5e-3
    assert saved_and_loaded(model, tmp_path)(at).tolist() == u.tolist()
    assert_compiled_equals_eager(pinn, [(x, ends)] * 4)


def test_lbfgs_with_a_compiled_closure() -> None:
    """The same weights as with the closure itself."""
    weights = []
    for compiles in (False, True):
        x, ends = points()
        cr.manual_seed(0)
        model, _ = pinn()
        optimizer = cr.optim.LBFGS(model.parameters(), max_iter=8, line_search_fn="strong_wolfe")

        def closure(model: Any = model, optimizer: Any = optimizer, x: Any = x, ends: Any = ends) -> cr.Tensor:
            optimizer.zero_grad()
            loss = residuals(model, x, ends)
            loss.backward()
            return loss

        optimizer.step(cr.compile(closure) if compiles else closure)
        weights.append(nn.utils.parameters_to_vector(model.parameters()).tolist())
    assert weights[0] == weights[1]
