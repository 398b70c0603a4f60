import dataclasses
import json

import numpy as np
import pytest

from datasets import corpora, hazard
from datasets.corpora import maptask
from datasets.errors import InputError
from eval import coordination, protocol, rows, shape
from eval.chunks import Chunk, whole_dialogues
from tests.eval.simulated_chunks import in_chunks, simulated_wholes

TABLES = hazard.maptask_tables()["follower"]
WHOLES = simulated_wholes(16)
OTHERS = simulated_wholes(14, seed=1, prefix="o")
FEW = dict(floor_draws=200)


@pytest.fixture(scope="module")
def reference():
    return protocol.Reference(in_chunks(WHOLES), TABLES, "follower", **FEW)


@pytest.fixture(scope="module")
def scored(reference):
    """The reference rows that matter most."""
    names = ("human", "hazard", "shifted", "timeout_700", "silent", "delayed_1000")
    return protocol.reference_rows(reference, WHOLES, OTHERS, names=names, draws=100)


def score(reference, chunks, **options):
    return protocol.score(reference, chunks, np.random.default_rng(0), draws=60, **options)


def test_floors_are_percentiles_of_humans_against_the_other_humans(reference):
    rng = np.random.default_rng(reference.seed)
    draws = protocol.draw(reference.chunks, 10, 200, rng)
    found = []
    for drawn in draws:
        others = np.setdiff1d(np.arange(len(reference.chunks)), drawn)
        found.append(shape.distance(reference.events.pool(drawn), reference.events.pool(others)))
    expected = {name: np.percentile([each[name] for each in found], 95) for name in shape.DISTANCES}
    assert reference.floors == pytest.approx(expected)


def test_a_draw_is_one_chunk_from_each_of_ten_dialogues(reference):
    draws = protocol.draw(reference.chunks, 10, 50, np.random.default_rng(0))
    for drawn in draws:
        assert len(drawn) == 10 and len({reference.chunks[i].dialogue for i in drawn}) == 10
    assert {int(i) for drawn in draws for i in drawn} == set(range(len(reference.chunks)))
    again = protocol.draw(reference.chunks, 10, 50, np.random.default_rng(0), repeated=True)
    assert any(len({reference.chunks[i].dialogue for i in drawn}) < 10 for drawn in again)


def test_scores_are_means_over_the_draws(reference):
    """A plain reference: the steps of PROTOCOL section 5, one by one."""
    chunks = in_chunks(OTHERS)
    result = score(reference, chunks)
    rng = np.random.default_rng(0)
    coordination.dllr_per_chunk(TABLES, chunks, rng)  # takes its chance first
    table, llr = shape.EventTable(chunks), coordination.llr_per_chunk(TABLES, chunks)
    expected = []
    for drawn in protocol.draw(chunks, 10, 60, rng):
        found = shape.distance(table.pool(drawn), reference.events.pool())
        m = 1 / np.mean([min(max(1, found[name] / reference.floors[name]), 20) for name in shape.DISTANCES])
        c = np.clip(llr[drawn].mean() / reference.llr_human, 0, 1)
        expected.append((c * m, c, m, llr[drawn].mean(), found["w1_ipu"]))
    keys = ("ttr", "c", "m", "llr", "d_w1_ipu")
    assert [result[key] for key in keys] == pytest.approx(np.mean(expected, axis=0))
    assert result["ttr_sd"] == pytest.approx(np.std([each[0] for each in expected]))
    assert result["ttr_low"] <= result["ttr_high"] and result["m_low"] < result["m"] + 0.05


def test_the_same_kind_of_speaker_scores_high(reference):
    result = score(reference, in_chunks(OTHERS))
    assert result["ttr"] > 0.75 and result["m"] > 0.9 and result["dllr"] > 0.1
    assert np.isnan(result["selectivity"]), "the chunks are of other dialogues"


def test_rows_are_in_their_order(scored):
    assert scored["human"]["ttr"] > 0.8 and scored["hazard"]["ttr"] > 0.75
    assert 0.1 < scored["timeout_700"]["ttr"] < 0.7 and scored["timeout_700"]["llr"] > 0.05
    for name in ("shifted", "silent", "delayed_1000"):
        assert scored[name]["ttr"] < 0.15
    assert scored["shifted"]["llr"] < 0 and abs(scored["shifted"]["dllr"]) < 0.05
    assert scored["human"]["selectivity"] > 0.3 > 0.15 > abs(scored["hazard"]["selectivity"])
    assert np.isnan(scored["silent"]["fto_median"]) and scored["silent"]["n_ipu"] == 0


