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
    try:
        for path in half_written:
            path.unlink(missing_ok=True)
        name = signal.Signals(signal_number).name
        os.write(2, f"\nppo_cartpole.py: stopped by {name}\n".encode())
    finally:
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
# comment says what the name means and, after the semicolon, what it must be. Keep the comments:
# --help and the checks below read them.
steps_per_epoch = 5000  # environment steps in each epoch; a whole number from 1 to 1000000
epochs = 20  # rounds of sampling, then updating; a whole number from 1 to 1000000
gamma = 0.90  # discount factor, what a reward one step later is worth; a number from 0 to 1
clip_ratio = 0.2  # the share by which it pays to change a probability; a number above 0 and below 1
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

# The name, the meaning and what it must be, of each.
hyperparameters = re.findall(
    r"^(\w+) *=.*# *(.+); (.+)$", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE
)


def read_hyperparameters(arguments):
    """Let `arguments`, a list of str as in sys.argv, override the values above; check them all.

    Returns a dict from name to value. Where one, given there or edited above, is not what its
    comment says it must be, ends the program with one line and exit code 2.
    """

    def whole(value):
        return int(str(value))  # int() alone would read 2.5 as 2

    def switch(value):
        if not isinstance(value, bool):
            raise TypeError("True or False")
        return value

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
        "off where there is no display": (switch, lambda on: has_display or not on),
        "on or off": (switch, lambda on: True),
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
        if rules[must_be][0] is switch:
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
        except (ArithmeticError, OSError, TypeError, ValueError) as error:
            good, why = False, f" ({error})"
        if not good:
            parser.error(f"{name} must be {must_be}, not {given!r}{why}")
    return values


if __name__ == "__main__":
    globals().update(read_hyperparameters(sys.argv[1:]))

# ==== 模型定义 · Model definition ===========================================================
# These use the networks, the optimizers and num_actions that the next section makes.


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
        self.observation_buffer = np.zeros((size, observation_dimensions), np.float32)
        self.action_buffer = np.zeros(size, np.int32)
        self.reward_buffer, self.value_buffer = np.zeros((2, size), np.float32)
        self.advantage_buffer, self.return_buffer = np.zeros((2, size), np.float32)
        self.logprobability_buffer = np.zeros(size, np.float32)
        self.gamma = gamma
        self.lam = lam
        self.pointer = 0  # where the next step goes
        self.trajectory_start_index = 0  # where the trajectory under way began

    def store(self, observation, action, reward, value, logprobability):
        """Append one step: what was seen, done and paid, and what the networks thought of it.

        Raises IndexError when the buffer is full.
        """
        t = self.pointer
        self.observation_buffer[t] = observation
        self.action_buffer[t] = action
        self.reward_buffer[t] = reward
        self.value_buffer[t] = value
        self.logprobability_buffer[t] = logprobability
        self.pointer = t + 1

    def finish_trajectory(self, last_value=0):
        """Compute the advantages and returns of the steps stored since the last call.

        last_value: 0 where the episode is over, which in the article includes reaching its
        200-step limit; V(s) of the next observation, a float or float32 (1,), where the end of
        the epoch cut it off, to stand for the rewards that were not seen.

        Advantage: GAE, Schulman et al. 2016, equation 16: the sum over l of
        (gamma * lam)**l * delta[t+l], with delta[t] = r[t] + gamma * V(s[t+1]) - V(s[t]).
        It says how much better the action was than the critic expected. lam trades noise (1)
        for bias (0). Return: the discounted rewards from each step on, last_value being one
        more of them. It is the critic's target.
        """
        steps = slice(self.trajectory_start_index, self.pointer)
        rewards, values = self.reward_buffer[steps], self.value_buffer[steps]
        next_values = np.append(values[1:], last_value)
        deltas = rewards + self.gamma * next_values - values
        self.advantage_buffer[steps] = discounted_cumulative_sums(deltas, self.gamma * self.lam)
        rewards_to_come = np.append(rewards, last_value)
        self.return_buffer[steps] = discounted_cumulative_sums(rewards_to_come, self.gamma)[:-1]
        self.trajectory_start_index = self.pointer

    def get(self):
        """Return the full buffer's observations (size, observation_dimensions), actions,
        advantages, returns and log-probabilities (size,), and start over.

        Advantages are shifted and scaled to mean 0 and standard deviation 1, so that actions
        better than the average are encouraged and the others discouraged, on a scale that
        stays alike as episodes grow longer.
        """
        self.pointer = self.trajectory_start_index = 0
        advantages = self.advantage_buffer
        # The article adds nothing to the deviation: NaN when all advantages are equal.
        self.advantage_buffer = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
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
    *hidden, last = sizes
    for units in hidden:
        x = layers.Dense(units, activation)(x)
    return layers.Dense(last, output_activation)(x)


