"""Training as a whole, replayed in NumPy from the actions it took; seeds, repeats, breaks."""

import re
import threading
from unittest.mock import Mock

import gym
import numpy as np
import pytest
import reference
import tensorflow as tf
from helpers import averages, load, run_here
from reference import forward, log_probability


def trained(ppo, monkeypatch):
    """Train; return, epoch by epoch, the log, the actions taken and the weights of both networks."""
    epochs = {}

    def scalar(name, value, step):
        weights = {"actor": ppo.actor.get_weights(), "critic": ppo.critic.get_weights()}
        epochs.setdefault(step, {"actions": ppo.buffer.action_buffer.copy(), **weights})[name] = float(value)

    monkeypatch.setattr(tf.summary, "scalar", scalar)
    ppo.train()
    return [epochs[step] for step in range(1, len(epochs) + 1)]


def replayed(ppo, env, actor, critic, taken):
    """The same epochs by the reference, in an environment of its own, given the actions taken."""
    actor_adam = reference.Adam(ppo.policy_learning_rate)
    critic_adam = reference.Adam(ppo.value_function_learning_rate)
    env.seed(ppo.seed)
    observation = env.reset()
    for actions in taken:
        observations, advantages, returns, trajectories, first = [], [], [], 0, 0
        for t, action in enumerate(actions):
            observations.append(observation)
            observation, reward, done, _ = env.step(int(action))
            assert reward == 1
            if done or t == len(actions) - 1:
                values = forward(critic, [*observations[first:], observation])[-1][:, 0]
                values[-1] = 0 if done else values[-1]
                rewards = [1.0] * (t + 1 - first)
                advantages += reference.advantages_by_definition(rewards, values, ppo.gamma, ppo.lam)
                returns += reference.returns_by_definition(rewards, values[-1], ppo.gamma)
                observation, first, trajectories = env.reset(), t + 1, trajectories + 1
        advantages = (advantages - np.mean(advantages)) / (np.std(advantages) + 1e-8)
        returns = np.array(returns)
        old = log_probability(actor, observations, actions)
        for iterations in range(1, ppo.train_policy_iterations + 1):
            data = observations, actions, old, advantages
            actor = actor_adam.step(actor, reference.policy_gradients(actor, *data, ppo.clip_ratio))
            kl = np.mean(old - log_probability(actor, observations, actions))
            if kl > 1.5 * ppo.target_kl:
                break
        predicted = forward(critic, observations)[-1][:, 0]
        for _ in range(ppo.train_value_iterations):
            critic = critic_adam.step(critic, reference.value_gradients(critic, observations, returns))
        with np.errstate(invalid="ignore"):  # one step: 0/0, as in the log
            unexplained = np.var(returns - predicted) / np.var(returns)
        ratios = np.exp(log_probability(actor, observations, actions) - old)
        yield {
            "average reward": len(actions) / trajectories,
            "KL": kl,
            "policy iterations": iterations,
            "clip fraction": np.mean((ratios < 1 - ppo.clip_ratio) | (ratios > 1 + ppo.clip_ratio)),
            "value loss": np.mean((forward(critic, observations)[-1][:, 0] - returns) ** 2),
            "explained variance": 1 - unexplained,
            "entropy": -np.mean(old),
            "actor": sum(actor, ()),
            "critic": sum(critic, ()),
        }


NATURAL = {"steps_per_epoch": 150, "epochs": 4, "train_policy_iterations": 12, "train_value_iterations": 9}
FAST = {"policy_learning_rate": 3e-3, "value_function_learning_rate": 1e-3}
CASES = [  # each with the environment's own limit of steps, and whether a window is drawn
    (NATURAL | FAST | {"target_kl": 0.012}, 200, False),
    (NATURAL | FAST | {"gamma": 0.99, "lam": 0.5, "clip_ratio": 0.05, "seed": 3}, 200, False),
    ({"steps_per_epoch": 10, "epochs": 3}, 5, False),  # ends with the epoch, cuts off: counts as falling
    ({"steps_per_epoch": 1, "epochs": 2, "seed": 7}, 200, False),
    (NATURAL | {"steps_per_epoch": 47, "epochs": 2}, 200, True),
]


@pytest.mark.parametrize("values, limit, live", CASES)
def test_training_is_what_the_papers_say(monkeypatch, capsys, values, limit, live):
    ppo = load(**values, render=live)
    ppo.env, own = (gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, limit) for _ in range(2))
    ppo.env.render = lambda: None
    networks = [reference.layers_of(network) for network in (ppo.actor, ppo.critic)]
    epochs = trained(ppo, monkeypatch)
    assert len(epochs) == ppo.epochs
    replay = replayed(ppo, own, *networks, [epoch["actions"] for epoch in epochs])
    for number, (epoch, expected) in enumerate(zip(epochs, replay, strict=True), 1):
        assert epoch.keys() == expected.keys() | {"actions"}
        for name in expected.keys() - {"actor", "critic"}:
            near = pytest.approx(expected[name], rel=1e-4, abs=1e-5, nan_ok=ppo.steps_per_epoch == 1)
            assert epoch[name] == near, f"epoch {number}: {name}"
        for network in "actor", "critic":
            for layer, pair in enumerate(zip(epoch[network], expected[network], strict=True)):
                np.testing.assert_allclose(*pair, atol=2e-5, err_msg=f"epoch {number}: {network}, {layer}")
    printed = averages(capsys.readouterr().out.splitlines())
    assert printed == [epoch["average reward"] for epoch in epochs]
    if "target_kl" in values:  # one epoch stopped on the KL, another did not; several trajectories
        iterations = {epoch["policy iterations"] for epoch in epochs}
        assert min(iterations) < 12 == max(iterations), "the KL stopped in all epochs or in none"
        assert all(average < 75 for average in printed)


