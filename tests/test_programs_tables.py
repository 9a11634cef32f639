"""Whole programs in PyTorch's manner, on rows: an MLP with batch norm, matrix factorisation, word2vec."""

from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from chainrule.data import DataLoader, TensorDataset
from support.whole_programs import Step, assert_compiled_equals_eager, saved_and_loaded

# An MLP with batch norm: which of two rings a point lies in.


@nn.register_serializable
class RingNet(nn.Module):
    def __init__(self, features: int, hidden: int = 32, classes: int = 2) -> None:
        super().__init__()
        self.features, self.hidden, self.classes = features, hidden, classes
        self.fc1 = nn.Linear(features, hidden)
        self.bn1 = nn.BatchNorm1d(hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.bn2 = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(0.1)
        self.out = nn.Linear(hidden, classes)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = F.relu(self.bn1(self.fc1(x)))
        x = self.dropout(F.relu(self.bn2(self.fc2(x))))
        return self.out(x)

    def config(self) -> dict[str, Any]:
        return {"features": self.features, "hidden": self.hidden, "classes": self.classes}


def rings(rows: int) -> TensorDataset:
    cr.manual_seed(0)
    x = cr.randn(rows, 2)
    radius = (x**2).sum(dim=1).sqrt()
    y = ((radius - 1.1).abs() < 0.4).long()
    return TensorDataset(x, y)


def ring_net() -> tuple[nn.Module, Step]:
    model = RingNet(2)
    criterion = nn.CrossEntropyLoss()
    optimizer = cr.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-3)

    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def test_mlp_with_batch_norm(tmp_path: Path) -> None:
    data = rings(1200)
    train, test = TensorDataset(*data[:1000]), data[1000:]
    cr.manual_seed(1)
    model, step = ring_net()
    model.train()
    for _ in range(25):
        total = 0.0
        for x, y in DataLoader(train, batch_size=50, shuffle=True):
            total += step(x, y).item() * x.size(0)
    assert total / len(train) < 0.4
    model.eval()
    with cr.no_grad():
        pred = model(test[0])
        accuracy = (pred.argmax(dim=1).numpy() == test[1].numpy()).mean()
    assert accuracy > 0.93
    assert model.bn1.num_batches_tracked.item() == 25 * 20
    assert saved_and_loaded(model, tmp_path)(test[0]).tolist() == pred.tolist()
    assert_compiled_equals_eager(ring_net, list(DataLoader(train, batch_size=50, shuffle=True))[:6])


# Matrix factorisation: ratings are products of the factors of users and films.


@nn.register_serializable
class Factors(nn.Module):
    def __init__(self, users: int, items: int, factors: int = 4) -> None:
        super().__init__()
        self.sizes = users, items, factors
        self.user = nn.Embedding(users, factors)
        self.item = nn.Embedding(items, factors)
        self.user_bias = nn.Embedding(users, 1)
        self.item_bias = nn.Embedding(items, 1)
        self.mean = nn.Parameter(cr.zeros(1))
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, users: cr.Tensor, items: cr.Tensor) -> cr.Tensor:
        dot = (self.user(users) * self.item(items)).sum(dim=1)
        return self.mean + dot + self.user_bias(users).squeeze(1) + self.item_bias(items).squeeze(-1)

    def config(self) -> dict[str, Any]:
        return dict(zip(("users", "items", "factors"), self.sizes, strict=True))


def factors() -> tuple[nn.Module, Step]:
    model = Factors(60, 40)
    optimizer = cr.optim.Adam(model.parameters(), lr=0.02)

    def step(users: cr.Tensor, items: cr.Tensor, ratings: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(users, items), ratings)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return loss

    return model, step