# (4) 对数概率 · Log-probabilities
def logprobabilities(logits, a):
    """Return log pi(a|s), float32 (batch,), of actions a, int (batch,).

    logits: float32 (batch, num_actions), the actor's output. log_softmax turns them into
    log-probabilities; the one-hot product picks the one of the action taken.
    """
    taken = tf.one_hot(a, num_actions)
    return tf.reduce_sum(taken * tf.nn.log_softmax(logits), axis=1)


# (5) 采样动作 · Sample an action
@tf.function
def sample_action(observation):
    """Draw actions from the policy. observation: float32 (batch, observation_dimensions).

    Returns logits, float32 (batch, num_actions), and actions, int64 (batch,).
    """
    logits = actor(observation)
    return logits, tf.random.categorical(logits, num_samples=1)[:, 0]


# (6) 训练策略 · Train the policy
def policy_loss(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """Return PPO-Clip's loss, a float32 scalar: Schulman et al. 2017, equation 7, negated.

    observation_buffer: float32 (n, observation_dimensions); action_buffer: int (n,);
    logprobability_buffer and advantage_buffer: float32 (n,).

    The ratio pi(a|s) / pi_old(a|s) says how far the policy has moved since it chose a. Clipping
    it makes the minimum flat beyond 1 + clip_ratio for good actions and below 1 - clip_ratio for
    bad ones: the same data offers nothing for going further. What still does, the stop on KL
    catches. (The article clips the product, to the same effect.)
    """
    logprobability = logprobabilities(actor(observation_buffer), action_buffer)
    ratio = tf.exp(logprobability - logprobability_buffer)
    clipped = tf.clip_by_value(ratio, 1 - clip_ratio, 1 + clip_ratio)
    return -tf.reduce_mean(tf.minimum(ratio * advantage_buffer, clipped * advantage_buffer))


@tf.function
def train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """Take one Adam step on the actor; return how far it now is from the policy that sampled.

    Arguments as for `policy_loss`. Returns the mean of log pi_old - log pi, a float32 scalar. It
    estimates KL(pi_old || pi); it is noisy and may be negative (Schulman's k1,
    http://joschu.net/blog/kl-approx.html).
    """
    with tf.GradientTape() as tape:
        loss = policy_loss(
            observation_buffer, action_buffer, logprobability_buffer, advantage_buffer
        )
    variables = actor.trainable_variables
    policy_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    logprobability = logprobabilities(actor(observation_buffer), action_buffer)
    return tf.reduce_mean(logprobability_buffer - logprobability)


# (7) 训练价值函数 · Train the value function
def value_loss(observation_buffer, return_buffer):
    """Return the critic's mean squared error, a float32 scalar.

    observation_buffer: float32 (n, observation_dimensions); return_buffer: float32 (n,).
    """
    return tf.reduce_mean(tf.square(critic(observation_buffer) - return_buffer))


@tf.function
def train_value_function(observation_buffer, return_buffer):
    """Take one Adam step on the critic. Arguments as for `value_loss`."""
    with tf.GradientTape() as tape:
        loss = value_loss(observation_buffer, return_buffer)
    variables = critic.trainable_variables
    value_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))


# ==== 游戏初始化 · Game and networks ========================================================
keras.utils.set_random_seed(seed)
env = gym.make("CartPole-v0")  # over at 12 degrees (the article says 15), 2.4 units or 200 steps
(observation_dimensions,) = env.observation_space.shape
num_actions = env.action_space.n
# The article does not pass gamma and lam on, and so trains with Buffer's defaults.
buffer = Buffer(observation_dimensions, steps_per_epoch, gamma, lam)

observation_input = keras.Input(shape=[observation_dimensions])
actor = keras.Model(observation_input, mlp(observation_input, [*hidden_sizes, num_actions]))
value = mlp(observation_input, [*hidden_sizes, 1])
critic = keras.Model(observation_input, tf.squeeze(value, axis=1))

policy_optimizer = keras.optimizers.Adam(policy_learning_rate)
value_optimizer = keras.optimizers.Adam(value_function_learning_rate)

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
            "not there, unset it. Or train without drawing: --no-gif --no-render"
        ) from error


@contextlib.contextmanager
def replacing(path):
    """Yield a path beside `path` to write to, and move it over `path` once that is done.

    Raises OSError where that fails; an earlier file is then as it was.
    """
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
    Raises OSError where it cannot be written.
    """
    duration = [0.05] * (len(frames) - 1) + [1.0]
    with replacing(path) as temporary:
        with imageio.get_writer(temporary, "GIF", mode="I", duration=duration) as writer:
            for frame in frames:
                writer.append_data(frame)


def record_gif(path):
    """Play one episode with sampled actions, save it at path, and say how long the pole stayed up.

    Returns the pictures, one from before each step. Raises what `draw` and `save_gif` raise.
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


