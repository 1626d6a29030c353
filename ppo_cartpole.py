"""通过 CartPole 游戏说明 PPO · PPO-Clip teaches a small actor-critic to balance CartPole-v0.

`python ppo_cartpole.py` records an episode of the untrained policy, trains it for 20 epochs and
records another; `outputs` then holds a GIF of each. `--help` lists what can be changed. The
sections follow the article, under its headings; a section of our own is marked 原文没有.
"""

# ==== 运行环境（原文没有）· Before the imports (not in the article) =========================
import os
import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the run at once, in TensorFlow too

# Networks this small gain nothing from a second thread or a GPU, where runs might not repeat.
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no start-up noise

# ==== 库准备 · Libraries ====================================================================
import argparse
import contextlib
import ctypes
import time

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
# 原文没有：免得 Python 3.11 每次被 TensorFlow 线程调用都重新准备 · Not in the article: Python 3.11
# prepares itself anew for each call from TensorFlow's thread. This keeps it prepared.
tf.function(lambda: tf.py_function(ctypes.pythonapi.PyGILState_Ensure, [], tf.int32))()
# Without a display, pyglet draws through EGL.
pyglet.options["headless"] = sys.platform == "linux" and not os.environ.get("DISPLAY")

# ==== 超参数设置 · Hyperparameters ==========================================================
steps_per_epoch = 5000  # 每轮的步数 · environment steps in each epoch
epochs = 20  # 轮数 · rounds of sampling, then updating
gamma = 0.90  # 折扣因子 · discount factor
clip_ratio = 0.2  # 裁剪比率 · farther than this from 1, the probability ratio gains nothing
policy_learning_rate = 3e-4  # 策略网络的学习率 · the actor's learning rate
value_function_learning_rate = 3e-4  # 值函数网络的学习率 · the critic's learning rate
train_policy_iterations = 80  # 每轮最多更新策略的次数 · maximum actor updates in each epoch
train_value_iterations = 80  # 每轮更新值函数网络的次数 · critic updates in each epoch
lam = 0.97  # GAE 的 λ · GAE's lambda
target_kl = 0.01  # KL 超过它的 1.5 倍就停 · actor updates stop above 1.5 times this KL
hidden_sizes = (64, 64)  # 各隐藏层的神经元个数 · units in each hidden layer
render = False  # 训练时的实时画面 · live window while training

# 原文没有的三项 · Three that the article does not have
seed = 0  # 随机种子 · same seed, same run
gif = True  # 是否保存 GIF · record the GIFs
output_dir = "outputs"  # 输出目录 · where a run leaves its files


# ==== 命令行（原文没有）· Command line (not in the article) =================================
def number(kind, low, high):
    """Return a check for argparse: text to a number of that kind, int or float, low to high."""

    def check(text):
        with contextlib.suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        raise argparse.ArgumentTypeError(f"must be {kind.__name__}, {low} to {high}, not {text}")

    return check


if __name__ == "__main__":
    defaults = argparse.ArgumentDefaultsHelpFormatter
    # With the usage left out, an error takes one line.
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, formatter_class=defaults)
    for name, kind, low, high, meaning in (
        ("steps_per_epoch", int, 1, 1000000, "environment steps in each epoch"),
        ("epochs", int, 1, 1000000, "rounds of sampling, then updating"),
        ("gamma", float, 0, 1, "discount factor"),
        ("clip_ratio", float, 1e-12, 1, "farther than this from 1, the ratio gains nothing"),
        ("policy_learning_rate", float, 1e-12, 1, "the actor's learning rate"),
        ("value_function_learning_rate", float, 1e-12, 1, "the critic's learning rate"),
        ("train_policy_iterations", int, 1, 1000000, "maximum actor updates in each epoch"),
        ("train_value_iterations", int, 1, 1000000, "critic updates in each epoch"),
        ("lam", float, 0, 1, "GAE's lambda"),
        ("target_kl", float, 1e-12, 1000, "actor updates stop above 1.5 times this KL"),
        ("seed", int, 0, 2**32 - 1, "same seed, same run"),
    ):
        option, check = "--" + name.replace("_", "-"), number(kind, low, high)
        value = str(globals()[name])  # argparse checks a default, too, if it is text
        parser.add_argument(option, type=check, default=value, help=f"{meaning}; {low} to {high}")
    sizes = {"type": number(int, 1, 4096), "nargs": "+", "default": hidden_sizes}
    parser.add_argument("--hidden-sizes", **sizes, help="units in each hidden layer; 1 to 4096")
    switch = argparse.BooleanOptionalAction
    parser.add_argument("--render", action=switch, default=render, help="live window")
    parser.add_argument("--gif", action=switch, default=gif, help="record the GIFs")
    parser.add_argument("--output-dir", type=os.path.normpath, default=output_dir, help="folder")
    edited = ["--hidden-sizes", *map(str, np.atleast_1d(hidden_sizes))]  # to be checked, too
    settings = vars(parser.parse_args(namespace=parser.parse_args(edited)))
    globals().update(settings)
    if type(render) is not bool or type(gif) is not bool:
        parser.error("render and gif must be True or False")
    if render and pyglet.options["headless"]:
        parser.error("argument --render: there is no display")


