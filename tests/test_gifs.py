"""The GIFs, decoded by another library than the one that wrote them; the saved networks; whole files."""

import io
import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import gym
import numpy as np
import pytest
import tensorflow as tf
from helpers import FILES, HOLD, decode, load
from PIL import Image, ImageSequence


@pytest.fixture
def ppo(tmp_path):
    """The script, its files in a folder of their own."""
    return load(output_dir=str(tmp_path / "outputs"))


def test_the_gif_holds_every_frame_as_it_was_rendered(ppo, capsys):
    observations, ppo.env = [], gym.ObservationWrapper(ppo.env)
    ppo.env.observation = lambda observation: observations.append(observation) or observation
    frames = ppo.record_gif("an episode.gif")
    path, output = f"{ppo.output_dir}/an episode.gif", capsys.readouterr().out
    assert ppo.env.unwrapped.viewer is None, "the window is left open"
    steps = len(observations) - 1
    decoded = decode(path).astype(int)
    assert decoded.shape == (steps + HOLD, 400, 600, 3)
    assert np.abs(decoded[:steps] - np.array(frames)).max() <= 2  # the palette's error
    assert np.abs(decoded[steps:] - frames[-1]).max() <= 2
    assert path in output and f" {steps} 步 · this episode took {steps} steps" in output
    with Image.open(path) as gif:
        delays = {frame.info["duration"] for frame in ImageSequence.Iterator(gif)}
        assert delays == {50} and gif.info["loop"] == 65535  # milliseconds; it repeats


def test_every_recording_starts_alike(ppo):
    first, second = (ppo.record_gif(name)[0] for name in ("one.gif", "two.gif"))
    np.testing.assert_array_equal(first, second)
    ppo.seed = 1
    assert np.any(ppo.record_gif("other.gif")[0] != first)  # a start of its own


@pytest.mark.parametrize("height, width", [(400, 600), (500, 500), (301, 777)])
def test_side_by_side_shows_both_episodes(ppo, height, width):
    """The shorter one stays at its last picture; each picture, of whatever size, gets 300 x 200 pixels."""
    shades = np.random.default_rng(0).integers(100, 200, (2, 40), dtype=np.uint8)
    before, after = ([np.full((height, width, 3), shade, np.uint8) for shade in row] for row in shades)
    ppo.save_gif("both.gif", ppo.side_by_side(before[:12], after))
    decoded = decode(f"{ppo.output_dir}/both.gif").astype(int)
    assert decoded.shape == (40 + HOLD, 256, 602, 3)
    assert decoded[:, :, 300:302].max() < 50, "no line parts them"
    for t in 0, 10, 11, 12, 39, 59:
        for left, shade in (0, shades[0][min(t, 11)]), (302, shades[1][min(t, 39)]):
            half, caption = decoded[t][56:, left : left + 300], decoded[t][:56, left : left + 300]
            filled = np.mean(np.abs(half - int(shade)) <= 4)
            assert filled == pytest.approx(min(width / height / 1.5, height / width * 1.5), abs=0.02)
            assert 0.02 < np.mean(caption < 128) < 0.3, "no black text on white"


def test_files_are_whole_before_they_replace_earlier_ones(ppo, monkeypatch):
    ppo.save_files({"a": io.BytesIO(b"earlier"), "b": io.BytesIO(b"earlier")})
    moved = []
    monkeypatch.setattr(os, "replace", lambda old, new: moved.append(os.listdir(os.path.dirname(old))))
    ppo.save_files({"a": io.BytesIO(b"new"), "b": io.BytesIO(b"new")})
    assert [set(names) for names in moved] == 2 * [{"a", "b"}], "one moved before all are complete"
    monkeypatch.undo()
    for error in KeyboardInterrupt, OSError:
        with pytest.raises(error):
            ppo.save_files({"a": io.BytesIO(b"new"), "b": Mock(getbuffer=Mock(side_effect=error))})
        left = {path.name: path.read_text() for path in Path(ppo.output_dir).iterdir()}
        assert left == {"a": "earlier", "b": "earlier"}


def test_the_networks_load_without_the_script(ppo, tmp_path, recwarn, capfd):
    ppo.save_networks()
    assert set(os.listdir(ppo.output_dir)) == FILES - {"logs"}
    data = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    for name in "actor", "critic":
        path = shutil.move(f"{ppo.output_dir}/{name}.h5", tmp_path / "elsewhere.h5")
        saved = tf.keras.models.load_model(path, compile=False)
        np.testing.assert_array_equal(saved(data), getattr(ppo, name)(data))
    assert not [warning for warning in recwarn if "HDF5" in str(warning.message)]
    assert "WARNING" not in capfd.readouterr().err
