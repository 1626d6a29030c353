"""通过 CartPole 游戏说明 PPO · PPO-Clip teaches a small actor-critic to balance CartPole-v0.

每轮：用当前策略采样 5000 步；算出优势和回报；更新 actor 最多 80 次，KL 太大就提前停；更新 critic 80 次。
共 20 轮，训练前后各录一局，GIF 存入 outputs。“原文”指教程《通过 CartPole 游戏详细说明 PPO 优化过程》，标题、
顺序、变量名、函数名都照原文；改动处注明“与原文不同”，新增的节注明“原文没有”。

Each epoch: sample 5000 steps with the current policy; work out advantages and returns; update the actor up
to 80 times, fewer where the KL grows large; update the critic 80 times. That 20 times, with an episode
recorded before and after: GIFs in `outputs`. "The article" is a Chinese tutorial; this file keeps its
headings, order and names, and "Differs" marks departures from it.
"""

# ==== 库准备 · Libraries ====================================================================
# 原文的版本在 requirements.txt 里，有改动和补充 · The article's versions, mended, are in requirements.txt.
# 与原文不同：imageio 提前到这里导入，其余是新加的 · Differs: imageio comes early, the rest is new.
import io
import os
import sys
import warnings
from argparse import SUPPRESS, ArgumentDefaultsHelpFormatter, ArgumentParser, BooleanOptionalAction

import h5py
import imageio
import pyglet
from PIL import Image, ImageDraw

# 须在导入 TensorFlow 之前设置。网络很小，一个运算分给多个线程不会更快；但两个网络可以同时更新，各占一个线程。
# Set before importing TensorFlow. Threads within an operation gain nothing in nets this small; but the two
# nets are independent: TensorFlow can update them at the same time, on a thread each.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # 不显示启动信息 · no start-up messages

# ==== 超参数设置 · Imports and hyperparameters ==============================================
import time

import gym
import numpy as np
import scipy.signal
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers
from tqdm import tqdm

# 直接在这里修改即可。当作模块导入时，只有 epochs、render 可以随时改；其余的导入时或第一次训练时就已读取。
# Edit them here. In an imported module epochs and render can still change; the rest is read but once.
steps_per_epoch = 5000  # 每轮 (epoch) 采样的步数 · steps sampled in each epoch
epochs = 20  # 训练的轮数 · how many epochs
# 0.90 大约只看今后 10 步。原文没有把它和 lam 传给 Buffer，实际用的是默认值 0.99（约 100 步）和 0.95。
# 0.90 looks about ten steps ahead. The article forgets to pass gamma and lam on: it ran with 0.99, 0.95.
gamma = 0.90  # 折扣因子 · discount factor
# 概率比（见 (6)）顺着优势的方向偏离 1 超过这个值，目标函数就不再增加。
# Once a probability ratio is outside 1 ± this, the way its advantage asks, the objective grows no more.
clip_ratio = 0.2
policy_learning_rate = 3e-4  # 策略网络 actor 的学习率 · the actor's learning rate
value_function_learning_rate = 3e-4  # 价值函数（值函数）网络 critic 的学习率 · the critic's learning rate
train_policy_iterations = 80  # 每轮更新策略的次数上限 · actor updates in each epoch, at most
train_value_iterations = 80  # 每轮更新价值函数的次数 · critic updates in each epoch
lam = 0.97  # 广义优势估计 (GAE) 的 λ · the λ of GAE, generalized advantage estimation
# 是界限，不是要达到的目标：KL 一超过它的 1.5 倍，本轮就不再更新策略。
# A threshold, not a target: the epoch's actor updates stop once the KL exceeds 1.5 times this.
target_kl = 0.01
hidden_sizes = (64, 64)  # 每个隐藏层的神经元个数 · units in each hidden layer
render = False  # 训练时是否显示画面 · a live window while training