# ==== 模型定义 · Model definition ===========================================================
# (1) 折扣累计和 · Discounted cumulative sums
def discounted_cumulative_sums(x, discount):
    """Return y with y[t] = x[t] + discount * x[t+1] + discount**2 * x[t+2] + ...

    x: array (n, ...); discount: number from 0 to 1. Returns a float64 array shaped like x.
    Read backwards, y[t] = x[t] + discount * y[t+1] is a linear filter, which SciPy runs in C.
    """
    return scipy.signal.lfilter([1], [1, float(-discount)], x[::-1], axis=0)[::-1]


# (2) 训练数据 · The steps of one epoch
class Buffer:
    """One epoch of `size` steps, and the advantages and returns computed with gamma and lam."""

    def __init__(self, observation_dimensions, size, gamma=0.99, lam=0.95):
        self.observation_buffer = np.zeros((size, observation_dimensions), dtype=np.float32)
        self.action_buffer = np.zeros(size, dtype=np.int32)
        self.advantage_buffer = np.zeros(size, dtype=np.float32)
        self.reward_buffer = np.zeros(size, dtype=np.float32)
        self.return_buffer = np.zeros(size, dtype=np.float32)
        self.value_buffer = np.zeros(size, dtype=np.float32)
        self.logprobability_buffer = np.zeros(size, dtype=np.float32)
        self.gamma, self.lam = gamma, lam
        self.pointer, self.trajectory_start_index = 0, 0  # next step, trajectory's first

    def store(self, observation, action, reward, value, logprobability):
        """Append one step: s, a, r, V(s), log pi(a|s). Raises IndexError when full."""
        self.observation_buffer[self.pointer] = observation
        self.action_buffer[self.pointer] = action
        self.reward_buffer[self.pointer] = reward
        self.value_buffer[self.pointer] = value
        self.logprobability_buffer[self.pointer] = logprobability
        self.pointer += 1

    def finish_trajectory(self, last_value=0):
        """Compute the advantages and returns of the steps stored since the last call.

        last_value: 0 where the episode is over; where the end of the epoch cut it off, V(s) of
        the next observation, float32 (1,), which stands for the rewards that were not seen.

        Advantage, how much better an action was than the critic expected: generalized advantage
        estimation, Schulman et al. 2017, equations 11 and 12, the sum of the deltas, discounted
        with gamma * lam. lam trades noise (1) for bias (0). Return, the critic's target: the
        discounted sum of the rewards from each step on, last_value being one more of them.
        """
        path_slice = slice(self.trajectory_start_index, self.pointer)
        rewards = np.append(self.reward_buffer[path_slice], last_value)
        values = np.append(self.value_buffer[path_slice], last_value)
        deltas = rewards[:-1] + self.gamma * values[1:] - values[:-1]
        advantages = discounted_cumulative_sums(deltas, self.gamma * self.lam)
        self.advantage_buffer[path_slice] = advantages
        self.return_buffer[path_slice] = discounted_cumulative_sums(rewards, self.gamma)[:-1]
        self.trajectory_start_index = self.pointer

    def get(self):
        """Return what the updates need of a full buffer, and start over.

        Observations (size, observation_dimensions), actions, advantages, returns and
        log-probabilities (size,): float32, the actions int32. The advantages get mean 0 and
        standard deviation 1: better than average becomes likelier, the rest rarer.
        """
        self.pointer, self.trajectory_start_index = 0, 0
        advantage_mean = np.mean(self.advantage_buffer)
        # 原文不加，优势全部相等时除以 0 · The article does not add it; equal advantages are 0 / 0.
        advantage_std = np.std(self.advantage_buffer) + 1e-8
        self.advantage_buffer = (self.advantage_buffer - advantage_mean) / advantage_std
        return (
            self.observation_buffer,
            self.action_buffer,
            self.advantage_buffer,
            self.return_buffer,
            self.logprobability_buffer,
        )


