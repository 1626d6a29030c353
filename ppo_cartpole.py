# SPDX-License-Identifier: Apache-2.0
"""通过 CartPole 游戏说明 PPO · PPO on CartPole

“原文”指教程《通过 CartPole 游戏详细说明 PPO 优化过程》，章节、变量、函数的名称和顺序都照它，只有“模型训练”
的循环拆成了几个函数；运行的结果或看到的东西与原文不同时，注明“与原文不同”。
每轮 (epoch) 用当前策略玩 5000 步，再用这批数据更新 actor 和 critic 两个网络。
- 策略 π(a|s)：在状态 s 下选动作 a 的概率，由 actor 给出。
- 回报 R：从某一步起，未来奖励的折扣和。价值 V(s)：critic 对回报的预测。
- 优势 Â：动作的结果比预测的好多少。
- PPO（近端策略优化）：同一批数据更新很多次，使优势为正的动作概率增大，为负的减小。但数据来自更新前的策略，
  策略变得太远就不可靠了。所以某个动作的概率已变太多，就不再往同一方向推（裁剪）；整个策略走得太远（用 KL
  散度衡量两个策略的差距），本轮就不再更新 actor。

"The tutorial" is a Chinese one, "PPO explained in detail with CartPole"; sections, variables and functions
have its names and its order, but its training loop is split into functions. "Differs" marks a departure from
it in what a run gives or shows.
Each epoch plays 5000 steps with the current policy, then updates two networks, actor and critic, with that
data.
- Policy π(a|s): the probability of action a in state s, given by the actor.
- Return R: the discounted sum of future rewards from a step on. Value V(s): the critic's prediction of it.
- Advantage Â: how much better an action turned out than predicted.
- PPO (proximal policy optimization): the same data serve many updates, which make actions of positive
  advantage likelier, those of negative advantage rarer. But the data come from the policy before the updates
  and are a poor guide once the policy differs much from it. So a probability that has changed too much is
  pushed no further that way (clipping); once the whole policy has moved too far, by the KL divergence, which
  measures how different two policies are, the actor's updates end until the next epoch.

[PPO, 7]: Schulman et al. 2017, equation 7 (9 is a term of equation 9), arxiv.org/abs/1707.06347.
[GAE, 16]: Schulman et al. 2016, equation 16, arxiv.org/abs/1506.02438.
"""

# ==== CartPole 介绍 · About CartPole ========================================================
# 状态（也叫观测）是四个数：推车的位置、速度，杆子的角度、角速度。动作有两个：0 向左推，1 向右推。每步奖励
# +1。杆子偏离垂直方向超过 12 度（原文说 15 度）、推车偏离中心超过 2.4 个单位，或走满 200 步，一局 (episode)
# 就结束。
# A state, or observation, is four numbers: the cart's position and speed, the pole's angle and how fast it
# turns. There are two actions: 0 pushes to the left, 1 to the right. Each step pays a reward of 1. An episode
# ends if the pole is beyond 12 degrees (the tutorial says 15), if the cart is beyond 2.4 units from the
# centre, or after 200 steps.

# ==== 库准备 · Libraries ====================================================================
import io
import os
import re
import sys
import warnings
from argparse import SUPPRESS, ArgumentDefaultsHelpFormatter, ArgumentParser, BooleanOptionalAction
from importlib.metadata import distributions


def check_version(name, lowest, below, wanted):
    """原文没有，可以跳过：版本不合适时，报的错很难懂，或者存下的 GIF 是坏的，所以先检查版本。
    Not in the tutorial; may be skipped. Other versions fail obscurely or save broken GIFs: so check first.
    """
    found = next((package.version for package in distributions(name=name)), "none")
    if not lowest <= [int(number) for number in re.findall(r"\d+", found)] < below:
        cure = f"use the .venv of .setup.py, or Python 3.10 or 3.11 and python -m pip install {wanted}"
        sys.exit(f"ppo_cartpole.py: error: found {name}: {found}, wanted: {wanted} ({cure})")


check_version("numpy", [1, 21], [2], "numpy==1.24.4")
check_version("keras", [2, 8], [2, 16], "tensorflow-cpu==2.15.1")
check_version("gym", [0, 20], [0, 22], "gym==0.20.0")
check_version("pyglet", [1, 5, 15], [2], "pyglet==1.5.20")
check_version("imageio", [2, 9], [2, 28], "imageio==2.26.1")
check_version("Pillow", [8, 2], [10, 1], "Pillow==10.0.1")

import h5py
import imageio
import pyglet
from PIL import Image, ImageDraw

