# SPDX-License-Identifier: Apache-2.0
"""通过 CartPole 游戏说明 PPO（近端策略优化）· PPO (proximal policy optimization) on CartPole

“原文”指教程《通过 CartPole 游戏详细说明 PPO 优化过程》，章节和多数名称都照它；运行结果或看到的东西不一样的地
方，注明“与原文不同”。
每轮 (epoch) 用当前策略玩 5000 步，再用这批数据更新两个网络。actor 就是策略 π(a|s)：在状态 s 下选动作 a 的概
率。critic 预测回报 R，即从某步起各步奖励打折后的和；预测的值叫价值 V(s)。动作的结果比预测的好多少，叫优势 Â。
同一批数据反复使用，增大优势为正的动作的概率，减小为负的。但这批数据是更新前的策略产生的，策略偏离得越远，数据
越不可靠。所以 PPO 限制每轮的变化：某个动作的概率变化太大，就不再推它（裁剪）；这里还用 KL 散度衡量整个策略偏
离了多远，太远了，本轮就不再更新 actor。

"The tutorial" is a Chinese one, "PPO explained in detail with CartPole"; sections and most names follow it.
"Differs" marks where results, or what one sees, do not.
Each epoch plays 5000 steps with the current policy, then updates two networks with these data. The actor is
the policy π(a|s): the probability of action a in state s. The critic predicts the return R, the discounted
sum of the rewards from a step on; what it predicts is the value V(s). How much better an action turned out
than predicted is its advantage Â.
The same data serve many updates: actions of positive advantage become likelier, those of negative advantage
rarer. But the data come from the policy before the updates, and the more the policy changes, the less they
tell. So PPO limits the change in an epoch: an action whose probability has changed too much is pushed no
further (clipping). Here, once the whole policy has changed too much, as measured by the KL divergence, the
actor's updates end for this epoch.

PPO: Schulman et al. 2017, arxiv.org/abs/1707.06347. GAE: Schulman et al. 2016, arxiv.org/abs/1506.02438.
"""

# ==== CartPole 介绍 · About CartPole ========================================================
# 状态（也叫观测）是四个数：推车的位置、速度，杆子的角度、角速度。动作有两个：0 向左推，1 向右推。每步奖励
# +1。杆子偏离垂直方向超过 12 度（原文说 15 度）、推车偏离中心超过 2.4 个单位，或走满 200 步，一局 (episode)
# 就结束。
# A state, or observation, is four numbers: position and velocity of the cart, angle and angular velocity of
# the pole. There are two actions: 0 pushes left, 1 right. Each step pays a reward of 1. An episode ends when
# the pole leans more than 12 degrees (the tutorial says 15), when the cart is more than 2.4 units from the
# centre, or after 200 steps.

# ==== 库准备 · Libraries ====================================================================
import io
import logging
import os
import sys
import warnings
from argparse import SUPPRESS, ArgumentDefaultsHelpFormatter, ArgumentParser, BooleanOptionalAction
from importlib.metadata import version

import h5py
import imageio
import pyglet
from packaging.specifiers import SpecifierSet
from PIL import Image, ImageDraw

# 与原文不同，须在导入之前：网络很小，少用线程、不用 oneDNN 反而快；不显示 TensorFlow 的警告。
# Differs, and must stand before the import: few threads and no oneDNN are faster for networks this small;
# TensorFlow's warnings are not shown.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("tensorflow").addFilter(lambda record: record.levelno >= logging.ERROR)

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
target_kl = 0.01  # KL 超过它的 1.5 倍就停，见 update · stop at KL > 1.5 × this, see update
hidden_sizes = (64, 64)  # 各隐藏层的神经元个数 · units in each hidden layer
render = False  # 训练时显示画面 · a live window while training
seed = 0  # 原文没有：随机种子 · not in the tutorial: random seed
gif = True  # 原文没有：是否录制 · not in the tutorial: record the GIFs
output_dir = "outputs"  # 原文没有：输出目录 · not in the tutorial: folder for the files


