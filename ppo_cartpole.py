# SPDX-License-Identifier: Apache-2.0
"""通过 CartPole 游戏说明 PPO（近端策略优化）· PPO (proximal policy optimization) on CartPole

“原文”指教程《通过 CartPole 游戏详细说明 PPO 优化过程》，章节和函数名都照它；“与原文不同”“原文有误”供对照。
初读只需看 CartPole 介绍、超参数设置、模型定义、游戏初始化、模型训练。
PPO 训练两个小网络。actor 是策略 π(a|s)：在状态 s 下选动作 a 的概率。critic 预测回报 R，即今后奖励的和，越远越
打折；预测叫价值 V(s)。要两个，因为结果好，可能是动作好，也可能只是状态好。实际比预测好多少，就是优势 Â。
每轮 (epoch) 用当前策略重新玩 5000 步，算出每步的 R 和 Â，再用全部数据更新两个网络几十次：优势为正的动作，概率
增大；为负的，概率减小。更新一次，数据就是旧策略采的了，普通的策略梯度法只能扔掉重采；PPO 接着用，但不许策略
走远：裁剪使好的动作概率增到 1.2 倍、坏的减到 0.8 倍以后，再变没有好处；新旧策略的差别（KL 散度）太大，actor
这一轮就停止更新。打印的“平均奖励”是每局平均步数，从 20 升到约 190，最多 200；R 打折，不超过 1/(1−γ) = 10。

"The tutorial" is a Chinese one that this file follows; "Differs" and "Tutorial error" are for its readers. To
learn PPO, read About CartPole, Hyperparameters, Model definition, Game and networks, and Training.
PPO trains two small networks. The actor is the policy π(a|s): the probability of taking action a in state s.
The critic predicts the return R, the sum of the rewards to come, later ones counting less; its prediction is
the value V(s). Why two: a good outcome may be due to a good action, or just to a good state. An action's
advantage Â is how much better the outcome was than the critic predicted.
An epoch here is one round of playing and learning. The current policy plays 5000 new steps, R and Â of each
are computed, and both networks are updated dozens of times, each time with all 5000: actions with a positive
advantage become more likely, those with a negative one less likely. After one update, the data are an old
policy's, and a plain policy gradient would have to discard them. PPO goes on, but stays near the old policy:
clipping leaves nothing to gain once a good action is 1.2 times, or a bad one 0.8 times, as likely as before,
and at a large KL divergence, how different both policies are, the actor rests until the next epoch.
The printed average reward, mean episode length, rises from 20 to about 190 of 200; R is below 1/(1−γ) = 10.
PPO: Schulman et al. 2017, arxiv.org/abs/1707.06347. GAE: Schulman et al. 2016, arxiv.org/abs/1506.02438.
"""

# ==== CartPole 介绍 · About CartPole ========================================================
# 状态（也叫观测）是四个数：推车的位置、速度，杆子的角度、角速度。动作 0 向左推，1 向右推。每步奖励 1，倒下
# 不罚。杆子倾斜超过 12 度（原文说 15 度）、推车偏离中心 2.4 个单位以上，或满 200 步，一局 (episode) 结束。
# A state, or observation, is four numbers: position and velocity of the cart, angle and angular velocity of
# the pole. Action 0 pushes left, 1 right. Each step pays a reward of 1; nothing punishes a fall, it only ends
# the rewards. An episode ends when the pole leans over 12 degrees (the tutorial says 15), when the cart is
# over 2.4 units off the centre, or after 200 steps.

# ==== 库准备 · Libraries ====================================================================
import io
import logging
import os
import shutil
import sys
import warnings
from argparse import SUPPRESS, ArgumentDefaultsHelpFormatter, ArgumentParser, BooleanOptionalAction
from importlib.metadata import version

from packaging.requirements import Requirement

# 别的版本会报难懂的错，或存下坏的 GIF。· Other versions fail obscurely, or save broken GIFs.
packages = "numpy<2 keras>=2.8,<2.16 gym>=0.20,<0.22 pyglet>=1.5.15,<2 imageio>=2.9,<2.28 Pillow>=8.2,<10.1"
for wanted in map(Requirement, packages.split()):
    if version(wanted.name) not in wanted.specifier:
        raise ImportError(f"found {wanted.name} {version(wanted.name)}, wanted {wanted} (README, Set-up)")