# 与原文不同：因为网络小，每个运算只用一个线程，两个网络的更新可以并行；关掉在这里反而更慢的 oneDNN；不显示启
# 动信息。
# Differs: as the networks are small, each operation gets one thread, and the two networks can be updated in
# parallel; oneDNN, which is slower here, is off; so are the start-up messages.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# ==== 超参数设置 · Imports and hyperparameters ==============================================
import time

import gym
import numpy as np
import scipy.signal
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers
from tqdm import tqdm

steps_per_epoch = 5000  # 每轮采样的步数 · steps in each epoch
epochs = 20  # 训练的轮数 · number of epochs
gamma = 0.90  # 折扣因子 γ，见 (2) · discount factor γ, see (2)
clip_ratio = 0.2  # 裁剪范围 ε，见 (6) · clipping range ε, see (6)
policy_learning_rate = 3e-4  # actor 的学习率 · learning rate of the actor
value_function_learning_rate = 3e-4  # critic 的学习率 · learning rate of the critic
train_policy_iterations = 80  # 每轮更新 actor 的次数上限 · actor updates in each epoch, at most
train_value_iterations = 80  # 每轮更新 critic 的次数 · critic updates in each epoch
lam = 0.97  # 优势的 λ，见 (2) · λ of the advantages, see (2)
target_kl = 0.01  # KL 超过它的 1.5 倍就停，见 (6) · actor updates end above 1.5 × it, see (6)
hidden_sizes = (64, 64)  # 各隐藏层的神经元个数 · units in each hidden layer
render = False  # 训练时显示画面 · a live window while training

seed = 0  # 原文没有：随机种子 · not in the tutorial: random seed
gif = True  # 原文没有：是否录制 · not in the tutorial: record the GIFs
output_dir = "outputs"  # 原文没有：输出目录 · not in the tutorial: folder for the files


# ==== 模型定义 · Model definition ===========================================================
# (1) 折扣累计和 · Discounted cumulative sums
def discounted_cumulative_sums(x, discount):
    """y[t] = x[t] + discount x[t+1] + discount² x[t+2] + … = x[t] + discount y[t+1]

    每一项，加上后面各项打折后的和；例如 x = [1, 1, 1]、discount = 0.9 时，得 [2.71, 1.9, 1]。先用 [::-1]
    倒序，从后往前算，就是一个线性滤波器 (lfilter)，算完再倒回来。

    Each item plus the discounted items after it: x = [1, 1, 1] and discount = 0.9 give [2.71, 1.9, 1]. Run
    backwards ([::-1], and back again), this is a linear filter (lfilter).
    """
    return scipy.signal.lfilter([1], [1, float(-discount)], x[::-1], axis=0)[::-1]


