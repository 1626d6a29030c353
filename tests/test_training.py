"""Sampling, the epoch loop and learning, against a replay in an environment of the test's own."""

import gc
import re
import threading
from types import SimpleNamespace

import gym
import numpy as np
import pytest
import reference
import tensorflow as tf
from conftest import run_here

LINE = re.compile(r"完成第 (\d+) 轮训练， 平均奖励: (\d+\.\d+)")


def averages(lines):
    """The printed averages, after a check of each line's form and number."""
    matches = [LINE.fullmatch(line) for line in lines if line.startswith("完成")]
    assert all(matches) and [int(m[1]) for m in matches] == list(range(1, len(matches) + 1))
    return [float(match[2]) for match in matches]


def watch(ppo):
    """Train, and copy what each epoch stored, at the moment before it is used.

    Returns an epoch's copies, its trajectories as (start, end, last_value), and what fresh
    forward passes with the networks of that moment give.
    """
    seen, trajectories = [], []
    get, finish = ppo.buffer.get, ppo.buffer.finish_trajectory

    def watched_finish(last_value=0):
        start = ppo.buffer.trajectory_start_index
        trajectories.append((start, ppo.buffer.pointer, float(np.squeeze(last_value))))
        finish(last_value)

    def watched_get():
        names = ("observation", "action", "reward", "value", "logprobability", "advantage")
        epoch = {name: getattr(ppo.buffer, f"{name}_buffer").copy() for name in names}
        actor, critic = reference.layers_of(ppo.actor), reference.layers_of(ppo.critic)
        epoch["critic"] = critic
        epoch["fresh value"] = reference.forward(critic, epoch["observation"])[-1][:, 0]
        epoch["fresh logprobability"] = reference.log_probability(
            actor, epoch["observation"], epoch["action"]
        )
        seen.append(SimpleNamespace(trajectories=list(trajectories), **{"data": epoch}))
        trajectories.clear()
        return get()

    ppo.buffer.get, ppo.buffer.finish_trajectory = watched_get, watched_finish
    ppo.train()
    return seen


# 300 steps cut the last episode off; 9 and 1 are fewer than any episode's.
@pytest.mark.parametrize("steps_per_epoch, epochs", [(300, 3), (9, 2), (1, 2)])
def test_what_is_stored_is_what_happened(small, capsys, steps_per_epoch, epochs):
    ppo = small(steps_per_epoch, epochs)
    seen = watch(ppo)
    assert len(seen) == epochs

    replay = gym.make("CartPole-v0")
    replay.seed(ppo.seed)
    counts = []
    for epoch in seen:
        stored = epoch.data
        position = 0
        for start, end, last_value in epoch.trajectories:
            assert start == position < end
            observation, done = replay.reset(), False
            for t in range(start, end):
                assert not done
                np.testing.assert_array_equal(stored["observation"][t], observation)
                observation, reward, done, _ = replay.step(int(stored["action"][t]))
                assert stored["reward"][t] == reward == 1
            position = end
            assert done or end == steps_per_epoch
            # 0 where the episode ended; V of the next observation where the epoch cut it off.
            value = reference.forward(stored["critic"], [observation])[-1].item()
            assert last_value == pytest.approx(0 if done else value, abs=1e-5)
        assert position == steps_per_epoch
        np.testing.assert_allclose(stored["value"], stored["fresh value"], atol=1e-5)
        np.testing.assert_allclose(
            stored["logprobability"], stored["fresh logprobability"], atol=1e-5
        )
        counts.append(len(epoch.trajectories))
    assert averages(capsys.readouterr().out.splitlines()) == [steps_per_epoch / n for n in counts]


def test_an_epoch_that_ends_exactly_with_an_episode(small, capsys):
    ppo = small(10, 2)
    ppo.env = gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, 5)
    for epoch in watch(ppo):
        assert epoch.trajectories == [(0, 5, 0), (5, 10, 0)]  # over, not cut off
    assert averages(capsys.readouterr().out.splitlines()) == [5, 5]