# (3) 多层感知机 · Multi-layer perceptron
def mlp(x, sizes, activation=tf.tanh, output_activation=None):
    """Put dense layers on x, a Keras tensor (batch, n); return the last one, (batch, sizes[-1])."""
    for size in sizes[:-1]:
        x = layers.Dense(units=size, activation=activation)(x)
    return layers.Dense(units=sizes[-1], activation=output_activation)(x)


# (4) 对数概率 · Log-probabilities
def logprobabilities(logits, a):
    """Return log pi(a|s), float32 (batch,), of actions a, int (batch,).

    logits: float32 (batch, num_actions), the actor's output. log_softmax turns them into
    log-probabilities; the one-hot product picks that of the action taken.
    """
    logprobabilities_all = tf.nn.log_softmax(logits)
    return tf.reduce_sum(tf.one_hot(a, num_actions) * logprobabilities_all, axis=1)


# (5) 采样动作 · Sample an action
@tf.function
def sample_action(observation):
    """Return logits, float32 (batch, num_actions), and actions drawn from them, int64 (batch,).

    observation: float32 (batch, observation_dimensions).
    """
    logits = actor(observation)
    action = tf.squeeze(tf.random.categorical(logits, 1), axis=1)
    return logits, action


# (6) 训练策略 · Train the policy
@tf.function
def train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """Take one Adam step on the actor; return how far it now is from the policy that sampled.

    observation_buffer: float32 (n, observation_dimensions); action_buffer: int32 (n,); the others
    float32 (n,).

    The loss is PPO-Clip's, Schulman et al. 2017, equation 7, negated. ratio, pi / pi_old, says
    how far the policy has moved since it chose the action. Above 1 + clip_ratio for a good action
    or below 1 - clip_ratio for a bad one, the minimum is flat: going further does not pay.

    Returns the mean of log pi_old - log pi, a float32 scalar. It estimates KL(pi_old || pi), is
    noisy and may be negative (Schulman's k1, http://joschu.net/blog/kl-approx.html).
    """
    with tf.GradientTape() as tape:
        logprobability = logprobabilities(actor(observation_buffer), action_buffer)
        ratio = tf.exp(logprobability - logprobability_buffer)
        limit = tf.where(advantage_buffer > 0, 1.0 + clip_ratio, 1.0 - clip_ratio)
        min_advantage = limit * advantage_buffer  # in the minimum, this clips the ratio
        policy_loss = -tf.reduce_mean(tf.minimum(ratio * advantage_buffer, min_advantage))
    policy_grads = tape.gradient(policy_loss, actor.trainable_variables)
    policy_optimizer.apply_gradients(zip(policy_grads, actor.trainable_variables))
    logprobability = logprobabilities(actor(observation_buffer), action_buffer)
    return tf.reduce_mean(logprobability_buffer - logprobability)


# (7) 训练价值函数 · Train the value function
@tf.function
def train_value_function(observation_buffer, return_buffer):
    """Take one Adam step on the critic. Returns its mean squared error before it, a scalar.

    observation_buffer: float32 (n, observation_dimensions); return_buffer: float32 (n,).
    """
    with tf.GradientTape() as tape:
        value_loss = tf.reduce_mean((return_buffer - critic(observation_buffer)) ** 2)
    value_grads = tape.gradient(value_loss, critic.trainable_variables)
    value_optimizer.apply_gradients(zip(value_grads, critic.trainable_variables))
    return value_loss  # for the log; the article returns nothing


# ==== 游戏初始化 · Game and networks ========================================================
keras.utils.set_random_seed(seed)
env = gym.make("CartPole-v0")  # over at 12 degrees (the article says 15), 2.4 units or 200 steps
observation_dimensions = env.observation_space.shape[0]
num_actions = env.action_space.n
# 原文没有传入 gamma 和 lam · The article leaves both at Buffer's defaults.
buffer = Buffer(observation_dimensions, steps_per_epoch, gamma, lam)