# ==== 模型定义 · Model definition ===========================================================
# actor、critic、num_actions 等在“游戏初始化”里创建 · actor, critic, num_actions: see Game and networks.
# (1) 折扣累计和 · Discounted cumulative sums
def discounted_cumulative_sums(x, discount):
    """每一项加上其后各项的折扣和 · y[t] = x[t] + discount * x[t+1] + discount**2 * x[t+2] + ...

    x: array (n, ...); discount: number from 0 to 1. Returns a float64 array shaped like x.
    例如 x = [1, 1, 1]、discount = 0.9 时得 [2.71, 1.9, 1] · For x = [1, 1, 1], 0.9: [2.71, 1.9, 1].
    从后往前算，y[t] = x[t] + discount * y[t+1]，正是一个线性滤波器 · Which is a linear filter, run backwards.
    """
    return scipy.signal.lfilter([1], [1, float(-discount)], x[::-1], axis=0)[::-1]


# (2) 训练数据 · The steps of one epoch
class Buffer:
    """一轮的数据，以及用 gamma、lam 算出的优势和回报 · An epoch's steps, advantages and returns."""

    def __init__(self, observation_dimensions, size, gamma=0.99, lam=0.95):
        # 优势 Â、回报 R 由 finish_trajectory 算出，其余由 store 存入；不存原文说的“下一个观测和 done 信号”。
        # finish_trajectory fills Â and R, store the rest. 观测就是状态 s · Here, observations are states.
        self.observation_buffer = np.zeros((size, observation_dimensions), dtype=np.float32)  # s
        self.action_buffer = np.zeros(size, dtype=np.int32)  # a: 0 向左推 left, 1 向右推 right
        self.advantage_buffer = np.zeros(size, dtype=np.float32)  # Â
        self.reward_buffer = np.zeros(size, dtype=np.float32)  # r
        self.return_buffer = np.zeros(size, dtype=np.float32)  # R
        self.value_buffer = np.zeros(size, dtype=np.float32)  # V(s)
        self.logprobability_buffer = np.zeros(size, dtype=np.float32)  # log π(a|s)
        self.gamma, self.lam = gamma, lam
        self.pointer, self.trajectory_start_index = 0, 0

    def store(self, observation, action, reward, value, logprobability):
        """存入一步的数据 · Append one step: s, a, r, V(s), log π(a|s). Raises IndexError when full."""
        self.observation_buffer[self.pointer] = observation
        self.action_buffer[self.pointer] = action
        self.reward_buffer[self.pointer] = reward
        self.value_buffer[self.pointer] = value
        self.logprobability_buffer[self.pointer] = logprobability
        self.pointer += 1

    def finish_trajectory(self, last_value=0):
        """一条轨迹结束时，计算其中每一步的优势和回报。

        优势：动作的结果比 critic 预期的好多少。一步的结果与预期之差是 TD 误差，按 γλ 求折扣累计和 (GAE)：
        λ 小则更相信 critic，大则更相信采样到的奖励，但波动也大。回报：今后奖励的折扣累计和，critic 的目标。
        last_value：一局结束时为 0；因一轮采满而截断时为下一个状态的 V，代替其后没有看到的奖励。

        Compute advantages and returns of the steps since the last call. An advantage says how much better an
        action turned out than the critic expected: TD errors, summed with discount gamma * lam (GAE, Schulman
        et al. 2017, equations 11, 12). A small lam trusts the critic, a large one the sampled rewards, which
        vary more. A return, the critic's target, is the discounted sum of rewards from a step on. last_value:
        0 where the episode is over; where the epoch's end cut it off, V of the next state, float32 (1,).
        """
        path_slice = slice(self.trajectory_start_index, self.pointer)
        # last_value 代表截断之后的全部奖励；求回报那一行末尾的 [:-1] 去掉它自己那一项。
        # last_value stands for all rewards after the cut; [:-1] drops it from the returns.
        rewards = np.append(self.reward_buffer[path_slice], last_value)
        values = np.append(self.value_buffer[path_slice], last_value)
        deltas = rewards[:-1] + self.gamma * values[1:] - values[:-1]  # TD 误差 δ · TD errors
        self.advantage_buffer[path_slice] = discounted_cumulative_sums(deltas, self.gamma * self.lam)
        self.return_buffer[path_slice] = discounted_cumulative_sums(rewards, self.gamma)[:-1]
        self.trajectory_start_index = self.pointer

    def get(self):
        """返回更新要用的五个数组，下一轮从头存起。

        优势减去均值，再除以标准差：优势高于平均的动作，概率增大，其余的减小。每步奖励都是 +1，优势起初几乎
        都为正，若不减均值，抽到哪个动作就鼓励哪个，不论好坏。

        Return observations (size, observation_dimensions) and, each (size,), actions, advantages, returns,
        log-probabilities: actions int32, else float32. Storing starts over. Advantages get mean 0, deviation
        1: what beats the average becomes likelier, the rest rarer. As each step pays +1, nearly all are
        positive at first: every action sampled, good or bad, would be encouraged. Raises ValueError unless
        full.
        """
        if self.pointer != len(self.reward_buffer):  # 与原文不同：没存满就报错 · Differs: checked
            raise ValueError(f"the Buffer holds {self.pointer} of {len(self.reward_buffer)} steps")
        self.pointer, self.trajectory_start_index = 0, 0
        advantage_mean, advantage_std = np.mean(self.advantage_buffer), np.std(self.advantage_buffer)
        # 与原文不同：加上 1e-8，以免优势全部相等时出现 0/0 · Differs: + 1e-8, or equal advantages are 0/0.
        self.advantage_buffer = (self.advantage_buffer - advantage_mean) / (advantage_std + 1e-8)
        return (
            self.observation_buffer,
            self.action_buffer,
            self.advantage_buffer,
            self.return_buffer,
            self.logprobability_buffer,
        )