# 网络很小，少用线程、不用 oneDNN 反而快。· Few threads and no oneDNN are faster for networks this small.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # 不显示警告 · no warnings
logging.getLogger("tensorflow").addFilter(lambda record: record.levelno >= logging.ERROR)

# ==== 超参数设置 · Imports and hyperparameters ==============================================
import time

import gym
import h5py
import imageio
import numpy as np
import pyglet
import scipy.signal
import tensorflow as tf
from PIL import Image, ImageDraw, ImageOps
from tensorflow import keras
from tensorflow.keras import layers
from tqdm import tqdm

steps_per_epoch = 5000  # 每轮采样的步数 · steps in each epoch
epochs = 20  # 训练的轮数 · number of epochs
gamma = 0.90  # 折扣因子 γ，见 (1)；原文没传给 Buffer，实际是 0.99 · discount factor γ, see (1)
clip_ratio = 0.2  # 裁剪范围 ε，见 (6) · clipping range ε, see (6)
policy_learning_rate = 3e-4  # actor 的学习率 · learning rate of the actor
value_function_learning_rate = 3e-4  # critic 的学习率 · learning rate of the critic
train_policy_iterations = 80  # 每轮更新 actor 的次数上限 · actor updates in each epoch, at most
train_value_iterations = 80  # 每轮更新 critic 的次数 · critic updates in each epoch
lam = 0.97  # 优势的 λ，见 (2)；原文没传给 Buffer，实际是 0.95 · λ of the advantages, see (2)
target_kl = 0.01  # KL 超过它的 1.5 倍，actor 停止更新，见 (6) · actor updates end at KL > 1.5 × this, see (6)
hidden_sizes = (64, 64)  # 各隐藏层的神经元个数 · units in each hidden layer
render = False  # 训练时显示画面 · a live window while training
seed = 0  # 原文没有：随机种子 · not in the tutorial: random seed
gif = True  # 原文没有：是否录制 · not in the tutorial: record the GIFs
output_dir = "outputs"  # 原文没有：输出目录 · not in the tutorial: folder for the files

# 供命令行和日志用；新的超参数也写在这里。· For command line and log; a new hyperparameter goes here, too.
hyperparameters = """steps_per_epoch epochs gamma clip_ratio policy_learning_rate value_function_learning_rate
    train_policy_iterations train_value_iterations lam target_kl hidden_sizes render seed gif output_dir"""


# ==== 命令行（原文没有，可以跳过）· Command line (not in the tutorial; may be skipped) ======
def read_options():
    """读取命令行，如 --gamma 0.99 --no-gif；值不合理就退出。· Read the command line; end at a bad value."""
    whole = "steps_per_epoch epochs train_policy_iterations train_value_iterations hidden_sizes".split()
    rates = "clip_ratio target_kl policy_learning_rate value_function_learning_rate".split()
    limits = dict.fromkeys(whole, (1, 1e30)) | dict.fromkeys(rates, (1e-30, 1e30))
    limits |= {"gamma": (0, 1), "lam": (0, 1), "seed": (0, 2**32 - 1)}
    parser = ArgumentParser(usage=SUPPRESS, formatter_class=ArgumentDefaultsHelpFormatter)
    for name in hyperparameters.split():
        default = globals()[name]
        kind = {"type": float if name in [*rates, "gamma", "lam"] else type(default)}
        if isinstance(default, bool):
            kind = {"action": BooleanOptionalAction}
        elif isinstance(default, (tuple, list)):
            kind = {"type": int, "nargs": "+"}
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help="see the file", **kind)
    options = vars(parser.parse_args())
    options["output_dir"] = os.path.expanduser(options["output_dir"]) or parser.error("output_dir is empty")
    for name, (lowest, highest) in limits.items():
        if not all(lowest <= number <= highest for number in np.ravel(options[name])):
            parser.error(f"{name} must be from {lowest} to {highest}, not {options[name]}")
    return options


# Jupyter 里没有命令行。· In Jupyter there is no command line.
if __name__ == "__main__" and sys.argv[0].endswith(os.path.basename(globals().get("__file__", "no file"))):
    globals().update(read_options())