observation_input = keras.Input(shape=(observation_dimensions,), dtype=tf.float32)
logits = mlp(observation_input, list(hidden_sizes) + [num_actions], tf.tanh, None)
actor = keras.Model(inputs=observation_input, outputs=logits)
value = tf.squeeze(mlp(observation_input, list(hidden_sizes) + [1], tf.tanh, None), axis=1)
critic = keras.Model(inputs=observation_input, outputs=value)

policy_optimizer = keras.optimizers.Adam(learning_rate=policy_learning_rate)
value_optimizer = keras.optimizers.Adam(learning_rate=value_function_learning_rate)


# ==== 保存未训练时的运动情况 · Recording, used before training ==============================
def record_gif(path):
    """Play one episode with sampled actions, save it at path, and print how many steps it had.

    Returns the pictures, uint8 (400, 600, 3), one a step.
    """
    env.seed(seed)  # so that both GIFs start alike
    start = env.reset()
    frames, done = [], False
    while not done:
        frames.append(env.render(mode="rgb_array"))
        logits, action = sample_action(start.reshape(1, -1))
        start, reward, done, _ = env.step(action[0].numpy())
    env.close()  # or its window, where there is one, would hang while the networks train
    save_gif(path, frames + 20 * frames[-1:])  # hold the end for a second
    print(f"{path}: 杆子直立 {len(frames)} 步 · the pole stayed up for {len(frames)} steps")
    return frames


def save_gif(path, frames):
    """Write frames, an iterable of uint8 (height, width, 3), as an endless GIF.

    20 frames a second; at the game's own 50 the untrained episode is a blink. An earlier file
    stays whole until this one is. Raises OSError where it cannot be written.
    """
    part = f"{path}.part"
    with imageio.get_writer(part, "GIF", mode="I", fps=20, subrectangles=True) as writer:
        for frame in frames:
            writer.append_data(frame)
    os.replace(part, path)


# ==== 模型训练 · Training ===================================================================
def step_and_store(observation, action, value_t, logprobability_t):
    """Take one step in the environment and store it. Arguments are NumPy's, a batch of one.

    Returns the next observation, float32 (observation_dimensions,), and whether the episode ended.
    """
    observation_new, reward, done, _ = env.step(action[0])
    buffer.store(observation, action, reward, value_t, logprobability_t)
    return observation_new, done


def finish_and_reset(observation, done):
    """Finish the trajectory that led to this observation; return the next one's first."""
    # 同原文，走满 200 步也当作倒下 · Like the article, takes reaching 200 steps for falling.
    last_value = 0 if done else critic(observation.reshape(1, -1))
    buffer.finish_trajectory(last_value)
    return env.reset()


# 原文的内层循环，放进计算图 · The article's inner loop, in a graph: a Python call to TensorFlow
# takes far longer than its work. The graph calls Python once a step, so env.step comes last.
@tf.function(input_signature=[tf.TensorSpec(None, tf.float32)])  # Python returns no shape
def rollout(observation):
    """Fill the buffer with steps_per_epoch steps.

    observation: float32 (observation_dimensions,), from a reset. Returns another, from the last
    reset, and the number of trajectories, an int32 scalar.
    """
    num_episodes = 0
    for t in tf.range(steps_per_epoch):
        if render:
            env.render()
        observation = tf.reshape(observation, (1, observation_dimensions))
        logits, action = sample_action(observation)
        value_t = critic(observation)
        logprobability_t = logprobabilities(logits, action)
        step = [observation, action, value_t, logprobability_t]
        observation, done = tf.numpy_function(step_and_store, step, [tf.float32, tf.bool])
        if done or t == steps_per_epoch - 1:
            observation = tf.numpy_function(finish_and_reset, [observation, done], tf.float32)
            num_episodes += 1
    return observation, num_episodes


