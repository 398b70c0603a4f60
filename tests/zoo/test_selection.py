import tensorflow as tf

from zoo.selection import TIE_BITS, Selection


def _offered(*pairs) -> tuple[list[bool], Selection]:
    selection = Selection()
    names = ("timing_bits_per_second", "sound_bits_per_sample")
    return [selection.offer(dict(zip(names, pair, strict=True))) for pair in pairs], selection


def test_the_fewest_bits_of_timing_are_the_best():
    found, selection = _offered((4.5, 5.0), (4.4, 9.0), (4.45, 1.0), (4.3, 9.0))
    assert found == [True, True, False, True]
    assert int(selection.waited) == 0


def test_sound_breaks_ties():
    found, selection = _offered((4.4, 5.0), (4.4 + TIE_BITS / 2, 4.9), (4.4 - TIE_BITS / 4, 5.0), (4.4, 4.9))
    assert found == [True, True, False, False]
    assert int(selection.waited) == 2


def test_ties_do_not_add_up():
    """Each is a tie with the one before, but timing may not get worse by more than one tie in all."""
    found, _ = _offered(*((4.4 + i * 0.8 * TIE_BITS, 5.0 - i) for i in range(4)))
    assert found == [True, True, False, False]


def test_without_timing_sound_decides():
    selection = Selection()
    found = [selection.offer({"mel_bits_per_frame": bits}) for bits in (90.0, 91.0, 80.0)]
    assert found == [True, False, True]


def test_it_goes_on_from_a_checkpoint(tmp_path):
    _, selection = _offered((4.4, 5.0), (4.5, 5.0))
    path = tf.train.Checkpoint(selection=selection).save(str(tmp_path / "checkpoint"))
    again = Selection()
    tf.train.Checkpoint(selection=again).restore(path).assert_consumed()
    assert int(again.waited) == 1
    worse, better = ({"timing_bits_per_second": 4.4, "sound_bits_per_sample": bits} for bits in (5.0, 4.0))
    assert not again.offer(worse) and again.offer(better)