# ==== 模型定义 · Model definition ===========================================================
# actor、critic、num_actions、优化器见“游戏初始化”。· actor, critic, num_actions: see "Game and networks".
# (1) 折扣累计和 · Discounted cumulative sums
def discounted_cumulative_sums(x, discount):
    """y[t] = x[t] + discount x[t+1] + discount² x[t+2] + … = x[t] + discount y[t+1]

    例：x = [1, 1, 1]，discount = 0.9，得 [2.71, 1.9, 1]。用 0.9 时，10 步以后的奖励只算 0.35，30 步以后
    0.04，所以大约看 10 步。lfilter 从前往后算 y[n] = x[n] + discount y[n−1]；两次 [::-1] 使它从后往前算。
    Example: x = [1, 1, 1], discount = 0.9 give [2.71, 1.9, 1]. With 0.9, a reward 10 steps later counts 0.35,
    one 30 steps later 0.04: the policy looks about 10 steps ahead. lfilter computes y[n] = x[n] + discount
    y[n−1] forwards; reversing its input, then its output, by [::-1] makes it run backwards.
    """
    return scipy.signal.lfilter([1], [1, float(-discount)], x[::-1], axis=0)[::-1]


# (2) 训练数据 · The steps of one epoch
class Buffer:
    """一轮的数据、优势和回报；默认的 gamma、lam 用不到。· An epoch's data, Â, R; both defaults are unused."""

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
        """存入一步；已满时抛出 IndexError。· Store one step; raises IndexError when full."""
        self.observation_buffer[self.pointer] = observation
        self.action_buffer[self.pointer] = action
        self.reward_buffer[self.pointer] = reward
        self.value_buffer[self.pointer] = value
        self.logprobability_buffer[self.pointer] = logprobability
        self.pointer += 1

    def finish_trajectory(self, last_value=0):
        """R[t] = r[t] + γ R[t+1],  R[T] = last_value
        Â[t] = δ[t] + γλ Â[t+1],  Â[T] = 0,  δ[t] = r[t] + γ V(s[t+1]) − V(s[t]),  V(s[T]) = last_value  [GAE]

        轨迹在 T 结束：一局结束，或一轮采满而这一局还没玩完。T 以后的奖励看不到，由 last_value 代替：一局
        结束，是 0（满 200 步也是，见 finish）；没玩完，还会有奖励，用 critic 的预测 V(s[T])。
        δ 叫时序差分 (TD) 误差：走一步以后，回报的估计由 V(s[t]) 变成 r[t] + γ V(s[t+1])，后者有真实的奖励，更
        可信。δ 是两者之差；δ > 0，这一步就比预料的好。
        Â 是这一步及以后的 δ 按 γλ 打折的和，叫广义优势估计 (GAE)。λ = 0 时 Â = δ，波动小，但 V 不准就有偏差；
        λ = 1 时，中间的 V 抵消，Â = R − V（下例 0.71, −0.1, −1），没有这种偏差，但含以后的运气，波动大。
        例：得了三次奖励 1 后倒下，假设 V 都是 2；γ = 0.9，λ = 0.97。R = 2.71, 1.9, 1；δ = 0.8, 0.8, −1
        （1 + 0.9 × 2 − 2，最后 1 + 0 − 2）；Â = 0.74, −0.07, −1。第二步也要算上倒下：0.8 − γλ × 1 ≈ −0.07。

        A trajectory ends at T: where an episode ends, or where a full epoch cuts it off. The rewards after T
        are not seen; last_value stands for them: 0 if the episode is over (at step 200, too: see finish). If
        not, more would come, and the critic predicts it: V(s[T]).
        δ is the temporal difference (TD) error: after one step, the estimate of the return changes from
        V(s[t]) to r[t] + γ V(s[t+1]), which is better, as it has a real reward in it. δ is the difference; if
        it is positive, the step went better than expected.
        Â, the sum of the δ from this step on, discounted by γλ, is generalized advantage estimation (GAE).
        With λ = 0, Â = δ varies little, but is biased where V is wrong. With λ = 1, the V in between cancel:
        Â = R − V (0.71, −0.1, −1 below) has no such bias, but varies with the luck of all later steps.
        Example: a fall after three rewards of 1; say each V is 2; γ = 0.9, λ = 0.97. R = 2.71, 1.9, 1;
        δ = 0.8, 0.8, −1 (1 + 0.9 × 2 − 2, last 1 + 0 − 2); Â = 0.74, −0.07, −1. The second δ is positive,
        but the fall after it counts, too: 0.8 − γλ × 1 ≈ −0.07.
        """
        path_slice = slice(self.trajectory_start_index, self.pointer)
        rewards = np.append(self.reward_buffer[path_slice], last_value)  # r[0], …, r[T−1], R[T]
        values = np.append(self.value_buffer[path_slice], last_value)  # V(s[0]), …, V(s[T])
        deltas = rewards[:-1] + self.gamma * values[1:] - values[:-1]
        self.advantage_buffer[path_slice] = discounted_cumulative_sums(deltas, self.gamma * self.lam)
        self.return_buffer[path_slice] = discounted_cumulative_sums(rewards, self.gamma)[:-1]
        self.trajectory_start_index = self.pointer

    def get(self):
        """Â ← (Â − mean Â) / std Â

        训练之初 V 接近 0，奖励都是 1，所以 Â 几乎都为正；整体的偏高与动作好坏无关，只增加噪声，所以减去
        平均值；此后 Â > 0 指比平均好。除以标准差，更新的大小就与奖励的大小无关。
        At first V is near 0 and all rewards are 1, so nearly every Â is positive. An offset common to all
        says nothing about actions and only adds noise: the mean is subtracted, and Â > 0 now means better
        than average. Divided by the standard deviation, Â no longer depends on the scale of the rewards.
        """
        self.pointer, self.trajectory_start_index = 0, 0
        advantage_mean, advantage_std = np.mean(self.advantage_buffer), np.std(self.advantage_buffer)
        # 与原文不同：加上 1e-8，以免优势全部相等时 0/0。· Differs: 1e-8, as equal advantages would be 0/0.
        self.advantage_buffer = (self.advantage_buffer - advantage_mean) / (advantage_std + 1e-8)
        data = self.observation_buffer, self.action_buffer, self.advantage_buffer, self.return_buffer
        return *data, self.logprobability_buffer


