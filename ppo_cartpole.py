"""通过 CartPole 游戏说明 PPO：PPO-Clip teaches a small actor-critic to balance CartPole-v0.

`python ppo_cartpole.py` plays an episode with the untrained networks, trains them for 20 epochs
and plays another; `outputs` then holds a GIF of each. `--help` lists what can be changed. The
sections follow the article, under its headings.
"""

# ==== 库准备 · Libraries ====================================================================
import argparse
import contextlib
import math
import os
import re
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

half_written = set()  # files on their way to their place


def stop(signal_number, frame):
    """End on Ctrl-C or SIGTERM: tidy up, say so in one line, exit with the shell's 130 or 143."""
    for path in half_written:
        path.unlink(missing_ok=True)
    os.write(2, f"\nppo_cartpole.py: stopped by {signal.Signals(signal_number).name}\n".encode())
    os._exit(128 + signal_number)  # at once: an exception could be swallowed on its way up


if __name__ == "__main__":  # before TensorFlow, which takes seconds to import
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)

# TensorFlow's own settings, for those who have not chosen: no start-up noise, and one thread,
# because these networks are so small that sharing the work costs more than it saves.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import gym
import imageio
import numpy as np
import pyglet
import scipy.signal
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers
from tqdm import tqdm

tf.get_logger().setLevel("ERROR")
has_display = sys.platform != "linux" or bool(os.environ.get("DISPLAY"))
pyglet.options["headless"] = not has_display  # draws through EGL, without an X server
warnings.filterwarnings("ignore", "No device available for EGL")  # if that matters, it raises too

# ==== 超参数设置 · Hyperparameters ==========================================================
# Edit them here or set them by name: `python ppo_cartpole.py --steps-per-epoch 500`. Each
# comment says what the name means and, after the semicolon, what it must be.
steps_per_epoch = 5000  # environment steps in each epoch; a whole number from 1 to 1000000
epochs = 20  # rounds of sampling, then updating; a whole number from 1 to 1000000
gamma = 0.90  # discount factor, what a reward one step later is worth; a number from 0 to 1
clip_ratio = 0.2  # how far an epoch may usefully move the policy; a number above 0 and below 1
policy_learning_rate = 3e-4  # Adam's step size for the actor; a positive, finite number
value_function_learning_rate = 3e-4  # Adam's step size for the critic; a positive, finite number
train_policy_iterations = 80  # most actor updates an epoch; a whole number from 1 to 1000000
train_value_iterations = 80  # critic updates an epoch; a whole number from 1 to 1000000
lam = 0.97  # GAE's lambda, from trusting the critic to trusting rewards; a number from 0 to 1
target_kl = 0.01  # actor updates stop above 1.5 times this KL; a positive, finite number
hidden_sizes = (64, 64)  # neurons in each hidden layer; one or more whole numbers from 1 to 4096
render = False  # show the training in a live window, slowly; off where there is no display
seed = 0  # makes a run repeatable, the article sets none; a whole number from 0 to 4294967295
gif = True  # record the GIFs; on or off
output_dir = "outputs"  # where a run leaves its files; a folder with room to write 2 MB

# (name, meaning, what it must be) of each, so that --help and the checks say what is said above.
hyperparameters = re.findall(
    r"^(\w+) *=.+?# *(.+); (.+)$", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE
)