# (3) 多层感知机 · Multi-layer perceptron
def mlp(x, sizes, activation=tf.tanh, output_activation=None):
    """从 x 开始逐层叠加全连接层，返回最后一层的输出 · Put dense layers on x; return the last output.

    x: Keras tensor (batch, n). sizes: units of each layer. Returns a Keras tensor (batch, sizes[-1]).
    """
    for size in sizes[:-1]:
        x = layers.Dense(units=size, activation=activation)(x)
    return layers.Dense(units=sizes[-1], activation=output_activation)(x)


# (4) 对数概率 · Log-probabilities
def logprobabilities(logits, a):
    """所选动作的对数概率 log π(a|s)。logits 是任意实数，不是概率，经 log_softmax 才成为对数概率。

    Log-probabilities of the actions taken, float32 (batch,). logits: the actor's output, any real
    numbers, float32 (batch, num_actions); log_softmax turns them into log-probabilities. a: int (batch,).
    """
    logprobabilities_all = tf.nn.log_softmax(logits)
    logprobability = tf.reduce_sum(tf.one_hot(a, num_actions) * logprobabilities_all, axis=1)
    return logprobability


# (5) 采样动作 · Sample an action
@tf.function
def sample_action(observation):
    """用 actor 算出 logits，按概率采样动作。若总选概率最大的动作，就无从知道其他动作的好坏。

    Draw actions with the actor's probabilities: an action never tried never shows its worth.
    observation: float32 (batch, 4). Returns logits, float32 (batch, 2), and actions, int64 (batch,).
    """
    logits = actor(observation)
    action = tf.squeeze(tf.random.categorical(logits, 1), axis=1)
    return logits, action