def test_identity_is_perfect(reference):
    """All of the humans against all of the humans."""
    found = shape.Comparison(reference.events, reference.events).distance(*[reference.events.times()] * 2)
    assert shape.shape_score(found, reference.floors) == 1


def test_the_human_row_leaves_the_draw_out(reference):
    among = score(reference, reference.chunks, among_humans=True)
    against_all = score(reference, reference.chunks)
    assert among["d_w1_fto"] > against_all["d_w1_fto"] and among["llr"] == against_all["llr"]
    with pytest.raises(InputError, match="own chunks"):
        score(reference, in_chunks(OTHERS), among_humans=True)


def test_rows_by_dialogue_pool_its_chunks(reference):
    result = score(reference, reference.chunks)
    assert [row["dialogue"] for row in result["per_dialogue"]] == [whole.dialogue for whole in WHOLES]
    assert sum(row["n_ipu"] for row in result["per_dialogue"]) == result["n_ipu"]
    assert result["per_dialogue"][3]["llr"] == pytest.approx(reference.llr[9:12].mean())
    assert result["n_chunks"] == 48 and result["n_dialogues"] == 16 and result["minutes"] == pytest.approx(48)


def test_scores_are_a_function_of_the_seed(reference):
    again = protocol.Reference(in_chunks(WHOLES), TABLES, "follower", **FEW)
    assert again.floors == reference.floors
    one, other = (
        protocol.reference_rows(each, WHOLES, OTHERS, names=("timeout_700",), draws=20) for each in (reference, again)
    )
    assert protocol.json_ready(one) == protocol.json_ready(other)


def test_a_row_does_not_depend_on_the_rows_beside_it(reference):
    alone = protocol.reference_rows(reference, WHOLES, OTHERS, names=("shifted",), draws=20)
    beside = protocol.reference_rows(reference, WHOLES, OTHERS, names=("timeout_700", "shifted"), draws=20)
    assert protocol.json_ready(alone["shifted"]) == protocol.json_ready(beside["shifted"])


def test_json_has_no_nan(reference, scored):
    text = json.dumps(protocol.json_ready(scored), allow_nan=False)
    assert json.loads(text)["silent"]["fto_median"] is None
    described = json.loads(json.dumps(reference.describe(), allow_nan=False))
    assert described["protocol"] == protocol.VERSION and described["detector"] == "annotations"
    assert len(described["chunks"]) == 48 and set(described["floors"]) == set(shape.DISTANCES)


def test_made_from_train_dialogues():
    made = protocol.make_reference(WHOLES, OTHERS, list(range(14)), "follower", prompt_seconds=30.0, **FEW)
    np.testing.assert_array_equal(made.tables.frames, hazard.fit_tables([w.activity() for w in OTHERS]).frames)
    assert made.llr_human == pytest.approx(coordination.leave_one_out_llr(OTHERS, list(range(14))))
    assert [chunk.start_seconds for chunk in made.chunks[:3]] == [30, 120, 30] and made.spans[0].prompt_seconds == 30
    result = protocol.reference_rows(made, WHOLES, OTHERS, names=("hazard",), draws=20)
    assert result["hazard"]["n_chunks"] == protocol.RENDERINGS * len(made.chunks)


def test_too_few_dialogues_are_counted_in_the_error(reference):
    with pytest.raises(InputError, match="the system: a draw is 10 chunks from 10 .* 27 chunks from 9;"):
        score(reference, in_chunks(OTHERS[:9]))
    with pytest.raises(InputError, match="the human follower: .* 9 chunks from 3;"):
        protocol.Reference(in_chunks(WHOLES[:3]), TABLES, "follower")
    with pytest.raises(InputError, match="none is left"):
        protocol.Reference(in_chunks(WHOLES[:10])[::3], TABLES, "follower")


