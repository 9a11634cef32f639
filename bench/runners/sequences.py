"""Nets for sequences, in words that chainrule and PyTorch share, and in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.cases import Case


def sequence_model(nn: Any, case: Case) -> Any:
    """The net of a sequence case, in words that chainrule and PyTorch share."""
    p = case.params
    n = p["units"]

    class SequenceModel(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            if p["net"] == "transformer":
                layer = nn.TransformerEncoderLayer(n, p["heads"], p["wide"], dropout=0.0, batch_first=True)
                self.inner = nn.TransformerEncoder(layer, p["layers"])
            else:
                self.inner = {"gru": nn.GRU, "lstm": nn.LSTM}[p["net"]](n, n)
            self.out = nn.Linear(n, p["classes"])

        def forward(self, x: Any) -> Any:
            y = self.inner(x)
            return self.out(y.mean(1) if p["net"] == "transformer" else y[0][-1])

    return SequenceModel()


def jax_loss(jax: Any, case: Case, unroll: int) -> Callable[[list[Any], Any, Any], Any]:
    """The loss as a function of parameters, sequences and labels; `unroll` steps of a scan at a time."""
    np, p = jax.numpy, case.params

    def gru(parameters: list[Any], x: Any) -> Any:
        w_x, w_h, b_x, b_h = parameters

        def step(h: Any, x_t: Any) -> Any:
            (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(x_t, 3, -1), np.split(h @ w_h + b_h, 3, -1)
            z = jax.nn.sigmoid(x_z + h_z)
            n = np.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
            return n + z * (h - n), None

        return jax.lax.scan(step, np.zeros(x.shape[1:], x.dtype), x @ w_x + b_x, unroll=unroll)[0]

    def lstm(parameters: list[Any], x: Any) -> Any:
        w_x, w_h, b_x, b_h = parameters

        def step(state: Any, x_t: Any) -> Any:
            h, c = state
            i, f, g, o = np.split(x_t + h @ w_h, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * np.tanh(g)
            return (jax.nn.sigmoid(o) * np.tanh(c), c), None

        zero = np.zeros(x.shape[1:], x.dtype)
        return jax.lax.scan(step, (zero, zero), x @ w_x + (b_x + b_h), unroll=unroll)[0][0]

    def norm(x: Any, weight: Any, bias: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5) * weight + bias

    def transformer(parameters: list[Any], x: Any) -> Any:
        heads = p["heads"]
        for first in range(0, len(parameters), 12):
            w_in, b_in, w_out, b_out, w_1, b_1, w_2, b_2, g_1, c_1, g_2, c_2 = parameters[first : first + 12]
            packed = (x @ w_in + b_in).reshape(*x.shape[:2], 3, heads, -1)
            q, k, v = np.moveaxis(packed, (2, 3), (0, 2))
            weights = jax.nn.softmax(q @ np.swapaxes(k, -1, -2) * q.shape[-1] ** -0.5)
            y = np.swapaxes(weights @ v, 1, 2).reshape(x.shape)
            x = norm(x + y @ w_out + b_out, g_1, c_1)
            x = norm(x + jax.nn.relu(x @ w_1 + b_1) @ w_2 + b_2, g_2, c_2)
        return x.mean(1)

    net = {"gru": gru, "lstm": lstm, "transformer": transformer}[p["net"]]

    def loss(parameters: list[Any], x: Any, labels: Any) -> Any:
        log_p = jax.nn.log_softmax(net(parameters[:-2], x) @ parameters[-2] + parameters[-1])
        return -np.take_along_axis(log_p, labels[:, None], axis=1).mean()

    return loss