# (2) 训练数据 · The steps of one epoch
class Buffer:
    """一轮采样的数据，以及由此算出的优势和回报。
    The steps of one epoch, and the advantages and returns worked out from them.
    """

    def __init__(self, observation_dimensions, size, gamma=0.99, lam=0.95):
        self.observation_buffer = np.zeros((size, observation_dimensions), dtype=np.float32)  # s 状态 · state
        self.action_buffer = np.zeros(size, dtype=np.int32)  # a 动作 · action
        self.advantage_buffer = np.zeros(size, dtype=np.float32)  # Â 优势 · advantage
        self.reward_buffer = np.zeros(size, dtype=np.float32)  # r 奖励 · reward
        self.return_buffer = np.zeros(size, dtype=np.float32)  # R 回报 · return
        self.value_buffer = np.zeros(size, dtype=np.float32)  # V 价值 · value
        self.logprobability_buffer = np.zeros(size, dtype=np.float32)  # log π 对数概率 · log-probability
        self.gamma, self.lam = gamma, lam
        self.pointer, self.trajectory_start_index = 0, 0

    def store(self, observation, action, reward, value, logprobability):
        """存入一步：s、a、r、V(s)、log π(a|s)。已经存满时抛出 IndexError。
        Store one step: s, a, r, V(s), log π(a|s). Raises IndexError when full.
        """
        self.observation_buffer[self.pointer] = observation
        self.action_buffer[self.pointer] = action
        self.reward_buffer[self.pointer] = reward
        self.value_buffer[self.pointer] = value
        self.logprobability_buffer[self.pointer] = logprobability
        self.pointer += 1

    def finish_trajectory(self, last_value=0):
        """R[t] = r[t] + γ R[t+1];  δ[t] = r[t] + γ V(s[t+1]) − V(s[t]),  Â[t] = δ[t] + γλ Â[t+1]  [GAE, 16]

        一条轨迹（一局，或采满时没玩完的一局）结束时，计算其中每一步的回报和优势。
        折扣 γ 使越远的奖励权重越小：0.9 大约只看未来 10 步。时序差分 (TD) 误差 δ：走一步后的估计 r + γV(s′)，
        比 V(s) 高多少。优势 Â：这一步及以后的 δ 按 γλ 打折相加，叫广义优势估计 (GAE)；λ 越小越信 V，越大越信
        实际得到的奖励，但波动也大。last_value 代替轨迹以后的回报：一局结束时是 0，没玩完时是下一个状态的 V，
        float32 (1,)。

        Where a trajectory ends (an episode, or the part of one that fitted in the epoch), compute return and
        advantage of each of its steps. The discount γ makes later rewards weigh less: 0.9 looks about 10
        steps ahead. The temporal difference (TD) error δ is how much higher than V(s) the estimate after one
        step is: r + γV(s′), s′ being the next state. The advantage Â adds up the δ from its step on,
        discounted by γλ: generalized advantage estimation (GAE). A small λ trusts V, a large one the rewards
        received, which vary more. last_value stands for the return after the trajectory: 0 if the episode is
        over, else V of the next state, a float32 (1,).
        """
        path_slice = slice(self.trajectory_start_index, self.pointer)
        rewards = np.append(self.reward_buffer[path_slice], last_value)
        values = np.append(self.value_buffer[path_slice], last_value)
        deltas = rewards[:-1] + self.gamma * values[1:] - values[:-1]
        self.advantage_buffer[path_slice] = discounted_cumulative_sums(deltas, self.gamma * self.lam)
        self.return_buffer[path_slice] = discounted_cumulative_sums(rewards, self.gamma)[:-1]
        self.trajectory_start_index = self.pointer

    def get(self):
        """Â ← (Â − mean Â) / std Â

        返回 s、a、Â、R、log π(a|s)，此后从头存起；没存满时抛出 ValueError。优势先标准化：Â 虽已减去 V，但 V
        起初接近 0，每步奖励又是 +1，所以 Â 几乎都为正；这个共同的偏移与动作的好坏无关，只增加噪声，所以减去
        平均值。除以标准差，更新的大小就不随奖励的大小变化。

        Return s, a, Â, R and log π(a|s); storing then starts over. Raises ValueError unless full. Advantages
        are standardised. V is subtracted in Â, but it is near 0 at first, and each step pays 1, so nearly
        every Â is positive. Such a shared offset says nothing about which action is better and only adds
        noise, so the mean is subtracted. Dividing by the deviation keeps the scale of the rewards from
        affecting the updates.
        """
        if self.pointer != len(self.reward_buffer):
            raise ValueError(f"the Buffer holds {self.pointer} of {len(self.reward_buffer)} steps")
        self.pointer, self.trajectory_start_index = 0, 0
        advantage_mean, advantage_std = np.mean(self.advantage_buffer), np.std(self.advantage_buffer)
        # 与原文不同：加上 1e-8，以免优势全部相等时 0/0。
        # Differs: 1e-8 is added, because equal advantages would be 0/0.
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
    """在输入 x 上逐层叠加全连接层，sizes 是各层的神经元个数；返回最后一层的输出，(batch, sizes[-1])。
    Put dense layers of these sizes on the input x; return the output of the last one, (batch, sizes[-1]).
    """
    for size in sizes[:-1]:
        x = layers.Dense(units=size, activation=activation)(x)
    return layers.Dense(units=sizes[-1], activation=output_activation)(x)


# (4) 对数概率 · Log-probabilities
def logprobabilities(logits, a):
    """log π(a|s) = logits[a] − log Σ exp(logits)

    所选动作的对数概率。logits 是 actor 的输出，即未归一化的分数，可以是任意实数；log_softmax 把它变成
    对数概率，one_hot 取出所选的那一个。

    Log-probabilities of the actions taken. Logits, the actor's output, are scores not yet normalised, any
    real numbers; log_softmax turns them into log-probabilities, one_hot picks those of the actions taken.

    float32 (batch, 2), int (batch,) → float32 (batch,)
    """
    logprobabilities_all = tf.nn.log_softmax(logits)
    logprobability = tf.reduce_sum(tf.one_hot(a, num_actions) * logprobabilities_all, axis=1)
    return logprobability


