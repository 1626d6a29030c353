"""Training as a whole, replayed in NumPy from the actions it took; order, seeds, breaks, other games."""

import re
import threading

import gym
import numpy as np
import pytest
import reference
from helpers import SOURCE, averages, decode, load, logged, run_here
from reference import forward, log_probability


def trained(ppo):
    """Train; return, epoch by epoch, what goes to the log, the actions taken and the weights."""
    epochs, write_log = [], ppo.write_log

    def record(number, *figures):
        write_log(number, *figures)
        weights = ppo.actor.get_weights() + ppo.critic.get_weights()
        epochs.append((ppo.buffer.action_buffer.copy(), [float(figure) for figure in figures], weights))

    ppo.write_log = record
    ppo.train()
    return epochs


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
        old = log_probability(actor, observations, actions)
        for iterations in range(1, ppo.train_policy_iterations + 1):
            data = observations, actions, old, advantages
            actor = actor_adam.step(actor, reference.policy_gradients(actor, *data, ppo.clip_ratio))
            kl = np.mean(old - log_probability(actor, observations, actions))
            if kl > 1.5 * ppo.target_kl:
                break
        for _ in range(ppo.train_value_iterations):
            gradients = reference.value_gradients(critic, observations, np.array(returns))
            critic = critic_adam.step(critic, gradients)
        yield [len(actions) / trajectories, kl, iterations], sum(actor + critic, ())


NATURAL = {"steps_per_epoch": 150, "epochs": 4, "train_policy_iterations": 12, "train_value_iterations": 9}
FAST = {"policy_learning_rate": 3e-3, "value_function_learning_rate": 1e-3}
CASES = [  # each with the environment's own limit of steps, and whether a window is drawn
    (NATURAL | FAST | {"target_kl": 0.02}, 200, False),
    (NATURAL | FAST | {"gamma": 0.99, "lam": 0.5, "clip_ratio": 0.05, "seed": 3}, 200, False),
    ({"steps_per_epoch": 10, "epochs": 3}, 5, False),  # ends with the epoch, cuts off: counts as falling
    ({"steps_per_epoch": 1, "epochs": 2, "seed": 7}, 200, False),
    (NATURAL | {"steps_per_epoch": 47, "epochs": 2}, 200, True),
]


@pytest.mark.parametrize("values, limit, live", CASES)
def test_training_is_what_the_papers_say(capsys, values, limit, live):
    ppo = load(**values, render=live)
    ppo.env, own = (gym.wrappers.TimeLimit(gym.make("CartPole-v0").unwrapped, limit) for _ in range(2))
    ppo.env.render = lambda: None
    networks = [reference.layers_of(network) for network in (ppo.actor, ppo.critic)]
    epochs = trained(ppo)
    assert len(epochs) == ppo.epochs
    replay = replayed(ppo, own, *networks, [actions for actions, *_ in epochs])
    for (_, figures, weights), (expected_figures, expected_weights) in zip(epochs, replay, strict=True):
        np.testing.assert_allclose(figures, expected_figures, rtol=1e-4, atol=1e-5)
        for weight, expected in zip(weights, expected_weights, strict=True):
            np.testing.assert_allclose(weight, expected, atol=2e-5)
    printed = averages(capsys.readouterr().out.splitlines())
    assert printed == [figures[0] for _, figures, _ in epochs]
    if "target_kl" in values:  # one epoch stopped on the KL, another did not; several trajectories
        iterations = {figures[2] for _, figures, _ in epochs}
        assert min(iterations) < 12 == max(iterations), "the KL stopped in all epochs or in none"
        assert all(average < 75 for average in printed)


def test_it_is_the_articles_loop_to_the_last_digit():
    ours = load(steps_per_epoch=500, epochs=3)
    ours.buffer.pointer, ours.buffer.trajectory_start_index = 24, 20  # an earlier training broke off
    ours.buffer.advantage_buffer[:] = np.nan
    ours.train()
    theirs = load(steps_per_epoch=500, epochs=3)
    theirs.env.seed(theirs.seed)
    reference.article_train(theirs, range(3))
    for name in "observation", "action", "reward", "value", "logprobability", "advantage", "return":
        pair = (getattr(ppo.buffer, f"{name}_buffer") for ppo in (ours, theirs))
        np.testing.assert_array_equal(*pair, f"{name}s of the last epoch")
    for name in "actor", "critic":
        for pair in zip(*(getattr(ppo, name).get_weights() for ppo in (ours, theirs)), strict=True):
            np.testing.assert_array_equal(*pair, name)