def take_step(observation, action):
    """Take one step in the environment, and note it in `trajectory`.

    observation: float32 (1, observation_dimensions); action: an integer. Returns the next
    observation, shaped alike, and whether the episode is over.
    """
    try:
        observation_new, reward, done, _ = env.step(action)
    except Exception as error:  # TensorFlow would bury it in a page of its own
        trajectory.clear()
        take_step.error = RuntimeError(f"the environment failed: {error!r}")
        raise take_step.error from error
    trajectory.append((observation[0], action, reward))
    return observation_new.reshape(1, -1), done


def observations_and_actions():
    """Return those in `trajectory`: float32 (n, observation_dimensions) and int64 (n,)."""
    observations, actions, _ = zip(*trajectory)
    return np.array(observations), np.array(actions)


def store_trajectory(values, logprobabilities):
    """Store each step in `trajectory`, with its value and log-probability, float32 (n,)."""
    for (observation, action, reward), value_t, logprobability_t in zip(
        trajectory, values, logprobabilities
    ):
        buffer.store(observation, action, reward, value_t, logprobability_t)
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
        if render:  # only outside the graph: see train
            draw("human")
        logits, action = sample_action(observation)
        observation, done = tf.numpy_function(
            take_step, [observation, action[0]], [tf.float32, tf.bool]
        )
        # The graph cannot know what shapes come from outside.
        observation = tf.ensure_shape(observation, (1, observation_dimensions))
        done = tf.ensure_shape(done, ())
        if done:
            break

    observations, actions = tf.numpy_function(observations_and_actions, [], [tf.float32, tf.int64])
    observations = tf.ensure_shape(observations, (None, observation_dimensions))
    actions = tf.ensure_shape(actions, (None,))
    value = critic(observations)
    logprobability = logprobabilities(actor(observations), actions)  # the actor has not changed
    tf.numpy_function(store_trajectory, [value, logprobability], [])
    return observation, t + 1, done


def train():
    """Run all epochs: sample steps_per_epoch steps, update both networks, print and log.

    Raises FloatingPointError when nothing more can be learnt, RuntimeError when the environment
    fails.
    """
    env.seed(seed)
    # A live window belongs to the main thread, so with one the loop runs there, outside the graph.
    play = sample_trajectory.python_function if render else sample_trajectory
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
                observation, episode_length, done = play(observation, room)
            except tf.errors.OpError as error:
                raise getattr(take_step, "error", error) from None
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
        policy_data = observation_buffer, action_buffer, logprobability_buffer, advantage_buffer

        for iteration in range(train_policy_iterations):
            kl = train_policy(*policy_data)
            if kl > 1.5 * target_kl:  # the sampled steps no longer speak for this policy
                break

        for _ in range(train_value_iterations):
            train_value_function(observation_buffer, return_buffer)

        # The article's formula: a trajectory cut off by the end of the epoch counts as whole.
        average = sum_length / num_episodes
        tqdm.write(f"完成第 {epoch + 1} 轮训练， 平均奖励: {average}")

        logits = actor(observation_buffer)
        entropy = -tf.reduce_mean(
            tf.reduce_sum(tf.nn.softmax(logits) * tf.nn.log_softmax(logits), axis=1)
        )
        critic_loss = value_loss(observation_buffer, return_buffer)
        with writer.as_default(step=epoch + 1):
            tf.summary.scalar("episodes/average reward", buffer.reward_buffer.sum() / num_episodes)
            tf.summary.scalar("episodes/average length", average)
            tf.summary.scalar("episodes/steps per second", steps_per_epoch / seconds)
            tf.summary.scalar("updates/policy loss", policy_loss(*policy_data))
            tf.summary.scalar("updates/value loss", critic_loss)
            tf.summary.scalar("updates/KL", kl)
            tf.summary.scalar("updates/policy iterations", iteration + 1)
            tf.summary.scalar("updates/entropy", entropy)
        writer.flush()
        # Where every action is as good as certain, the gradient is as good as 0.
        if not np.isfinite([kl, critic_loss]).all() or entropy < 1e-6:
            raise FloatingPointError(
                f"nothing more can be learnt after epoch {epoch + 1}: KL {kl:g}, value loss "
                f"{critic_loss:g}, entropy {entropy:g}; try smaller learning rates"
            )


# ==== 保存训练后的运动情况 · Recording after training, and the whole run ====================


def side_by_side(before, after):
    """Join the pictures of two episodes left and right, and count the steps in each.

    before, after: lists of uint8 (height, width, 3). Returns such a list, as long as the longer;
    the shorter holds its last picture, its count in red.
    """
    # Digits of 3 x 5 dots, a row of three bits a figure: pyglet's text would need fonts.
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
            halves.append(half)
        halves[0][:, -2:] = 0  # a line between the two
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
        sys.exit("ppo_cartpole.py: error: stopped, because its output was closed")
    except (OSError, RuntimeError, FloatingPointError, tf.errors.OpError) as error:
        sys.exit(f"ppo_cartpole.py: error: {error}")