# (5) 采样动作 · Sample an action
@tf.function
def sample_action(observation):
    """a ~ π(·|s)

    按 actor 给出的概率随机抽取动作，不总取概率最大的：没试过的动作，无从知道好坏。

    Draw actions at random, with the actor's probabilities, and not always the likeliest: an action that is
    never tried cannot prove its worth.

    float32 (batch, 4) → logits float32 (batch, 2), action int64 (batch,)
    """
    logits = actor(observation)
    action = tf.squeeze(tf.random.categorical(logits, 1), axis=1)
    return logits, action


# (6) 训练策略 · Train the policy
@tf.function
def train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """max mean min(ρÂ, clip(ρ, 1−ε, 1+ε) Â),  ρ = π(a|s) / π_old(a|s),  ε = clip_ratio  [PPO, 7]

    更新一次 actor。概率比 ρ（变量 ratio）是动作现在的概率与采样时的概率之比。要使 ρÂ 变大，Â 为正的动作，概率
    就要增大；Â 为负的，就要减小。Â > 0 而 ρ > 1+ε，或 Â < 0 而 ρ < 1−ε 时，裁剪使目标不再变大，梯度为 0，这个
    样本不再推动更新；ρ 走反了的（如 Â > 0 而 ρ < 1−ε）不裁剪，照常纠正。其他样本仍可能改变 ρ，所以还要看 KL。
    返回 KL(π_old‖π) 的估计值，即新旧策略的差距：它是 log π_old − log π 的样本平均，所以可能为负。

    Update the actor once; the objective is the mean above, and π_old the policy that sampled the epoch. The
    ratio ρ is an action's probability now over that when it was sampled. For ρÂ to grow, actions of positive
    Â must become likelier, those of negative Â rarer. If Â > 0 and ρ > 1+ε, or if Â < 0 and ρ < 1−ε, the clip
    keeps the objective from growing: the gradient is 0, this sample pushes no further. Where ρ has gone the
    wrong way (Â > 0 and ρ < 1−ε, say), nothing is clipped, so it is corrected. Other samples may still move
    ρ, so the KL is checked, too.
    Returns an estimate of KL(π_old‖π), how far the policies are apart: the mean of log π_old − log π over the
    samples, so it may be negative.
    """
    with tf.GradientTape() as tape:
        ratio = tf.exp(logprobabilities(actor(observation_buffer), action_buffer) - logprobability_buffer)
        # min(ρÂ, clip(ρ, 1−ε, 1+ε) Â) = min(ρÂ, min_advantage)
        # min_advantage = (1+ε) Â (Â > 0), (1−ε) Â (Â < 0)
        min_advantage = tf.where(
            advantage_buffer > 0, (1 + clip_ratio) * advantage_buffer, (1 - clip_ratio) * advantage_buffer
        )
        # 目标要最大化，优化器只做最小化，所以取负。
        # Negated, because the objective is to be maximised and an optimizer minimises.
        policy_loss = -tf.reduce_mean(tf.minimum(ratio * advantage_buffer, min_advantage))
    policy_grads = tape.gradient(policy_loss, actor.trainable_variables)
    policy_optimizer.apply_gradients(zip(policy_grads, actor.trainable_variables))
    kl = tf.reduce_mean(logprobability_buffer - logprobabilities(actor(observation_buffer), action_buffer))
    kl = tf.reduce_sum(kl)  # 不起作用，照原文保留 · no effect, kept from the tutorial
    return kl


# (7) 训练价值函数 · Train the value function
@tf.function
def train_value_function(observation_buffer, return_buffer):
    """min mean (R − V(s))²  [PPO, 9]

    更新一次 critic，使预测 V(s) 接近从 s 起的回报 R。
    Update the critic once: its prediction V(s) moves towards R, the return from s on.
    """
    with tf.GradientTape() as tape:
        value_loss = tf.reduce_mean((return_buffer - critic(observation_buffer)) ** 2)
    value_grads = tape.gradient(value_loss, critic.trainable_variables)
    value_optimizer.apply_gradients(zip(value_grads, critic.trainable_variables))