# (3) 多层感知机 · Multi-layer perceptron
def mlp(x, sizes, activation=tf.tanh, output_activation=None):
    """各层有 sizes 个神经元；输出 (batch, sizes[-1])。· Layers of these sizes; output (batch, sizes[-1])."""
    for size in sizes[:-1]:
        x = layers.Dense(units=size, activation=activation)(x)
    return layers.Dense(units=sizes[-1], activation=output_activation)(x)


# (4) 对数概率 · Log-probabilities
def logprobabilities(logits, a):
    """log π(a|s) = logits[a] − log Σ exp(logits);  float32 (batch, 2), int (batch,) → float32 (batch,)

    logits 是 actor 给每个动作打的分，任意实数；log_softmax 把它变成对数概率；乘 one_hot 再求和，取出 a 的。
    Logits are the actor's scores of the actions; log_softmax makes them log-probabilities; one_hot keeps a's.
    """
    logprobabilities_all = tf.nn.log_softmax(logits)
    logprobability = tf.reduce_sum(tf.one_hot(a, num_actions) * logprobabilities_all, axis=1)
    return logprobability


# (5) 采样动作 · Sample an action
# @tf.function 把函数编成计算图：第一次调用时记下其中的运算（clip_ratio 等数值也固定了），以后只重做它们。
# @tf.function makes a graph of a function: the first call fixes operations and numbers, like clip_ratio.
@tf.function
def sample_action(observation):
    """a ~ π(·|s);  float32 (batch, 4) → logits float32 (batch, 2), action int64 (batch,)

    按概率抽取，概率小的也会试到（探索）。· Drawn at random, so that unlikely actions are tried (exploration).
    """
    logits = actor(observation)
    action = tf.squeeze(tf.random.categorical(logits, 1), axis=1)
    return logits, action


