"""The article's functions against plain loops, NumPy and numbers worked by hand."""

from unittest.mock import Mock

import numpy as np
import pytest
import reference
import tensorflow as tf
from helpers import load
from reference import advantages_by_definition, returns_by_definition
from tensorflow import keras


@pytest.fixture(scope="module")
def ppo():
    """One for all tests here."""
    return load()


def fill(buffer, lengths, last_values, seed=0):
    """Store trajectories of these lengths; return the rewards and values stored."""
    rng = np.random.default_rng(seed)
    rewards, values = rng.normal(size=(2, sum(lengths))).astype(np.float32)
    step = 0
    for length, last_value in zip(lengths, last_values, strict=True):
        for _ in range(length):
            buffer.store(np.full((1, 4), step), step % 2, rewards[step], values[step], -step / 10)
            step += 1
        buffer.finish_trajectory(last_value)
    return rewards, values


@pytest.mark.parametrize("gamma, lam", [(0.9, 0.97), (0.99, 0.95), (0, 0.5), (1, 0), (1, 1)])
@pytest.mark.parametrize("lengths, last_values", [([6], [2.5]), ([1], [0]), ([3, 1, 5, 4], [0, 0, 0, 1.75])])
def test_advantages_and_returns_are_the_definitions(ppo, gamma, lam, lengths, last_values):
    buffer = ppo.Buffer(4, sum(lengths), gamma, lam)
    rewards, values = fill(buffer, lengths, last_values)
    start = 0
    for length, last_value in zip(lengths, last_values, strict=True):
        path = slice(start, start + length)
        advantages = advantages_by_definition(rewards[path], [*values[path], last_value], gamma, lam)
        np.testing.assert_allclose(buffer.advantage_buffer[path], advantages, rtol=1e-5, atol=1e-5)
        returns = returns_by_definition(rewards[path], last_value, gamma)
        np.testing.assert_allclose(buffer.return_buffer[path], returns, rtol=1e-5, atol=1e-5)
        start += length


def test_get_gives_what_was_stored_and_scales_the_advantages(ppo):
    buffer = ppo.Buffer(4, 50)
    for seed in (0, 1):  # the second epoch fills the same buffer again
        fill(buffer, [20, 30], [0, 3], seed)
        raw, returns = buffer.advantage_buffer.astype(float), buffer.return_buffer.copy()
        observations, actions, advantages, targets, logprobabilities = buffer.get()
        assert (buffer.pointer, buffer.trajectory_start_index) == (0, 0)
        np.testing.assert_array_equal(observations, np.repeat(np.arange(50.0), 4).reshape(50, 4))
        np.testing.assert_array_equal(actions, np.arange(50) % 2)
        np.testing.assert_allclose(logprobabilities, -np.arange(50) / 10, rtol=1e-6)
        np.testing.assert_array_equal(targets, returns)
        np.testing.assert_allclose(advantages, (raw - raw.mean()) / raw.std(), rtol=1e-4, atol=1e-6)
        assert {array.dtype.name for array in (observations, advantages, targets)} == {"float32"}
        assert actions.dtype == np.int32


def test_equal_advantages_do_not_become_nan(ppo):
    buffer = ppo.Buffer(4, 7, gamma=0, lam=0)
    for _ in range(7):
        buffer.store(np.zeros(4), 0, 0.1, 0, 0)
    buffer.finish_trajectory()
    assert np.all(np.isfinite(buffer.get()[2]))


def test_the_numbers_in_the_docstrings(ppo):
    """What a reader checks by hand: three rewards of 1, then a fall; each value is 2."""
    assert ppo.discounted_cumulative_sums([1, 1, 1], 0.9) == pytest.approx([2.71, 1.9, 1])
    for lam, advantages in (0.97, [0.74, -0.07, -1]), (1, [2.71 - 2, 1.9 - 2, 1 - 2]), (0, [0.8, 0.8, -1]):
        buffer = ppo.Buffer(4, 3, 0.9, lam)
        for _ in range(3):
            buffer.store(np.zeros(4), 0, 1, 2, 0)
        buffer.finish_trajectory(0)
        assert buffer.return_buffer == pytest.approx([2.71, 1.9, 1])
        assert buffer.advantage_buffer == pytest.approx(advantages, abs=0.005)