# ==== 命令行（原文没有，可以跳过）· Command line (not in the tutorial; may be skipped) =======
def read_options():
    """读取命令行选项，返回 {名称: 值}；遇到不合理的值，说明后退出。
    Return the options of the command line as {name: value}; if one makes no sense, say so and end the
    program.
    """
    numbers = (
        ("steps_per_epoch", int, 1, 10**8, "steps in each epoch"),
        ("epochs", int, 1, 10**8, "number of epochs"),
        ("gamma", float, 0, 1, "discount factor"),
        ("clip_ratio", float, 1e-30, 1e30, "clipping range of the probability ratio: 1 plus or minus this"),
        ("policy_learning_rate", float, 1e-30, 1e30, "learning rate of the actor"),
        ("value_function_learning_rate", float, 1e-30, 1e30, "learning rate of the critic"),
        ("train_policy_iterations", int, 1, 10**8, "actor updates in each epoch, at most"),
        ("train_value_iterations", int, 1, 10**8, "critic updates in each epoch"),
        ("lam", float, 0, 1, "lambda of GAE, for the advantages"),
        ("target_kl", float, 1e-30, 1e30, "actor updates end above 1.5 times this KL"),
        ("seed", int, 0, 2**32 - 1, "random seed: same seed, same run"),
    )
    parser = ArgumentParser("ppo_cartpole.py", SUPPRESS, formatter_class=ArgumentDefaultsHelpFormatter)
    for name, kind, *_, meaning in numbers:
        # argparse 只检查字符串默认值。
        # argparse checks a default only if it is a string.
        default = str(globals()[name])
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=meaning)
    units = np.ravel(hidden_sizes).tolist()  # (64) 也当作一层 · (64) is one layer, too
    parser.add_argument("--hidden-sizes", type=int, nargs="+", default=units, help="units by layer")
    parser.add_argument("--render", action=BooleanOptionalAction, default=render, help="show the training")
    parser.add_argument("--gif", action=BooleanOptionalAction, default=gif, help="record the GIFs")
    parser.add_argument("--output-dir", type=os.path.expanduser, default=output_dir, help="output folder")
    # 在 Jupyter 里没有命令行。
    # In Jupyter there is no command line.
    options = vars(parser.parse_args(None if "__file__" in globals() else []))
    for name, _, lowest, highest, _ in numbers:
        if not lowest <= options[name] <= highest:
            parser.error(f"{name} must be from {lowest} to {highest}, not {options[name]}")
    if min(options["hidden_sizes"], default=1) < 1:
        parser.error(f"hidden_sizes must be at least 1, not {options['hidden_sizes']}")
    return options


if __name__ == "__main__":
    globals().update(read_options())

# ==== 游戏初始化 · Game and networks ========================================================
# 与原文不同：固定随机种子，结果可以重现；没有显示器也能画。
# Differs: networks and game are seeded, so runs can be repeated; the game draws without a display, too.
keras.utils.set_random_seed(seed)
pyglet.options["headless"] = sys.platform == "linux" and not (render or os.environ.get("DISPLAY"))
env = gym.make("CartPole-v0")
observation_dimensions = env.observation_space.shape[0]
num_actions = env.action_space.n
# 与原文不同：传入 gamma 和 lam。原文没有传，实际用的是 0.99 和 0.95，所以打印的数值与这里不同。
# Differs: gamma and lam are passed on. The tutorial's are not: it ran with 0.99 and 0.95, and so printed
# other numbers than this does.
buffer = Buffer(observation_dimensions, steps_per_epoch, gamma, lam)

# 为什么要两个网络：结果好，可能是动作好，也可能只是状态好。critic 根据回报学会评价状态；结果比它的评价好多
# 少，才是动作的功劳，即优势；actor 根据优势学会选择动作。
# Why two networks: a good outcome may be due to a good action, or just to a good state. The critic learns
# from returns to judge states. How much better the outcome is than it judged is the action's merit, the
# advantage: from that the actor learns to choose.
observation_input = keras.Input(shape=(observation_dimensions,), dtype=tf.float32)
logits = mlp(observation_input, list(hidden_sizes) + [num_actions], tf.tanh, None)
actor = keras.Model(inputs=observation_input, outputs=logits)
value = tf.squeeze(mlp(observation_input, list(hidden_sizes) + [1], tf.tanh, None), axis=1)
critic = keras.Model(inputs=observation_input, outputs=value)

policy_optimizer = keras.optimizers.Adam(learning_rate=policy_learning_rate)
value_optimizer = keras.optimizers.Adam(learning_rate=value_function_learning_rate)


