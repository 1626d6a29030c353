"""Training as a whole, replayed in NumPy from the actions it took; seeds, repeats, breaks."""

import re
import threading

import gym
import numpy as np
import pytest
import reference
import tensorflow as tf
from helpers import SOURCE, averages, build, run_here


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
        predicted = reference.forward(critic, observations)[-1][:, 0]
        for _ in range(ppo.train_value_iterations):
            critic = critic_adam.step(critic, reference.value_gradients(critic, observations, returns))
        with np.errstate(invalid="ignore"):  # one step: 0/0, as in the log
            unexplained = np.var(returns - predicted) / np.var(returns)
        ratios = np.exp(reference.log_probability(actor, observations, actions) - old)
        yield {
            "average reward": len(actions) / trajectories,
            "KL": kl,
            "policy iterations": iterations,
            "clip fraction": np.mean((ratios < 1 - ppo.clip_ratio) | (ratios > 1 + ppo.clip_ratio)),
            "value loss": np.mean((reference.forward(critic, observations)[-1][:, 0] - returns) ** 2),
            "explained variance": 1 - unexplained,
            "entropy": -np.mean(old),
            "actor": sum(actor, ()),
            "critic": sum(critic, ()),
        }


NATURAL = {"steps_per_epoch": 150, "epochs": 4, "train_policy_iterations": 12, "train_value_iterations": 9}
FAST = {"policy_learning_rate": 3e-3, "value_function_learning_rate": 1e-3}


# The limit is the environment's own number of steps: 5 ends an episode exactly with the epoch of 10,
# and cuts others off, which counts as falling.
@pytest.mark.parametrize(
    "values, limit, live",
    [
        (NATURAL | FAST | {"target_kl": 0.012}, 200, False),
        (NATURAL | FAST | {"gamma": 0.99, "lam": 0.5, "clip_ratio": 0.05, "seed": 3}, 200, False),
        ({"steps_per_epoch": 10, "epochs": 3}, 5, False),
        ({"steps_per_epoch": 1, "epochs": 2, "seed": 7}, 200, False),
        (NATURAL | {"steps_per_epoch": 47, "epochs": 2}, 200, True),
    ],
)
def test_training_is_what_the_papers_say(monkeypatch, capsys, values, limit, live):
    ppo = build(**values, render=live)
    ppo.env = gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, limit)
    ppo.env.render = lambda: None
    networks = [reference.layers_of(network) for network in (ppo.actor, ppo.critic)]
    epochs = trained(ppo, monkeypatch)
    assert len(epochs) == ppo.epochs
    own = gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, limit)
    expected_epochs = replayed(ppo, own, *networks, [epoch["actions"] for epoch in epochs])
    for number, (epoch, expected) in enumerate(zip(epochs, expected_epochs, strict=True), 1):
        assert epoch.keys() == expected.keys() | {"actions"}
        for name in expected.keys() - {"actor", "critic"}:
            near = pytest.approx(expected[name], rel=1e-4, abs=1e-5, nan_ok=ppo.steps_per_epoch == 1)
            assert epoch[name] == near, f"epoch {number}: {name}"
        for network in "actor", "critic":
            for layer, pair in enumerate(zip(epoch[network], expected[network], strict=True)):
                place = f"epoch {number}: {network}, array {layer}"
                np.testing.assert_allclose(*pair, atol=2e-5, err_msg=place)
    printed = averages(capsys.readouterr().out.splitlines())
    assert printed == [epoch["average reward"] for epoch in epochs]
    if "target_kl" in values:  # one epoch stopped on the KL, another did not; several trajectories
        iterations = {epoch["policy iterations"] for epoch in epochs}
        assert min(iterations) < 12 == max(iterations), "the KL stopped in all epochs or in none"
        assert all(average < 75 for average in printed)


def test_it_is_the_articles_loop_to_the_last_digit():
    values = {"steps_per_epoch": 700, "epochs": 3}
    ours = build(**values)
    ours.train()
    theirs = build(**values)
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