# (6) 训练策略 · Train the policy
@tf.function
def train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """用 PPO-Clip 更新一次 actor，返回 KL。

    ratio 是动作现在的概率与采样时的概率之比。优势为正，目标函数推动它变大；优势为负，推动它变小；顺着这个方向
    越过 1 ± clip_ratio 后，目标函数不再增加，梯度为 0。裁剪的是目标函数里的概率比，不是原文说的权重；ratio
    本身仍可越界，朝反方向越界时，梯度照样把它拉回来。
    KL 衡量新策略与采样时的策略相差多少；它是更新之后用采样到的动作估计的，所以可能为负。

    Take one Adam step on PPO-Clip's objective (Schulman et al. 2017, equation 7). ratio is an action's
    probability now, divided by that when it was sampled. A positive advantage pushes it up, a negative one
    down; past 1 ± clip_ratio in that direction the objective grows no more: gradient 0. What is clipped is
    the ratio in the objective, not the weights; ratio itself is not limited, and where it is outside on the
    wrong side, the gradient still pulls it back. Arguments: as `Buffer.get` returns them. Returns the KL,
    how far the policy is from the one that sampled: estimated after the step (k1 in
    http://joschu.net/blog/kl-approx.html), so it may be negative.
    """
    with tf.GradientTape() as tape:
        ratio = tf.exp(logprobabilities(actor(observation_buffer), action_buffer) - logprobability_buffer)
        # 即式 7，ε：clip_ratio · Equation 7: min(ratio A, clip(ratio, 1 - ε, 1 + ε) A) = min(ratio A, this).
        min_advantage = tf.where(
            advantage_buffer > 0, (1 + clip_ratio) * advantage_buffer, (1 - clip_ratio) * advantage_buffer
        )
        # 要使它最大，而优化器只求最小，所以取负 · To be maximised, so negated: the optimizer minimises.
        policy_loss = -tf.reduce_mean(tf.minimum(ratio * advantage_buffer, min_advantage))
    policy_grads = tape.gradient(policy_loss, actor.trainable_variables)
    policy_optimizer.apply_gradients(zip(policy_grads, actor.trainable_variables))
    kl = tf.reduce_mean(logprobability_buffer - logprobabilities(actor(observation_buffer), action_buffer))
    kl = tf.reduce_sum(kl)  # 原文如此；kl 已是标量，值不变 · as in the article; kl is a scalar already
    return kl


# (7) 训练价值函数 · Train the value function
@tf.function
def train_value_function(observation_buffer, return_buffer):
    """更新一次价值函数 (critic)，使 V(s) 接近各状态自己的回报，不是原文说的平均回报。

    Take one Adam step on the critic's mean squared error (Schulman et al. 2017, equation 9): V(s) moves
    towards the return sampled from s. Arguments: as `Buffer.get` returns them.
    """
    with tf.GradientTape() as tape:
        value_loss = tf.reduce_mean((return_buffer - critic(observation_buffer)) ** 2)
    value_grads = tape.gradient(value_loss, critic.trainable_variables)
    value_optimizer.apply_gradients(zip(value_grads, critic.trainable_variables))


