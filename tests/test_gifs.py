"""The GIFs, decoded by TensorFlow's giflib: Pillow wrote them."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import imageio
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT


def decode(path):
    """All frames, uint8 (n, height, width, 3)."""
    return tf.io.decode_gif(Path(path).read_bytes()).numpy()


def delays_and_loops(data):
    """Each frame's delay in hundredths of a second and the number of loops, from the blocks."""

    def end_of_blocks(position):
        while data[position]:
            position += 1 + data[position]
        return position + 1

    def colours(flags):
        return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

    delays, loops = [], 1
    position = 13 + colours(data[10])
    while data[position] != 0x3B:
        if data[position] == 0x2C:  # an image
            position = end_of_blocks(position + 11 + colours(data[position + 9]))
            continue
        if data[position + 1] == 0xF9:  # its delay, before it
            delays.append(int.from_bytes(data[position + 4 : position + 6], "little"))
        elif data[position + 3 : position + 14] == b"NETSCAPE2.0":
            loops = int.from_bytes(data[position + 16 : position + 18], "little")
        position = end_of_blocks(position + 2)
    return delays, loops


@pytest.fixture
def recorded(ppo, tmp_path, capsys):
    """One recorded episode: the observation behind each frame, and the frames as rendered."""
    observations, reset, step = [], ppo.env.reset, ppo.env.step
    ppo.env.reset = lambda: observations.append(reset()) or observations[-1]

    def watched_step(action):
        result = step(action)
        observations.append(result[0])
        return result

    ppo.env.step = watched_step
    try:
        frames = ppo.record_gif(tmp_path / "an episode.gif")
    finally:
        del ppo.env.reset, ppo.env.step
    return observations, frames, tmp_path / "an episode.gif", capsys.readouterr().out


def test_every_frame_is_in_the_gif_as_it_was_rendered(recorded):
    observations, frames, path, output = recorded
    steps = len(observations) - 1
    decoded = decode(path)
    assert decoded.shape == (steps, 400, 600, 3)
    assert np.abs(decoded.astype(int) - np.array(frames)).max() <= 2  # the palette's error
    assert str(path) in output and f"for {steps} steps" in output


def test_the_cart_stands_where_the_observation_says(recorded):
    observations, _, path, _ = recorded
    for observation, picture in zip(observations, decode(path), strict=False):
        # The cart is black, 50 wide, and crosses row 312; 600 pixels show 4.8 units.
        columns = np.flatnonzero(picture[312].max(axis=1) < 50)
        assert len(columns) == pytest.approx(50, abs=2)
        assert columns.mean() == pytest.approx(300 + observation[0] * 600 / 4.8, abs=1.5)
        # The pole, brown, leans by the angle: its top against its foot, 125 pixels long.
        rows, columns = np.nonzero(np.abs(picture - [204.0, 153.0, 102.0]).max(axis=2) < 10)
        lean = columns[rows < rows.min() + 3].mean() - columns[rows > rows.max() - 3].mean()
        assert lean == pytest.approx(125 * np.sin(observation[2]), abs=8)


def test_the_gif_loops_slowly_enough_to_see(recorded):
    delays, loops = delays_and_loops(recorded[2].read_bytes())
    assert delays == [5] * (len(delays) - 1) + [100]
    assert len(delays) == len(recorded[1])
    assert loops == 0 or loops > 60000


def test_every_recording_starts_alike(ppo, tmp_path):
    first = [ppo.record_gif(tmp_path / name)[0] for name in ("one.gif", "two.gif")]
    np.testing.assert_array_equal(*first)


DIGITS = """
 ### .#. ### ### #.# ### ### ### ### ###
 #.# ##. ..# ..# #.# #.. #.. ..# #.# #.#
 #.# .#. ### ### ### ### ### ..# ### ###
 #.# .#. #.. ..# ..# ..# #.# ..# #.# ..#
 ### ### ### ### ..# ### ### ..# ### ###
"""