def test_reaching_the_time_limit_is_treated_as_falling(small):
    ppo = small(7, 1)
    ppo.env = gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, 4)
    assert [end for _, end, value in watch(ppo)[0].trajectories if value == 0] == [4]


def test_outside_the_graph_the_same_function_does_the_same(small):
    ppo = small(40, 1)
    results = []
    for sample in (ppo.sample_trajectory, ppo.sample_trajectory.python_function):
        ppo.env.seed(3)
        ppo.buffer = ppo.Buffer(4, 40)
        ppo.actor.layers[-1].bias.assign([100, -100])  # always left: no chance in it
        observation, length, done = sample(ppo.env.reset().reshape(1, -1), tf.constant(40))
        results.append((observation, int(length), bool(done), vars(ppo.buffer)))
        ppo.sample_trajectory = tf.function(ppo.sample_trajectory.python_function)
    (one, two) = results
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1:3] == two[1:3]
    for name, stored in one[3].items():
        np.testing.assert_allclose(stored, two[3][name], atol=1e-6)


@pytest.mark.parametrize(
    "estimates, expected",
    [
        ([0.001, 0.0149, 0.0151, 9], 3),  # the first above 1.5 x 0.01
        ([9], 1),
        ([0.0149] * 7, 7),  # never above: all iterations
    ],
)
def test_policy_updates_stop_at_the_first_large_kl(small, estimates, expected):
    ppo = small(30, 1)
    ppo.train_policy_iterations = 7
    ppo.train_value_iterations = 4
    calls = {"policy": 0, "value": 0}

    def train_policy(*arguments):
        calls["policy"] += 1
        return tf.constant(estimates[calls["policy"] - 1], tf.float32)

    def train_value_function(*arguments):
        calls["value"] += 1

    ppo.train_policy, ppo.train_value_function = train_policy, train_value_function
    ppo.train()
    assert calls == {"policy": expected, "value": 4}


def test_updates_get_the_epochs_data(small):
    ppo = small(30, 1)
    got = {}
    ppo.train_policy = lambda *data: got.update(policy=data) or tf.constant(1.0)
    ppo.train_value_function = lambda *data: got.update(value=data)
    stored = watch(ppo)[0].data
    observations, actions, old, advantages = got["policy"]
    np.testing.assert_array_equal(observations, stored["observation"])
    np.testing.assert_array_equal(actions, stored["action"])
    np.testing.assert_array_equal(old, stored["logprobability"])
    raw = stored["advantage"]
    np.testing.assert_allclose(advantages, (raw - raw.mean()) / raw.std(), atol=1e-5)
    np.testing.assert_array_equal(got["value"][0], stored["observation"])
    np.testing.assert_array_equal(got["value"][1], ppo.buffer.return_buffer)


@pytest.mark.parametrize("broken", ["KL", "value loss"])
def test_a_loss_that_is_not_finite_stops_the_run(small, broken):
    ppo = small(30, 5)
    if broken == "KL":
        ppo.train_policy = lambda *data: tf.constant(np.nan)
    else:
        ppo.train_value_function = lambda *data: ppo.critic.layers[1].bias.assign([np.nan] * 64)
    with pytest.raises(FloatingPointError, match="epoch 1.*nan.*smaller learning rates"):
        ppo.train()


@pytest.mark.parametrize(
    "option, rate",
    [
        ("--policy-learning-rate", 1e4),
        ("--policy-learning-rate", 1e6),
        ("--policy-learning-rate", 1e38),
        ("--value-function-learning-rate", 1e38),
    ],
)
def test_a_huge_learning_rate_stops_the_run_in_one_line(tmp_path, option, rate):
    arguments = "--no-gif", "--steps-per-epoch", 100, "--epochs", 9, "--output-dir", tmp_path
    process = run_here(*arguments, option, rate)
    assert len(averages(process.output.splitlines())) == 1
    assert re.fullmatch(r"ppo_cartpole.py: error: nothing more can be learnt .*", process.code)
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_an_error_in_the_environment_is_shown_as_itself(small):
    ppo = small(30, 1)
    steps, step = [], ppo.env.step

    def failing_step(action):
        steps.append(action)
        if len(steps) == 5:
            raise ValueError("the cart has left the rails")
        return step(action)

    ppo.env.step = failing_step
    try:
        with pytest.raises(RuntimeError) as caught:
            ppo.train()
    finally:
        del ppo.env.step
    assert str(caught.value).count("\n") == 0
    assert "ValueError('the cart has left the rails')" in str(caught.value)