# ==== 模型定义 · Model definition ===========================================================
# (1) 折扣累计和 · Discounted cumulative sums
def discounted_cumulative_sums(x, discount):
    """y[t] = x[t] + discount x[t+1] + discount² x[t+2] + … = x[t] + discount y[t+1]

    例如 x = [1, 1, 1]、discount = 0.9 时，得 [2.71, 1.9, 1]。lfilter 的系数取 −discount 时，算的是 y[n] =
    x[n] + discount y[n−1]；前后用 [::-1] 倒序，就从后往前算。
    For example, x = [1, 1, 1] and discount = 0.9 give [2.71, 1.9, 1]. With −discount as its coefficient,
    lfilter computes y[n] = x[n] + discount y[n−1]; [::-1] before and after makes it run from the end.
    """
    return scipy.signal.lfilter([1], [1, float(-discount)], x[::-1], axis=0)[::-1]


# (2) 训练数据 · The steps of one epoch
class Buffer:
    """一轮采样的数据，以及由此算出的优势和回报。
    The steps of one epoch, and the advantages and returns computed from them.
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
        """R[t] = r[t] + γ R[t+1]
        Â[t] = δ[t] + γλ Â[t+1],  δ[t] = r[t] + γ V(s[t+1]) − V(s[t])  [GAE, eq. 16]

        一条轨迹（一局，或采满时没玩完的一局）结束时，计算其中每一步的回报和优势。last_value 是轨迹之后的 R 和
        V：一局结束时是 0，没玩完时是下一个状态 s′ 的 V(s′)，float32 (1,)。时序差分 (TD) 误差 δ：走一步后的估
        计 r + γV(s′) 比 V(s) 高多少。优势是这一步及以后的 δ 按 γλ 打折相加，叫广义优势估计 (GAE)：λ 小，多信
        V，而 V 可能不准；λ 大，多信实际的奖励，而它波动大。

        Called at the end of a trajectory (an episode, or the part of one that fits in the epoch); computes
        return and advantage of each of its steps. last_value is R and V after the trajectory: 0 if the
        episode is over, else V(s′) of the next state s′, float32 (1,). The temporal difference (TD) error δ
        is how far r + γV(s′), the estimate after one step, exceeds V(s). The advantage adds up the δ from its
        step on, discounted by γλ: generalized advantage estimation (GAE). A small λ trusts V, which may be
        wrong, a large one the rewards received, which vary more.
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

        返回 s、a、Â、R、log π(a|s)，此后从头存起；没存满时抛出 ValueError。训练之初 V 接近 0，每步奖励是 +1，
        所以 Â 虽已减去 V，仍几乎都为正；这个共同的偏移与动作好坏无关，只增加噪声，所以再减去平均值。除以标准
        差，actor 的梯度就与奖励的大小无关。

        Return s, a, Â, R and log π(a|s); storing then starts over. Raises ValueError unless full. At first V
        is near 0, and as each step pays 1, nearly every Â is positive, though V is already subtracted in it.
        Such a shared offset says nothing about the actions and only adds noise, so the mean is subtracted,
        too. Division by the standard deviation makes the actor's gradients independent of the rewards' scale.
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
    """log π(a|s) = logits[a] − log Σ exp(logits);  float32 (batch, 2), int (batch,) → float32 (batch,)

    所选动作的对数概率。logits 是 actor 给每个动作打的分，任意实数，还不是概率；log_softmax 把它变成对数概率。
    Log-probabilities of the actions taken. Logits are the actor's scores for the actions, any real numbers,
    not yet probabilities; log_softmax turns them into log-probabilities.
    """
    logprobabilities_all = tf.nn.log_softmax(logits)
    logprobability = tf.reduce_sum(tf.one_hot(a, num_actions) * logprobabilities_all, axis=1)
    return logprobability


# (5) 采样动作 · Sample an action
@tf.function  # 编成计算图，更快 · compiled into a graph, for speed
def sample_action(observation):
    """a ~ π(·|s);  float32 (batch, 4) → logits float32 (batch, 2), action int64 (batch,)

    按 actor 给出的概率随机抽取动作，不总取概率最大的：没试过的动作，无从知道好坏。
    Draw actions at random, with the actor's probabilities, and not always the likeliest: an action that is
    never tried cannot prove its worth.
    """
    logits = actor(observation)  # 在“游戏初始化”里建立 · built in "Game and networks"
    action = tf.squeeze(tf.random.categorical(logits, 1), axis=1)
    return logits, action


