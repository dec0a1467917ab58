import dataclasses
import json
from array import array

import numpy as np
import pytest

from support.lives import CHANNELS, STEPS, lives
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import board_code
from ulnn_host.data.lives import DAY, State, recorded
from ulnn_host.engines import registry
from ulnn_host.engines.batch import quantise
from ulnn_host.experiments import detectors, lead, maintain
from ulnn_host.experiments.maintain import Plan
from ulnn_host.format import container
from ulnn_host.train import recipe
from ulnn_rules.alarm import Alarm
from ulnn_rules.novelty import Input, Prediction
from ulnn_rules.scaling import Scaling
from ulnn_rules.watch import Watch

PLAN = Plan(
    learn=1.5, every=3600.0, look=4, smooth=6, raise_after=3, clear_after=6, folds=2, seeds=1
)
CFC = {"data": {"source": ""}, "model": {"hidden": 4, "readout": "each"}}
CFC |= {"training": {"epochs": 2, "batch": 64, "learning_rate": 0.02}}


@pytest.fixture(scope="module")
def four():
    return lives()


@pytest.fixture(scope="module")
def found(four, tmp_path_factory):
    ticks = []
    done = maintain.maintain(
        four, {"cfc": recipe.parse(CFC)}, PLAN, tmp_path_factory.mktemp("cache"),
        lambda *tick: ticks.append(tick),
    )  # fmt: skip
    assert ticks[-1][:2] == (6, 6)
    return done


def healthy(data):
    return data.data.take(data.healthy() & data.running)


def _watch(made, detector, k, column, setting=1000):
    """What a board computes, step by step, for one machine: its alarm after every look."""
    model = container.read(detector.content)
    rows = np.flatnonzero((made.machine == k) & made.running)
    batch = quantise(model, made.data.take(rows))
    y = registry.run(detector.content, batch, "native").y
    scaling = Scaling(detector.content)
    score = Prediction(scaling) if column is None else Input(column)
    alarm = Alarm(
        round(PLAN.learn * DAY), setting, score.weighs, smooth=PLAN.smooth,
        raise_after=PLAN.raise_after, clear_after=PLAN.clear_after,
    )  # fmt: skip
    watch = Watch(score, alarm, PLAN.look, 600_000)
    states, scores = [], []
    for n in range(len(rows)):
        before = array("h", bytes(2 * model.output_size))
        for t in range(STEPS):
            x = array("h", batch.x[n, t])
            count = alarm.seconds
            watch.step(x, before, 20_000, t == 0)
            if alarm.seconds != count:
                states.append(alarm.state)
                scores.append(alarm.score)
            before = array("h", y[n, t])
    return states, scores


def test_looks_and_alarms_are_those_of_a_board(four):
    detector = detectors.linear(healthy(four))
    looks = detector.looks(four, PLAN.pace)[1]
    states, scores = _watch(four, detector, 1, None)
    assert looks.usual == 27
    assert looks.scores[looks.usual :, 0].tolist() == scores[looks.usual :]
    begins, learnt = lead.followed(looks, PLAN.pace, 1000)
    assert learnt.tolist() == [state != "learning" for state in states]
    raised = np.array([state == "raised" for state in states])
    assert np.flatnonzero(begins).tolist() == [
        n for n in np.flatnonzero(raised) if not raised[n - 1]
    ]
    assert raised.any()


def test_features_are_looked_at_as_by_a_board(four):
    linear = detectors.linear(healthy(four))
    detector = detectors.simple(CHANNELS, linear.content)[1]
    looks = detector.looks(four, PLAN.pace)[0]
    assert looks.scores[:, 0].tolist() == _watch(four, linear, 0, 1)[1]


def test_alarms_side_by_side_are_those_of_a_board(four):
    """Each learns its own threshold, all for the same false alarms; an alarm is that of any."""
    linear = detectors.linear(healthy(four))
    detector = detectors.OfFeatures("both", CHANNELS[1:3], linear.content)
    looks, setting = detector.looks(four, PLAN.pace)[0], 20_000
    made = [_watch(four, linear, 0, column, setting) for column in (1, 2)]
    assert looks.scores.T.tolist() == [scores for _, scores in made]
    states = np.array([states for states, _ in made])
    begins, learnt = lead.followed(looks, PLAN.pace, setting)
    assert learnt.tolist() == (states != "learning").all(0).tolist()
    on = (states == "raised").any(0)
    assert np.flatnonzero(begins).tolist() == [n for n in np.flatnonzero(on) if not on[n - 1]]
    assert (states == "raised").any(1).all()
    assert (states == "raised").all(0).any()


def test_names_of_features_make_detectors():
    made = detectors.simple((*CHANNELS, "acc 100-400 Hz"), b"")
    assert {d.name: d.scores for d in made} == {
        "rms": CHANNELS[:1],
        "kurtosis": CHANNELS[1:2],
        "envelope": CHANNELS[2:],
    }


def test_the_feature_that_grows_is_chosen(found, four):
    assert found.chosen == "kurtosis"
    best = found.judged.entry("kurtosis")
    assert best.found == 1
    assert 1 < best.warning.value < 4
    assert best.rate.value <= PLAN.false_alarms
    assert found.judged.entry("rms").warning.value < best.warning.value
    assert found.judged.possible == pytest.approx(4)
    # no network of one seed is said to be better
    assert {d.name: d.verdict for d in found.judged.differences}["cfc"] == "no verdict"
    assert "one seed gives no verdict about networks: --seeds 5" in found.notes
    assert "4 machines: intervals are too narrow" in found.notes