# (6) 训练策略 · Train the policy
@tf.function
def train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer):
    """mean(min(ρ Â, clip(ρ, 1−ε, 1+ε) Â)) → max,  ρ = π(a|s) / π_old(a|s),  ε = clip_ratio  [PPO, eq. 7]

    A  Â =  2, ρ = 1.1: min( 2.2,  2.2) =  2.2    在 1±ε 以内，不裁剪 · within 1±ε: not clipped
    B  Â =  2, ρ = 1.3: min( 2.6,  2.4) =  2.4    走够了，梯度为 0 · far enough: gradient 0
    C  Â =  2, ρ = 0.7: min( 1.4,  1.6) =  1.4    走反了，拉回来 · the wrong way: pulled back
    D  Â = −2, ρ = 0.7: min(−1.4, −1.6) = −1.6    走够了，梯度为 0 · far enough: gradient 0
    E  Â = −2, ρ = 1.3: min(−2.6, −2.4) = −2.6    走反了，拉回来 · the wrong way: pulled back

    用整批数据更新一次 actor，返回 KL 的估计。π_old 是玩这一轮的策略，logprobability_buffer 是 log π_old。
    概率比 ρ，开始时是 1：普通的策略梯度最大化 mean(Â log π(a|s))，像分类：抽到的动作当标签，Â 当权重，为正就
    增大它的概率，为负就减小。但这只对 π 自己抽的动作成立，而这些是 π_old 抽的：概率增到两倍的动作，要算两份，
    即每个梯度 Â ∇log π 乘以 ρ（重要性采样）。ρ ∇log π = ρ ∇π / π = ∇π / π_old = ∇ρ，所以目标是 mean(ρÂ)。
    裁剪和 min：状态也是 π_old 走到的，ρ 离 1 越远，数据越不可靠。Â > 0 而 ρ > 1+ε，或 Â < 0 而 ρ < 1−ε，就
    走够了：min 取裁剪项，是常数，梯度为 0，不再起作用（B、D）。走反了，min 取 ρÂ，拉回来（C、E）。
    KL 散度：π_old 抽的动作上 log π_old − log π 的平均值，相同时为 0。要看它，因为各样本共用一个网络，别的样本
    仍会推动裁剪过的 ρ。太大，这一轮就不再更新 actor（论文没有，但常见）。真正的 KL 不会为负，这个估计有可能。

    Update the actor once, with all the data; return an estimate of the KL. π_old is the policy that played
    this epoch, π the present one; logprobability_buffer is log π_old.
    Ratio ρ, at first 1: a plain policy gradient maximises mean(Â log π(a|s)). It is like classification, with
    the action taken as the label and Â as its weight: the action becomes more likely if Â > 0, less likely if
    Â < 0. But this holds only for actions drawn by π, and these were drawn by π_old. An action that is now
    twice as likely must count twice: each gradient Â ∇log π is multiplied by ρ (importance sampling). As ρ
    ∇log π = ρ ∇π / π = ∇π / π_old = ∇ρ, the objective is mean(ρÂ).
    Clip and min: the states, too, were reached by π_old, so the further ρ is from 1, the less reliable the
    data. Once ρ is above 1+ε with Â > 0, or below 1−ε with Â < 0, the min is the clipped term, a constant:
    gradient 0, no effect (B, D). If ρ went the wrong way, the min is ρÂ; its gradient pulls it back (C, E).
    KL divergence: the mean of log π_old − log π over actions drawn by π_old, 0 if the policies are equal. It
    is needed, as all samples share one network: others may still move a clipped ρ. If the KL is large, the
    actor rests until the next epoch (common, but not in the paper). A true KL is never negative; this may be.
    """
    with tf.GradientTape() as tape:
        ratio = tf.exp(logprobabilities(actor(observation_buffer), action_buffer) - logprobability_buffer)
        # 不写 clip(ρ) Â，只写会起作用的界限乘以 Â：A、C、E 的后一个数变大 (2.4, 2.4, −1.6)，min 不变。
        # Not clip(ρ) Â, but the limit that matters times Â: 2.4, 2.4, −1.6 in A, C, E; the min is the same.
        # 原文有误：说“带权重裁剪”，其实裁剪的是 ρ。· Tutorial error: it says that weights are clipped.
        min_advantage = tf.where(
            advantage_buffer > 0, (1 + clip_ratio) * advantage_buffer, (1 - clip_ratio) * advantage_buffer
        )
        # 优化器求最小，所以取负。· Negated, because optimizers minimise.
        # 原文有误：说“交集和”，其实是较小者的平均值。· Tutorial error: it says "sum of the intersection".
        policy_loss = -tf.reduce_mean(tf.minimum(ratio * advantage_buffer, min_advantage))
    policy_grads = tape.gradient(policy_loss, actor.trainable_variables)
    policy_optimizer.apply_gradients(zip(policy_grads, actor.trainable_variables))
    kl = tf.reduce_mean(logprobability_buffer - logprobabilities(actor(observation_buffer), action_buffer))
    kl = tf.reduce_sum(kl)  # 不起作用：kl 已是一个数 · no effect, as kl is one number
    return kl