# ==== 保存未训练时的运动情况 · Recording before training ====================================
def record_gif(path):
    """用当前策略玩一局，存成 GIF，打印步数，返回各帧，uint8 (400, 600, 3)；写不了文件时抛出 OSError。
    Play an episode with the current policy, save it as a GIF, print how many steps it took and return its
    frames, uint8 (400, 600, 3). Raises OSError if the file cannot be written.
    """
    # 与原文不同：训练前后的两局从同一个状态开始；关掉窗口，否则训练时窗口没有响应；最后一帧停一秒。
    # Differs: the episodes before and after training start from the same state; the window is closed, or it
    # would hang while training; the last frame stays for a second.
    env.seed(seed)
    start = env.reset()
    frames, done = [], False
    while not done:
        frames.append(env.render(mode="rgb_array"))
        start = start.reshape(1, -1)
        logits, action = sample_action(start)
        start, reward, done, _ = env.step(action[0].numpy())
    env.close()
    save_gif(path, frames + 20 * frames[-1:])
    print(f"{path}: 这一局坚持了 {len(frames)} 步 · this episode took {len(frames)} steps")
    return frames


# ==== 模型训练 · Training ===================================================================
# 从 Python 调用一次 TensorFlow，开销比运算本身还大，所以原文的循环分成几个函数：train 是 for epoch 这一层；
# for t 这一层分成两半，rollout 运行网络，编成计算图，每轮调用一次，rollout 每步再调用 step，由 step 玩游戏；
# update 是两个更新循环。env.step 因此排在 value_t 和 logprobability_t 之后，数值不变。
# Calling TensorFlow from Python at each step costs more than the computation itself, so the tutorial's loop
# is split into functions. train is the loop over epochs. The loop over steps t has two halves: rollout runs
# the networks, is compiled into a graph and called once an epoch; at each t it calls step, which plays the
# game. update has the loops of actor and critic updates. So env.step comes after value_t and
# logprobability_t, not before them as in the tutorial; the numbers are the same.
def train():
    """训练 epochs 轮：采样，更新两个网络，打印平均奖励。KL 或 value loss 变成 inf 或 NaN 时抛出
    FloatingPointError。
    In each epoch, sample, update both networks and print the average reward. Raises FloatingPointError if the
    KL or the value loss becomes inf or NaN.
    """
    global num_episodes
    buffer.pointer, buffer.trajectory_start_index = 0, 0  # 上次训练可能中断 · after an interrupted training
    env.seed(seed)
    observation = env.reset()
    for epoch in tqdm(range(epochs)):
        num_episodes = 0
        # 只有主线程能画窗口，所以 render 为 True 时，不用计算图，用未编译的原函数 python_function 逐步执行。
        # Only the main thread can draw a window: with render, the plain function runs, step by step.
        sample = rollout.python_function if render else rollout
        observation = sample(observation)
        # get 返回的五个数组，依次是 update 的五个参数。
        # The five arrays from get are the five arguments of update, in this order.
        log = update(*buffer.get())
        if not np.isfinite(log["KL"] + log["value loss"]):
            numbers = f"KL {log['KL']:g}, value loss {log['value loss']:g} in epoch {epoch + 1}"
            raise FloatingPointError(f"training broke down: {numbers}; try lower learning rates")
        # 每步奖励是 1，所以平均奖励就是每局的平均步数，不必像原文那样累加 sum_return、sum_length。没玩完的一
        # 局也算一局，所以略偏低。
        # Each step pays 1, so the average reward is the mean number of steps in an episode, and the
        # tutorial's sums are not needed. An episode that was cut off counts as a whole one: it is slightly
        # low.
        log["average reward"] = steps_per_epoch / num_episodes
        # 与原文不同：还写日志，可用 TensorBoard 查看。
        # Differs: there is also a log, for TensorBoard.
        for name, number in log.items():
            tf.summary.scalar(name, number, epoch + 1)
        tqdm.write(f"完成第 {epoch + 1} 轮训练， 平均奖励: {log['average reward']}")


# numpy_function 让计算图回调普通的 Python 函数；它的返回值形状未知，所以参数的形状也写 None，再用 reshape 补
# 上。
# numpy_function lets the graph call a plain Python function. What that returns has no known shape, so the
# argument is declared without one, too (None), and reshape gives it back.
@tf.function(input_signature=[tf.TensorSpec(None, tf.float32)])
def rollout(observation):
    """从状态 observation 开始，采样一轮；返回下一轮的第一个状态，两者都是 float32 (4,)。
    Sample an epoch, starting from the state `observation`; return the next epoch's first. Both: float32 (4,).
    """
    for t in tf.range(steps_per_epoch):
        observation = tf.reshape(observation, (1, observation_dimensions))
        logits, action = sample_action(observation)
        value_t = critic(observation)
        logprobability_t = logprobabilities(logits, action)
        observation = tf.numpy_function(step, [t, observation, action, value_t, logprobability_t], tf.float32)
    return observation