# ==== 命令行（原文没有，可以跳过）· Command line (not in the article; may be skipped) =======
seed = 0  # 随机种子，相同则结果相同 · random seed: same seed, same run
gif = True  # 是否保存 GIF · record the GIFs
output_dir = "outputs"  # 输出目录 · where a run leaves its files
if __name__ == "__main__":
    # 选项覆盖上面的同名设置 · Options overwrite the settings of the same name above.
    parser = ArgumentParser(usage=SUPPRESS, formatter_class=ArgumentDefaultsHelpFormatter)
    for name, kind, meaning in (
        ("steps_per_epoch", int, "steps sampled in each epoch"),
        ("epochs", int, "how many epochs"),
        ("gamma", float, "discount factor"),
        ("clip_ratio", float, "clipping range of the probability ratio: 1 plus or minus this"),
        ("policy_learning_rate", float, "the actor's learning rate"),
        ("value_function_learning_rate", float, "the critic's learning rate"),
        ("train_policy_iterations", int, "actor updates in each epoch, at most"),
        ("train_value_iterations", int, "critic updates in each epoch"),
        ("lam", float, "GAE's lambda"),
        ("target_kl", float, "actor updates stop above 1.5 times this KL"),
        ("seed", int, "same seed, same run"),
    ):
        # 默认值写成字符串，argparse 才会检查它 · As text: argparse checks a default only if it is text.
        value = str(globals()[name])
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value, help=meaning)
    units = np.ravel(hidden_sizes).tolist()  # (64) 是一个数，也当作一层 · or a number: one layer
    parser.add_argument("--hidden-sizes", type=int, nargs="+", default=units, help="units by layer")
    parser.add_argument("--render", action=BooleanOptionalAction, default=render, help="show the training")
    parser.add_argument("--gif", action=BooleanOptionalAction, default=gif, help="record the GIFs")
    parser.add_argument("--output-dir", type=os.path.expanduser, default=output_dir, help="output folder")
    settings = vars(parser.parse_args())
    globals().update(settings)
    counts = steps_per_epoch, epochs, train_policy_iterations, train_value_iterations, *hidden_sizes
    if min(counts) < 1 or not 0 <= seed < 2**32:
        parser.error("steps, epochs, iterations and hidden sizes must be at least 1, seed 0 to 4294967295")
    positive = clip_ratio, policy_learning_rate, value_function_learning_rate, target_kl
    if not (0 <= gamma <= 1 and 0 <= lam <= 1 and all(0 < number < 1e38 for number in positive)):
        parser.error("gamma, lam must be 0 to 1; clip_ratio, learning rates, target_kl positive and finite")

# ==== 游戏初始化 · Game and networks ========================================================
keras.utils.set_random_seed(seed)  # 与原文不同：固定种子，结果可以重现 · Differs: seeded, so runs repeat
# 与原文不同：没有显示器也能画 · Differs: draws without a display, too.
pyglet.options["headless"] = sys.platform == "linux" and not (render or os.environ.get("DISPLAY"))
# 杆子偏离垂直方向超过 12 度（原文说 15 度）、推车偏离中心超过 2.4 个单位或走满 200 步，一局就结束。
# An episode ends with the pole beyond 12 degrees (the article says 15), the cart beyond 2.4, or step 200.
env = gym.make("CartPole-v0")
observation_dimensions = env.observation_space.shape[0]
num_actions = env.action_space.n
# 与原文不同：传入 gamma 和 lam；原文没传，所以在原文里改这两个值不起作用。
# Differs: gamma and lam are passed on; in the article they are not, so editing them there does nothing.
buffer = Buffer(observation_dimensions, steps_per_epoch, gamma, lam)

observation_input = keras.Input(shape=(observation_dimensions,), dtype=tf.float32)
logits = mlp(observation_input, list(hidden_sizes) + [num_actions], tf.tanh, None)
actor = keras.Model(inputs=observation_input, outputs=logits)
value = tf.squeeze(mlp(observation_input, list(hidden_sizes) + [1], tf.tanh, None), axis=1)
critic = keras.Model(inputs=observation_input, outputs=value)

policy_optimizer = keras.optimizers.Adam(learning_rate=policy_learning_rate)
value_optimizer = keras.optimizers.Adam(learning_rate=value_function_learning_rate)


# ==== 保存未训练时的运动情况 · Recording before training ====================================
# 与原文不同：写成函数，后面的 main 调用两次 record_gif · Differs: functions; main, below, calls this twice
def record_gif(path):
    """用当前策略玩一局，存成 GIF，打印步数，返回各帧画面。动作按概率采样，与训练时一样。

    Play one episode with the policy as it is, actions sampled as in training; save it as a GIF at path
    and print how many steps. Returns the pictures, uint8 (400, 600, 3), one a step. Raises OSError.
    """
    env.seed(seed)  # 与原文不同：两局从同一个状态开始 · Differs: both episodes start alike
    start = env.reset()
    frames, done = [], False
    while not done:  # 与原文不同：steps_per_epoch 很小时，也录完一局 · Differs: always the whole episode
        frames.append(env.render(mode="rgb_array"))
        start = start.reshape(1, -1)
        logits, action = sample_action(start)
        start, reward, done, _ = env.step(action[0].numpy())
    env.close()  # 与原文不同：否则训练时窗口无响应 · Differs: or a window would hang in training
    save_gif(path, frames + 20 * frames[-1:])  # 与原文不同：末帧停一秒 · Differs: last one held for 1 s
    print(f"{path}: 这一局坚持了 {len(frames)} 步 · this episode took {len(frames)} steps")
    return frames


