"""The GIFs, decoded by another library than the one that wrote them, and the saved networks."""

import contextlib
import io
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import gym
import numpy as np
import pytest
import tensorflow as tf
from helpers import FILES, HOLD, decode, load
from reference import halves


@pytest.fixture
def recorded(ppo, tmp_path, capsys):
    """One recorded episode: the observation behind each frame, and the frames as rendered."""
    observations, ppo.env = [], gym.ObservationWrapper(ppo.env)
    ppo.env.observation = lambda observation: observations.append(observation) or observation
    frames = ppo.record_gif(tmp_path / "an episode.gif")
    return observations, frames, tmp_path / "an episode.gif", capsys.readouterr().out


def test_the_gif_holds_every_frame_as_it_was_rendered(ppo, recorded):
    assert ppo.env.unwrapped.viewer is None, "the window is left open"
    observations, frames, path, output = recorded
    steps = len(observations) - 1
    decoded = decode(path).astype(int)
    assert decoded.shape == (steps + HOLD, 400, 600, 3)
    assert np.abs(decoded[:steps] - np.array(frames)).max() <= 2  # the palette's error
    assert np.abs(decoded[steps:] - frames[-1]).max() <= 2
    assert str(path) in output and f" {steps} 步 · this episode took {steps} steps" in output
    # Each frame's delay in hundredths of a second, its width and height; how often the GIF repeats.
    blocks = re.findall(rb"\x21\xf9\x04.(..).\x00\x2c....(..)(..)", path.read_bytes(), re.S)
    delays, widths, heights = np.array([np.frombuffer(b"".join(block), "<u2") for block in blocks]).T
    (loops,) = re.findall(rb"NETSCAPE2\.0\x03\x01(..)\x00", path.read_bytes(), re.S)
    assert delays.tolist() == [5] * (steps + HOLD)
    assert int.from_bytes(loops, "little") == 0 or int.from_bytes(loops, "little") > 60000
    assert np.mean(np.multiply(widths, heights, dtype=int)[1:]) < 600 * 400 / 4, "pictures stored whole"


def test_the_networks_are_saved_before_the_last_recording(ppo, tmp_path):
    calls, ppo.output_dir = [], str(tmp_path)
    for name in "record_gif", "train", "save_networks", "save_gif":
        setattr(ppo, name, lambda *_, name=name: calls.append(name) or [])
    ppo.main()
    assert calls == ["record_gif", "train", "save_networks", "record_gif", "save_gif"]


def test_the_cart_stands_where_the_observation_says(recorded):
    observations, _, path, _ = recorded
    for observation, picture in zip(observations[:-1], decode(path), strict=False):
        # The cart is black, 50 wide, and crosses row 312; 600 pixels show 4.8 units.
        columns = np.flatnonzero(picture[312].max(axis=1) < 50)
        assert len(columns) == pytest.approx(50, abs=2)
        assert columns.mean() == pytest.approx(300 + observation[0] * 600 / 4.8, abs=1.5)
        # The pole, brown, leans by the angle: its top against its foot, 125 pixels long.
        rows, columns = np.nonzero(np.abs(picture - [204.0, 153.0, 102.0]).max(axis=2) < 10)
        lean = columns[rows < rows.min() + 3].mean() - columns[rows > rows.max() - 3].mean()
        assert lean == pytest.approx(125 * np.sin(observation[2]), abs=8)


def test_every_recording_starts_alike(ppo, tmp_path):
    first, second = (ppo.record_gif(tmp_path / name)[0] for name in ("one.gif", "two.gif"))
    np.testing.assert_array_equal(first, second)
    ppo.seed = 1
    assert np.any(ppo.record_gif(tmp_path / "other.gif")[0] != first)  # a start of its own


def test_the_recorded_actions_are_sampled_in_whole_episodes(tmp_path):
    ppo = load(steps_per_epoch=1)
    ppo.actor.layers[-1].kernel.assign(tf.zeros((64, 2)))  # blind, so that the likelier action
    ppo.actor.layers[-1].bias.assign(np.log([0.4, 0.6]))  # is always the same
    actions, step = [], ppo.env.step
    ppo.env.step = lambda action: actions.append(int(action)) or step(action)
    ppo.env.render = lambda mode: np.zeros((2, 2, 3), np.uint8)
    for _ in range(50):
        ppo.record_gif(tmp_path / "episode.gif")
    assert len(actions) > 50, "cut off by few steps an epoch"
    assert abs(np.mean(actions) - 0.6) < 5 * np.sqrt(0.4 * 0.6 / len(actions))