# (7) 训练价值函数 · Train the value function
@tf.function
def train_value_function(observation_buffer, return_buffer):
    """mean((R − V(s))²) → min  [PPO, eq. 9: L^VF]

    用整批数据更新一次 critic，使下一轮的 Â 更准。· Update the critic once; the next epoch's Â get better.
    """
    # 原文有误：说“平均回报”，其实 R 是每步各自的。· Tutorial error: "mean return"; R is each step's own.
    with tf.GradientTape() as tape:
        value_loss = tf.reduce_mean((return_buffer - critic(observation_buffer)) ** 2)
    value_grads = tape.gradient(value_loss, critic.trainable_variables)
    value_optimizer.apply_gradients(zip(value_grads, critic.trainable_variables))


# ==== 游戏初始化 · Game and networks ========================================================
# 与原文不同：固定种子，结果可重现；Linux 上不用显示器。· Differs: seeded; no display needed on Linux.
keras.utils.set_random_seed(seed)
pyglet.options["headless"] = sys.platform == "linux" and not (render or os.environ.get("DISPLAY"))
env = gym.make("CartPole-v0")
observation_dimensions = env.observation_space.shape[0]
num_actions = env.action_space.n
# 与原文不同：传入 gamma 和 lam。原文没有传，实际用的是 0.99 和 0.95。
# Differs: gamma and lam are passed on. The tutorial's are not: it ran with 0.99 and 0.95.
# 原文有误：说还存下一个观测和 done，其实不存。· Tutorial error: next observation, done are not stored.
buffer = Buffer(observation_dimensions, steps_per_epoch, gamma, lam)

observation_input = keras.Input(shape=(observation_dimensions,), dtype=tf.float32)
# 原文有误：说“概率分布的对数”，其实是打分，见 (4)。· Scores, see (4). Tutorial error: "logarithms".
logits = mlp(observation_input, list(hidden_sizes) + [num_actions], tf.tanh, None)
actor = keras.Model(inputs=observation_input, outputs=logits)
# (batch, 1) 变成 (batch,)，否则 R − V 会广播成方阵。· Else R − V would broadcast to (batch, batch).
value = tf.squeeze(mlp(observation_input, list(hidden_sizes) + [1], tf.tanh, None), axis=1)
critic = keras.Model(inputs=observation_input, outputs=value)

policy_optimizer = keras.optimizers.Adam(learning_rate=policy_learning_rate)
value_optimizer = keras.optimizers.Adam(learning_rate=value_function_learning_rate)


# ==== 保存未训练时的运动情况 · Recording before training ====================================
def record_gif(name):
    """用当前策略玩一局，存成 GIF，返回各帧。· Play an episode, save it as a GIF, return its frames."""
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
    save_gif(name, frames + 20 * frames[-1:])
    print(f"{output_dir}/{name}: 这一局坚持了 {len(frames)} 步 · this episode took {len(frames)} steps")
    return frames


# ==== 模型训练 · Training ===================================================================
# 原文的大循环，就是 PPO · The tutorial's loop, which is PPO        在这里 · Here
# for epoch in range(epochs):                                        train
#     for t in range(steps_per_epoch):                               rollout
#         sample_action, critic, logprobabilities                    rollout
#         env.render, env.step, buffer.store                         step
#         if done or t == steps_per_epoch - 1:                       rollout
#             last_value, finish_trajectory, env.reset               finish
#     buffer.get                                                     train
#     for _: train_policy, if kl > 1.5 * target_kl: break            update
#     for _: train_value_function                                    update
#     print: sum_length / num_episodes                               train
# 原文的 env.step 在 critic 之前，结果相同。· The tutorial has env.step before critic, with the same results.
# 图只为速度：从 Python 调用 TensorFlow，比网络的计算还费时，所以 rollout 是一张图，每轮调用一次。不看装饰器，
# 它就是原文的 for t：t、done 是张量，for 和 if 也在图里 (AutoGraph)；@in_python 让图调用 step、finish。
# The graph is for speed alone: a call from Python into TensorFlow takes longer than the networks do, so
# rollout is one graph, called once an epoch. Decorators aside, it is the tutorial's loop over t: as t and
# done are tensors, `for` and `if` are in the graph (AutoGraph); @in_python lets it call step and finish.
def train():
    """训练；遇到 inf 或 NaN，抛出 FloatingPointError。· Train; FloatingPointError at inf or NaN."""
    buffer.pointer, buffer.trajectory_start_index = 0, 0  # 上次训练可能中断 · after an interrupted training
    # 只有主线程能画窗口，所以显示画面时不用图。· Only the main thread can draw: with render, no graph.
    play = rollout.python_function if render else rollout
    env.seed(seed)
    observation = np.float32(env.reset().reshape(1, -1))
    for epoch in tqdm(range(epochs)):
        observation, num_episodes = play(observation)  # rollout：存满 buffer · fills buffer
        # 总奖励 ÷ 局数，即每局的平均步数，不打折；采满时没玩完的也算一局。
        # Total reward / episodes: their mean length, undiscounted. One that is cut off counts as whole.
        average_reward = np.sum(buffer.reward_buffer, dtype=float) / int(num_episodes)
        observations, actions, advantages, returns, old_logprobs = buffer.get()
        kl, iterations = update(observations, actions, advantages, returns, old_logprobs)
        write_log(epoch + 1, average_reward, kl, iterations)
        tqdm.write(f"完成第 {epoch + 1} 轮训练， 平均奖励: {average_reward}")  # epoch done, average reward