# (6) 训练策略 · Train the policy
@tf.function
def train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """max mean min(ρÂ, clip(ρ, 1−ε, 1+ε) Â),  ρ = π(a|s) / π_old(a|s),  ε = clip_ratio  [PPO, eq. 7]

    更新一次 actor；π_old 是采样时的策略，除以它，当时常选的动作才不会因为样本多而更受重视。ρ = 1 时，ρÂ 的梯
    度就是策略梯度 Â ∇log π：Â 为正的动作，概率增大；Â 为负的，减小。Â > 0 而 ρ > 1+ε，或 Â < 0 而 ρ < 1−ε
    时，裁剪使目标不再变大，梯度为 0，这个样本不再推动更新。ρ 朝反方向变的（如 Â > 0 而 ρ < 1−ε）不裁剪，照常
    纠正；别的样本仍会改变 ρ，所以还要看 KL。
    返回 KL(π_old‖π)，即策略偏离了多远；它是 log π_old − log π 的样本平均，只是估计，所以可能为负。

    Update the actor once; π_old is the policy that sampled the epoch, and dividing by it keeps the actions
    that it chose often from counting more. At ρ = 1 the gradient of ρÂ is the policy gradient, Â ∇log π:
    actions of positive Â become likelier, those of negative Â rarer. If Â > 0 and ρ > 1+ε, or if Â < 0 and ρ
    < 1−ε, the clip keeps the objective from growing: the gradient is 0, and this sample pushes no further.
    One that has moved the wrong way (Â > 0 and ρ < 1−ε, say) is not clipped, so it is put right. As other
    samples may still move ρ, the KL is checked, too.
    Returns KL(π_old‖π), how far the policy has moved: the mean of log π_old − log π over the samples, an
    estimate only, so it may be negative.
    """
    with tf.GradientTape() as tape:
        ratio = tf.exp(logprobabilities(actor(observation_buffer), action_buffer) - logprobability_buffer)
        # min(ρÂ, clip(ρ, 1−ε, 1+ε) Â) = min(ρÂ, min_advantage)
        # 在 min 里，clip 只有一侧起作用：Â > 0 时是 (1+ε) Â，Â < 0 时是 (1−ε) Â。
        # In the min, only one side of clip matters: (1+ε) Â if Â > 0, (1−ε) Â if Â < 0.
        min_advantage = tf.where(
            advantage_buffer > 0, (1 + clip_ratio) * advantage_buffer, (1 - clip_ratio) * advantage_buffer
        )
        # 优化器只做最小化，所以取负。
        # Negated, because an optimizer minimises.
        policy_loss = -tf.reduce_mean(tf.minimum(ratio * advantage_buffer, min_advantage))
    policy_grads = tape.gradient(policy_loss, actor.trainable_variables)
    policy_optimizer.apply_gradients(zip(policy_grads, actor.trainable_variables))
    kl = tf.reduce_mean(logprobability_buffer - logprobabilities(actor(observation_buffer), action_buffer))
    kl = tf.reduce_sum(kl)  # 不起作用，照原文保留 · no effect, kept from the tutorial
    return kl


# (7) 训练价值函数 · Train the value function
@tf.function
def train_value_function(observation_buffer, return_buffer):
    """min mean (R − V(s))²  [PPO, eq. 9: L^VF]

    更新一次 critic，使预测 V(s) 接近从 s 起的回报 R。
    Update the critic once: its prediction V(s) moves towards R, the return from s on.
    """
    with tf.GradientTape() as tape:
        value_loss = tf.reduce_mean((return_buffer - critic(observation_buffer)) ** 2)
    value_grads = tape.gradient(value_loss, critic.trainable_variables)
    value_optimizer.apply_gradients(zip(value_grads, critic.trainable_variables))


# ==== 命令行、版本（原文没有，可以跳过）· Command line, versions (not in the tutorial; may be skipped)
def check_versions():
    """版本不合适时，报的错很难懂，或者存下的 GIF 是坏的，所以说明后退出。
    Other versions fail obscurely or save broken GIFs: say so and end the program.
    """
    for name, wanted, best in (
        ("keras", ">=2.8,<2.16", "tensorflow-cpu==2.15.1"),
        ("gym", ">=0.20,<0.22", "gym==0.20.0"),
        ("pyglet", ">=1.5.15,<2", "pyglet==1.5.20"),
        ("imageio", ">=2.9,<2.28", "imageio==2.26.1"),
        ("Pillow", ">=8.2,<10.1", "Pillow==10.0.1"),
    ):
        if version(name) not in SpecifierSet(wanted):
            cure = f"use the .venv of .setup.py, or Python 3.10 or 3.11 and python -m pip install {best}"
            sys.exit(f"ppo_cartpole.py: error: found {name} {version(name)}, wanted {wanted} ({cure})")


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
    check_versions()
    globals().update(read_options())

