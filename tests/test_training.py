"""Training as a whole, replayed in NumPy from the actions it took; seeds, repeats, breaks."""

import gc
import re
import threading

import gym
import numpy as np
import pytest
import reference
import tensorflow as tf
from conftest import SCRIPT, averages, run_here


def trained(ppo, monkeypatch):
    """Train; return, epoch by epoch, the log, the actions taken and the weights of both networks."""
    epochs = {}

    def scalar(name, value, step):
        epoch = epochs.setdefault(step, {})
        epoch[name] = float(value)
        epoch["actions"] = ppo.buffer.action_buffer.copy()
        epoch["actor"], epoch["critic"] = ppo.actor.get_weights(), ppo.critic.get_weights()

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
                values = reference.forward(critic, [*observations[first:], observation])[-1][:, 0]
                rewards, last_value = [1.0] * (t + 1 - first), 0.0 if done else values[-1]
                advantages += reference.advantages_by_definition(
                    rewards, values[:-1], last_value, ppo.gamma, ppo.lam
                )
                returns += reference.returns_by_definition(rewards, last_value, ppo.gamma)
                observation, first, trajectories = env.reset(), t + 1, trajectories + 1
        advantages = (advantages - np.mean(advantages)) / (np.std(advantages) + 1e-8)
        returns = np.array(returns)
        old = reference.log_probability(actor, observations, actions)
        for iterations in range(1, ppo.train_policy_iterations + 1):
            gradients = reference.policy_gradients(
                actor, observations, actions, old, advantages, ppo.clip_ratio
            )
            actor = actor_adam.step(actor, gradients)
            kl = np.mean(old - reference.log_probability(actor, observations, actions))
            if kl > 1.5 * ppo.target_kl:
                break
        for _ in range(ppo.train_value_iterations):
            loss = np.mean((reference.forward(critic, observations)[-1][:, 0] - returns) ** 2)
            critic = critic_adam.step(critic, reference.value_gradients(critic, observations, returns))
        yield {
            "average reward": len(actions) / trajectories,
            "KL": kl,
            "policy iterations": iterations,
            "value loss": loss,
            "entropy": -np.mean(old),
            "actor": sum(actor, ()),
            "critic": sum(critic, ()),
        }


NATURAL = {"steps_per_epoch": 150, "epochs": 4, "train_policy_iterations": 12, "train_value_iterations": 9}
FAST = {"policy_learning_rate": 3e-3, "value_function_learning_rate": 1e-3}


# The limit is the environment's own number of steps: 5 ends an episode exactly with the epoch of 10,
# and cuts others off, which counts as falling. Eager is what a live window needs.
@pytest.mark.parametrize(
    "values, limit, eager",
    [
        (NATURAL | FAST | {"target_kl": 0.012}, 200, False),
        (NATURAL | FAST | {"gamma": 0.99, "lam": 0.5, "clip_ratio": 0.05, "seed": 3}, 200, False),
        ({"steps_per_epoch": 10, "epochs": 3}, 5, False),
        ({"steps_per_epoch": 1, "epochs": 2, "seed": 7}, 200, False),
        (NATURAL | {"steps_per_epoch": 47, "epochs": 2}, 200, True),
    ],
)
def test_training_is_what_the_papers_say(build, monkeypatch, capsys, values, limit, eager):
    ppo = build(**values, render=eager)
    ppo.env = gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, limit)
    ppo.env.render = lambda: None
    networks = [reference.layers_of(network) for network in (ppo.actor, ppo.critic)]
    epochs = trained(ppo, monkeypatch)
    assert len(epochs) == ppo.epochs
    own = gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, limit)
    expected_epochs = replayed(ppo, own, *networks, [epoch["actions"] for epoch in epochs])
    for epoch, expected in zip(epochs, expected_epochs, strict=True):
        assert epoch.keys() == expected.keys() | {"actions"}
        for name in "average reward", "KL", "policy iterations", "value loss", "entropy":
            assert epoch[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-5), name
        for network in "actor", "critic":
            for weight, expected_weight in zip(epoch[network], expected[network], strict=True):
                np.testing.assert_allclose(weight, expected_weight, atol=2e-5)
    printed = averages(capsys.readouterr().out.splitlines())
    assert printed == [epoch["average reward"] for epoch in epochs]
    if "target_kl" in values:  # one epoch stopped on the KL, another did not; several trajectories
        iterations = {epoch["policy iterations"] for epoch in epochs}
        assert min(iterations) < 12 == max(iterations)
        assert all(average < 75 for average in printed)