def test_fewer_dialogues_do_with_a_smaller_draw():
    small = protocol.Reference(in_chunks(WHOLES[:4]), TABLES, "follower", draw_chunks=3, **FEW)
    result = score(small, in_chunks(OTHERS[:3]))
    assert 0 <= result["ttr"] <= 1 and small.describe()["draw_chunks"] == 3


def test_humans_who_do_not_hear_each_other_are_no_reference():
    deaf = [
        dataclasses.replace(chunk, own_ipus=other.own_ipus)
        for chunk, other in zip(in_chunks(WHOLES), in_chunks(OTHERS + OTHERS[:2]), strict=True)
    ]
    with pytest.raises(InputError, match="tells of no partner"):
        protocol.Reference(deaf, TABLES, "follower", **FEW)


def test_silence_and_speech_only_are_scored(reference):
    for own in (np.zeros((0, 2)), np.array([[0.0, 60.0]])):
        chunks = [dataclasses.replace(chunk, own_ipus=own) for chunk in reference.chunks]
        result = score(reference, chunks)
        assert result["ttr"] < 0.1 and np.isfinite(result["llr"])


def test_partner_swap(reference):
    chunks = reference.chunks
    swapped = [
        dataclasses.replace(c, own_ipus=d.own_ipus) for c, d in zip(chunks, chunks[3:] + chunks[:3], strict=True)
    ]
    found = protocol.partner_swap(reference, chunks, swapped)
    assert found["swap_llr"] < 0 and found["swap_changed"] > 0.1
    same = protocol.partner_swap(reference, chunks, chunks)
    assert same["swap_changed"] == 0 and same["swap_llr"] == pytest.approx(reference.llr.mean())
    with pytest.raises(InputError, match="same places"):
        protocol.partner_swap(reference, chunks, swapped[1:])


def test_swapped_chunks_are_put_beside_the_partner_of_their_place(reference):
    heard_another = [dataclasses.replace(chunk, partner_ipus=np.zeros((0, 2))) for chunk in reference.chunks]
    for ours, real in zip(protocol.against_original(reference, heard_another), reference.chunks, strict=True):
        np.testing.assert_array_equal(ours.partner_ipus, real.partner_ipus)
    with pytest.raises(InputError, match="not at a place"):
        protocol.against_original(reference, in_chunks(simulated_wholes(1, prefix="x")))


def test_unknown_rows_and_missing_dialogues(reference):
    with pytest.raises(InputError, match="'humans'; the choices are human, hazard"):
        protocol.reference_rows(reference, WHOLES, names=("humans",))
    with pytest.raises(InputError, match="no whole dialogue d0"):
        protocol.reference_rows(reference, WHOLES[1:], names=("shifted",))


def test_the_first_rendering_of_a_row_can_be_had_again(reference):
    background = rows.Background(TABLES, OTHERS, reference.spans)
    one, other = (
        protocol.row_chunks(reference, WHOLES, rows.shifted, background, protocol.row_rng(0, "shifted"))
        for _ in range(2)
    )
    assert all(np.array_equal(a.own_ipus, b.own_ipus) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def real(maptask_dir):
    corpus = maptask.MapTask(corpora.Options(data_dir=maptask_dir))
    return {split: [corpus.load(name) for name in corpus.names(split)] for split in ("train", "validation", "test")}


def test_map_task_reproduces_the_published_rows(real):
    """PROTOCOL section 5, the rows that `compare` prints; `python -m eval.reproduce` has all of them."""
    train = real["train"] + real["validation"]
    wholes, others = whole_dialogues(real["test"], "follower"), whole_dialogues(train, "follower")
    reference = protocol.make_reference(wholes, others, coordination.groups_of(train), "follower", **FEW)
    assert reference.llr_human == pytest.approx(0.108, abs=0.001)
    scored = protocol.reference_rows(reference, wholes, others, draws=100)
    published = {"human": 0.84, "hazard": 0.91, "shifted": 0.0, "timeout_700": 0.46}
    for name, ttr in published.items():
        assert scored[name]["ttr"] == pytest.approx(ttr, abs=0.05), name
    assert scored["human"]["dllr"] == pytest.approx(0.255, abs=0.01)
    assert isinstance(reference.chunks[0], Chunk) and len(reference.chunks) == 249