@pytest.mark.parametrize("shorter", [12, 199])
def test_side_by_side_says_the_step_and_how_it_ended(ppo, tmp_path, shorter):
    shades = np.random.default_rng(0).integers(140, 250, (2, 200), dtype=np.uint8)
    pictures = [[np.full((400, 600, 3), shade, np.uint8) for shade in row] for row in shades]
    before, after = pictures[0][:shorter], pictures[1]
    ppo.save_gif(tmp_path / "both.gif", ppo.side_by_side(before, after))
    decoded = decode(tmp_path / "both.gif").astype(int)
    assert decoded.shape == (200 + HOLD, 200, 602, 3)
    for t in (0, 10, 11, 12, 100, 197, 198, 199, 219):
        left, right = halves(before, after, t)
        assert np.abs(decoded[t][:, :300] - left).max() <= 4, f"picture {t}, left"
        assert np.abs(decoded[t][:, 302:] - right).max() <= 4, f"picture {t}, right"
        assert decoded[t][:, 300:302].max() < 50, "no line parts them"
    assert np.all(before[0] == shades[0, 0])  # the episodes' own pictures are not written on


# Pictures kept, bytes cut off: Pillow answers the first five cuts with four kinds of exceptions.
CUTS = [(9, 50), (9, 30_000), (9, 11_002), (9, 11_772), (9, 11_786), (1, 0), (8, 0)]


@pytest.mark.parametrize("kept, cut", CUTS)
def test_a_broken_gif_never_takes_an_earlier_ones_place(ppo, tmp_path, monkeypatch, kept, cut):
    pictures = list(np.random.default_rng(0).integers(0, 255, (9, 90, 90, 3), dtype=np.uint8))
    path, own = tmp_path / "episode.gif", ppo.imageio.get_writer
    path.write_bytes(b"earlier")

    @contextlib.contextmanager
    def losing(data, *arguments, **options):
        """As imageio does with a Pillow that it does not know: pictures or bytes lost, but no error."""
        with own(data, *arguments, **options) as writer:
            appends = iter([writer.append_data] * kept + [lambda picture: None] * 9)
            yield SimpleNamespace(append_data=lambda picture: next(appends)(picture))
        data.truncate(len(data.getvalue()) - cut)

    monkeypatch.setattr(ppo.imageio, "get_writer", losing)
    with pytest.raises(OSError, match="episode.gif.* broken GIF"):
        ppo.save_gif(path, pictures)
    assert path.read_bytes() == b"earlier" and list(tmp_path.iterdir()) == [path]


def test_files_are_whole_before_they_replace_earlier_ones(ppo, tmp_path, monkeypatch):
    ppo.output_dir = str(tmp_path)
    paths = [tmp_path / name for name in ("actor.h5", "critic.h5", "episode.gif")]
    pictures = list(np.random.default_rng(0).integers(0, 255, (3, 90, 90, 3), dtype=np.uint8))
    replace = Mock(side_effect=os.replace)
    monkeypatch.setattr(os, "replace", replace)
    ppo.save_networks()
    ppo.save_gif(paths[2], pictures)
    parts, targets = zip(*(call.args for call in replace.call_args_list), strict=True)
    assert [Path(target) for target in targets] == paths, "not written to a part first"
    assert {os.path.dirname(part) for part in parts} == {str(tmp_path)}, "parts on another disk"
    assert all(str(os.getpid()) in part for part in parts), "another run would write the same part"
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert len(decode(paths[2])) == 3
    interrupted = Mock(getvalue=Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ppo.save_files({paths[0]: io.BytesIO(b"whole"), paths[1]: interrupted})
    assert paths[0].read_bytes() != b"whole", "one is replaced before all are complete"
    assert sorted(tmp_path.iterdir()) == sorted(paths), "something unfinished is left"


def test_the_networks_load_without_the_script(ppo, tmp_path, recwarn):
    ppo.output_dir = str(tmp_path)
    ppo.save_networks()
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"logs"}
    data = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    for name in "actor", "critic":
        path = shutil.move(tmp_path / f"{name}.h5", tmp_path / "elsewhere.h5")
        saved = tf.keras.models.load_model(path, compile=False)
        np.testing.assert_array_equal(saved(data), getattr(ppo, name)(data))
    assert not [warning for warning in recwarn if "HDF5" in str(warning.message)]
