"""The GIFs, decoded by TensorFlow's giflib: Pillow wrote them."""

import resource
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

HOLD = 20  # pictures: the end stays for a second


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
    decoded = decode(path).astype(int)
    assert decoded.shape == (steps + HOLD, 400, 600, 3)
    assert np.abs(decoded[:steps] - np.array(frames)).max() <= 2  # the palette's error
    assert np.abs(decoded[steps:] - frames[-1]).max() <= 2
    assert str(path) in output and f"for {steps} steps" in output


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


def test_the_gif_loops_slowly_enough_to_see(recorded):
    delays, loops = delays_and_loops(recorded[2].read_bytes())
    assert delays == [5] * (len(recorded[1]) + HOLD)  # hundredths of a second
    assert loops == 0 or loops > 60000


def test_every_recording_starts_alike(ppo, tmp_path):
    first, second = (ppo.record_gif(tmp_path / name)[0] for name in ("one.gif", "two.gif"))
    np.testing.assert_array_equal(first, second)
    ppo.seed = 1
    assert np.any(ppo.record_gif(tmp_path / "other.gif")[0] != first)  # a start of its own


def test_the_recorded_actions_are_sampled(build, tmp_path):
    ppo = build(seed=1)
    ppo.actor.layers[-1].kernel.assign(tf.zeros((64, 2)))  # blind, so that the likelier action
    ppo.actor.layers[-1].bias.assign(np.log([0.4, 0.6]))  # is always the same
    actions, step = [], ppo.env.step
    ppo.env.step = lambda action: actions.append(int(action)) or step(action)
    for _ in range(10):
        ppo.record_gif(tmp_path / "episode.gif")
    # About 200 actions; a sound sampler leaves this range once in 10,000 seeds.
    assert 0.45 < np.mean(actions) < 0.75


def count(picture):
    """The steps that the bar at the top shows, and whether it is red."""
    row = picture[6]
    green = (row[:, 1] > 120) & (row[:, 0] < 40) & (row[:, 2] < 40)
    red = (row[:, 0] > 160) & (row[:, 1] < 40) & (row[:, 2] < 40)
    assert not (green.any() and red.any())
    pixels = np.flatnonzero(green | red)
    assert list(pixels) == list(range(len(pixels))) and len(pixels) % 3 == 0
    return len(pixels) // 3, bool(red.any())


def test_side_by_side_counts_and_holds(ppo, tmp_path):
    rng = np.random.default_rng(0)
    shade = rng.integers(140, 250, 200, dtype=np.uint8)
    before, after = (
        [np.full((40, 600, 3), shade[t], np.uint8) for t in range(n)] for n in (12, 200)
    )
    pictures = ppo.side_by_side(before, after)
    assert iter(pictures) is pictures  # one at a time: all at once are 290 MB
    ppo.save_gif(tmp_path / "both.gif", pictures)
    decoded = decode(tmp_path / "both.gif")
    assert decoded.shape == (200 + HOLD, 40, 1200, 3)
    for t, picture in enumerate(decoded):
        left, right = picture[:, :600], picture[:, 600:]
        assert count(left) == (min(t + 1, 12), t >= 12)
        assert count(right) == (min(t + 1, 200), t >= 200)
        np.testing.assert_allclose(left[12:], shade[min(t, 11)], atol=2)
        np.testing.assert_allclose(right[12:], shade[min(t, 199)], atol=2)
    assert np.all(before[0] == shade[0])  # the episodes' own pictures are not written on


def test_the_three_gifs_of_the_default_run(default_run):
    before = decode(default_run.folder / "未训练前的样子.gif")
    after = decode(default_run.folder / "训练后的样子.gif")
    both = decode(default_run.folder / "训练前后对比.gif")
    steps_before, steps_after = len(before) - HOLD, len(after) - HOLD
    assert steps_before < 100 < steps_after
    assert f"for {steps_before} steps" in default_run.lines[0]
    assert f"for {steps_after} steps" in default_run.lines[-1]
    assert len(both) == len(after)
    for t, picture in enumerate(both.astype(np.int16)):
        left, right = picture[:, :600], picture[:, 600:]
        assert np.abs(left[12:] - before[min(t, steps_before), 12:]).max() <= 2
        assert np.abs(right[12:] - after[t, 12:]).max() <= 2
        assert count(left) == (min(t + 1, steps_before), t >= steps_before)
        assert count(right) == (min(t + 1, steps_after), t >= steps_after)


def limited(function, *arguments):
    """Call a function that must fail because, as on a full disk, files end at 5,000 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large|write"):
            function(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_failed_write_leaves_the_earlier_gif_and_the_next_run_works(ppo, tmp_path):
    path = tmp_path / "episode.gif"
    path.write_bytes(b"earlier")
    pictures = list(np.random.default_rng(0).integers(0, 255, (3, 90, 90, 3), dtype=np.uint8))
    limited(ppo.save_gif, path, pictures)
    assert path.read_bytes() == b"earlier"
    ppo.save_gif(path, pictures)
    assert len(decode(path)) == 3
    assert list(tmp_path.iterdir()) == [path]  # the part file of the failed write was used up


def test_a_network_that_cannot_be_saved_leaves_the_earlier_ones(ppo, tmp_path):
    ppo.output_dir = str(tmp_path)
    (tmp_path / "actor.keras").write_bytes(b"earlier")
    save = ppo.actor.save

    def broken_save(path):
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    ppo.actor.save = broken_save
    with pytest.raises(OSError, match="No space left"):
        ppo.save_networks()
    assert (tmp_path / "actor.keras").read_bytes() == b"earlier"
    ppo.actor.save = save
    ppo.save_networks()
    assert {path.name for path in tmp_path.iterdir()} == {"actor.keras", "critic.keras"}
    for name in "actor", "critic":
        saved = tf.keras.models.load_model(tmp_path / f"{name}.keras", compile=False)
        for weight, own in zip(saved.get_weights(), getattr(ppo, name).get_weights(), strict=True):
            np.testing.assert_array_equal(weight, own)