def step(t, observation, action, value_t, logprobability_t):
    """走第 t 步，存入 buffer，返回下一个状态；一局结束或采满时，返回新一局的第一个状态，float32 (4,)。
    参数除 t 外，都是第一维为 1 的 NumPy 数组。
    Take step t, store it and return the next state; where the episode or the epoch ends, the first of a new
    episode, float32 (4,). All arguments but t are NumPy arrays, a batch of one.
    """
    global num_episodes
    if render:
        env.render()
    observation_new, reward, done, _ = env.step(action[0])
    buffer.store(observation, action, reward, value_t, logprobability_t)
    observation = observation_new
    terminal = done
    if terminal or t == steps_per_epoch - 1:
        # 与原文一样，走满 200 步时，以后的回报也按 0 算；critic 看不到步数，平时的 V 因此略偏低。
        # As in the tutorial, the return after step 200 counts as 0, too; the critic cannot see the step, so V
        # is slightly low everywhere.
        last_value = 0 if done else critic(observation.reshape(1, -1))
        buffer.finish_trajectory(last_value)
        num_episodes += 1
        observation = env.reset()
    return observation


@tf.function
def update(observation_buffer, action_buffer, advantage_buffer, return_buffer, logprobability_buffer):
    """用一轮的数据更新两个网络，返回写入日志的数。两个循环互不依赖，可以并行。KL、clip fraction（ρ 在 1±ε 之
    外的比例）、value loss 是更新后的；entropy（策略有多随机，估计值）、explained variance（V 预测 R 有多准，1
    为完全准确）是更新前的。
    Update both networks with an epoch's data and return numbers for the log. The loops are independent of
    each other and may run in parallel.
    KL, clip fraction (share of ρ outside 1±ε) and value loss are from after the updates; entropy (how random
    the policy is, an estimate) and explained variance (how well V predicts R, 1 is perfect) from before.
    """
    values = critic(observation_buffer)
    for iteration in tf.range(train_policy_iterations):
        kl = train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer)
        # 策略已走得太远，这批数据不再适用。
        # The policy has moved too far for this data.
        if kl > 1.5 * target_kl:
            break
    for _ in tf.range(train_value_iterations):
        train_value_function(observation_buffer, return_buffer)
    ratio = tf.exp(logprobabilities(actor(observation_buffer), action_buffer) - logprobability_buffer)
    variance = tf.math.reduce_variance
    return {
        "KL": kl,
        "policy iterations": iteration + 1,
        "clip fraction": tf.reduce_mean(tf.cast(tf.abs(ratio - 1) > clip_ratio, tf.float32)),
        "entropy": -tf.reduce_mean(logprobability_buffer),
        "value loss": tf.reduce_mean((return_buffer - critic(observation_buffer)) ** 2),
        "explained variance": 1 - variance(return_buffer - values) / variance(return_buffer),
    }


# ==== 保存训练后的运动情况 · Recording after training =======================================
def main():
    """依次录制、训练、保存网络、再录制、对比，文件存入 output_dir；写不了文件时抛出 OSError。
    Record, train, save the networks, record again, compare; all files go to output_dir. Raises OSError if a
    file cannot be written.
    """
    os.makedirs(output_dir, exist_ok=True)
    with open_log().as_default():
        if gif:
            before = record_gif(f"{output_dir}/未训练前的样子.gif")
        train()
        save_networks()
        if gif:
            after = record_gif(f"{output_dir}/训练后的样子.gif")
            comparison = f"{output_dir}/训练前后对比.gif"
            save_gif(comparison, side_by_side(before, after))
            print(f"请打开 {comparison} 对比 · open it to compare before and after")


# ==== 文件、对比与运行（原文没有）· Files, comparison, start (not in the tutorial) ===========
def open_log():
    """新建日志，记下全部超参数。
    Open a new log and note all hyperparameters.
    """
    names = """steps_per_epoch epochs gamma clip_ratio policy_learning_rate value_function_learning_rate lam
        target_kl train_policy_iterations train_value_iterations hidden_sizes render seed gif output_dir"""
    folder = f"{output_dir}/logs/{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    os.makedirs(folder, exist_ok=True)
    try:
        log = tf.summary.create_file_writer(os.fsencode(folder), max_queue=0)
    except tf.errors.FailedPreconditionError as error:
        # Windows 上的 TensorFlow 2.15 找不到路径里有中文的文件夹。
        # TensorFlow 2.15 on Windows does not find folders with Chinese names.
        print(f"没有日志 · no log: {error.message}")
        log = tf.summary.create_noop_writer()
    with log.as_default():
        tf.summary.text("hyperparameters", str({name: globals()[name] for name in names.split()}), 0)
    return log