@tf.function
def rollout(observation):
    """采样一轮；返回下一个状态和局数。· Sample an epoch; return the next state and the number of episodes."""
    num_episodes = 0
    for t in tf.range(steps_per_epoch):
        logits, action = sample_action(observation)
        value_t = critic(observation)  # V(s)
        logprobability_t = logprobabilities(logits, action)
        observation, done = step(observation, action, value_t, logprobability_t)  # 下一个 s · the next s
        if done or t == steps_per_epoch - 1:
            observation, _ = finish(done, observation)  # 下一局的 s · now of the next episode
            num_episodes += 1
    return observation, num_episodes


def in_python(function):
    """装饰器：让图能调用 Python 函数；reshape 补上图不知道的形状。· Decorator: lets a graph call Python."""

    def call(*arguments):
        observation, done = tf.numpy_function(function, arguments, [tf.float32, tf.bool])
        return tf.reshape(observation, (1, observation_dimensions)), tf.reshape(done, ())

    return call


@in_python
def step(observation, action, value_t, logprobability_t):
    """走一步，存入 buffer；返回下一个状态和是否结束。· Take a step, store it; return next state and done."""
    if render:
        env.render()
    observation_new, reward, done, _ = env.step(action[0])
    buffer.store(observation, action, reward, value_t, logprobability_t)
    return np.float32(observation_new), bool(done)


@in_python
def finish(done, observation):
    """结束一条轨迹，另开一局；像 step 一样返回。· End a trajectory, start an episode; return as step does."""
    # 与原文一样，走满 200 步也按倒下算，取 0；杆子其实没倒，取 V(s[T]) 更准。
    # As in the tutorial, step 200 is treated as a fall: 0. The pole still stands: V(s[T]) would be better.
    last_value = 0 if done else critic(observation)
    buffer.finish_trajectory(last_value)
    return np.float32(env.reset()), False


@tf.function
def update(observation_buffer, action_buffer, advantage_buffer, return_buffer, logprobability_buffer):
    """更新两个网络；返回 KL 和 actor 更新了几次。· Update both; return KL and number of actor updates."""
    for iteration in tf.range(train_policy_iterations):
        kl = train_policy(observation_buffer, action_buffer, logprobability_buffer, advantage_buffer)
        if kl > 1.5 * target_kl:  # 走得太远了；停下，但不退回 · too far: stop, but undo nothing
            break
    for _ in tf.range(train_value_iterations):
        train_value_function(observation_buffer, return_buffer)
    return kl, iteration + 1


# ==== 保存训练后的运动情况 · Recording after training =======================================
def main():
    """录制、训练、保存、再录制、对比。· Record, train, save, record again, compare. May raise OSError."""
    with open_log().as_default():
        tf.summary.text("hyperparameters", str({key: globals()[key] for key in hyperparameters.split()}), 0)
        if gif:
            before = record_gif("未训练前的样子.gif")
        train()
        # 与原文不同：还有日志、网络和对比图。· Differs: a log, the networks and a comparison are saved, too.
        save_networks()
        if gif:
            after = record_gif("训练后的样子.gif")
            save_gif("训练前后对比.gif", side_by_side(before, after))
            print(f"请打开 {output_dir}/训练前后对比.gif 对比 · open it to compare before and after")