def save_gif(path, frames):
    """把各帧写成循环播放的 GIF · Write frames, an iterable of uint8 (height, width, 3), as an endless GIF.

    Raises OSError. 没写完就不替换旧文件 · An earlier file stays until this one is complete.
    """
    # 与原文不同：先写入内存；每秒 20 帧，不是 10；每帧只存有变化的部分。
    # Differs: written in memory first; 20 pictures a second, not 10; of each, only what has changed.
    data = io.BytesIO()
    with imageio.get_writer(data, "GIF", mode="I", fps=20, subrectangles=True) as writer:
        for frame in frames:
            writer.append_data(frame)
    save_files({path: data})


def save_files(files):
    """写 {path: BytesIO}，全部写完才替换旧文件 · None replaces a file until all are whole. Raises OSError."""
    parts = {path: f"{path}.{os.getpid()}.part" for path in files}  # 各次运行互不干扰 · a run's own
    try:
        for path, part in parts.items():
            with open(part, "wb") as file:
                file.write(files[path].getvalue())
    except BaseException:  # 磁盘已满、Ctrl-C · the disk is full, Ctrl-C
        for part in filter(os.path.exists, parts.values()):
            os.remove(part)
        raise
    for path, part in parts.items():
        os.replace(part, path)


# ==== 模型训练 · Training ===================================================================
# 与原文不同：拆成函数，外层在前，由 main 调用。for epoch → train；for t → rollout；env.step 和 buffer.store →
# step_and_store；if terminal → finish_and_reset；两个 for _ → update；print → train 的末尾。
# Differs: functions, outer first, called by main. For each epoch: train; for each t: rollout, which calls
# step_and_store and, where an episode is over, finish_and_reset; both inner loops over updates: update.
def train():
    """训练 epochs 轮：每轮用当前策略采样 steps_per_epoch 步，再更新两个网络，打印平均奖励（每局平均步数）。

    Run all epochs: sample with the current policy, update both networks with that, print the average reward.
    Raises FloatingPointError where the KL or the critic's error is not finite, ValueError as `Buffer.get`.
    """
    # 与原文不同：上次训练可能中断过，先清零 · Differs: an earlier training may have been interrupted.
    buffer.pointer, buffer.trajectory_start_index = 0, 0
    env.seed(seed)  # 与原文不同：固定种子 · Differs: seeded
    observation = env.reset()
    for epoch in tqdm(range(epochs)):
        # 与原文不同：render 为 True 时逐步执行，不用计算图，因为窗口只能由主线程画。
        # Differs: where render is on, step by step, not as a graph: only the main thread can draw a window.
        sample = rollout.python_function if render else rollout
        observation, num_episodes = sample(observation)
        kl, policy_iterations, value_loss = update(*buffer.get())
        if not np.isfinite([kl, value_loss]).all():  # 与原文不同：NaN 或无穷大时停止 · Differs: checked
            numbers = f"KL {kl:g}, value loss {value_loss:g} in epoch {epoch + 1}"
            raise FloatingPointError(f"training broke down: {numbers}; try lower learning rates")
        # 与原文不同：每步奖励都是 1，步数 ÷ 局数就是平均奖励，不必累加。截断的也算一局，同原文，所以略偏低。
        # Differs: no sums. Reward is 1 a step, so steps / episodes is the mean episode's reward; the cut-off
        # one counts as one, as in the article, so it reads slightly low.
        average_reward = steps_per_epoch / int(num_episodes)
        tf.summary.scalar("average reward", average_reward, epoch + 1)  # 与原文不同：写日志 · Differs: logs
        tf.summary.scalar("KL", kl, epoch + 1)
        tf.summary.scalar("policy iterations", policy_iterations, epoch + 1)
        tf.summary.scalar("value loss", value_loss, epoch + 1)
        tf.summary.scalar("entropy", -np.mean(buffer.logprobability_buffer), epoch + 1)  # 估计值 · estimate
        # 与原文不同：print 会打断进度条 · Differs: print would tear the progress bar.
        tqdm.write(f"完成第 {epoch + 1} 轮训练， 平均奖励: {average_reward}")