def test_training_starts_with_an_empty_buffer_also_after_it_broke_off(build):
    ppo = build(steps_per_epoch=30, epochs=1)
    tf.config.run_functions_eagerly(True)  # a reader's own switch, which stays
    ppo.buffer.pointer, ppo.buffer.trajectory_start_index = 24, 20
    ppo.buffer.advantage_buffer[:] = np.nan
    ppo.train()
    assert tf.config.functions_run_eagerly()


def test_a_kl_that_is_not_finite_ends_the_training_in_any_epoch(build):
    ppo = build(steps_per_epoch=9, epochs=3)
    kls = iter([0.0, np.inf])
    ppo.update = lambda *_: (next(kls), 1, 0.0)
    with pytest.raises(FloatingPointError, match="inf in epoch 2"):
        ppo.train()


def test_a_kl_that_is_not_finite_stops_the_run_in_one_line(tmp_path):
    source = SCRIPT.read_text("utf-8")
    correct = "kl = tf.reduce_mean("
    assert source.count(correct) == 1
    script = tmp_path / "ppo_cartpole.py"
    script.write_text(source.replace(correct, "kl = np.nan * tf.reduce_mean("), "utf-8")
    folder = tmp_path / "outputs"
    process = run_here("--no-gif", "--steps-per-epoch", 50, "--output-dir", folder, script=script)
    assert re.fullmatch(r"ppo_cartpole.py: error: KL is nan in epoch 1; .*", process.code)
    assert [path.name for path in folder.iterdir()] == ["logs"]


def test_render_draws_every_step_from_the_main_thread(build):
    ppo = build(steps_per_epoch=30, epochs=1, render=True)
    calls = []
    ppo.env.render = lambda: calls.append(threading.current_thread())
    ppo.train()
    assert calls == [threading.main_thread()] * 30


def test_many_epochs_retrace_nothing_and_leave_no_objects(build):
    ppo = build(steps_per_epoch=20, epochs=3)
    functions = ppo.rollout, ppo.update, ppo.sample_action, ppo.train_policy, ppo.train_value_function
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


SMALL = {"steps_per_epoch": 300, "epochs": 2, "train_policy_iterations": 20, "train_value_iterations": 20}
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


def outcome(folder, **changes):
    """The lines and final weights of a small run."""
    pairs = (SMALL | changes).items()
    arguments = sum(([f"--{name.replace('_', '-')}", *str(value).split()] for name, value in pairs), [])
    process = run_here("--no-gif", "--output-dir", folder, *arguments)
    assert process.code is None
    networks = process.names["actor"], process.names["critic"]
    return process.output, [w.tolist() for n in networks for w in n.get_weights()]


@pytest.fixture(scope="module")
def small_outcome(tmp_path_factory):
    return outcome(tmp_path_factory.mktemp("small"))


def test_the_same_seed_gives_the_same_run(tmp_path, small_outcome):
    assert outcome(tmp_path) == small_outcome


def test_the_seed_fixes_the_networks_as_they_are_built(build):
    one, again, other = (build(seed=seed).actor.get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", OTHER)
def test_every_hyperparameter_changes_the_run(tmp_path, small_outcome, name):
    assert outcome(tmp_path, **{name: OTHER[name]}) != small_outcome