def test_the_graph_plays_in_the_articles_order():
    """TensorFlow orders calls from a graph by their data alone."""
    ppo, calls = load(steps_per_epoch=300, epochs=1), []
    names = {"step": ppo.env, "store": ppo.buffer, "finish_trajectory": ppo.buffer, "reset": ppo.env}
    for name, owner in names.items():
        call = getattr(owner, name)
        setattr(owner, name, lambda *data, n=name, call=call: calls.append((n, *data)) or call(*data))
    ppo.train()
    order = " ".join(name for name, *_ in calls)
    assert re.fullmatch("reset( (step store )+finish_trajectory reset)+", order)
    assert order.count("store") == 300
    last_values = [data[0] for name, *data in calls if name == "finish_trajectory"]
    assert [type(value) for value in last_values[:-1]] == [int] * (len(last_values) - 1)  # 0: float64 sums
    assert last_values[-1].dtype == np.float32 and last_values[-1] != 0  # cut off: V


def test_what_is_logged_and_that_broken_numbers_end_the_training(tmp_path):
    ppo, rng = load(output_dir=str(tmp_path)), np.random.default_rng(0)
    buffer = ppo.buffer
    for name in "observation", "return", "value", "logprobability":
        array = getattr(buffer, f"{name}_buffer")
        array[:] = rng.normal(size=array.shape)
    with ppo.open_log().as_default():
        ppo.write_log(7, 21.5, np.float32(0.25), 3)
        with pytest.raises(FloatingPointError, match="broke down in epoch 8"):
            ppo.write_log(8, 21.5, np.float32(np.nan), 3)
    predicted = forward(reference.layers_of(ppo.critic), buffer.observation_buffer)[-1][:, 0]
    expected = {"average reward": 21.5, "KL": 0.25, "policy iterations": 3}
    expected["entropy"] = -np.mean(buffer.logprobability_buffer)
    expected["value loss"] = np.mean((buffer.return_buffer - predicted) ** 2)
    unexplained = np.var(buffer.return_buffer - buffer.value_buffer)
    expected["explained variance"] = 1 - unexplained / np.var(buffer.return_buffer)
    log = {name: figures[0] for name, figures in logged(tmp_path).items()}
    assert log == {name: (7, pytest.approx(value, rel=1e-5)) for name, value in expected.items()}


def test_the_main_thread_draws_and_nothing_is_retraced():
    ppo, calls, traces = load(steps_per_epoch=20), [], []
    ppo.env.render = lambda: calls.append(threading.current_thread())
    functions = ppo.rollout, ppo.update, ppo.sample_action, ppo.train_policy, ppo.train_value_function
    for render, epochs in (False, 1), (True, 1), (False, 9), (True, 2):
        ppo.render, ppo.epochs = render, epochs
        ppo.train()
        traces.append([function.experimental_get_tracing_count() for function in functions])
    assert calls == [threading.main_thread()] * 60
    assert traces == [traces[0]] * 4 and traces[0][:2] == [1, 1] and all(traces[0])  # they run as graphs


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    options = "--no-gif", "--epochs", 2, "--steps-per-epoch", 200, "--output-dir", tmp_path
    runs = [run_here(*options, "--seed", seed) for seed in (0, 0, 1)]
    outcomes = [(run.output, str(run.names["critic"].get_weights())) for run in runs]
    assert outcomes[0] == outcomes[1] and outcomes[0] != outcomes[2]


GAMES = [("Acrobot-v1", -20), ("MountainCar-v0", -20), ("CartPole-v1", None)]


@pytest.mark.parametrize("game, average", GAMES)
def test_other_games_with_pictures_of_any_size(tmp_path, game, average):
    """Episodes of 20 steps at most, as pictures take long; a reader's wrapper makes observations float64."""
    short = f'gym.wrappers.TimeLimit(gym.make("{game}").unwrapped, 20)'
    short = f"gym.wrappers.TransformObservation({short}, np.float64)"
    options = "--epochs", 1, "--steps-per-epoch", 120, "--output-dir", tmp_path
    process = run_here(*options, source=SOURCE.replace('gym.make("CartPole-v0")', short))
    (printed,) = averages(process.output.splitlines())
    assert printed == average if average else 9 < printed <= 20
    gifs = [decode(path) for path in tmp_path.glob("*.gif")]
    assert len(gifs) == 3 and all(len(pictures) > 28 for pictures in gifs)