def test_all_actions_are_drawn_with_the_actors_probabilities():
    ppo = build(steps_per_epoch=2000)
    ppo.actor.layers[-1].kernel.assign(tf.zeros((64, 2)))  # blind: always the same probabilities
    ppo.actor.layers[-1].bias.assign(np.log([0.1, 0.9]))
    ppo.num_episodes = 0
    ppo.rollout(ppo.env.reset().reshape(1, -1))
    share = np.mean(ppo.buffer.action_buffer)
    assert abs(share - 0.9) < 5 * np.sqrt(0.1 * 0.9 / 2000), "not drawn as the actor says"


def test_training_starts_anew_after_it_broke_off():
    ppo = build(steps_per_epoch=30, epochs=1)
    ppo.buffer.pointer, ppo.buffer.trajectory_start_index = 24, 20
    ppo.buffer.advantage_buffer[:] = np.nan
    ppo.train()


def test_an_epoch_that_is_printed_is_in_the_log(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.summary, "scalar", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(steps_per_epoch=9, epochs=1).train()
    assert "完成" not in capsys.readouterr().out


@pytest.mark.parametrize("epoch, kl, loss", [(1, np.nan, 0.0), (2, np.inf, 0.0), (3, 0.0, np.nan)])
def test_infinite_numbers_end_the_training_in_any_epoch(epoch, kl, loss):
    ppo = build(steps_per_epoch=9, epochs=3)
    logs = iter([{"KL": 0.0, "value loss": 0.0}] * (epoch - 1) + [{"KL": kl, "value loss": loss}])
    ppo.update = lambda *_: next(logs)
    with pytest.raises(FloatingPointError, match=f"KL {kl:g}, value loss {loss:g} in epoch {epoch}"):
        ppo.train()


@pytest.mark.parametrize("network", ["actor", "critic"])
def test_a_network_that_is_not_finite_is_not_saved(tmp_path, network):
    script, folder = tmp_path / "ppo_cartpole.py", tmp_path / "o"
    options = ["--no-gif", "--epochs", 1, "--steps-per-epoch", 50, "--output-dir", folder]
    options += ["--value-function-learning-rate", 1e30 if network == "critic" else 3e-4]
    broken = "np.nan * " if network == "actor" else ""  # no learning rate does that to the actor
    correct = "kl = tf.reduce_mean("
    assert SOURCE.count(correct) == 1
    script.write_text(SOURCE.replace(correct, f"kl = {broken}tf.reduce_mean("), "utf-8")
    process = run_here(*options, script=script)
    assert re.fullmatch(r"ppo_cartpole.py: error: .*KL .* value loss .* in epoch 1; .*", process.code)
    assert [path.name for path in folder.iterdir()] == ["logs"]


def test_a_live_window_is_drawn_by_the_main_thread():
    ppo = build(steps_per_epoch=30, epochs=1)
    calls = []
    ppo.env.render = lambda: calls.append(threading.current_thread())
    for render in False, True, False, True:
        ppo.render = render
        ppo.train()
        assert not tf.config.functions_run_eagerly()
    assert calls == [threading.main_thread()] * 60
    assert ppo.rollout.experimental_get_tracing_count() == 1  # a graph where there is no window
    assert ppo.update.experimental_get_tracing_count() == 1


def test_many_epochs_retrace_nothing():
    ppo = build(steps_per_epoch=20, epochs=3)
    functions = ppo.rollout, ppo.update, ppo.sample_action, ppo.train_policy, ppo.train_value_function
    ppo.train()
    traces = [function.experimental_get_tracing_count() for function in functions]
    assert all(traces)  # they run as graphs
    ppo.epochs = 9
    ppo.train()
    assert [function.experimental_get_tracing_count() for function in functions] == traces


SMALL = {"steps_per_epoch": 300, "epochs": 2, "train_policy_iterations": 20, "train_value_iterations": 20}
# Each must show in 600 steps. The replay above checks gamma, lam, clip_ratio and the learning rates.
OTHER = {
    "steps_per_epoch": 301,
    "epochs": 3,
    "train_policy_iterations": 1,
    "train_value_iterations": 19,
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


def test_the_seed_fixes_the_networks_as_they_are_built():
    one, again, other = (build(seed=seed).actor.get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", OTHER)
def test_every_hyperparameter_changes_the_run(tmp_path, small_outcome, name):
    assert outcome(tmp_path, **{name: OTHER[name]}) != small_outcome