# ==== 游戏初始化 · Game and networks ========================================================
# 与原文不同：固定随机种子，结果可以重现；在 Linux 上，没有显示器也能画。
# Differs: networks and game are seeded, so runs can be repeated; on Linux, no display is needed to draw.
keras.utils.set_random_seed(seed)
pyglet.options["headless"] = sys.platform == "linux" and not (render or os.environ.get("DISPLAY"))
env = gym.make("CartPole-v0")
observation_dimensions = env.observation_space.shape[0]
num_actions = env.action_space.n
# 与原文不同：传入 gamma 和 lam。原文没有传，实际用的是 0.99 和 0.95，打印的数值与这里不同。
# Differs: gamma and lam are passed on. The tutorial's are not: it ran with 0.99 and 0.95 and printed other
# numbers.
buffer = Buffer(observation_dimensions, steps_per_epoch, gamma, lam)

# 为什么要两个网络：结果好，可能是动作好，也可能只是状态好。critic 根据回报学会评价状态；结果减去它的评价，即
# 优势，大致就是动作的功劳；actor 根据优势学会选择动作。
# Why two networks: a good outcome may be due to a good action, or just to a good state. The critic learns
# from returns to judge states. The outcome minus that judgement, the advantage, estimates the action's own
# merit; the actor learns from it.
observation_input = keras.Input(shape=(observation_dimensions,), dtype=tf.float32)
logits = mlp(observation_input, list(hidden_sizes) + [num_actions], tf.tanh, None)
actor = keras.Model(inputs=observation_input, outputs=logits)
# 由 (batch, 1) 变成 (batch,)，否则 R − V 会成为 (batch, batch)。
# From (batch, 1) to (batch,), or R − V would be (batch, batch).
value = tf.squeeze(mlp(observation_input, list(hidden_sizes) + [1], tf.tanh, None), axis=1)
critic = keras.Model(inputs=observation_input, outputs=value)

policy_optimizer = keras.optimizers.Adam(learning_rate=policy_learning_rate)
value_optimizer = keras.optimizers.Adam(learning_rate=value_function_learning_rate)


# ==== 保存未训练时的运动情况 · Recording before training ====================================
def record_gif(path):
    """用当前策略玩一局，存成 GIF，打印步数，返回各帧，uint8 (400, 600, 3)；写不了文件时抛出 OSError。
    Play an episode with the current policy, save it as a GIF, print its number of steps, return its frames,
    uint8 (400, 600, 3). Raises OSError if the file cannot be written.
    """
    # 与原文不同：训练前后的两局从同一个状态开始；录完关掉窗口；最后一帧停一秒。
    # Differs: both episodes start from the same state; the window closes; the last frame stays for a second.
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
# 从 Python 调用一次 TensorFlow，比其中的运算还费时。所以为了速度，原文的 for t 循环分成两半：rollout 运行网
# 络，它是计算图，一轮只调用一次；每步它通过 numpy_function 调用 step，由 step 玩游戏，env.step 因此排在
# value_t、logprobability_t 之后。两个更新循环在 update 里。结果与原文的循环相同。
# A call from Python into TensorFlow takes longer than the computation in it. So, for speed, the tutorial's
# loop over t has two halves: rollout, a graph called once an epoch, runs the networks, and at each t it calls
# step, by numpy_function, to play the game; hence env.step comes after value_t and logprobability_t. The
# loops of updates are in update. The results are those of the tutorial's loop.
def train():
    """训练 epochs 轮；KL 或 value loss 变成 inf 或 NaN 时抛出 FloatingPointError。
    Train for `epochs` epochs; raises FloatingPointError if the KL or the value loss becomes inf or NaN.
    """
    global num_episodes
    buffer.pointer, buffer.trajectory_start_index = 0, 0  # 上次训练可能中断 · after an interrupted training
    env.seed(seed)
    observation = env.reset().reshape(1, -1)
    for epoch in tqdm(range(epochs)):
        num_episodes = 0
        # 只有主线程能画窗口，所以要显示画面时，逐步执行未编译的 python_function。
        # Only the main thread can draw a window: with render, the uncompiled function runs, step by step.
        sample = rollout.python_function if render else rollout
        observation = sample(observation)
        log = update(*buffer.get())  # get 的五个数组 · the five arrays from get
        if not np.isfinite(log["KL"] + log["value loss"]):
            numbers = f"KL {log['KL']:g}, value loss {log['value loss']:g} in epoch {epoch + 1}"
            raise FloatingPointError(f"training broke down: {numbers}; try lower learning rates")
        # 每步奖励是 1，一局的奖励之和就是它的步数，所以不必像原文那样累加；没玩完的也算一局。
        # Each step pays 1, so an episode's total reward is its number of steps, and the tutorial's sums are
        # not needed. An episode cut off counts as one.
        log["average reward"] = steps_per_epoch / num_episodes
        for name, number in log.items():
            tf.summary.scalar(name, number, epoch + 1)
        tqdm.write(f"完成第 {epoch + 1} 轮训练， 平均奖励: {log['average reward']}")


