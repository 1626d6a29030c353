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
from conftest import SCRIPT, run_here

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
@pytest.mark.parametrize("eager", [False, True])  # True is what a live window needs
@pytest.mark.parametrize("steps_per_epoch, epochs, seed", [(300, 3, 0), (9, 2, 3), (1, 2, 7)])
def test_what_is_stored_is_what_happened(build, capsys, steps_per_epoch, epochs, seed, eager):
    ppo = build(steps_per_epoch=steps_per_epoch, epochs=epochs, seed=seed, render=eager)
    ppo.env.render = lambda: None
    seen = watch(ppo)
    assert len(seen) == epochs

    replay = gym.make("CartPole-v0")
    replay.seed(seed)
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


def test_an_epoch_that_ends_exactly_with_an_episode(build, capsys):
    ppo = build(steps_per_epoch=10, epochs=2)
    ppo.env = gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, 5)
    for epoch in watch(ppo):
        assert epoch.trajectories == [(0, 5, 0), (5, 10, 0)]  # over, not cut off
    assert averages(capsys.readouterr().out.splitlines()) == [5, 5]


def test_reaching_the_time_limit_is_treated_as_falling(build):
    ppo = build(steps_per_epoch=7, epochs=1)
    ppo.env = gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, 4)
    assert [end for _, end, value in watch(ppo)[0].trajectories if value == 0] == [4]


def test_the_graph_and_plain_python_do_the_same(build):
    results = []
    for eager in (False, True):
        ppo = build(steps_per_epoch=40)
        ppo.actor.layers[-1].bias.assign([100, -100])  # always left: no chance in it
        tf.config.run_functions_eagerly(eager)
        ppo.env.seed(3)
        observation, num_episodes = ppo.rollout(ppo.env.reset())
        results.append((observation, int(num_episodes), vars(ppo.buffer)))
    one, two = results
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1] == two[1] > 1
    for name, stored in one[2].items():
        np.testing.assert_allclose(stored, two[2][name], atol=1e-6)


def test_updates_get_the_epochs_data(build):
    ppo = build(steps_per_epoch=30, epochs=1)
    got = []
    ppo.update = lambda *data: got.extend(data) or (tf.constant(0.0), 1, 0.0)
    stored = watch(ppo)[0].data
    observations, actions, advantages, returns, old = got
    np.testing.assert_array_equal(observations, stored["observation"])
    np.testing.assert_array_equal(actions, stored["action"])
    np.testing.assert_array_equal(old, stored["logprobability"])
    raw = stored["advantage"]
    np.testing.assert_allclose(advantages, (raw - raw.mean()) / raw.std(), atol=1e-5)
    np.testing.assert_array_equal(returns, ppo.buffer.return_buffer)


def test_the_log_gets_what_was_measured(build, monkeypatch):
    ppo = build(steps_per_epoch=30, epochs=2)
    scalars = {}
    monkeypatch.setattr(
        tf.summary, "scalar", lambda name, value, step: scalars.update({(name, step): value})
    )
    # Each epoch takes four seconds by this clock.
    ppo.time = SimpleNamespace(perf_counter=iter([10.0, 14.0, 20.0, 24.0]).__next__)
    ppo.update = lambda *data: (tf.constant(0.25), tf.constant(3), tf.constant(7.0))
    seen = watch(ppo)
    for step, epoch in enumerate(seen, 1):
        expected = {
            "average reward": epoch.data["reward"].sum() / len(epoch.trajectories),
            "KL": 0.25,
            "policy iterations": 3,
            "value loss": 7,
            "entropy": -epoch.data["fresh logprobability"].mean(),
            "steps per second": 30 / 4,
        }
        for name, value in expected.items():
            assert float(scalars.pop((name, step))) == pytest.approx(value, rel=1e-4), name
    assert scalars == {}


def test_training_goes_on_after_it_broke_off(build):
    ppo = build(steps_per_epoch=30, epochs=1)
    steps, step = [], ppo.env.step

    def failing_step(action):
        steps.append(action)
        if len(steps) == 25:
            raise ValueError("the cart has left the rails")
        return step(action)

    ppo.env.step = failing_step
    with pytest.raises(Exception, match="the cart has left the rails"):
        ppo.train()
    assert ppo.buffer.pointer == 24
    (epoch,) = watch(ppo)
    assert epoch.trajectories[0][0] == 0 and epoch.trajectories[-1][1] == 30


def test_a_kl_that_is_not_finite_stops_the_run_in_one_line(tmp_path):
    source = SCRIPT.read_text("utf-8")
    correct = "tf.reduce_mean(logprobability_buffer - logprobability)"
    assert source.count(correct) == 1
    script = tmp_path / "ppo_cartpole.py"
    script.write_text(source.replace(correct, f"np.nan * {correct}"), "utf-8")
    folder = tmp_path / "outputs"
    process = run_here("--no-gif", "--steps-per-epoch", 50, "--output-dir", folder, script=script)
    assert re.fullmatch(r"ppo_cartpole.py: error: KL is nan in epoch 1; .*", process.code)
    assert [path.name for path in folder.iterdir()] == ["logs"]


@pytest.mark.parametrize(
    "option", ["--policy-learning-rate", "--value-function-learning-rate", "--clip-ratio"]
)
def test_the_largest_values_allowed_do_not_break_the_run(tmp_path, option):
    arguments = "--no-gif", "--steps-per-epoch", 100, "--epochs", 3, "--output-dir", tmp_path
    process = run_here(*arguments, option, 1)
    assert process.code is None and len(averages(process.output.splitlines())) == 3


def test_render_draws_every_step_from_the_main_thread(build):
    ppo = build(steps_per_epoch=30, epochs=1, render=True)
    calls = []
    ppo.env.render = lambda: calls.append(threading.current_thread())
    ppo.train()
    assert calls == [threading.main_thread()] * 30


def test_many_epochs_retrace_nothing_and_leave_no_objects(build):
    ppo = build(steps_per_epoch=20, epochs=3)
    functions = [
        ppo.rollout,
        ppo.update,
        ppo.sample_action,
        ppo.train_policy,
        ppo.train_value_function,
    ]
    ppo.train()
    traces = [function.experimental_get_tracing_count() for function in functions]
    assert all(traces)  # they run as graphs
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
    still = {"policy_learning_rate": 1e-12, "value_function_learning_rate": 1e-12}
    one, again, other = (outcome(tmp_path, seed=seed, **still)[1] for seed in (1, 1, 2))
    assert one == again
    assert not np.allclose(one[0], other[0], atol=1e-6)  # the actor's first matrix


@pytest.mark.parametrize("name", OTHER)
def test_every_hyperparameter_changes_the_run(tmp_path, small_outcome, name):
    assert outcome(tmp_path, **{name: OTHER[name]}) != small_outcome


def test_every_hyperparameter_is_tested(tmp_path):
    tiny = "--no-gif", "--epochs", 1, "--steps-per-epoch", 9, "--output-dir", tmp_path
    assert set(run_here(*tiny).names["settings"]) == {*OTHER, "render", "gif", "output_dir"}


def test_the_default_run_learns(default_run):
    """An untrained policy keeps the pole up for about 20 steps, and so does a broken update."""
    assert default_run.process.returncode == 0, default_run.process.stderr
    printed = averages(default_run.lines)
    assert len(printed) == 20
    assert printed[0] < 50
    assert np.mean(printed[-5:]) >= 150