# 与原文不同：放进计算图 (tf.function, tf.range)。numpy_function 的返回值没有形状信息，所以这里写 None。
# Differs: a graph (tf.function, tf.range). What numpy_function returns has no shape, hence None.
@tf.function(input_signature=[tf.TensorSpec(None, tf.float32)])
def rollout(observation):
    """采样一轮。从 Python 调用一次 TensorFlow，开销远大于计算本身，所以把整个循环放进计算图。

    Sample one epoch. A call from Python into TensorFlow takes far longer than its work, so the whole loop is
    a graph: tf.function turns for and if into operations. observation: float32 (4,), from a reset. Returns
    the next epoch's first observation, and num_episodes.
    """
    num_episodes = 0
    for t in tf.range(steps_per_epoch):
        if render:
            env.render()
        observation = tf.reshape(observation, (1, observation_dimensions))  # 补上形状 · restores the shape
        logits, action = sample_action(observation)
        # 与原文不同：env.step 与 store 合并为一次 Python 调用，env.step 移到最后，数值不变；省去 terminal。
        # Differs: env.step and store share one call to Python, so step comes last; same numbers.
        value_t = critic(observation)
        logprobability_t = logprobabilities(logits, action)
        step = [observation, action, value_t, logprobability_t]
        observation, done = tf.numpy_function(step_and_store, step, [tf.float32, tf.bool])
        if done or t == steps_per_epoch - 1:
            observation = tf.numpy_function(finish_and_reset, [observation, done], tf.float32)
            num_episodes += 1
    return observation, num_episodes


def step_and_store(observation, action, value_t, logprobability_t):
    """走一步，并存入 Buffer；参数已是 NumPy 数组，所以不用 .numpy()。

    Take one step and store it. Arguments: NumPy arrays, a batch of one, hence no .numpy(). Returns the next
    observation, float32 (4,), and whether the episode is over.
    """
    observation_new, reward, done, _ = env.step(action[0])
    buffer.store(observation, action, reward, value_t, logprobability_t)
    return observation_new, done


def finish_and_reset(observation, done):
    """结束一条轨迹，返回下一局的第一个观测。

    与原文一样，走满 200 步也按倒下处理 (last_value = 0)。critic 看不到步数，同样的状态，回报却不同：V 偏低，
    优势的噪声更大。有的实现在步数上限处用下一个状态的 V 自举 (bootstrap)。

    Finish the trajectory that led to observation, float32 (4,); return the next one's first. As in the
    article, reaching 200 steps counts as falling (last_value 0). The critic cannot see the step, so like
    states get different returns: V too low, advantages noisier. Some implementations use the next state's V.
    """
    last_value = 0 if done else critic(observation.reshape(1, -1))
    buffer.finish_trajectory(last_value)
    return env.reset()


@tf.function
def update(observation_buffer, action_buffer, advantage_buffer, return_buffer, logprobability_buffer):
    """用一轮的数据更新两个网络。KL 太大就提前结束本轮的策略更新；KL 在更新之后才算，超限的那一次并不撤销。

    Update both networks with one epoch's data, as `Buffer.get` returns it. Too large a KL ends the actor's
    updates; it is known only after a step, which stands. Returns the KL, how many actor updates were made,
    and the critic's mean squared error.
    """
    # 与原文不同：整个放进计算图 (tf.function, tf.range)；iteration 用来计次数 · Differs: a graph, counted.
    for iteration in tf.range(train_policy_iterations):
        kl = train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer)
        if kl > 1.5 * target_kl:  # 数据已不能代表当前策略 · the data no longer represent this policy
            break
    for _ in tf.range(train_value_iterations):  # 可与上面的循环同时进行 · may run beside the loop above
        train_value_function(observation_buffer, return_buffer)
    value_loss = tf.reduce_mean((return_buffer - critic(observation_buffer)) ** 2)  # 写日志用 · for the log
    return kl, iteration + 1, value_loss


