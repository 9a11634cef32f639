"""Whole programs in PyTorch's manner, on images: a ResNet of 32 x 32 pixels, and a VAE with transposed convolutions."""

from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from chainrule.data import DataLoader, TensorDataset
from support.whole_programs import Step, assert_compiled_equals_eager, saved_and_loaded

# A ResNet: which colour has the stripes, and in which direction they lie.


@nn.register_serializable
class BasicBlock(nn.Module):
    def __init__(self, in_planes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.arguments = {"in_planes": in_planes, "planes": planes, "stride": stride}
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)

    def config(self) -> dict[str, Any]:
        return self.arguments


@nn.register_serializable
class ResNet(nn.Module):
    def __init__(self, num_blocks: list[int], num_classes: int = 4) -> None:
        super().__init__()
        self.num_blocks, self.num_classes = num_blocks, num_classes
        self.in_planes = 4
        self.conv1 = nn.Conv2d(3, 4, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = self._make_layer(4, num_blocks[0], stride=1)
        self.layer2 = self._make_layer(8, num_blocks[1], stride=2)
        self.layer3 = self._make_layer(16, num_blocks[2], stride=2)
        self.linear = nn.Linear(16, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def _make_layer(self, planes: int, num_blocks: int, stride: int) -> nn.Sequential:
        layers = []
        for s in [stride] + [1] * (num_blocks - 1):
            layers.append(BasicBlock(self.in_planes, planes, s))
            self.in_planes = planes
        return nn.Sequential(*layers)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = F.avg_pool2d(out, 8)
        out = out.view(out.size(0), -1)
        return self.linear(out)

    def config(self) -> dict[str, Any]:
        return {"num_blocks": self.num_blocks, "num_classes": self.num_classes}


def resnet() -> tuple[nn.Module, Step]:
    net = ResNet([1, 1, 1])
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    optimizer = cr.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def step(inputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        return loss

    return net, step


def stripes(rows: int) -> TensorDataset:
    """(rows, 3, 32, 32): noise, and stripes of random phase in the red or green channel, upright or level."""
    cr.manual_seed(0)
    images = 0.5 * cr.randn(rows, 3, 32, 32).numpy()
    classes = cr.randint(0, 4, (rows,)).numpy()
    phases = cr.randint(0, 8, (rows,)).numpy()
    for image, kind, phase in zip(images, classes, phases, strict=True):
        wave = np.where((np.arange(32) + phase) % 8 < 4, 0.7, -0.7)
        image[kind % 2] += wave[:, None] if kind < 2 else wave
    return TensorDataset(images, classes)


def test_resnet(tmp_path: Path) -> None:
    data = stripes(200)
    trainloader = DataLoader(TensorDataset(*data[:160]), batch_size=16, shuffle=True, num_workers=2)
    testloader = DataLoader(TensorDataset(*data[160:]), batch_size=20, shuffle=False)
    cr.manual_seed(1)
    net, step = resnet()
    compiled = cr.compile(step)
    for _ in range(6):
        net.train()
        for inputs, targets in trainloader:
            compiled(inputs, targets)
    net.eval()
    correct, total = 0, 0
    with cr.no_grad():
        for inputs, targets in testloader:
            outputs = net(inputs)
            predicted = outputs.argmax(dim=1)
            total += targets.size(0)
            correct += (predicted.numpy() == targets.numpy()).sum().item()
    assert correct / total > 0.9
    assert saved_and_loaded(net, tmp_path)(inputs).tolist() == outputs.tolist()
    assert_compiled_equals_eager(resnet, list(trainloader)[:3])


# A VAE: convolutions down to a mean and a variance, transposed convolutions up to the image.


@nn.register_serializable
class VAE(nn.Module):
    def __init__(self, latent_dim: int = 4) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1),  # 16 -> 8
            nn.ReLU(),
            nn.Conv2d(8, 16, 4, stride=2, padding=1),  # 8 -> 4
            nn.ReLU(),
            nn.Flatten(),
        )
        self.fc_mu = nn.Linear(16 * 4 * 4, latent_dim)
        self.fc_logvar = nn.Linear(16 * 4 * 4, latent_dim)
        self.fc_decode = nn.Linear(latent_dim, 16 * 4 * 4)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def encode(self, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        h = self.encoder(x)
        return self.fc_mu(h), self.fc_logvar(h)

    def decode(self, z: cr.Tensor) -> cr.Tensor:
        return self.decoder(F.relu(self.fc_decode(z)).view(-1, 16, 4, 4))

    def reparameterize(self, mu: cr.Tensor, logvar: cr.Tensor) -> cr.Tensor:
        std = cr.exp(0.5 * logvar)
        return mu + cr.randn_like(std) * std if self.training else mu

    def forward(self, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor, cr.Tensor]:
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar

    def config(self) -> dict[str, Any]:
        return {"latent_dim": self.latent_dim}


def loss_function(recon_x: cr.Tensor, x: cr.Tensor, mu: cr.Tensor, logvar: cr.Tensor) -> cr.Tensor:
    BCE = F.binary_cross_entropy(recon_x, x, reduction="sum")
    KLD = -0.5 * cr.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (BCE + KLD) / x.size(0)


def vae() -> tuple[nn.Module, Step]:
    model = VAE()
    optimizer = cr.optim.Adam(model.parameters(), lr=3e-3)

    def step(x: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        recon, mu, logvar = model(x)
        loss = loss_function(recon, x, mu, logvar)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def squares(rows: int) -> cr.Tensor:
    """(rows, 1, 16, 16): bright squares of 5 pixels."""
    cr.manual_seed(0)
    images = np.full((rows, 1, 16, 16), 0.02, dtype=np.float32)
    for image, (i, j) in zip(images, cr.randint(0, 12, (rows, 2)).tolist(), strict=True):
        image[0, i : i + 5, j : j + 5] = 0.98
    return cr.from_numpy(images)


def test_vae(tmp_path: Path) -> None:
    images = squares(320)
    cr.manual_seed(1)
    model, step = vae()
    compiled = cr.compile(step)
    model.train()
    for _ in range(30):
        total = 0.0
        for x in DataLoader(images, batch_size=32, shuffle=True):
            total += compiled(x).item()
    assert total / 10 < 60  # 25 bits of noise in the images themselves; 98 for their mean
    model.eval()
    with cr.no_grad():
        recon, _, _ = model(images[:8])
        error = F.l1_loss(recon, images[:8]).item()
        sample = model.decode(cr.randn(6, model.latent_dim))
    assert error < 0.1
    assert sample.shape == (6, 1, 16, 16)
    loaded = saved_and_loaded(model, tmp_path)
    assert loaded(images[:8])[0].tolist() == recon.tolist()
    assert_compiled_equals_eager(vae, [(images[i : i + 32],) for i in range(0, 96, 32)])
