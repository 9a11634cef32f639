"""PyTorch's names of the device, of dtypes and of small questions."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim


def test_the_device() -> None:
    device = cr.device("cuda" if cr.cuda.is_available() else "cpu")
    x = cr.tensor([1.0]).to(device)
    assert x.device == device == "cpu" == cr.device().type
    assert repr(device) == "device(type='cpu')"
    assert nn.Linear(2, 1).to(device).weight.device == device
    assert cr.cuda.device_count() == 0
    cr.cuda.manual_seed_all(0)
    for name in ("cuda", "mps", "cuda:0"):
        with pytest.raises(ValueError, match="there is no device"):
            cr.device(name)


def test_dtypes() -> None:
    x = cr.tensor([1, 2], dtype=cr.float32)
    assert (cr.float32, cr.float64, cr.int64) == (np.float32, np.float64, np.int64)
    assert (cr.float, cr.double, cr.long, cr.bool) == (np.float32, np.float64, np.int64, np.bool_)
    assert x.type(cr.float64).dtype == x.to(cr.double).dtype == np.float64
    assert not {"float", "bool"} & set(cr.__all__)


def test_questions() -> None:
    x = cr.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert cr.is_tensor(x)
    assert not cr.is_tensor(x.numpy())
    assert cr.allclose(x, x + 1e-9)
    assert not cr.allclose(x, x + 1e-3)
    assert cr.allclose([np.nan], [np.nan], equal_nan=True)
    with pytest.raises(Exception, match="compiled function"):
        cr.compile(lambda a: cr.allclose(a, a))(x)
    values = np.arange(3)
    assert cr.from_numpy(values).dtype == np.int64
    with pytest.raises(TypeError, match="ndarray"):
        cr.from_numpy([1.0])  # type: ignore[arg-type]


def test_methods() -> None:
    x = cr.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    assert x.t().shape == (3, 2)
    assert x.contiguous() is x
    assert x.clamp(min=0.0).tolist()[0] == [1.0, 0.0, 3.0]
    assert x.clamp(max=2).tolist()[1] == [2.0, 2.0, 2.0]
    assert x.pow(2).tolist()[0] == [1.0, 4.0, 9.0]
    assert x.index_select(1, cr.tensor([2, 0])).tolist()[0] == [3.0, 1.0]
    np.testing.assert_array_equal(x.log_softmax(dim=1).numpy(), cr.log_softmax(x, 1).numpy())
    with pytest.raises(TypeError, match="tile"):
        x.repeat(2, 1)
    with pytest.raises(ValueError, match="two axes"):
        x.unsqueeze(0).t()
    with cr.inference_mode():
        assert not (x * 2).requires_grad


def test_draws_in_place() -> None:
    generator = cr.random.Generator
    weight = nn.Parameter(np.zeros((40, 5)))
    with cr.no_grad():
        assert weight.uniform_(-0.5, 0.25, generator=generator(seed=4)) is weight
    assert weight.tolist() == generator(seed=4).uniform((40, 5), -0.5, 0.25, np.float64).tolist()
    weight.data.normal_(1.0, 0.5, generator=generator(seed=4))
    assert weight.tolist() == generator(seed=4).normal((40, 5), 1.0, 0.5, np.float64).tolist()
    cr.manual_seed(2)
    drawn = cr.zeros(3).normal_().tolist()
    cr.manual_seed(2)
    assert drawn == cr.randn(3).tolist()
    for draw in (weight.uniform_, weight.normal_):
        with pytest.raises(RuntimeError, match="no_grad"):
            draw()
    with pytest.raises(ValueError, match="low <= high"):
        cr.zeros(2).uniform_(1.0, 0.0)
    with pytest.raises(TypeError, match="int64"):
        cr.zeros(2, dtype="int64").normal_()


def test_compiled_draws_in_place() -> None:
    noise, drawn = cr.zeros(4, 3), cr.random.Generator(seed=6)

    @cr.compile
    def step(x: cr.Tensor) -> cr.Tensor:
        noise.normal_(0.5, 2.0, generator=drawn)
        return x * noise.uniform_(-1.0, 3.0, generator=drawn)

    expected = cr.random.Generator(seed=6)
    for _ in range(3):
        got = step(cr.ones(4, 3))
        expected.normal((4, 3))
        uniform = expected.uniform((4, 3), -1.0, 3.0)
        assert got.tolist() == noise.tolist() == uniform.tolist()
        assert drawn.stream == expected.stream


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("p", "dim"), [(2.0, 1), (1.0, 0), (1.0, -1), (np.inf, 1)])
def test_vectors_of_length_1(p: float, dim: int, dtype: type) -> None:
    x = np.arange(-11.0, 13.0).reshape(2, 3, 4).astype(dtype)
    size = abs(x).max(dim, keepdims=True) if p == np.inf else (abs(x) ** p).sum(dim, keepdims=True) ** (1 / p)
    np.testing.assert_allclose(F.normalize(x, p, dim).numpy(), x / size, rtol=1e-6 if dtype == np.float32 else 1e-13)
    assert cr.compile(lambda x: F.normalize(x, p=p, dim=dim))(x).tolist() == F.normalize(x, p=p, dim=dim).tolist()
    assert cr.gradcheck(lambda x: F.normalize(x, p, dim), (x.astype(np.float64) + 0.125,))


def test_vectors_of_length_0() -> None:
    assert F.normalize([[0.0, 0.0], [0.0, 2.0]]).tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert F.normalize([[3e-9, 4e-9]], eps=1e-8).numpy().round(4).tolist() == np.float32([[0.3, 0.4]]).tolist()
    assert F.normalize(cr.zeros(0, 3)).shape == (0, 3)
    with pytest.raises(ValueError, match="eps"):
        F.normalize([[1.0]], eps=-1.0)


IN_PLACE = [
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Mish, nn.CELU, nn.Hardswish, nn.Hardsigmoid),
    *(nn.Hardtanh, nn.Dropout, nn.AlphaDropout),
]


@pytest.mark.parametrize("layer", IN_PLACE)
def test_layers_that_would_change_their_input(layer: type[nn.Module]) -> None:
    x = cr.tensor([-1.0, 2.0, 7.0])
    assert layer(inplace=True).eval()(x).tolist() == layer().eval()(x).tolist()  # type: ignore[call-arg]
    assert x.tolist() == [-1.0, 2.0, 7.0]
    assert nn.ReLU(True)(x).tolist() == [0.0, 2.0, 7.0]
    assert nn.Threshold(0.0, 1.0, True)(x).tolist() == [1.0, 2.0, 7.0]
    assert nn.Dropout2d(0.0, inplace=True)(x.view(1, 3, 1, 1)).tolist() == x.view(1, 3, 1, 1).tolist()


def test_places() -> None:
    assert optim.lr_scheduler.StepLR is optim.StepLR
    names = optim.lr_scheduler.__all__
    found = {name for name in optim.__all__ if name.endswith("LR") or name in ("LRScheduler", "ReduceLROnPlateau")}
    assert set(names) >= found
    assert nn.utils.clip_grad_norm_ is optim.clip_grad_norm_