class Logits:
    """Stands in for the actor: its logits are its only weights, whatever it observes."""

    def __init__(self, probabilities):
        self.logits = tf.Variable(np.log(probabilities), dtype=tf.float32)
        self.trainable_variables = [self.logits]

    def __call__(self, observations):
        return self.logits


@pytest.mark.parametrize("seed, hidden", [(0, (64, 64)), (1, (8, 16, 5)), (2, (3,))])
def test_actor_and_critic_are_the_articles_layers_bit_for_bit(seed, hidden):
    rates = {"policy_learning_rate": 1e-3, "value_function_learning_rate": 1e-5}
    ppo = load(seed=seed, hidden_sizes=hidden, **rates)
    keras.utils.set_random_seed(seed)
    for name, outputs in ("actor", 2), ("critic", 1):
        x = y = keras.Input(shape=(4,))
        for units in hidden:
            y = keras.layers.Dense(units, activation="tanh")(y)
        network, expected = getattr(ppo, name), keras.Model(x, keras.layers.Dense(outputs)(y))
        for weight, expected_weight in zip(network.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, expected_weight, f"{name}: other initial weights")
        for rows in 1, 32:
            data = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
            values = reference.forward(reference.layers_of(network), data)[-1]
            shape = (rows, 2) if name == "actor" else (rows,)
            assert network(data).shape == shape
            np.testing.assert_allclose(network(data), values.reshape(shape), atol=1e-6)
    own = [optimizer.learning_rate.numpy() for optimizer in (ppo.policy_optimizer, ppo.value_optimizer)]
    np.testing.assert_allclose(own, list(rates.values()))


def test_log_probabilities_against_numpy(ppo):
    logits = np.array([[0, 0], [1, -1], [1e4, -1e4], [-1e4, 1e4], [80, 90]], np.float32)
    expected = reference.log_softmax(logits)
    assert expected[0, 0] == pytest.approx(np.log(0.5))
    both = [ppo.logprobabilities(logits, np.full(5, action)).numpy() for action in (0, 1)]
    np.testing.assert_allclose(np.transpose(both), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.exp(both).sum(axis=0), np.ones(5), rtol=1e-6)


def test_sampled_actions_have_the_frequencies_of_the_softmax(ppo):
    probabilities = np.array([[0.5, 0.5], [0.9, 0.1], [0.02, 0.98]])
    draws = 20000
    ppo.actor = Logits(np.repeat(probabilities, draws, axis=0))
    logits, actions = ppo.sample_action(np.zeros((3 * draws, 4), np.float32))
    np.testing.assert_array_equal(logits, ppo.actor.logits)
    assert actions.shape == (3 * draws,)
    frequency = actions.numpy().reshape(3, draws).mean(axis=1)
    # Five standard deviations: a sound sampler fails once in half a million times.
    tolerance = 5 * np.sqrt(probabilities[:, 0] * probabilities[:, 1] / draws)
    assert np.all(np.abs(frequency - probabilities[:, 1]) < tolerance)


# Advantage and ratio: far enough towards a good action, or from a bad one, the gradient is 0; within the
# limits, and where it went the wrong way, it is there in full. The docstring's cases, and some more.
CLIPPED = [(2.0, 1.3), (-2.0, 0.7), (1.0, 1.5), (-1.0, 0.5)]
LIVE = [(2.0, 1.1), (2.0, 0.7), (-2.0, 1.3), (1.0, 1.0), (-1.0, 1.0), (-1.0, 0.9)]


@pytest.mark.parametrize("advantage, ratio", CLIPPED + LIVE)
def test_policy_gradient_by_hand(ppo, advantage, ratio):
    p = ratio / 2  # the old probability of every action is 0.5
    ppo.actor, ppo.policy_optimizer = Logits([[1 - p, p]]), Mock()
    old, advantages = np.log([0.5]).astype(np.float32), np.array([advantage], np.float32)
    ppo.train_policy.python_function(np.zeros((1, 4), np.float32), np.array([1]), old, advantages)
    ((gradient, _),) = ppo.policy_optimizer.apply_gradients.call_args.args[0]
    # d ratio / d logits = ratio * (one_hot - probabilities)
    slope = 0 if (advantage, ratio) in CLIPPED else advantage * ratio * (1 - p)
    np.testing.assert_allclose(gradient, [[slope, -slope]], rtol=1e-5)
