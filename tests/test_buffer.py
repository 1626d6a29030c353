"""Discounted sums, GAE and returns against their definitions, written as plain loops."""

import numpy as np
import pytest
from helpers import load
from reference import advantages_by_definition, discounted, returns_by_definition


@pytest.fixture(scope="module")
def ppo():
    """One for all tests here."""
    return load()


@pytest.mark.parametrize("discount", [0, 0.3, 0.9, 1])
@pytest.mark.parametrize("length", [1, 2, 200])
def test_discounted_sums_are_the_double_loop(ppo, discount, length):
    x = np.random.default_rng(length).normal(size=length)
    sums = ppo.discounted_cumulative_sums(x, discount)
    np.testing.assert_allclose(sums, discounted(x, discount), rtol=1e-10, atol=1e-12)


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


def test_gamma_and_lam_reach_the_buffer(ppo):
    assert (ppo.buffer.gamma, ppo.buffer.lam) == (ppo.gamma, ppo.lam)
    assert (ppo.Buffer(4, 1).gamma, ppo.Buffer(4, 1).lam) == (0.99, 0.95)  # the article's own defaults


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


@pytest.mark.parametrize("reward, size", [(0, 1), (0.1, 7), (1e6, 1000)])
def test_equal_advantages_do_not_become_nan(ppo, reward, size):
    buffer = ppo.Buffer(4, size, gamma=0, lam=0)
    for _ in range(size):
        buffer.store(np.zeros(4), 0, reward, 0, 0)
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