def read_number(picture):
    """The number in the top left corner, each dot 8 x 8 pixels, and whether it is red."""
    glyphs = [line.split() for line in DIGITS.strip().splitlines()]
    number, left = "", 20
    ink = np.any(picture < 128, axis=2)
    while np.any(ink[20:60, left : left + 24]):
        dots = ink[24:60:8, left + 4 : left + 24 : 8]
        rows = ["".join(".#"[dot] for dot in row) for row in dots.astype(int)]
        number += str([list(glyph) for glyph in zip(*glyphs, strict=True)].index(rows))
        left += 32
    corner = picture[20:60, 20:left][ink[20:60, 20:left]]
    return int(number), bool(np.all(corner[:, 0] > 128))


def test_side_by_side_counts_and_holds(ppo, tmp_path):
    rng = np.random.default_rng(0)
    shade = rng.integers(140, 250, 120, dtype=np.uint8)
    before, after = (
        [np.full((400, 600, 3), shade[t], np.uint8) for t in range(n)] for n in (12, 103)
    )
    ppo.save_gif(tmp_path / "both.gif", ppo.side_by_side(before, after))
    decoded = decode(tmp_path / "both.gif")
    assert decoded.shape == (103, 400, 1200, 3)
    for t, picture in enumerate(decoded):
        left, right = picture[:, :600], picture[:, 600:]
        assert read_number(left) == (min(t + 1, 12), t >= 12)
        assert read_number(right) == (t + 1, False)
        np.testing.assert_allclose(left[100:, :590], shade[min(t, 11)], atol=2)
        np.testing.assert_allclose(right[100:, :590], shade[t], atol=2)
    assert np.all(before[0] == shade[0])  # the episodes' own pictures are not written on


def test_the_three_gifs_of_the_default_run(default_run):
    before = decode(default_run.folder / "未训练前的样子.gif")
    after = decode(default_run.folder / "训练后的样子.gif")
    both = decode(default_run.folder / "训练前后对比.gif")
    assert len(before) < 100 < len(after)
    assert f"for {len(before)} steps" in default_run.lines[0]
    assert f"for {len(after)} steps" in default_run.lines[-2]
    assert len(both) == len(after)
    for t, picture in enumerate(both):
        np.testing.assert_array_equal(
            picture[100:, :590], before[min(t, len(before) - 1), 100:, :590]
        )
        np.testing.assert_array_equal(picture[100:, 600:1190], after[t, 100:, :590])
    assert read_number(both[-1][:, 600:]) == (len(after), False)


def test_a_failed_write_leaves_the_earlier_gif_and_no_half_one(ppo, tmp_path):
    path = tmp_path / "episode.gif"
    path.write_bytes(b"earlier")
    pictures = list(np.random.default_rng(0).integers(0, 255, (3, 90, 90, 3), dtype=np.uint8))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))  # as a full disk would
    try:
        with pytest.raises(OSError, match=f"cannot write {path}"):
            ppo.save_gif(path, pictures)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"earlier"]
    ppo.save_gif(path, pictures)
    assert len(decode(path)) == 3


def test_two_runs_at_once_do_not_mix(ppo, tmp_path, monkeypatch):
    path = tmp_path / "episode.gif"
    pictures = {pid: [np.full((20, 20, 3), 50 * pid, np.uint8)] * pid for pid in (2, 3)}
    with ppo.replacing(path) as one:
        monkeypatch.setattr(os, "getpid", lambda: 3)
        with ppo.replacing(path) as two:
            assert one != two
            imageio.mimwrite(one, pictures[2], "GIF")
            imageio.mimwrite(two, pictures[3], "GIF")
        assert len(decode(path)) == 3
    assert len(decode(path)) == 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_a_gif_is_written(tmp_path, name, code):
    path = tmp_path / "episode.gif"
    path.write_bytes(b"earlier")
    program = f"""
import os, pathlib, signal, ppo_cartpole
signal.signal(signal.{name}, ppo_cartpole.stop)
with ppo_cartpole.replacing(pathlib.Path({str(path)!r})) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.{name})
    signal.pause()
"""
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == code == 128 + signal.Signals[name]
    assert process.stderr.strip() == f"ppo_cartpole.py: stopped by {name}"
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"earlier"]
