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


def test_methods_that_make_new_tensors() -> None:
    x = cr.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0]], dtype="float64")
    for made, values in (
        (x.new_zeros(2, 3), [[0.0] * 3] * 2),
        (x.new_ones((2,)), [1.0, 1.0]),
        (x.new_full(2, 3), [3.0] * 2),
    ):
        assert (made.dtype, made.tolist()) == (np.float64, values)
    assert x.new_empty(4).shape == (4,)
    assert x.new_tensor([1, 2]).dtype == np.float64
    assert nn.Parameter([1.0]).new_tensor(2, dtype="int64").dtype == np.int64
    assert type(nn.Parameter([1.0]).new_tensor([2.0])) is cr.Tensor
    assert x[0].expand_as(x).shape == x.t().view_as(x).shape == x.t().reshape_as(x).shape == (2, 3)
    assert (x > 0).type_as(x).tolist() == [[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    assert (x.nelement(), cr.numel(x), x.element_size(), x.is_contiguous()) == (6, 6, 8, True)
    assert x.is_floating_point()
    assert x.where(x > 0, 0.0).tolist()[0] == [1.0, 0.0, 3.0]
    assert cr.as_tensor(x) is cr.asarray(x) is x
    assert cr.as_tensor(x, "float32").dtype == cr.asarray([1, 2], np.float32).dtype == np.float32


def test_changes_in_place() -> None:
    x = nn.Parameter([1.0, 2.0, 3.0])
    with pytest.raises(RuntimeError, match=r"masked_fill_: .* write it under cr.no_grad"):
        x.masked_fill_([True, False, True], 0.0)
    with cr.no_grad():
        assert x.add_(1.0, alpha=2).sub_(0.5).mul_(2.0).div_(0.5) is x
        assert x.tolist() == [10.0, 14.0, 18.0]
        assert x.masked_fill_([True, False, False], 1.0).lerp_(cr.zeros(3), 0.5).tolist() == [0.5, 7.0, 9.0]
        assert x.addcmul_(cr.ones(3), cr.ones(3), value=-1).clamp_(min=0.0).pow_(2).tolist() == [0.0, 36.0, 64.0]
        with pytest.raises(ValueError, match="expected shape"):
            x.add_(cr.ones(2, 3))
        assert x.add_(1.0).__class__ is nn.Parameter
    assert nn.Parameter.add_.__name__ == "add_"


VALUES = np.array([[3.0, 0.0, 1.0], [1.0, 3.0, 0.0]])


def test_functions_of_values() -> None:
    x = cr.tensor(VALUES, requires_grad=True)
    for found, expected in ((x.nonzero(), np.nonzero(VALUES)), (cr.nonzero(x > 1), np.nonzero(VALUES > 1))):
        assert [i.tolist() for i in found] == [i.tolist() for i in expected]
    assert x.nonzero(as_tuple=False).tolist() == cr.argwhere(x).tolist() == np.argwhere(VALUES).tolist()
    for options in ({}, {"axis": 0}, {"axis": 1}):
        asked = {"return_index": True, "return_inverse": True, "return_counts": True, **options}
        for a, b in zip(cr.unique(x, **asked), np.unique(VALUES, **asked), strict=True):  # type: ignore[call-overload]
            np.testing.assert_array_equal(a.numpy().reshape(b.shape), b)
    (slopes,) = cr.autograd.grad(cr.sum(cr.unique(x) * np.array([1.0, 2.0, 4.0])), [x])
    assert slopes.tolist() == [[4.0, 1.0, 2.0], [0.0, 0.0, 0.0]]
    labels, weights = np.array([2, 0, 2, 5]), cr.tensor([0.5, 1.0, 2.0, 4.0], requires_grad=True)
    assert cr.bincount(labels, minlength=8).tolist() == np.bincount(labels, minlength=8).tolist()
    assert cr.bincount(labels, weights).tolist() == [1.0, 0.0, 2.5, 0.0, 0.0, 4.0]
    assert cr.autograd.grad(cr.bincount(labels, weights)[2], [weights])[0].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert cr.bincount(np.zeros(0, np.int64)).tolist() == []
    edges, at = np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 2.0], [7.0, 3.0]])
    for side in ("left", "right"):
        assert cr.searchsorted(edges, at, side).tolist() == np.searchsorted(edges, at, side).tolist()  # type: ignore[call-overload]
    rows = np.sort(VALUES, 1)
    assert cr.searchsorted(rows, at, right=True).tolist() == [[1, 2], [3, 3]]
    for ours, theirs in ((cr.triu_indices, np.triu_indices), (cr.tril_indices, np.tril_indices)):
        assert [i.tolist() for i in ours(3, -1, 4)] == [i.tolist() for i in theirs(3, -1, 4)]


def test_functions_of_values_that_are_refused() -> None:
    for function in (
        cr.nonzero,
        cr.argwhere,
        cr.unique,
        lambda x: cr.searchsorted(x, x),
        lambda x: cr.bincount(x.long()),
    ):
        with pytest.raises(cr.CompileError, match="values are not known inside a compiled function"):
            cr.compile(function)(cr.tensor([1.0, 2.0]))
    for call, error in (
        (lambda: cr.bincount([-1]), "must not be negative"),
        (lambda: cr.bincount([0.5]), "expected integers"),
        (lambda: cr.bincount([0, 1], [1.0]), r"weights of shape \(2,\)"),
        (lambda: cr.searchsorted([1.0], [1.0], "middle"), "side must be"),
        (lambda: cr.searchsorted(VALUES, [1.0]), "expected equal first axes"),
    ):
        with pytest.raises((TypeError, ValueError), match=error):
            call()