def test_what_is_chosen_is_settings_of_an_app(found):
    (alarm,) = found.alarm
    assert alarm["score"] == "acc kurtosis"
    assert alarm["learn_s"] == 129600
    assert alarm["every_s"] == 600
    assert alarm["when"] == [{"channel": "acc rms", "above": 6.0}]
    assert alarm["false_alarms_a_day"] == found.setting / 1000
    source = {"kind": "replay", "file": "/life.take"}
    settings = board_code.module("ulnn_app.settings")
    read = settings.read({"model": "m.ulnn", "source": source, "alarm": found.alarm}, "settings")
    assert read["alarm"][0].items() >= alarm.items()
    # side by side: the same for each, but for score and file
    both = dataclasses.replace(found, chosen="envelope")
    read = settings.read({"model": "m.ulnn", "source": source, "alarm": both.alarm}, "settings")
    assert [s["score"] for s in read["alarm"]] == list(CHANNELS[2:])
    assert [s["name"] for s in read["alarm"]] == list(CHANNELS[2:])
    assert len({s["file"] for s in read["alarm"]}) == 2
    assert {s["false_alarms_a_day"] for s in both.alarm} == {both.setting / 1000}
    # the linear predictor's file, which has the features
    assert container.read(found.model).input_size == len(CHANNELS)
    assert json.loads(json.dumps(found.to_dict()))["chosen"] == "kurtosis"


def test_other_machines_are_judged_with_what_was_found(found, four):
    again = maintain.judge(found, lives(machines=3, seed=5))
    assert again.machines == ("pump 1", "pump 2", "pump 3")
    assert again.entry("kurtosis").settings == found.judged.entry("kurtosis").settings
    assert (again.entry("kurtosis").alarms[0].lead > 0).all()
    # a fault that is none: nothing to be found, and few false alarms
    calm = maintain.judge(found, lives(machines=3, grows=0.0, seed=6))
    assert calm.entry("kurtosis").warning.value < 1


def test_a_network_is_chosen_only_where_it_is_better_beyond_chance(found):
    judged = found.judged
    at = next(k for k, d in enumerate(judged.differences) if d.name == "cfc")
    changed = list(judged.differences)
    changed[at] = dataclasses.replace(changed[at], verdict="better")
    name, why = maintain.choice(dataclasses.replace(judged, differences=tuple(changed)))
    assert name == "cfc"
    assert "so it is chosen" in why
    name, why = maintain.choice(judged)
    assert name == "kurtosis"
    assert "not better beyond chance" in why


def test_a_detector_of_several_alarms_is_chosen_as_far_as_an_app_has_them(found):
    judged = found.judged
    longest = dataclasses.replace(judged.entry("kurtosis").warning, value=9.5)

    def chosen(columns):
        entries = [
            dataclasses.replace(e, warning=longest, columns=columns) if e.name == "envelope" else e
            for e in judged.entries
        ]
        return maintain.choice(dataclasses.replace(judged, entries=tuple(entries)))

    name, why = chosen(8)
    assert name == "envelope"
    assert "without a network, with 8 alarms side by side; the network cfc" in why
    name, why = chosen(9)
    assert name == "kurtosis"
    assert "envelope: 9.50 days, with 9 alarms side by side, and an app has 8 at most" in why


def test_false_alarms_are_equal(four):
    content = detectors.linear(healthy(four)).content
    looks = detectors.simple(CHANNELS, content)[1].looks(four, PLAN.pace)
    few, many = (lead.equal(four, looks, PLAN.pace, rate) for rate in (0.05, 1.0))
    assert few[0] <= many[0]
    assert few[1].rate <= 0.05
    assert many[1].rate <= 1.0
    assert (many[1].lead >= few[1].lead - 1e-9).mean() >= 0.5


def test_recordings_of_somebody_are_lives(four):
    order = np.random.default_rng(0).permutation(4)
    mixed = dataclasses.replace(four.data, group=order[four.machine])
    made = recorded(mixed, 3600.0, 0.5, State.parse("acc rms > 6"))
    assert made.end.tolist() == [10 * DAY] * 4
    assert made.onset.tolist() == [5 * DAY] * 4
    assert made.at[240] == 0
    assert made.running.sum() == four.running.sum()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda four: (four.of([0]), PLAN), "expected two machines"),
        (lambda four: (four, dataclasses.replace(PLAN, learn=8.0)), "choose a shorter time"),
        (lambda four: (four, dataclasses.replace(PLAN, look=30)), "choose shorter looks"),
    ],
)
def test_what_cannot_be_judged_is_refused(four, change, words, tmp_path):
    made, plan = change(four)
    with pytest.raises(UlnnError, match=words):
        maintain.maintain(made, {}, plan, tmp_path, lambda *_: None)


@pytest.mark.parametrize("text", ["acc rms", "acc rms > x", "> 3"])
def test_a_state_is_a_feature_and_a_number(text):
    with pytest.raises(UlnnError, match="expected a feature and a number"):
        State.parse(text)


def test_an_unknown_feature_of_a_state_is_named(four):
    with pytest.raises(UlnnError, match="no 'speed', expected one of acc rms"):
        State("speed", 1.0).holds(four.data)
