"""The article's algorithm once more, in NumPy, float64 and plain loops, from the papers alone."""

import numpy as np


def layers_of(network):
    """The weights of a Keras network as [(matrix, bias), ...] in float64."""
    weights = [weight.astype(np.float64) for weight in network.get_weights()]
    return list(zip(weights[::2], weights[1::2], strict=True))


def forward(layers, x):
    """Every layer's output for inputs x (batch, n): tanh in between, nothing after the last."""
    outputs = [np.asarray(x, np.float64)]
    for number, (matrix, bias) in enumerate(layers, 1):
        z = outputs[-1] @ matrix + bias
        outputs.append(np.tanh(z) if number < len(layers) else z)
    return outputs


def backward(layers, outputs, gradient):
    """Gradients [matrix, bias, ...] by the chain rule, from the gradient at the last output."""
    gradients = []
    for number in range(len(layers), 0, -1):
        if number < len(layers):
            gradient = gradient * (1 - outputs[number] ** 2)
        gradients[:0] = [outputs[number - 1].T @ gradient, gradient.sum(axis=0)]
        gradient = gradient @ layers[number - 1][0].T
    return gradients


def log_softmax(logits):
    """Log-probabilities (batch, n) without overflow."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_probability(layers, observations, actions):
    """log pi(a|s) of the actions taken, (batch,)."""
    return log_softmax(forward(layers, observations)[-1])[np.arange(len(actions)), actions]


def policy_gradients(layers, observations, actions, old, advantages, clip_ratio):
    """Gradients of PPO-Clip, Schulman et al. 2017, equation 7, negated, by the network's weights."""
    outputs = forward(layers, observations)
    log_probabilities = log_softmax(outputs[-1])
    rows = np.arange(len(actions))
    ratios = np.exp(log_probabilities[rows, actions] - old)
    beyond = np.where(advantages > 0, ratios > 1 + clip_ratio, ratios < 1 - clip_ratio)
    by_log_probability = np.where(beyond, 0, -ratios * advantages) / len(actions)
    one_hot = np.eye(log_probabilities.shape[1])[actions]
    return backward(layers, outputs, by_log_probability[:, None] * (one_hot - np.exp(log_probabilities)))


def value_gradients(layers, observations, returns):
    """Gradients of the mean squared error by the network's weights."""
    outputs = forward(layers, observations)
    return backward(layers, outputs, 2 * (outputs[-1] - returns[:, None]) / len(returns))


class Adam:
    """Kingma and Ba 2015, in the form given before their section 2.1, TensorFlow's epsilon."""

    def __init__(self, learning_rate):
        self.learning_rate, self.t, self.moments = learning_rate, 0, {}

    def step(self, layers, gradients):
        """Return the layers after one step."""
        self.t += 1
        rate = self.learning_rate * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        weights = list(sum(layers, ()))
        for i, gradient in enumerate(gradients):
            m, v = self.moments.get(i, (0.0, 0.0))
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            self.moments[i] = m, v
            weights[i] = weights[i] - rate * m / (np.sqrt(v) + 1e-7)
        return list(zip(weights[::2], weights[1::2], strict=True))


def discounted(x, discount):
    """For each t the sum of x[t], discount * x[t + 1], discount**2 * x[t + 2] and so on."""
    return [sum(discount**k * later for k, later in enumerate(x[t:])) for t in range(len(x))]


def advantages_by_definition(rewards, values, gamma, lam):
    """Schulman et al. 2016, equation 16: TD errors discounted; the last value is of what follows."""
    errors = [rewards[t] + gamma * values[t + 1] - values[t] for t in range(len(rewards))]
    return discounted(errors, gamma * lam)


def returns_by_definition(rewards, last_value, gamma):
    """Rewards to go, what follows the cut standing in for the rewards not seen."""
    return discounted([*rewards, last_value], gamma)[:-1]


def article_train(ppo, epochs):
    """The article's way to train: for each step, three calls from Python into TensorFlow.

    The action comes from a tf.function; the critic and the log-probability are called eagerly.
    """
    env, buffer = ppo.env, ppo.buffer
    observation = env.reset()
    for _ in epochs:
        for t in range(ppo.steps_per_epoch):
            row = observation.reshape(1, -1)
            logits, action = ppo.sample_action(row)
            observation, reward, done, _ = env.step(action[0].numpy())
            value = ppo.critic(row)
            buffer.store(row, action, reward, value, ppo.logprobabilities(logits, action))
            if done or t == ppo.steps_per_epoch - 1:
                buffer.finish_trajectory(0 if done else ppo.critic(observation.reshape(1, -1)))
                observation = env.reset()
        observations, actions, advantages, returns, old = buffer.get()
        for _ in range(ppo.train_policy_iterations):
            if ppo.train_policy(observations, actions, old, advantages) > 1.5 * ppo.target_kl:
                break
        for _ in range(ppo.train_value_iterations):
            ppo.train_value_function(observations, returns)
