"""Whole programs in PyTorch's manner, on decisions: a deep Q-network, and steps of proximal policy optimisation."""

import random
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from support.whole_programs import Step, assert_compiled_equals_eager, saved_and_loaded


class Corridor:
    """Places 0 to 7, from the middle; actions left and right; the right end gives 1, the left one 0.1."""

    places, actions = 8, 2

    def reset(self) -> Any:
        self.at, self.steps = 3, 0
        return self._state()

    def step(self, action: int) -> tuple[Any, float, bool]:
        self.at += 1 if action == 1 else -1
        self.steps += 1
        reward = 1.0 if self.at == self.places - 1 else 0.1 if self.at == 0 else -0.01
        return self._state(), reward, self.at in (0, self.places - 1) or self.steps >= 30

    def _state(self) -> Any:
        state = np.zeros(self.places, dtype=np.float32)
        state[self.at] = 1.0
        return state


# DQN: a net of action values, a target net, and a memory of transitions.


@nn.register_serializable
class QNetwork(nn.Module):
    def __init__(self, n_observations: int, n_actions: int) -> None:
        super().__init__()
        self.n_observations, self.n_actions = n_observations, n_actions
        self.layer1 = nn.Linear(n_observations, 32)
        self.layer2 = nn.Linear(32, 32)
        self.layer3 = nn.Linear(32, n_actions)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = F.relu(self.layer1(x))
        x = F.relu(self.layer2(x))
        return self.layer3(x)

    def config(self) -> dict[str, Any]:
        return {"n_observations": self.n_observations, "n_actions": self.n_actions}


GAMMA, TAU, BATCH = 0.95, 0.05, 32


