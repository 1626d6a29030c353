"""Discounted sums, GAE and returns against their definitions, written as plain loops."""

import numpy as np
import pytest
from conftest import load


@pytest.fixture(scope="module")
def ppo():
    """One module for all of them: they change nothing in it."""
    return load()


def discounted_by_loops(x, discount):
    return [
        sum(discount ** (later - t) * x[later] for later in range(t, len(x))) for t in range(len(x))
    ]


@pytest.mark.parametrize("discount", [0, 0.3, 0.9, 0.99, 1])
@pytest.mark.parametrize("length", [1, 2, 7, 200])
def test_discounted_sums_are_the_double_loop(ppo, discount, length):
    x = np.random.default_rng(length).normal(size=length)
    result = ppo.discounted_cumulative_sums(x, discount)
    np.testing.assert_allclose(result, discounted_by_loops(x, discount), rtol=1e-10, atol=1e-12)


def test_discounted_sums_by_hand(ppo):
    # 3; 2 + 0.5 * 3 = 3.5; 1 + 0.5 * 3.5 = 2.75
    np.testing.assert_allclose(ppo.discounted_cumulative_sums([1, 2, 3], 0.5), [2.75, 3.5, 3])
    np.testing.assert_array_equal(ppo.discounted_cumulative_sums([1, 2, 3], 0), [1, 2, 3])
    np.testing.assert_array_equal(ppo.discounted_cumulative_sums([1, 2, 3], 1), [6, 5, 3])


def advantages_by_definition(rewards, values, last_value, gamma, lam):
    """Schulman et al. 2016, equation 16: the (gamma * lam)-discounted sum of TD errors."""
    values = [*values, last_value]
    errors = [rewards[t] + gamma * values[t + 1] - values[t] for t in range(len(rewards))]
    return [
        sum((gamma * lam) ** (later - t) * errors[later] for later in range(t, len(errors)))
        for t in range(len(errors))
    ]


def returns_by_definition(rewards, last_value, gamma):
    """Rewards to go, what follows the cut standing in for the rewards not seen."""
    n = len(rewards)
    return [
        sum(gamma ** (later - t) * rewards[later] for later in range(t, n))
        + gamma ** (n - t) * last_value
        for t in range(n)
    ]


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
@pytest.mark.parametrize(
    "lengths, last_values",
    [([6], [0]), ([6], [2.5]), ([1], [0]), ([1], [-1.5]), ([3, 1, 5, 4], [0, 0, 0, 1.75])],
)
def test_advantages_and_returns_are_the_definitions(ppo, gamma, lam, lengths, last_values):
    buffer = ppo.Buffer(4, sum(lengths), gamma, lam)
    rewards, values = fill(buffer, lengths, last_values)
    start = 0
    for length, last_value in zip(lengths, last_values, strict=True):
        path = slice(start, start + length)
        expected = advantages_by_definition(rewards[path], values[path], last_value, gamma, lam)
        np.testing.assert_allclose(buffer.advantage_buffer[path], expected, rtol=1e-5, atol=1e-5)
        expected = returns_by_definition(rewards[path], last_value, gamma)
        np.testing.assert_allclose(buffer.return_buffer[path], expected, rtol=1e-5, atol=1e-5)
        start += length


def test_finish_trajectory_by_hand(ppo):
    buffer = ppo.Buffer(1, 2, gamma=0.5, lam=0.5)
    buffer.store(0, 0, 1, 2, 0)
    buffer.store(0, 0, 1, 4, 0)
    buffer.finish_trajectory(8)
    # TD errors: 1 + 0.5 * 4 - 2 = 1 and 1 + 0.5 * 8 - 4 = 1; 1 + 0.25 * 1 = 1.25
    np.testing.assert_array_equal(buffer.advantage_buffer, [1.25, 1])
    # 1 + 0.5 * 8 = 5; 1 + 0.5 * 5 = 3.5
    np.testing.assert_array_equal(buffer.return_buffer, [3.5, 5])


def test_the_critics_value_counts_only_where_a_trajectory_was_cut(ppo):
    finished, cut = ppo.Buffer(4, 5), ppo.Buffer(4, 5)
    fill(finished, [5], [0])
    fill(cut, [5], [1])
    assert np.all(cut.return_buffer > finished.return_buffer)


@pytest.mark.parametrize("other", [{"gamma": 0.5}, {"lam": 0.5}])
def test_gamma_and_lam_each_change_the_result(ppo, other):
    declared = {"gamma": 0.9, "lam": 0.97}
    one, two = ppo.Buffer(4, 9, **declared), ppo.Buffer(4, 9, **{**declared, **other})
    fill(one, [9], [0])
    fill(two, [9], [0])
    assert not np.allclose(one.advantage_buffer, two.advantage_buffer)
    assert np.allclose(one.return_buffer, two.return_buffer) == ("gamma" not in other)


def test_the_modules_buffer_has_the_modules_gamma_and_lam(ppo):
    assert (ppo.buffer.gamma, ppo.buffer.lam) == (ppo.gamma, ppo.lam) == (0.90, 0.97)
    assert len(ppo.buffer.reward_buffer) == ppo.steps_per_epoch == 5000


def test_get_gives_what_was_stored_with_advantages_of_mean_0_and_deviation_1(ppo):
    buffer = ppo.Buffer(4, 50)
    for seed in (0, 1):  # the second epoch fills the same buffer again
        fill(buffer, [20, 30], [0, 3], seed)
        raw, returns = buffer.advantage_buffer.copy(), buffer.return_buffer.copy()
        observations, actions, advantages, targets, logprobabilities = buffer.get()
        np.testing.assert_array_equal(observations, np.repeat(np.arange(50.0), 4).reshape(50, 4))
        np.testing.assert_array_equal(actions, np.arange(50) % 2)
        np.testing.assert_allclose(logprobabilities, -np.arange(50) / 10, rtol=1e-6)
        np.testing.assert_array_equal(targets, returns)
        assert abs(np.mean(advantages, dtype=np.float64)) < 1e-6
        assert abs(np.std(advantages, dtype=np.float64) - 1) < 1e-5
        np.testing.assert_allclose(np.corrcoef(raw, advantages)[0, 1], 1, rtol=1e-6)
        assert {array.dtype.name for array in (observations, advantages, targets)} == {"float32"}
        assert actions.dtype == np.int32


@pytest.mark.parametrize("reward", [0, 1, 0.1, 1e6])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_equal_advantages_do_not_become_nan(ppo, reward, size):
    buffer = ppo.Buffer(4, size, gamma=0, lam=0)
    for _ in range(size):
        buffer.store(np.zeros(4), 0, reward, 0, 0)
    buffer.finish_trajectory()
    assert np.all(np.isfinite(buffer.get()[2]))


def test_a_full_buffer_takes_no_more(ppo):
    buffer = ppo.Buffer(4, 2)
    fill(buffer, [2], [0])
    with pytest.raises(IndexError):
        buffer.store(np.zeros(4), 0, 0, 0, 0)