def test_render_draws_every_step_from_the_main_thread(small):
    ppo = small(30, 1)
    ppo.render = True
    calls = []
    ppo.draw = lambda mode: calls.append((mode, threading.current_thread()))
    ppo.train()
    assert calls == [("human", threading.main_thread())] * 30


def test_many_epochs_retrace_nothing_and_leave_no_objects(small):
    ppo = small(20, 3)
    functions = [
        ppo.sample_trajectory,
        ppo.sample_action,
        ppo.train_policy,
        ppo.train_value_function,
    ]
    ppo.train()
    traces = [function.experimental_get_tracing_count() for function in functions]
    gc.collect()
    objects = len(gc.get_objects())
    ppo.epochs = 60
    ppo.train()
    gc.collect()
    assert len(gc.get_objects()) - objects < 60  # less than one an epoch
    assert [function.experimental_get_tracing_count() for function in functions] == traces


SMALL = {
    "steps_per_epoch": 300,
    "epochs": 2,
    "train_policy_iterations": 20,
    "train_value_iterations": 20,
}
# Chosen so that each must show in 600 steps; render, gif and output_dir have tests of their own.
OTHER = {
    "steps_per_epoch": 301,
    "epochs": 3,
    "gamma": 0.5,
    "clip_ratio": 0.001,
    "policy_learning_rate": 1e-3,
    "value_function_learning_rate": 1e-3,
    "train_policy_iterations": 1,
    "train_value_iterations": 19,
    "lam": 0.5,
    "target_kl": 1e-6,
    "hidden_sizes": "32 32",
    "seed": 1,
}


def option(name, value):
    """A hyperparameter as it is given on the command line."""
    return [f"--{name.replace('_', '-')}", *str(value).split()]


def outcome(folder, **changes):
    """The lines and final weights of a small run."""
    values = {**SMALL, **changes}
    arguments = sum((option(name, value) for name, value in values.items()), [])
    process = run_here("--no-gif", "--output-dir", folder, *arguments)
    assert process.code is None
    networks = process.names["actor"], process.names["critic"]
    return process.output, [w.tolist() for n in networks for w in n.get_weights()]


@pytest.fixture(scope="module")
def small_outcome(tmp_path_factory):
    return outcome(tmp_path_factory.mktemp("small"))


def test_the_same_seed_gives_the_same_run(tmp_path, small_outcome):
    assert outcome(tmp_path) == small_outcome


def test_the_seed_fixes_the_networks_as_they_are_built(tmp_path):
    still = {"policy_learning_rate": 1e-30, "value_function_learning_rate": 1e-30}
    one, again, other = (outcome(tmp_path, seed=seed, **still)[1] for seed in (1, 1, 2))
    assert one == again
    assert not np.allclose(one[0], other[0], atol=1e-6)  # the actor's first matrix


@pytest.mark.parametrize("name", OTHER)
def test_every_hyperparameter_changes_the_run(tmp_path, small_outcome, name):
    assert outcome(tmp_path, **{name: OTHER[name]}) != small_outcome


def test_every_hyperparameter_is_tested(ppo):
    names = {name for name, _, _ in ppo.hyperparameters}
    assert names == {*OTHER, "render", "gif", "output_dir"}


def test_the_default_run_learns(default_run):
    """An untrained policy keeps the pole up for about 20 steps, and so does a broken update."""
    assert default_run.process.returncode == 0, default_run.process.stderr
    printed = averages(default_run.lines)
    assert len(printed) == 20
    assert printed[0] < 50
    assert np.mean(printed[-5:]) >= 150