# ==== 保存训练后的运动情况 · Recording after training =======================================
# 与原文不同：main 依次运行各节，再次调用 record_gif；输出目录可改 · Differs: main runs all; any folder.
def main():
    """录制、训练、保存网络、再录制、对比 · Record, train, save the networks, record again, compare."""
    if gif:
        before = record_gif(f"{output_dir}/未训练前的样子.gif")
    train()
    save_networks()
    if gif:
        after = record_gif(f"{output_dir}/训练后的样子.gif")
        comparison = f"{output_dir}/训练前后对比.gif"
        save_gif(comparison, side_by_side(before, after))
        print(f"请打开 {comparison} 对比 · open it to compare before and after")


# ==== 保存网络、对比与运行（原文没有）· Networks, comparison, start (not in the article) ====
def save_networks():
    """保存网络 · Save both, for `keras.models.load_model(path, compile=False)`. Raises OSError."""
    # 两个版本的 Keras 都能读 HDF5；下面两行屏蔽无关紧要的警告。
    # Both versions of Keras read HDF5; the next two lines silence warnings that do not matter here.
    warnings.filterwarnings("ignore", "You are saving your model as an HDF5")
    tf.get_logger().setLevel("ERROR")
    files = {f"{output_dir}/actor.h5": io.BytesIO(), f"{output_dir}/critic.h5": io.BytesIO()}
    for network, data in zip((actor, critic), files.values()):
        with h5py.File(data, "w") as file:  # 磁盘已满会使 HDF5 崩溃，故先写入内存 · a full disk crashes HDF5
            network.save(file)
    save_files(files)


def side_by_side(before, after):
    """两局并排，画面缩小一半，注明步数 · Yield two episodes side by side, half size, steps counted.

    before, after: lists of uint8 (400, 600, 3). The shorter ends frozen. Yields uint8 (200, 600, 3).
    """
    for t in range(max(len(before), len(after)) + 20):
        halves = []
        for name, frames in ("before", before), ("after", after):
            step, end = min(t + 1, len(frames)), ""
            if step == len(frames):
                end = ": success" if step == env.spec.max_episode_steps else ": game over"
            half = Image.fromarray(frames[step - 1]).reduce(2)
            ImageDraw.Draw(half).text((10, 10), f"{name} training, step {step}{end}", "black")
            halves.append(half)
        yield np.hstack(halves)


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # 写不出的字用转义，每行立即输出 · escapes; no delay
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        if gif or render:
            env.reset()
            env.render(mode="rgb_array")
    except Exception as error:  # pyglet、gym、显卡驱动各有各的异常 · pyglet, gym and drivers raise their own
        # gym 的建议已过时，真正的原因在 __context__ 里 · gym's advice is out of date; __context__ says why.
        cure = "apt-get install libgl1 libglu1-mesa libegl1, or unset DISPLAY, or use --no-gif"
        sys.exit(f"ppo_cartpole.py: error: cannot draw the game: {error.__context__ or error} ({cure})")
    try:
        os.makedirs(output_dir, exist_ok=True)
        log = os.fsencode(f"{output_dir}/logs/{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
        with tf.summary.create_file_writer(log, max_queue=0).as_default():  # 立即写入 · written at once
            tf.summary.text("hyperparameters", str(settings), 0)
            main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, UnicodeError, FloatingPointError, tf.errors.OpError) as error:
        sys.exit(f"ppo_cartpole.py: error: {' '.join(str(error).split())}")  # 一行 · one line