@tf.function
def rollout(observation):
    """网络这一半：从给定的状态起采样一轮，返回下一轮的第一个状态，都是 float32 (1, 4)。
    The networks' half: sample an epoch from the state given; return the next epoch's first. float32 (1, 4).
    """
    for t in tf.range(steps_per_epoch):
        logits, action = sample_action(observation)
        value_t = critic(observation)
        logprobability_t = logprobabilities(logits, action)
        observation = tf.numpy_function(step, [t, observation, action, value_t, logprobability_t], tf.float32)
        observation = tf.reshape(observation, (1, observation_dimensions))
    return observation


def step(t, observation, action, value_t, logprobability_t):
    """游戏这一半：走第 t 步，存入 buffer，返回下一步的状态，float32 (4,)；其余参数是 (1, …) 的 NumPy 数组。
    The game's half: take step t, store it, return the next step's state, float32 (4,). The other arguments
    are NumPy arrays (1, …).
    """
    global num_episodes
    if render:
        env.render()
    observation_new, reward, done, _ = env.step(action[0])
    buffer.store(observation, action, reward, value_t, logprobability_t)
    observation = observation_new
    terminal = done
    if terminal or t == steps_per_epoch - 1:
        # 与原文一样，走满 200 步也算倒下，last_value 为 0；critic 看不到步数，V 在末尾偏高，之前略偏低。
        # As in the tutorial, step 200 counts as a fall: last_value is 0. The critic does not see the number
        # of the step, so V is too high in the last few, slightly low before.
        last_value = 0 if done else critic(observation.reshape(1, -1))
        buffer.finish_trajectory(last_value)
        num_episodes += 1
        observation = env.reset()
    return observation


@tf.function
def update(observation_buffer, action_buffer, advantage_buffer, return_buffer, logprobability_buffer):
    """用一轮的数据更新两个网络，返回写入日志的数。KL、clip fraction（ρ 超出 1±ε 的比例）和 value loss 是更新
    后的；entropy（策略的随机程度，估计值）和 explained variance（V 能解释 R 的变化的比例）是更新前的。
    Update both networks with an epoch's data; return numbers for the log. KL, clip fraction (share of ρ
    outside 1±ε) and value loss are from after the updates; entropy (how random the policy is, an estimate)
    and explained variance (the share of R's variance that V explains) from before.
    """
    values = critic(observation_buffer)  # 只用于日志 · for the log only
    for iteration in tf.range(train_policy_iterations):
        kl = train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer)
        if kl > 1.5 * target_kl:  # 策略偏离太远 · the policy has moved too far
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
    # 与原文不同：训练时写日志，可用 TensorBoard 查看；还保存两个网络和对比图。
    # Differs: there are also a log of the training, for TensorBoard, the networks' files and the comparison.
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


# ==== 文件、对比与运行（大多原文没有）· Files, comparison, start (mostly not in the tutorial) =
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
    except tf.errors.FailedPreconditionError:
        # Windows 上的 TensorFlow 2.15 找不到路径里有中文的文件夹。
        # TensorFlow 2.15 on Windows does not find folders with Chinese names.
        print(f"{folder}: 没有日志，TensorFlow 找不到它 · no log: TensorFlow does not find it")
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
    except Exception as error:  # Pillow 的异常有好几种 · Pillow raises several kinds
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
    # Keras 2.10 和 2.15 都能读 HDF5，但 2.15 会警告；磁盘写满会使 HDF5 崩溃，所以先写入内存。
    # Keras 2.10 and 2.15 both read HDF5, though 2.15 warns; a full disk crashes HDF5: so to memory first.
    warnings.filterwarnings("ignore", "You are saving your model as an HDF5")
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
