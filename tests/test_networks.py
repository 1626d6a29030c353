"""Networks, probabilities, gradients and updates against NumPy and against hand-worked values."""

import numpy as np
import pytest
import reference
import tensorflow as tf
from tensorflow import keras


class Logits:
    """Stands in for the actor: its logits are its only weights, whatever it observes."""

    def __init__(self, probabilities):
        self.logits = tf.Variable(np.log(probabilities), dtype=tf.float32)
        self.trainable_variables = [self.logits]

    def __call__(self, observations):
        return self.logits


@pytest.fixture
def batch():
    """Observations, actions, old log-probabilities and advantages, some ratios out of range."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(64, 4)).astype(np.float32),
        rng.integers(0, 2, 64).astype(np.int32),
        np.log(rng.uniform(0.25, 0.98, 64)).astype(np.float32),
        rng.normal(size=64).astype(np.float32),
    )


def test_mlp_builds_the_layers_asked_for(ppo):
    x = keras.Input(shape=(3,))
    network = keras.Model(x, ppo.mlp(x, [5, 7, 2], tf.nn.relu, tf.sigmoid))
    assert [w.shape for w in network.get_weights()] == [(3, 5), (5,), (5, 7), (7,), (7, 2), (2,)]
    data = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    one, two, three = reference.layers_of(network)
    hidden = np.maximum(0, np.maximum(0, data @ one[0] + one[1]) @ two[0] + two[1])
    expected = 1 / (1 + np.exp(-(hidden @ three[0] + three[1])))
    np.testing.assert_allclose(network(data), expected, atol=1e-6)


def test_mlp_is_tanh_inside_and_linear_at_the_end_by_default(ppo):
    x = keras.Input(shape=(4,))
    network = keras.Model(x, ppo.mlp(x, [8, 3]))
    data = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    expected = reference.forward(reference.layers_of(network), data)[-1]
    np.testing.assert_allclose(network(data), expected, atol=1e-6)


@pytest.mark.parametrize("hidden", [(64, 64), (8, 16, 5), (3,)])
@pytest.mark.parametrize("rows", [1, 32])
def test_actor_and_critic_as_they_are_built(build, rows, hidden):
    ppo = build(hidden_sizes=hidden)
    data = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    for network, expected_shape in ((ppo.actor, (rows, 2)), (ppo.critic, (rows,))):
        result = network(data).numpy()
        assert result.shape == expected_shape
        expected = reference.forward(reference.layers_of(network), data)[-1]
        np.testing.assert_allclose(result, expected.reshape(expected_shape), atol=1e-6)
        sizes = [matrix.shape for matrix, _ in reference.layers_of(network)]
        widths = [4, *hidden, expected.shape[1]]
        assert sizes == list(zip(widths, widths[1:], strict=False))


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


# The old probability of every action is 0.5, so the ratio is twice the new one. With
# clip_ratio 0.2: advantage, ratio, and whether the gradient lives.
CASES = [
    (1.0, 1.0, True),
    (1.0, 1.1, True),
    (1.0, 1.5, False),  # already far enough towards a good action
    (1.0, 0.5, True),  # a good action made rarer: pulled back in full
    (-1.0, 1.0, True),
    (-1.0, 0.9, True),
    (-1.0, 0.5, False),  # already far enough from a bad action
    (-1.0, 1.5, True),  # a bad action made likelier: pulled back in full
    (-2.5, 0.5, False),
    (3.0, 1.9, False),
]


class Recorder:
    """Stands in for an optimizer: keeps the gradients and changes nothing."""

    def apply_gradients(self, pairs):
        self.gradients = [gradient.numpy() for gradient, _ in pairs]


@pytest.mark.parametrize("advantage, ratio, lives", CASES)
def test_policy_gradient_by_hand(ppo, advantage, ratio, lives):
    p = ratio / 2
    ppo.actor, ppo.policy_optimizer = Logits([[1 - p, p]]), Recorder()
    old, advantages = np.log([0.5]).astype(np.float32), np.array([advantage], np.float32)
    ppo.train_policy.python_function(np.zeros((1, 4), np.float32), np.array([1]), old, advantages)
    (gradient,) = ppo.policy_optimizer.gradients
    if lives:  # d ratio / d logits = ratio * (one_hot - probabilities)
        expected = [[advantage * ratio * (1 - p), -advantage * ratio * (1 - p)]]
        np.testing.assert_allclose(gradient, expected, rtol=1e-5)
    else:
        np.testing.assert_array_equal(gradient, [[0, 0]])


@pytest.mark.parametrize("clip_ratio", [0.05, 0.2, 0.5])
def test_policy_gradient_is_that_of_equation_7(build, batch, clip_ratio):
    ppo = build(clip_ratio=clip_ratio)
    observations, actions, old, advantages = batch
    layers = reference.layers_of(ppo.actor)
    ratios = np.exp(reference.log_probability(layers, observations, actions) - old)
    for beyond in (
        ratios > 1 + clip_ratio,
        ratios < 1 - clip_ratio,
        np.abs(ratios - 1) < clip_ratio,
    ):
        assert np.any(beyond)
    ppo.policy_optimizer = Recorder()
    ppo.train_policy.python_function(*batch)

    def loss_at(step):  # along a random direction in the space of all weights
        moved = [
            tuple(w + step * d for w, d in zip(layer, direction, strict=True))
            for layer, direction in zip(layers, directions, strict=True)
        ]
        new = reference.log_probability(moved, observations, actions)
        return reference.clip_loss(np.exp(new - old), advantages, clip_ratio)

    rng = np.random.default_rng(1)
    for _ in range(5):
        directions = [tuple(rng.normal(size=w.shape) for w in layer) for layer in layers]
        slope = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6
        pairs = zip(ppo.policy_optimizer.gradients, sum(directions, ()), strict=True)
        assert sum(np.sum(g * d) for g, d in pairs) == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_policy_steps_and_kl_against_numpy(ppo, batch):
    observations, actions, old, advantages = batch
    layers, adam = reference.layers_of(ppo.actor), reference.Adam(3e-4)
    for _ in range(10):
        kl = ppo.train_policy(*batch)
        gradients = reference.policy_gradients(
            layers, observations, actions, old, advantages, ppo.clip_ratio
        )
        layers = adam.step(layers, gradients)
        expected = np.mean(old - reference.log_probability(layers, observations, actions))
        assert kl.numpy() == pytest.approx(expected, abs=1e-5)  # of the policy after the step
        for weight, expected in zip(ppo.actor.get_weights(), sum(layers, ()), strict=True):
            np.testing.assert_allclose(weight, expected, atol=1e-5)


def test_one_policy_step_by_hand(ppo):
    ppo.actor = Logits([[0.5, 0.5]])
    one, old = np.ones(1, np.float32), np.log([0.5]).astype(np.float32)
    kl = ppo.train_policy(np.zeros((1, 4), np.float32), np.array([1]), old, one)
    # Adam's first step is the learning rate times the gradient's sign.
    np.testing.assert_allclose(
        ppo.actor.logits.numpy() - np.log(0.5), [[-3e-4, 3e-4]], rtol=1e-3, atol=0
    )
    assert kl.numpy() == pytest.approx(np.log(0.5) + np.log(1 + np.exp(-6e-4)), abs=1e-7)
    assert kl.shape == ()


def test_value_steps_against_numpy(ppo, batch):
    observations, returns = batch[0], 10 * batch[3] + 20
    layers, adam = reference.layers_of(ppo.critic), reference.Adam(3e-4)
    for _ in range(10):
        error = np.mean((reference.forward(layers, observations)[-1][:, 0] - returns) ** 2)
        loss = ppo.train_value_function(observations, returns)
        assert loss.numpy() == pytest.approx(error, rel=1e-5)  # before the step
        layers = adam.step(layers, reference.value_gradients(layers, observations, returns))
        for weight, expected in zip(ppo.critic.get_weights(), sum(layers, ()), strict=True):
            np.testing.assert_allclose(weight, expected, atol=1e-5)


def test_value_error_falls(ppo, batch):
    losses = []
    for _ in range(300):
        losses.append(np.mean((ppo.critic(batch[0]) - batch[3]) ** 2))
        ppo.train_value_function(batch[0], batch[3])
    assert losses[-1] < losses[100] < losses[0]


def test_each_network_has_its_own_optimizer_and_rate(ppo):
    actor, critic = ppo.actor.get_weights(), ppo.critic.get_weights()
    data = np.ones((1, 4), np.float32)
    ppo.train_value_function(data, np.full(1, 100, np.float32))
    assert all(np.array_equal(a, b) for a, b in zip(actor, ppo.actor.get_weights(), strict=True))
    assert not np.array_equal(critic[0], ppo.critic.get_weights()[0])


def test_each_optimizer_gets_its_own_learning_rate(build):
    ppo = build(policy_learning_rate=1e-3, value_function_learning_rate=1e-5)
    optimizers = ppo.policy_optimizer, ppo.value_optimizer
    rates = [optimizer.learning_rate.numpy() for optimizer in optimizers]
    np.testing.assert_allclose(rates, [1e-3, 1e-5])


def test_update_takes_all_the_steps_of_an_epoch(build, batch):
    ppo = build(train_policy_iterations=7, train_value_iterations=11, target_kl=1000)
    observations, actions, old, advantages = batch
    returns = 10 * advantages + 20
    actor, critic = reference.layers_of(ppo.actor), reference.layers_of(ppo.critic)
    actor_adam, critic_adam = reference.Adam(3e-4), reference.Adam(3e-4)
    for _ in range(7):
        gradients = reference.policy_gradients(actor, observations, actions, old, advantages, 0.2)
        actor = actor_adam.step(actor, gradients)
    for _ in range(11):
        error = np.mean((reference.forward(critic, observations)[-1][:, 0] - returns) ** 2)
        critic = critic_adam.step(critic, reference.value_gradients(critic, observations, returns))
    kl, iterations, loss = ppo.update(observations, actions, advantages, returns, old)
    expected = np.mean(old - reference.log_probability(actor, observations, actions))
    assert kl.numpy() == pytest.approx(expected, abs=1e-5)
    assert iterations.numpy() == 7
    assert loss.numpy() == pytest.approx(error, rel=1e-5)
    for network, layers in (ppo.actor, actor), (ppo.critic, critic):
        for weight, expected in zip(network.get_weights(), sum(layers, ()), strict=True):
            np.testing.assert_allclose(weight, expected, atol=1e-5)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    "estimates, expected",
    [
        ([0.001, 0.0149, 0.0151, 9, 9, 9, 9], 3),  # the first above 1.5 x 0.01
        ([9] * 7, 1),
        ([0.0149] * 7, 7),  # never above: all iterations
    ],
)
def test_policy_updates_stop_at_the_first_large_kl(build, batch, estimates, expected, eager):
    ppo = build(train_policy_iterations=7, train_value_iterations=4)
    policy_calls, value_calls = tf.Variable(0), tf.Variable(0)
    ppo.train_policy = lambda *data: tf.constant(estimates, tf.float32)[
        policy_calls.assign_add(1) - 1
    ]
    ppo.train_value_function = lambda *data: tf.cast(value_calls.assign_add(1), tf.float32)
    tf.config.run_functions_eagerly(eager)
    kl, iterations, loss = ppo.update(*batch[:2], batch[3], batch[3], batch[2])
    assert policy_calls.numpy() == iterations.numpy() == expected
    assert kl.numpy() == pytest.approx(estimates[expected - 1])
    assert value_calls.numpy() == loss.numpy() == 4


def test_an_eager_step_equals_a_traced_one(ppo, batch):
    start = ppo.actor.get_weights()
    traced = ppo.train_policy(*batch)
    weights = ppo.actor.get_weights()
    ppo.actor.set_weights(start)
    ppo.policy_optimizer = keras.optimizers.Adam(3e-4)
    eager = ppo.train_policy.python_function(*batch)
    assert eager.numpy() == pytest.approx(traced.numpy(), abs=1e-7)
    for one, two in zip(weights, ppo.actor.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
