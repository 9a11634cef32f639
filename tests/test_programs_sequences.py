"""Whole programs in PyTorch's manner, on sequences: GRU and LSTM classifiers, and a transformer that writes text."""

from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from chainrule.data import DataLoader, TensorDataset
from support.whole_programs import Step, assert_compiled_equals_eager, saved_and_loaded

# GRU and LSTM: whether the first of the marked numbers of a sequence is the larger one.


@nn.register_serializable
class SequenceClassifier(nn.Module):
    def __init__(self, kind: str, features: int, hidden: int, classes: int = 2) -> None:
        super().__init__()
        self.kind, self.features, self.hidden, self.classes = kind, features, hidden, classes
        self.rnn = getattr(nn, kind)(features, hidden, num_layers=1, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        if self.kind == "LSTM":
            h0 = cr.zeros(1, x.size(0), self.hidden)
            c0 = cr.zeros(1, x.size(0), self.hidden)
            out, _ = self.rnn(x, (h0, c0))
        else:
            out, _ = self.rnn(x)
        return self.fc(out[:, -1, :])

    def config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("kind", "features", "hidden", "classes")}


def classifier(kind: str) -> tuple[nn.Module, Step]:
    model = SequenceClassifier(kind, 2, 24)
    criterion = nn.CrossEntropyLoss()
    optimizer = cr.optim.Adam(model.parameters(), lr=0.01)

    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        return loss

    return model, step


def marked_numbers(rows: int, steps: int = 12) -> TensorDataset:
    """(rows, steps, 2): numbers, and two marks; the class says which of the two marked numbers is larger."""
    cr.manual_seed(0)
    numbers, marks = cr.rand(rows, steps), cr.zeros(rows, steps)
    first = cr.randint(0, steps // 2, (rows,))
    second = cr.randint(steps // 2, steps, (rows,))
    marks = marks.scatter(1, first.unsqueeze(1), 1.0).scatter(1, second.unsqueeze(1), 1.0)
    n = cr.arange(rows)
    y = (numbers[n, first] > numbers[n, second]).long()
    return TensorDataset(cr.stack([numbers, marks], dim=2), y)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_classifiers_of_sequences(kind: str, tmp_path: Path) -> None:
    data = marked_numbers(1200)
    train, test = TensorDataset(*data[:1000]), data[1000:]
    loader = DataLoader(train, batch_size=50, shuffle=True, drop_last=True)
    cr.manual_seed(1)
    model, step = classifier(kind)
    compiled = cr.compile(step)
    for _ in range(20):
        model.train()
        for x, y in loader:
            compiled(x, y)
    model.eval()
    with cr.no_grad():
        logits = model(test[0])
        accuracy = (logits.argmax(1).numpy() == test[1].numpy()).mean()
    assert accuracy > 0.9
    assert saved_and_loaded(model, tmp_path)(test[0]).tolist() == logits.tolist()
    assert_compiled_equals_eager(lambda: classifier(kind), list(loader)[:4])


# A transformer that predicts the next character.

TEXT = (
    "the cat sat on the mat. the dog sat on the log. the cat saw the dog, and the dog saw the cat. "
    "a mouse ran past the mat, and the cat ran after the mouse. the dog stayed on the log."
)
CHARS = sorted(set(TEXT))
STOI = {c: i for i, c in enumerate(CHARS)}


@nn.register_serializable
class Block(nn.Module):
    def __init__(self, n_embd: int, n_head: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_embd, self.n_head, self.dropout = n_embd, n_head, dropout
        self.ln1 = nn.LayerNorm(n_embd)
        self.qkv = nn.Linear(n_embd, 3 * n_embd, bias=False)
        self.proj = nn.Linear(n_embd, n_embd)
        self.ln2 = nn.LayerNorm(n_embd)
        self.mlp = nn.Sequential(
            nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd), nn.Dropout(dropout)
        )

    def attend(self, x: cr.Tensor) -> cr.Tensor:
        B, T, C = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (t.view(B, T, self.n_head, C // self.n_head).permute(0, 2, 1, 3) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.permute(0, 2, 1, 3).contiguous().view(B, T, C))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = x + self.attend(self.ln1(x))
        return x + self.mlp(self.ln2(x))

    def config(self) -> dict[str, Any]:
        return {"n_embd": self.n_embd, "n_head": self.n_head, "dropout": self.dropout}


@nn.register_serializable
class CharTransformer(nn.Module):
    def __init__(self, vocab: int, block_size: int, n_embd: int = 32, n_head: int = 4, n_layer: int = 2) -> None:
        super().__init__()
        self.arguments = {
            "vocab": vocab,
            "block_size": block_size,
            "n_embd": n_embd,
            "n_head": n_head,
            "n_layer": n_layer,
        }
        self.block_size = block_size
        self.tok_emb = nn.Embedding(vocab, n_embd)
        self.pos_emb = nn.Embedding(block_size, n_embd)
        self.blocks = nn.ModuleList([Block(n_embd, n_head) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, vocab, bias=False)
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.08)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, idx: cr.Tensor) -> cr.Tensor:
        _, T = idx.shape
        x = self.tok_emb(idx) + self.pos_emb(cr.arange(T))
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))

    def generate(self, idx: cr.Tensor, max_new_tokens: int) -> cr.Tensor:
        for _ in range(max_new_tokens):
            logits = self(idx[:, -self.block_size :])[:, -1, :]
            probs = F.softmax(logits / 0.1, dim=-1)
            idx_next = cr.multinomial(probs, num_samples=1)
            idx = cr.cat((idx, idx_next), dim=1)
        return idx

    def config(self) -> dict[str, Any]:
        return self.arguments


def transformer() -> tuple[nn.Module, Step]:
    model = CharTransformer(len(CHARS), block_size=32)
    optimizer = cr.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99))

    def step(xb: cr.Tensor, yb: cr.Tensor) -> cr.Tensor:
        logits = model(xb)
        B, T, C = logits.shape
        loss = F.cross_entropy(logits.view(B * T, C), yb.view(B * T))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def test_a_transformer_of_characters(tmp_path: Path) -> None:
    data = cr.tensor([STOI[c] for c in TEXT], dtype="int64")
    size = 32

    def get_batch(batch_size: int = 16) -> tuple[cr.Tensor, cr.Tensor]:
        ix = cr.randint(len(data) - size, (batch_size,))
        x = cr.stack([data[i : i + size] for i in ix.tolist()])
        y = cr.stack([data[i + 1 : i + size + 1] for i in ix.tolist()])
        return x, y

    cr.manual_seed(1337)
    model, step = transformer()
    compiled = cr.compile(step)
    losses = [compiled(*get_batch()).item() for _ in range(150)]
    assert losses[0] > 2.8
    assert losses[-1] < 0.3
    model.eval()
    with cr.no_grad():
        prompt = cr.tensor([[STOI[c] for c in "the cat sat"]])
        written = "".join(CHARS[i] for i in model.generate(prompt, 20)[0].tolist())
    assert written.startswith("the cat sat on the ")
    loaded = saved_and_loaded(model, tmp_path)
    with cr.no_grad():
        assert loaded(data[None, :size]).tolist() == model(data[None, :size]).tolist()
    assert_compiled_equals_eager(transformer, [get_batch() for _ in range(4)])
