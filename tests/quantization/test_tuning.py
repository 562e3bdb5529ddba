"""Layers that are faster in float. Which they are depends on the machine: the choice is tested with made times."""

import pytest

import edgekd.quantization.tuning as tuning
from edgekd.quantization.histogram import observe
from edgekd.quantization.layers import Layer, find_layers
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.scales import scales_of
from edgekd.quantization.splitting import split_concatenated
from edgekd.quantization.tuning import TimedGraph, groups_alike, leave_slow_in_float, time_ratio


@pytest.fixture(scope="module")
def parts(float_graph, frames):
    """A function that quantizes some layers of a graph, and its layers."""
    split = split_concatenated(float_graph)
    layers = find_layers(split)
    tensors = [layer.activation for layer in layers.quantizable] + list(layers.attended.values())
    scheme = Scheme(scales_of(observe(split, tensors, frames), "min-max"), layers.attended)
    return (lambda chosen: quantize(split, scheme, chosen)), layers.quantizable


def times(monkeypatch, seconds_of):
    """Lets a graph of some layers in INT8 take the seconds that a function of their names gives."""
    monkeypatch.setattr(tuning, "TimedGraph", lambda names, threads: seconds_of(names))
    monkeypatch.setattr(tuning, "time_ratio", lambda graph, other: graph / other)
    return lambda layers: {layer.name for layer in layers}


def test_what_makes_the_graph_slower_in_int8_stays_in_float_and_nothing_else(parts, monkeypatch):
    groups = groups_alike(parts[1])
    slow = {layer.name for layer in groups[1] + groups[-1]}
    build = times(monkeypatch, lambda names: 10 - 0.5 * len(names - slow) + 0.3 * len(names & slow))
    steps = []
    tuned = leave_slow_in_float(build, parts[1], 1, lambda *step: steps.append(step))
    assert set(tuned.in_float) == slow
    assert [layer for layer in parts[1] if layer.name not in slow] == tuned.kept
    fast = len(parts[1]) - len(slow)
    assert tuned.time_ratio == pytest.approx((10 - 0.5 * fast) / (10 - 0.5 * fast + 0.3 * len(slow)))
    assert steps == [(done, len(groups)) for done in range(len(groups) + 1)]


def test_layers_that_do_as_much_with_each_number_are_tried_together():
    layers = [
        Layer(name, name, "", "", macs, outputs)
        for name, macs, outputs in [("a", 90, 10), ("b", 4000, 10), ("c", 180, 20), ("d", 500, 20), ("e", 600, 24)]
    ]
    groups = [[layer.name for layer in group] for group in groups_alike(layers)]
    assert groups == [["a", "c"], ["d", "e"]]
    assert groups_alike(layers[:1]) == []


def test_many_small_layers_count_together_though_each_alone_is_less_than_chance(monkeypatch):
    layers = [Layer(f"depthwise {index}", str(index), "", "", 90, 10) for index in range(10)]
    layers.append(Layer("wide", "wide", "", "", 90000, 10))
    build = times(monkeypatch, lambda names: 1 + 0.005 * len(names))
    assert leave_slow_in_float(build, layers, 1).kept == layers[-1:]


def test_a_gain_as_small_as_chance_counts_as_none(parts, monkeypatch):
    build = times(monkeypatch, lambda names: 10 + 0.01 * len(names))
    assert leave_slow_in_float(build, parts[1], 1) == (list(parts[1]), [], 1.0)


def test_the_layer_with_the_most_work_stays_in_int8(parts, monkeypatch):
    build = times(monkeypatch, lambda names: 1 + len(names))
    (kept,) = leave_slow_in_float(build, parts[1], 1).kept
    assert kept.macs == max(layer.macs for layer in parts[1])


def test_real_graphs_are_timed_and_every_layer_is_on_one_side(parts):
    build, layers = parts
    tuned = leave_slow_in_float(build, layers, 1)
    assert sorted([layer.name for layer in tuned.kept] + tuned.in_float) == sorted(layer.name for layer in layers)
    graph = TimedGraph(build(layers), 1)
    assert graph.seconds() > 0
    assert time_ratio(graph, graph) > 0