def test_matrix_factorisation(tmp_path: Path) -> None:
    cr.manual_seed(0)
    u, v = cr.randn(60, 3), cr.randn(40, 3)
    users, items = cr.randint(0, 60, (2000,)), cr.randint(0, 40, (2000,))
    ratings = 3 + (u[users] * v[items]).sum(-1)
    held_out = users[1800:], items[1800:], ratings[1800:]
    loader = DataLoader(TensorDataset(users[:1800], items[:1800], ratings[:1800]), batch_size=100, shuffle=True)
    cr.manual_seed(1)
    model, step = factors()
    for _ in range(30):
        for batch in loader:
            step(*batch)
    model.eval()
    with cr.no_grad():
        pred = model(held_out[0], held_out[1])
        error = F.mse_loss(pred, held_out[2]).sqrt().item()
    assert error < 0.4 < 1.5 < ratings.std(correction=1).item()
    assert saved_and_loaded(model, tmp_path)(*held_out[:2]).tolist() == pred.tolist()
    assert_compiled_equals_eager(factors, list(loader)[:6])


# word2vec: words of the same topic stand beside each other.


@nn.register_serializable
class SkipGram(nn.Module):
    def __init__(self, words: int, dim: int) -> None:
        super().__init__()
        self.words, self.dim = words, dim
        self.center = nn.Embedding(words, dim, sparse=True)
        self.context = nn.Embedding(words, dim, sparse=True)
        nn.init.uniform_(self.center.weight, -0.5 / dim, 0.5 / dim)
        self.context.weight.data.zero_()

    def forward(self, center: cr.Tensor, context: cr.Tensor, negative: cr.Tensor) -> cr.Tensor:
        v = self.center(center)  # (n, dim)
        positive = (v * self.context(context)).sum(dim=1)
        noise = cr.bmm(self.context(negative), v.unsqueeze(2)).squeeze(2)  # (n, k)
        return -(F.logsigmoid(positive) + F.logsigmoid(-noise).sum(1)).mean()

    def config(self) -> dict[str, Any]:
        return {"words": self.words, "dim": self.dim}


def skip_gram() -> tuple[nn.Module, Step]:
    model = SkipGram(20, 8)
    optimizer = cr.optim.SGD(model.parameters(), lr=1.0, momentum=0.0)

    def step(center: cr.Tensor, context: cr.Tensor, negative: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = model(center, context, negative)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def pairs(window: int = 2) -> tuple[cr.Tensor, cr.Tensor]:
    """Sentences of five words each, all of one of four topics: the words 5 t to 5 t + 4."""
    rng = np.random.default_rng(0)
    center, context = [], []
    for _ in range(400):
        sentence = 5 * rng.integers(4) + rng.permutation(5)
        for i in range(len(sentence)):
            for j in range(max(0, i - window), min(len(sentence), i + window + 1)):
                if i != j:
                    center.append(sentence[i])
                    context.append(sentence[j])
    return cr.tensor(np.array(center)), cr.tensor(np.array(context))


def test_word2vec(tmp_path: Path) -> None:
    center, context = pairs()
    loader = DataLoader(TensorDataset(center, context), batch_size=128, shuffle=True)
    cr.manual_seed(2)
    frequency = cr.exp(0.75 * cr.log(cr.full((20,), 5.0)))
    batches = [(c, o, cr.multinomial(frequency, len(c) * 5, replacement=True).view(len(c), 5)) for c, o in loader]
    model, step = skip_gram()
    losses = [step(*batch).item() for _ in range(3) for batch in batches]
    assert losses[0] > 4.1  # 6 log 2
    assert sum(losses[-20:]) / 20 < 2.9
    with cr.no_grad():
        table = F.normalize(model.center.weight, dim=1)
        similarity = table @ table.T
        similarity = similarity.masked_fill(cr.eye(20) > 0, -1.0)
        nearest = similarity.topk(4, dim=1)[1]
    topic = np.repeat(np.arange(4), 5)
    assert (topic[nearest.numpy()] == topic[:, None]).all()
    loaded = saved_and_loaded(model, tmp_path)
    assert loaded(*batches[0]).item() == model(*batches[0]).item()
    assert_compiled_equals_eager(skip_gram, batches[:6])