def save_gif(path, frames):
    """把各帧 uint8 (height, width, 3) 存成循环播放的 GIF；存坏了或写不了时抛出 OSError，旧文件不变。
    Save frames, uint8 (height, width, 3), as an endless GIF. Raises OSError if it comes out broken or cannot
    be written; an earlier file then stays as it is.
    """
    # 与原文不同：每秒 20 帧，不是 10 帧；每帧只存有变化的部分。
    # Differs: 20 frames a second, not 10; of each, only the part that changed is stored.
    data = io.BytesIO()
    with imageio.get_writer(data, "GIF", mode="I", fps=20, subrectangles=True) as writer:
        for last, frame in enumerate(frames):
            writer.append_data(frame)
    try:
        image = Image.open(data)
        image.seek(last)
        image.load()
    except (EOFError, IndexError, OSError) as error:
        raise OSError(f"{path}: imageio and Pillow wrote a broken GIF ({error})") from error
    save_files({path: data})


def save_files(files):
    """写文件 {path: BytesIO}：全部写完，才替换旧文件；写不了时抛出 OSError。
    Write files {path: BytesIO}: none replaces an earlier one until all are complete. Raises OSError if one
    cannot be written.
    """
    parts = {path: f"{path}.{os.getpid()}.part" for path in files}
    try:
        for path, part in parts.items():
            with open(part, "wb") as file:
                file.write(files[path].getvalue())
    except BaseException:  # 磁盘已满、Ctrl-C · disk full, Ctrl-C
        for part in filter(os.path.exists, parts.values()):
            os.remove(part)
        raise
    for path, part in parts.items():
        os.replace(part, path)


def save_networks():
    """保存两个网络；写不了文件时抛出 OSError。
    Save both networks. Raises OSError if a file cannot be written.
    """
    # Keras 2.10 和 2.15 都能读 HDF5；磁盘写满会使 HDF5 崩溃，所以先写入内存；前两行去掉无关紧要的警告。
    # Keras 2.10 and 2.15 both read HDF5; a full disk crashes HDF5, so it goes to memory first; the first two
    # lines silence warnings that do not matter.
    warnings.filterwarnings("ignore", "You are saving your model as an HDF5")
    tf.get_logger().setLevel("ERROR")
    files = {f"{output_dir}/actor.h5": io.BytesIO(), f"{output_dir}/critic.h5": io.BytesIO()}
    for network, data in zip((actor, critic), files.values()):
        with h5py.File(data, "w") as file:
            network.save(file)
    save_files(files)


def side_by_side(before, after):
    """逐帧生成并排的两局，画面缩小一半；先结束的停在最后一帧。
    Yield two episodes side by side, at half size; the one that ends first stays at its last frame.
    """
    for t in range(max(len(before), len(after)) + 20):
        halves = []
        for name, frames in ("before", before), ("after", after):
            count, end = min(t + 1, len(frames)), ""
            if count == len(frames):
                end = ": success" if count == env.spec.max_episode_steps else ": game over"
            caption = Image.new("RGB", (150, 28), "white")
            ImageDraw.Draw(caption).text((4, 0), f"{name} training\nstep {count}{end}", "black")
            half = Image.fromarray(frames[count - 1]).reduce(2)
            half.paste(caption.resize((300, 56), Image.NEAREST))
            halves.append(half)
        yield np.hstack([halves[0], np.zeros((200, 2, 3), np.uint8), halves[1]])


def check_drawing():
    """画不了游戏时，说明怎么办，然后退出。
    If the game cannot be drawn, say what to do and end the program.
    """
    try:
        from gym.envs.classic_control import rendering

        rendering.Viewer(600, 400).close()
    except Exception as error:  # 各库各有各的异常 · each library raises its own
        cure = "update the graphics driver, do not use remote desktop, or use --no-gif"
        if sys.platform == "linux":
            cure = "apt-get install libgl1 libglu1-mesa libegl1, or unset DISPLAY, or use --no-gif"
        # gym 的建议已过时，真正的原因在 __context__ 里。
        # gym's advice is out of date; __context__ has the cause.
        sys.exit(f"ppo_cartpole.py: error: cannot draw the game: {error.__context__ or error} ({cure})")


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # 显示不了的字用转义符 · escape what cannot be shown
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    if gif or render:
        check_drawing()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, UnicodeError, FloatingPointError, tf.errors.OpError) as error:
        sys.exit(f"ppo_cartpole.py: error: {' '.join(str(error).split())}")