# ==== 文件与对比（大多原文没有，可以跳过）· Files, comparison (mostly not in the tutorial) ====
def save_files(files):
    """{名称: BytesIO} 都写完才替换旧文件，以防中断、磁盘写满。· Replace earlier files once all are whole."""
    folder = os.path.join(output_dir, f"unfinished-{os.getpid()}-{time.time_ns()}")
    os.makedirs(folder)
    try:
        for name, data in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data.getbuffer())
        for name in files:
            os.replace(os.path.join(folder, name), os.path.join(output_dir, name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save_networks():
    """保存两个网络。· Save both networks."""
    warnings.filterwarnings("ignore", "You are saving your model as an HDF5")
    files = {"actor.h5": io.BytesIO(), "critic.h5": io.BytesIO()}
    for network, data in zip((actor, critic), files.values()):
        with h5py.File(data, "w") as file:
            network.save(file)
    save_files(files)


def save_gif(name, frames):
    """各帧 uint8 (height, width, 3) 存成 GIF。· Save frames, uint8 (height, width, 3), as a GIF."""
    # 与原文不同：每秒 20 帧，只存变化的部分。· Differs: 20 frames a second; only what changes is stored.
    data = io.BytesIO()
    with imageio.get_writer(data, "GIF", mode="I", fps=20, subrectangles=True) as writer:
        for frame in frames:
            writer.append_data(frame)
    save_files({name: data})


def side_by_side(before, after):
    """逐帧并排，一半大小；先结束的停在最后一帧。· Side by side, half size; the one that ends first stays."""
    for t in range(max(len(before), len(after)) + 20):
        halves = []
        for name, frames in ("before", before), ("after", after):
            count = min(t + 1, len(frames))
            half = ImageOps.pad(Image.fromarray(frames[count - 1]), (300, 200), Image.BOX, "white")
            caption = Image.new("RGB", (150, 28), "white")
            ImageDraw.Draw(caption).text((4, 0), f"{name} training\nstep {count} of {len(frames)}", "black")
            halves.append(np.vstack([caption.resize((300, 56), Image.NEAREST), half]))
        yield np.hstack([halves[0], np.zeros((256, 2, 3), np.uint8), halves[1]])


def open_log():
    """新建一份 TensorBoard 日志。· Open a new log for TensorBoard."""
    folder = os.path.join(output_dir, "logs", time.strftime(f"%Y%m%d-%H%M%S-{os.getpid()}"))
    os.makedirs(folder, exist_ok=True)
    try:
        return tf.summary.create_file_writer(os.fsencode(folder), max_queue=0)
    except tf.errors.FailedPreconditionError:
        # Windows 上的 TensorFlow 2.15 找不到有中文的路径 · TensorFlow 2.15 on Windows, a path with Chinese
        print(f"{folder}: 没有日志，TensorFlow 找不到它 · no log: TensorFlow does not find it")
        return tf.summary.create_noop_writer()


def write_log(epoch, average_reward, kl, policy_iterations):
    """记下一轮的数值；不是有限数就停止训练。· Log an epoch's numbers; stop if they are not finite."""
    returns, values, variance = buffer.return_buffer, buffer.value_buffer, tf.math.reduce_variance
    value_loss = np.mean((returns - critic(buffer.observation_buffer)) ** 2)
    numbers = {"average reward": average_reward, "KL": kl, "policy iterations": policy_iterations}
    numbers |= {"value loss": value_loss, "entropy": -np.mean(buffer.logprobability_buffer)}
    numbers["explained variance"] = 1 - variance(returns - values) / variance(returns)
    # 熵：越大越随机；explained variance：V 解释了 R 的多少变化。· Entropy: how random the policy is.
    for name, number in numbers.items():
        tf.summary.scalar(name, number, epoch)
    if not np.isfinite(kl + value_loss):
        raise FloatingPointError(f"training broke down in epoch {epoch}: try lower learning rates")


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # 显示不了的字用转义符 · escape what cannot be shown
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        if gif or render:  # 画不了，就在训练之前说明 · what cannot be drawn is said before training
            from gym.envs.classic_control import rendering

            rendering.Viewer(600, 400).close()
    except Exception as error:  # gym 的建议已过时，原因在 __context__ 里 · gym's advice is out of date
        cure = "apt-get install libgl1 libglu1-mesa libegl1" if sys.platform == "linux" else "graphics driver"
        sys.exit(f"ppo_cartpole.py: error: cannot draw: {error.__context__ or error} ({cure}, or --no-gif)")
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, FloatingPointError) as error:
        sys.exit(f"ppo_cartpole.py: error: {error}")