def read_hyperparameters(arguments):
    """Let `arguments`, a list of str as in sys.argv, override the values above; check them all.

    Returns a dict from name to value. Where one, given there or edited above, is not what its
    comment says it must be, ends the program with one line and exit code 2.
    """

    def whole(value):
        return int(str(value))  # int() alone would read 2.5 as 2

    def writable(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(bytes(2_000_000))  # as much as a run leaves there
        return folder != ""

    rules = {  # how to read a value, and what it must satisfy
        "a whole number from 1 to 1000000": (whole, lambda n: 1 <= n <= 1000000),
        "a whole number from 0 to 4294967295": (whole, lambda n: 0 <= n <= 4294967295),
        "a number from 0 to 1": (float, lambda x: 0 <= x <= 1),
        "a number above 0 and below 1": (float, lambda x: 0 < x < 1),
        "a positive, finite number": (float, lambda x: 0 < x < math.inf),
        "one or more whole numbers from 1 to 4096": (
            lambda sizes: [whole(size) for size in sizes],
            lambda sizes: sizes and all(1 <= size <= 4096 for size in sizes),
        ),
        "off where there is no display": (bool, lambda on: has_display or not on),
        "on or off": (bool, lambda on: True),
        "a folder with room to write 2 MB": (str, writable),
    }
    parser = argparse.ArgumentParser(
        description="Train PPO-Clip on CartPole-v0; leave a GIF from before and one from after.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        usage=argparse.SUPPRESS,  # so that an error is one line
        allow_abbrev=False,
    )
    for name, meaning, must_be in hyperparameters:
        options = {"default": globals()[name], "help": f"{meaning}; {must_be}"}
        if rules[must_be][0] is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif name == "hidden_sizes":
            options["nargs"] = "+"
        parser.add_argument("--" + name.replace("_", "-"), **options)

    values = vars(parser.parse_args(arguments))
    for name, _, must_be in hyperparameters:
        given, why = values[name], ""
        convert, is_allowed = rules[must_be]
        try:
            values[name] = convert(given)
            good = is_allowed(values[name])
        except (OSError, TypeError, ValueError) as error:
            good, why = False, f" ({error})"
        if not good:
            parser.error(f"{name} must be {must_be}, not {given!r}{why}")
    return values


if __name__ == "__main__":
    globals().update(read_hyperparameters(sys.argv[1:]))

# ==== 模型定义 · Model definition ===========================================================


# (1) 折扣累计和 · Discounted cumulative sums
def discounted_cumulative_sums(x, discount):
    """Return y with y[t] = x[t] + discount * x[t+1] + discount**2 * x[t+2] + ...

    x: array (n, ...); discount: number from 0 to 1. Returns a float64 array shaped like x.
    Read backwards, y[t] = x[t] + discount * y[t+1] is a linear filter, which SciPy runs in C.
    """
    return scipy.signal.lfilter([1], [1, -float(discount)], x[::-1], axis=0)[::-1]


# (2) 训练数据 · The steps of one epoch
class Buffer:
    """One epoch of steps, and the advantages and returns computed from them.

    observation_dimensions: numbers in an observation; size: steps in an epoch; gamma, lam: the
    discount factor and GAE's lambda.
    """

    def __init__(self, observation_dimensions, size, gamma=0.99, lam=0.95):
        self.observation_buffer = np.zeros((size, observation_dimensions), dtype=np.float32)
        self.action_buffer = np.zeros(size, dtype=np.int32)
        self.advantage_buffer = np.zeros(size, dtype=np.float32)
        self.reward_buffer = np.zeros(size, dtype=np.float32)
        self.return_buffer = np.zeros(size, dtype=np.float32)
        self.value_buffer = np.zeros(size, dtype=np.float32)
        self.logprobability_buffer = np.zeros(size, dtype=np.float32)
        self.gamma, self.lam = gamma, lam
        self.pointer, self.trajectory_start_index = 0, 0

    def store(self, observation, action, reward, value, logprobability):
        """Append one step: what was seen, done and paid, and what the networks thought of it.

        Raises IndexError when the buffer is full.
        """
        self.observation_buffer[self.pointer] = observation
        self.action_buffer[self.pointer] = action
        self.reward_buffer[self.pointer] = reward
        self.value_buffer[self.pointer] = value
        self.logprobability_buffer[self.pointer] = logprobability
        self.pointer += 1

    def finish_trajectory(self, last_value=0):
        """Compute the advantages and returns of the steps stored since the last call.

        last_value: 0 where the pole fell, for nothing more is to come; the critic's V(s) of the
        next observation where the trajectory was only cut off, to stand for what was not seen.

        Advantage: GAE, Schulman et al. 2016, equation 16: the sum over l of
        (gamma * lam)**l * delta[t+l], with delta[t] = r[t] + gamma * V(s[t+1]) - V(s[t]).
        It says how much better the action was than the critic expected. lam trades noise (1)
        for bias (0). Return: the discounted rewards from each step on, the critic's target.
        """
        path = slice(self.trajectory_start_index, self.pointer)
        rewards = np.append(self.reward_buffer[path], last_value)
        values = np.append(self.value_buffer[path], last_value)
        deltas = rewards[:-1] + self.gamma * values[1:] - values[:-1]
        self.advantage_buffer[path] = discounted_cumulative_sums(deltas, self.gamma * self.lam)
        self.return_buffer[path] = discounted_cumulative_sums(rewards, self.gamma)[:-1]
        self.trajectory_start_index = self.pointer

    def get(self):
        """Return the full buffer's observations (size, n), actions, advantages, returns and
        log-probabilities (size,), and start over.

        Advantages are shifted and scaled to mean 0 and standard deviation 1, so that one
        learning rate suits early epochs of short episodes and late ones of long.
        """
        self.pointer, self.trajectory_start_index = 0, 0
        mean, deviation = np.mean(self.advantage_buffer), np.std(self.advantage_buffer)
        # The article divides by the deviation alone: NaN when all advantages are equal.
        self.advantage_buffer = (self.advantage_buffer - mean) / (deviation + 1e-8)
        return (
            self.observation_buffer,
            self.action_buffer,
            self.advantage_buffer,
            self.return_buffer,
            self.logprobability_buffer,
        )


# (3) 多层感知机 · Multi-layer perceptron
def mlp(x, sizes, activation=tf.tanh, output_activation=None):
    """Put fully connected layers of the given sizes on x, a Keras tensor (batch, n).

    Returns the last layer's tensor (batch, sizes[-1]).
    """
    for size in sizes[:-1]:
        x = layers.Dense(units=size, activation=activation)(x)
    return layers.Dense(units=sizes[-1], activation=output_activation)(x)


# (4) 对数概率 · Log-probabilities
def logprobabilities(logits, a):
    """Return log pi(a|s), float32 (batch,), of actions a, int (batch,).

    logits: float32 (batch, num_actions), the actor's output. log_softmax turns them into
    log-probabilities; the one-hot product picks the one of the action taken.
    """
    logprobabilities_all = tf.nn.log_softmax(logits)
    return tf.reduce_sum(tf.one_hot(a, num_actions) * logprobabilities_all, axis=1)


# (5) 采样动作 · Sample an action
@tf.function
def sample_action(observation):
    """Draw actions from the policy. observation: float32 (batch, observation_dimensions).

    Returns logits, float32 (batch, num_actions), and actions, int64 (batch,).
    """
    logits = actor(observation)
    action = tf.squeeze(tf.random.categorical(logits, 1), axis=1)
    return logits, action


# (6) 训练策略 · Train the policy
def policy_loss(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """Return PPO-Clip's loss, a float32 scalar: Schulman et al. 2017, equation 7, negated.

    The ratio pi(a|s) / pi_old(a|s) says how far the policy has moved since it chose a. Beyond
    1 + clip_ratio for good actions, or below 1 - clip_ratio for bad ones, the minimum is flat:
    nothing is gained by moving further on the same data, so one epoch cannot go too far.
    """
    ratio = tf.exp(
        logprobabilities(actor(observation_buffer), action_buffer) - logprobability_buffer
    )
    min_advantage = tf.where(
        advantage_buffer > 0,
        (1 + clip_ratio) * advantage_buffer,
        (1 - clip_ratio) * advantage_buffer,
    )
    return -tf.reduce_mean(tf.minimum(ratio * advantage_buffer, min_advantage))


@tf.function
def train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """Take one Adam step on the actor; return how far it now is from the policy that sampled.

    Arguments as `Buffer.get` returns them. Returns an estimate of the KL divergence, a float32
    scalar: the mean of log pi_old - log pi (http://joschu.net/blog/kl-approx.html, k1).
    """
    with tf.GradientTape() as tape:
        loss = policy_loss(
            observation_buffer, action_buffer, logprobability_buffer, advantage_buffer
        )
    policy_grads = tape.gradient(loss, actor.trainable_variables)
    policy_optimizer.apply_gradients(zip(policy_grads, actor.trainable_variables))
    return tf.reduce_mean(
        logprobability_buffer - logprobabilities(actor(observation_buffer), action_buffer)
    )


# (7) 训练价值函数 · Train the value function
@tf.function
def train_value_function(observation_buffer, return_buffer):
    """Take one Adam step on the critic; return its mean squared error before the step.

    observation_buffer: float32 (n, observation_dimensions); return_buffer: float32 (n,).
    """
    with tf.GradientTape() as tape:
        value_loss = tf.reduce_mean((return_buffer - critic(observation_buffer)) ** 2)
    value_grads = tape.gradient(value_loss, critic.trainable_variables)
    value_optimizer.apply_gradients(zip(value_grads, critic.trainable_variables))
    return value_loss


# ==== 游戏初始化 · Game and networks ========================================================
keras.utils.set_random_seed(seed)
env = gym.make("CartPole-v0")  # over at 12 degrees (the article says 15) or after 200 steps
observation_dimensions = env.observation_space.shape[0]
num_actions = env.action_space.n
# The article does not pass gamma and lam on, and so trains with Buffer's defaults.
buffer = Buffer(observation_dimensions, steps_per_epoch, gamma, lam)

observation_input = keras.Input(shape=(observation_dimensions,), dtype=tf.float32)
logits = mlp(observation_input, [*hidden_sizes, num_actions], tf.tanh, None)
actor = keras.Model(inputs=observation_input, outputs=logits)
value = tf.squeeze(mlp(observation_input, [*hidden_sizes, 1], tf.tanh, None), axis=1)
critic = keras.Model(inputs=observation_input, outputs=value)

policy_optimizer = keras.optimizers.Adam(learning_rate=policy_learning_rate)
value_optimizer = keras.optimizers.Adam(learning_rate=value_function_learning_rate)

# ==== 保存未训练时的运动情况 · Recording, used before training ==============================


def draw(mode):
    """Render the game: mode "rgb_array" returns uint8 (400, 600, 3), "human" shows a window.

    Raises RuntimeError, saying what to do, where nothing can be drawn.
    """
    try:
        return env.render(mode=mode)
    except Exception as error:  # pyglet, gym and the graphics driver each raise their own
        cause = error.__context__ or error  # gym's own words about OpenGL are out of date
        raise RuntimeError(
            f"cannot draw the game: {cause} (DISPLAY is {os.environ.get('DISPLAY')}). On Debian or "
            "Ubuntu: apt install libgl1 libglu1-mesa libegl1. If DISPLAY names a screen that is "
            "not there, unset it. Or train without drawing: --no-gif"
        ) from error


@contextlib.contextmanager
def replacing(path):
    """Yield a path beside `path` to write to, and move it over `path` once that is done."""
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    half_written.add(temporary)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"cannot write {path}, which is as it was ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)
        half_written.remove(temporary)


def save_gif(path, frames):
    """Write frames, a list of uint8 (height, width, 3), as an endless GIF.

    20 frames a second, 2.5 times slower than the game's 0.02 s a step; the last stays a second.
    """
    duration = [0.05] * (len(frames) - 1) + [1.0]
    with replacing(path) as temporary:
        with imageio.get_writer(temporary, "GIF", mode="I", duration=duration) as writer:
            for frame in frames:
                writer.append_data(frame)


def record_gif(path):
    """Play one episode with sampled actions, save it at path, and say how long the pole stayed up.

    Returns the pictures, one from before each step.
    """
    env.seed(seed)  # so that all GIFs start alike, and recording does not change the training
    observation, done, frames = env.reset(), False, []
    while not done:
        frames.append(draw("rgb_array"))
        logits, action = sample_action(observation.reshape(1, -1))
        observation, reward, done, _ = env.step(action[0].numpy())
    env.close()
    save_gif(path, frames)
    print(f"{path}: 杆子直立 {len(frames)} 步 · the pole stayed up for {len(frames)} steps")
    return frames


# ==== 模型训练 · Training ===================================================================


trajectory = []  # the one under way: (observation, action, reward) of each step


def step(observation, action):
    """Take one step in the environment, and note it in `trajectory`.

    observation: float32 (1, observation_dimensions); action: an integer. Returns the next
    observation, shaped alike, and whether the episode is over. Reaching 200 steps counts as
    over, as in the article: nothing stands for the rewards that would have followed.
    """
    try:
        observation_new, reward, done, _ = env.step(action)
    except Exception as error:  # TensorFlow would bury it in a page of its own
        trajectory.clear()
        step.error = RuntimeError(f"the environment failed: {error!r}")
        raise step.error from error
    trajectory.append((observation[0], action, reward))
    return observation_new.reshape(1, -1), done


def observations_and_actions():
    """Return those in `trajectory`: float32 (n, observation_dimensions) and int64 (n,)."""
    observations, actions, _ = zip(*trajectory)
    return np.array(observations), np.array(actions)


def store(values, log_probabilities):
    """Store the steps in `trajectory`, each with its value and log-probability, float32 (n,)."""
    for (observation, action, reward), *thoughts in zip(trajectory, values, log_probabilities):
        buffer.store(observation, action, reward, *thoughts)
    trajectory.clear()


@tf.function
def sample_trajectory(observation, room):
    """Play until the episode is over or `room` steps, an int32 scalar, are taken; store them.

    observation: float32 (1, observation_dimensions), a fresh start. Returns the observation
    after the last step, the number of steps, and whether the episode is over.

    This is the article's inner loop: sample, step, value, log-probability, store. It runs inside
    the graph, and values all its steps at once, because to call TensorFlow from Python, or Python
    from TensorFlow, takes far longer than what is computed.
    """
    done = False
    for t in tf.range(room):
        if render:
            draw("human")
        logits, action = sample_action(observation)
        observation, done = tf.numpy_function(step, [observation, action[0]], [tf.float32, tf.bool])
        # The graph cannot know what shapes come from outside.
        observation = tf.ensure_shape(observation, (1, observation_dimensions))
        done = tf.ensure_shape(done, ())
        if done:
            break

    observations, actions = tf.numpy_function(observations_and_actions, [], [tf.float32, tf.int64])
    observations = tf.ensure_shape(observations, (None, observation_dimensions))
    actions = tf.ensure_shape(actions, (None,))
    values = critic(observations)
    log_probabilities = logprobabilities(actor(observations), actions)
    tf.numpy_function(store, [values, log_probabilities], [])
    return observation, t + 1, done


def train():
    """Run all epochs: sample steps_per_epoch steps, update both networks, print and log.

    Raises FloatingPointError when nothing more can be learnt, RuntimeError when the environment
    fails.
    """
    env.seed(seed)
    # A live window belongs to the main thread, so with one the loop runs there, outside the graph.
    sample = sample_trajectory.python_function if render else sample_trajectory
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    writer = tf.summary.create_file_writer(str(Path(output_dir, "logs", run)))
    with writer.as_default(step=0):
        settings = [f"| {name} | {globals()[name]} |" for name, _, _ in hyperparameters]
        tf.summary.text("hyperparameters", "\n".join(["| name | value |", "|---|---|", *settings]))

    for epoch in tqdm(range(epochs), dynamic_ncols=True):
        started = time.perf_counter()
        sum_length = 0
        num_episodes = 0
        while sum_length < steps_per_epoch:
            observation = env.reset().reshape(1, -1)
            room = tf.constant(steps_per_epoch - sum_length)
            try:
                observation, episode_length, done = sample(observation, room)
            except tf.errors.OpError:
                raise step.error from None
            last_value = 0 if done else critic(observation)
            buffer.finish_trajectory(last_value)
            sum_length += int(episode_length)
            num_episodes += 1
        seconds = time.perf_counter() - started

        (
            observation_buffer,
            action_buffer,
            advantage_buffer,
            return_buffer,
            logprobability_buffer,
        ) = map(tf.constant, buffer.get())  # to tensors once, not at every update
        sampled = observation_buffer, action_buffer, logprobability_buffer, advantage_buffer

        for iteration in range(train_policy_iterations):
            kl = train_policy(*sampled)
            if kl > 1.5 * target_kl:  # the sampled steps no longer speak for this policy
                break

        for _ in range(train_value_iterations):
            value_loss = train_value_function(observation_buffer, return_buffer)

        # The article's formula: a trajectory cut off by the end of the epoch counts as whole.
        average = sum_length / num_episodes
        tqdm.write(f"完成第 {epoch + 1} 轮训练， 平均奖励: {average}")

        logits = actor(observation_buffer)
        entropy = -tf.reduce_mean(
            tf.reduce_sum(tf.nn.softmax(logits) * tf.nn.log_softmax(logits), axis=1)
        )
        with writer.as_default(step=epoch + 1):
            tf.summary.scalar("episodes/average reward", buffer.reward_buffer.sum() / num_episodes)
            tf.summary.scalar("episodes/average length", average)
            tf.summary.scalar("episodes/steps per second", steps_per_epoch / seconds)
            tf.summary.scalar("updates/policy loss", policy_loss(*sampled))
            tf.summary.scalar("updates/value loss", value_loss)
            tf.summary.scalar("updates/KL", kl)
            tf.summary.scalar("updates/policy iterations", iteration + 1)
            tf.summary.scalar("updates/entropy", entropy)
        writer.flush()
        # At entropy 0 every action is certain, and the gradient is 0 for good.
        if not np.isfinite([kl, value_loss]).all() or entropy == 0:
            raise FloatingPointError(
                f"nothing more can be learnt after epoch {epoch + 1}: KL {kl:g}, value loss "
                f"{value_loss:g}, entropy {entropy:g}; try smaller learning rates"
            )


# ==== 保存训练后的运动情况 · Recording after training, and the whole run ====================


def side_by_side(before, after):
    """Join the pictures of two episodes left and right, and count the steps in each.

    before, after: lists of uint8 (height, width, 3). Returns such a list, as long as the longer;
    the shorter holds its last picture, its count in red.
    """
    # Digits of 3 x 5 pixels, a row of three bits a figure: none of the packages draws text.
    digits = "75557 26227 71747 71717 55711 74717 74757 71111 75757 75717".split()
    bits = [[[int(row) & bit for bit in (4, 2, 1)] for row in digit] for digit in digits]
    glyphs = np.kron(bits, np.ones((1, 8, 8))) > 0
    pictures = []
    for t in range(max(len(before), len(after))):
        halves = []
        for episode in (before, after):
            steps = min(t + 1, len(episode))
            half = episode[steps - 1].copy()
            for place, digit in enumerate(str(steps)):
                corner = half[20:60, 20 + 32 * place : 44 + 32 * place]
                corner[glyphs[int(digit)]] = (0, 0, 0) if t < len(episode) else (200, 0, 0)
            half[:, -2:] = 0  # a line between the two
            halves.append(half)
        pictures.append(np.hstack(halves))
    return pictures


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    untrained, trained, both = (
        Path(output_dir, os.fsdecode(name.encode()))  # UTF-8, even where the console is not
        for name in ("未训练前的样子.gif", "训练后的样子.gif", "训练前后对比.gif")
    )
    try:
        if gif:
            before = record_gif(untrained)
        train()
        for name, network in (("actor.keras", actor), ("critic.keras", critic)):
            with replacing(Path(output_dir, name)) as temporary:
                network.save(temporary)
        if gif:
            after = record_gif(trained)
            save_gif(both, side_by_side(before, after))
            print(f"{both}: 左为训练前，右为训练后 · before on the left, after on the right")
    except BrokenPipeError:
        sys.stdout = None  # or Python would write there again on its way out
        sys.exit("ppo_cartpole.py: error: stopped, because standard output was closed")
    except (OSError, RuntimeError, FloatingPointError, tf.errors.OpError) as error:
        sys.exit(f"ppo_cartpole.py: error: {error}")