def test_arguments_of_functions() -> None:
    x = cr.tensor(VALUES)
    for call, error in (
        (lambda: cr.narrow(x, 1, 2, 2), "narrow: axis 1 of shape"),
        (lambda: cr.select(x, 0, 5), "index"),
        (lambda: cr.index_add(x, 0, [0], x), "index_add: expected indices"),
        (lambda: cr.rot90(x, axes=(0, 0)), "rot90: axis 0 is given twice"),
        (lambda: cr.rot90(x, axes=(0,)), "rot90: expected two axes"),
        (lambda: cr.addmm(x, x, x[0]), "addmm: expected 2 and 2 axes"),
        (lambda: cr.cdist(x, x[:, :2]), "cdist: expected vectors"),
        (lambda: cr.cdist(x, x, p=-3), "cdist: p must be"),
        (lambda: cr.div(x, x, rounding_mode="up"), "rounding_mode must be"),
        (lambda: cr.diff(1.0), "diff: expected at least one axis"),
        (lambda: cr.diff(x > 0), "bool"),
        (lambda: cr.glu(x, dim=5), "glu: axis 5"),
        (lambda: cr.var_mean(x, correction=1, unbiased=True), "same argument"),
    ):
        with pytest.raises((TypeError, ValueError, IndexError), match=error):
            call()
    assert cr.index_select(x, 1, 2).tolist() == [1.0, 0.0]
    assert cr.add([1.0], [2.0], alpha=0.5).tolist() == [2.0]
    assert cr.add(cr.tensor([1.0], dtype="float64"), [0.1], alpha=2).item() == 1.2
    assert cr.sub(cr.tensor([5, 6]), cr.tensor([1, 2]), alpha=2).tolist() == [3, 2]


def test_the_mode_of_recording() -> None:
    x = cr.tensor([1.0], requires_grad=True)
    with cr.no_grad(), cr.enable_grad():
        assert (x * 2).requires_grad
    cr.set_grad_enabled(False)
    assert not cr.is_grad_enabled()
    cr.set_grad_enabled(True)
    with cr.set_grad_enabled(False):
        assert not (x * 2).requires_grad
        with cr.set_grad_enabled(True):
            assert (x * 2).requires_grad
    assert cr.is_grad_enabled()

    @cr.set_grad_enabled(False)
    def function(t: cr.Tensor) -> cr.Tensor:
        return t * 2

    assert cr.is_grad_enabled()
    assert not function(x).requires_grad
    assert not function(x).requires_grad
    with pytest.raises(cr.CompileError, match="no_grad"):
        cr.compile(lambda t: t * 2 if cr.set_grad_enabled(False) else t)(x)
    assert cr.is_grad_enabled()


def test_draws_of_classes() -> None:
    scores = cr.tensor(np.log([[0.1, 0.2, 0.7]] * 4000), requires_grad=True)
    drawn = F.gumbel_softmax(scores, tau=0.5, hard=True, generator=cr.random.Generator(seed=3))
    np.testing.assert_allclose(drawn.mean(0).numpy(), [0.1, 0.2, 0.7], atol=0.03)
    np.testing.assert_allclose(np.sort(drawn.numpy(), 1), [[0.0, 0.0, 1.0]] * 4000, atol=1e-15)
    smooth = F.gumbel_softmax(scores, tau=0.5, generator=cr.random.Generator(seed=3))
    np.testing.assert_array_equal(smooth.argmax(1).numpy(), drawn.argmax(1).numpy())
    np.testing.assert_allclose(smooth.sum(1).numpy(), 1.0)
    weight = np.arange(12000.0).reshape(4000, 3) % 7
    slopes = [cr.autograd.grad(cr.sum(y * weight), [scores])[0].numpy() for y in (drawn, smooth)]
    np.testing.assert_array_equal(*slopes)
    assert abs(slopes[0]).max() > 0.1
    compiled = cr.compile(lambda x: F.gumbel_softmax(x, tau=0.5))
    for _ in range(2):
        cr.manual_seed(3)
        np.testing.assert_array_equal(compiled(scores).numpy(), smooth.numpy())
    with pytest.raises(ValueError, match="gumbel_softmax: tau"):
        F.gumbel_softmax(scores, tau=0.0)


def test_the_sinc_near_0() -> None:
    x = np.array([0.0, 1e-12, -1e-7, 1e-4, 0.01, 0.3, 0.32])
    slope, curvature = (
        cr.grad(lambda t: cr.sum(cr.sinc(t))),
        cr.grad(lambda t: cr.sum(cr.grad(lambda u: cr.sum(cr.sinc(u)))(t))),
    )
    z = np.pi * x[:4]
    np.testing.assert_allclose(slope(x).numpy()[:4], np.pi * (-z / 3 + z**3 / 30), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(curvature(x).numpy()[:4], np.pi**2 * (-1 / 3 + z**2 / 10), rtol=1e-12)
    z = np.pi * x[4:]
    np.testing.assert_allclose(slope(x).numpy()[4:], np.pi * (np.cos(z) / z - np.sin(z) / z**2), rtol=1e-9)


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