def test_it_is_the_articles_loop_to_the_last_digit():
    ours = load(steps_per_epoch=700, epochs=3)
    ours.train()
    theirs = load(steps_per_epoch=700, epochs=3)
    theirs.env.seed(theirs.seed)
    reference.article_train(theirs, range(3))
    for name in "observation", "action", "reward", "value", "logprobability", "advantage", "return":
        pair = (getattr(ppo.buffer, f"{name}_buffer") for ppo in (ours, theirs))
        np.testing.assert_array_equal(*pair, f"{name}s of the last epoch")
    for name in "actor", "critic":
        for pair in zip(*(getattr(ppo, name).get_weights() for ppo in (ours, theirs)), strict=True):
            np.testing.assert_array_equal(*pair, name)


def test_an_episode_ends_with_step_200(ppo):
    observation, steps, done = ppo.env.reset(), 0, False
    while not done:  # push to where the pole leans and turns: it stays up
        observation, _, done, _ = ppo.env.step(int(observation[2] + observation[3] > 0))
        steps += 1
    assert steps == 200


def test_training_starts_anew_after_it_broke_off():
    ppo = load(steps_per_epoch=30, epochs=1)
    ppo.buffer.pointer, ppo.buffer.trajectory_start_index = 24, 20
    ppo.buffer.advantage_buffer[:] = np.nan
    ppo.train()


@pytest.mark.parametrize("epoch, kl, loss", [(1, np.nan, 0.0), (2, np.inf, 0.0), (3, 0.0, np.nan)])
def test_infinite_numbers_end_the_training_in_any_epoch(epoch, kl, loss):
    ppo = load(steps_per_epoch=9, epochs=3)
    logs = [{"KL": 0.0, "value loss": 0.0}] * (epoch - 1) + [{"KL": kl, "value loss": loss}]
    ppo.update = Mock(side_effect=logs)
    with pytest.raises(FloatingPointError, match=f"KL {kl:g}, value loss {loss:g} in epoch {epoch}"):
        ppo.train()


def test_networks_that_are_not_finite_are_not_saved(tmp_path):
    options = "--epochs 1 --steps-per-epoch 50 --no-gif --value-function-learning-rate 1e30".split()
    process = run_here(*options, "--output-dir", tmp_path)
    assert re.fullmatch(r"ppo_cartpole.py: error: .*KL .* value loss .* in epoch 1; .*", process.code)
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_the_main_thread_draws_and_nothing_is_retraced():
    ppo, calls, traces = load(steps_per_epoch=20), [], []
    ppo.env.render = lambda: calls.append(threading.current_thread())
    functions = ppo.rollout, ppo.update, ppo.sample_action, ppo.train_policy, ppo.train_value_function
    for render, epochs in (False, 1), (True, 1), (False, 9), (True, 2):
        ppo.render, ppo.epochs = render, epochs
        ppo.train()
        assert not tf.config.functions_run_eagerly()
        traces.append([function.experimental_get_tracing_count() for function in functions])
    assert calls == [threading.main_thread()] * 60
    assert traces == [traces[0]] * 4 and traces[0][:2] == [1, 1] and all(traces[0])  # they run as graphs


SMALL = "--steps-per-epoch 300 --epochs 2 --train-policy-iterations 20 --train-value-iterations 20".split()
# Each must show in 600 steps. The replay above checks gamma, lam, clip_ratio and the learning rates.
OTHER = ["--steps-per-epoch 301", "--epochs 3", "--train-policy-iterations 1", "--train-value-iterations 19"]
OTHER += ["--target-kl 1e-6", "--hidden-sizes 32 32", "--seed 1"]


def outcome(folder, *options):
    """The lines and final weights of a small run."""
    process = run_here(*SMALL, "--no-gif", "--output-dir", folder, *options)
    assert process.code is None
    weights = process.names["actor"].get_weights() + process.names["critic"].get_weights()
    return process.output, [weight.tolist() for weight in weights]


@pytest.fixture(scope="module")
def small_outcome(tmp_path_factory):
    return outcome(tmp_path_factory.mktemp("small"))


def test_the_same_seed_gives_the_same_run(tmp_path, small_outcome):
    assert outcome(tmp_path) == small_outcome


@pytest.mark.parametrize("option", OTHER)
def test_every_hyperparameter_changes_the_run(tmp_path, small_outcome, option):
    assert outcome(tmp_path, *option.split()) != small_outcome