def dqn() -> tuple[nn.Module, Step]:
    policy_net = QNetwork(Corridor.places, Corridor.actions)
    target_net = QNetwork(Corridor.places, Corridor.actions)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = cr.optim.AdamW(policy_net.parameters(), lr=3e-3, amsgrad=True)
    criterion = nn.SmoothL1Loss()

    def step(state: cr.Tensor, action: cr.Tensor, reward: cr.Tensor, after: cr.Tensor, done: cr.Tensor) -> cr.Tensor:
        state_action_values = policy_net(state).gather(1, action)
        with cr.no_grad():
            next_state_values = target_net(after).max(1)
        expected = reward + GAMMA * next_state_values * (1 - done)
        loss = criterion(state_action_values, expected.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        optimizer.step()
        with cr.no_grad():
            for target, source in zip(target_net.parameters(), policy_net.parameters(), strict=True):
                target.copy_(TAU * source + (1 - TAU) * target)
        return loss

    return nn.ModuleList([policy_net, target_net]), step


def sample(memory: Any, draw: random.Random) -> tuple[cr.Tensor, ...]:
    state, action, reward, after, done = zip(*draw.sample(list(memory), BATCH), strict=True)
    return (
        cr.tensor(np.stack(state)),
        cr.tensor(action).unsqueeze(1),
        cr.tensor(reward, dtype=cr.float32),
        cr.tensor(np.stack(after)),
        cr.tensor(done, dtype=cr.float32),
    )


def played(model: nn.Module) -> float:
    """The rewards of one game of the best actions."""
    environment, total, done = Corridor(), 0.0, False
    state = environment.reset()
    while not done:
        with cr.no_grad():
            action = model(cr.tensor(state).unsqueeze(0)).argmax(1).item()
        state, reward, done = environment.step(action)
        total += reward
    return total


def test_dqn(tmp_path: Path) -> None:
    draw = random.Random(0)
    cr.manual_seed(0)
    nets, step = dqn()
    policy_net, environment, memory = nets[0], Corridor(), deque[Any](maxlen=1000)
    compiled = cr.compile(step)
    steps_done = 0
    for _ in range(60):
        state, done = environment.reset(), False
        while not done:
            epsilon = 0.05 + 0.95 * 0.995**steps_done
            steps_done += 1
            if draw.random() < epsilon:
                action = draw.randrange(2)
            else:
                with cr.no_grad():
                    action = policy_net(cr.tensor(state[None])).argmax(dim=1).item()
            after, reward, done = environment.step(action)
            memory.append((state, action, reward, after, float(done)))
            state = after
            if len(memory) >= BATCH:
                compiled(*sample(memory, draw))
    assert played(policy_net) > 0.9
    q = policy_net(np.eye(Corridor.places)[1:7]).detach()
    assert abs(q[-1, 1].item() - 1.0) < 0.05
    loaded = saved_and_loaded(policy_net, tmp_path)
    assert loaded(np.eye(Corridor.places)[1:7]).tolist() == q.tolist()
    assert_compiled_equals_eager(dqn, [sample(memory, draw) for _ in range(4)])


# PPO: a policy and a value, and the clipped objective.


@nn.register_serializable
class ActorCritic(nn.Module):
    def __init__(self, obs_dim: int, act_dim: int, hidden: int = 32) -> None:
        super().__init__()
        self.sizes = {"obs_dim": obs_dim, "act_dim": act_dim, "hidden": hidden}
        self.body = nn.Sequential(nn.Linear(obs_dim, hidden), nn.Tanh())
        self.actor = nn.Linear(hidden, act_dim)
        self.critic = nn.Linear(hidden, 1)
        nn.init.orthogonal_(self.actor.weight, gain=0.01)
        nn.init.orthogonal_(self.critic.weight, gain=1.0)

    def forward(self, obs: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        x = self.body(obs)
        return F.log_softmax(self.actor(x), dim=-1), self.critic(x).squeeze(-1)

    def config(self) -> dict[str, Any]:
        return self.sizes


def ppo() -> tuple[nn.Module, Step]:
    model = ActorCritic(Corridor.places, Corridor.actions)
    optimizer = cr.optim.Adam(model.parameters(), lr=1e-2, eps=1e-5)

    def step(
        obs: cr.Tensor, actions: cr.Tensor, old_logp: cr.Tensor, advantages: cr.Tensor, returns: cr.Tensor
    ) -> cr.Tensor:
        logp_all, value = model(obs)
        logp = logp_all.gather(1, actions.unsqueeze(1)).squeeze(1)
        entropy = -(logp_all.exp() * logp_all).sum(dim=-1).mean()
        ratio = cr.exp(logp - old_logp)
        advantages = (advantages - advantages.mean()) / (advantages.std(correction=1) + 1e-8)
        surr1 = ratio * advantages
        surr2 = cr.clamp(ratio, 1 - 0.2, 1 + 0.2) * advantages
        policy_loss = -cr.minimum(surr1, surr2).mean()
        value_loss = 0.5 * ((returns - value) ** 2).mean()
        loss = policy_loss + 0.5 * value_loss - 0.01 * entropy
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    return model, step


def rollout(model: nn.Module, steps: int, draw: random.Random) -> tuple[tuple[cr.Tensor, ...], float]:
    """Observations, actions, their log-probabilities, advantages (GAE) and returns; the mean reward of a game."""
    environment = Corridor()
    seen, done = environment.reset(), False
    obs, actions, logps, rewards, dones, values = [], [], [], [], [], []
    for _ in range(steps):
        with cr.no_grad():
            logp, value = model(cr.tensor(seen))
            action = cr.multinomial(logp.exp(), 1).item()
        obs.append(seen)
        actions.append(action)
        logps.append(logp[action].item())
        values.append(value.item())
        seen, reward, done = environment.step(action)
        rewards.append(reward)
        dones.append(done)
        if done:
            seen = environment.reset()
    advantages, last, following = [0.0] * steps, 0.0, 0.0
    for t in reversed(range(steps)):
        mask = 0.0 if dones[t] else 1.0
        delta = rewards[t] + 0.99 * following * mask - values[t]
        last = advantages[t] = delta + 0.99 * 0.95 * mask * last
        following = values[t]
    advantage = cr.tensor(advantages)
    batch = cr.tensor(np.array(obs)), cr.tensor(actions), cr.tensor(logps), advantage, advantage + cr.tensor(values)
    return batch, sum(rewards) / max(1, sum(dones))


def test_ppo(tmp_path: Path) -> None:
    draw = random.Random(0)
    cr.manual_seed(0)
    model, step = ppo()
    compiled = cr.compile(step)
    for _ in range(8):
        batch, reward = rollout(model, 128, draw)
        for _ in range(4):
            for rows in cr.randperm(128).view(2, 64):
                compiled(*[part[rows] for part in batch])
    assert reward > 0.9
    loaded = saved_and_loaded(model, tmp_path)
    for got, wanted in zip(loaded(batch[0]), model(batch[0]), strict=True):
        assert got.tolist() == wanted.tolist()
    assert_compiled_equals_eager(ppo, [batch] * 4)