@tf.function
def update(observations, actions, advantages, returns, old_logprobabilities):
    """Update both networks with one epoch of steps, as `Buffer.get` returns them.

    Returns the last KL, the number of actor updates and the critic's last loss, all scalars.
    """
    for iteration in tf.range(train_policy_iterations):
        kl = train_policy(observations, actions, old_logprobabilities, advantages)
        if kl > 1.5 * target_kl:  # the sampled steps no longer represent this policy
            break
    for _ in tf.range(train_value_iterations):
        value_loss = train_value_function(observations, returns)
    return kl, iteration + 1, value_loss


def train():
    """Run all epochs. Raises FloatingPointError where the KL is not finite."""
    # A window belongs to the main thread: to draw in it, everything runs there, without graphs.
    tf.config.run_functions_eagerly(render)
    buffer.pointer, buffer.trajectory_start_index = 0, 0  # a call may have been interrupted
    env.seed(seed)
    observation = env.reset()
    for epoch in tqdm(range(epochs)):
        began = time.perf_counter()
        observation, num_episodes = rollout(observation)
        kl, policy_iterations, value_loss = update(*buffer.get())
        if not np.isfinite(kl):
            raise FloatingPointError(f"KL is {kl:g} in epoch {epoch + 1}; try lower learning rates")
        # 原文的 sum_length 就是 steps_per_epoch；被截断的也算一条 · As there, a cut-off one counts.
        average_reward = steps_per_epoch / int(num_episodes)
        tqdm.write(f"完成第 {epoch + 1} 轮训练， 平均奖励: {average_reward}")
        tf.summary.scalar("average reward", average_reward, epoch + 1)
        tf.summary.scalar("KL", kl, epoch + 1)
        tf.summary.scalar("policy iterations", policy_iterations, epoch + 1)
        tf.summary.scalar("value loss", value_loss, epoch + 1)
        tf.summary.scalar("entropy", -np.mean(buffer.logprobability_buffer), epoch + 1)
        seconds = time.perf_counter() - began
        tf.summary.scalar("steps per second", steps_per_epoch / seconds, epoch + 1)


# ==== 保存训练后的运动情况 · Recording after training =======================================
def main():
    """Run the article from top to bottom: record, train, record. Then compare."""
    if gif:
        before = record_gif(f"{output_dir}/未训练前的样子.gif")
    train()
    save_networks()
    if gif:
        after = record_gif(f"{output_dir}/训练后的样子.gif")
        save_gif(f"{output_dir}/训练前后对比.gif", side_by_side(before, after))


# ==== 对比与运行（原文没有）· Comparison and start (not in the article) =====================
def save_networks():
    """Save actor.keras and critic.keras; earlier ones stay whole until these are."""
    for name, network in ("actor", actor), ("critic", critic):
        network.save(f"{output_dir}/{name}.part.keras")
        os.replace(f"{output_dir}/{name}.part.keras", f"{output_dir}/{name}.keras")


def side_by_side(before, after):
    """Yield the pictures of two episodes, left and right, then both ends for a second.

    before, after: lists of uint8 (400, 600, 3). The shorter one holds its last picture. A bar
    grows by three pixels a step, 200 steps being the full width, and turns red at the end.
    """
    for t in range(max(len(before), len(after)) + 20):
        halves = []
        for frames in before, after:
            steps = min(t + 1, len(frames))
            half = frames[steps - 1].copy()
            half[:12, : 3 * steps] = (0, 150, 0) if t < len(frames) else (200, 0, 0)
            halves.append(half)
        yield np.hstack(halves)


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # a console that is not UTF-8 must not end the run
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if gif or render:
            env.reset()
            env.render(mode="rgb_array")
    except Exception as error:  # pyglet, gym and the graphics driver each raise their own
        cause = error.__context__ or error  # gym's own words about OpenGL are out of date
        cure = "apt-get install libgl1 libglu1-mesa libegl1, or unset DISPLAY, or use --no-gif"
        sys.exit(f"ppo_cartpole.py: error: cannot draw the game: {cause} ({cure})")
    log = f"{output_dir}/logs/{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        os.makedirs(log, exist_ok=True)
        with tf.summary.create_file_writer(log).as_default():
            rows = "".join(f"| {name} | {value} |\n" for name, value in settings.items())
            tf.summary.text("hyperparameters", f"| name | value |\n|---|---|\n{rows}", 0)
            main()
    except (OSError, UnicodeError, FloatingPointError, tf.errors.OpError) as error:
        sys.exit(f"ppo_cartpole.py: error: {error}")
