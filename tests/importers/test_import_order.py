"""Order and topology: known, or assumed with a line, or refused with the option that says it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

from support.originals import Row, arrays, cfc, pairs, seeded
from ulnn_host.base.errors import UlnnError
from ulnn_host.importers import check, checkpoint
from ulnn_host.importers.checkpoint import Loaded
from ulnn_host.network.layers import Dense


def of(model: nn.Module, order: str = "", **hyper: Any) -> Loaded:
    said = {"order": order.split(",")} if order else {}
    plain = {"mode": "default", "activation": "lecun_tanh", "time_scale": 1.0}
    return checkpoint.from_weights(arrays(model.state_dict()), plain | said | hyper)


def refusal(model: nn.Module, order: str = "") -> str:
    with pytest.raises(UlnnError) as caught:
        of(model, order)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def agrees(loaded: Loaded, model: nn.Module) -> None:
    """The import gives what the model gives."""
    made = pairs(model, loaded.network.input_size)
    assert check.check(loaded, made).max_error < 1e-5


@pytest.fixture(autouse=True)
def _seed() -> None:
    seeded()


def test_what_weights_do_not_say_is_assumed_in_a_line() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    loaded = of(model)
    agrees(loaded, model)
    (line,) = loaded.assumed
    assert line.startswith("nothing between rnn and fc, nothing after fc, nothing before rnn (")
    assert line.endswith("prove it with --check, or give it as --order rnn,fc)")
    assert of(model, "rnn,fc").assumed == ()
    alone = of(Row(rnn=cfc(3, 8)))
    assert alone.assumed[0].startswith("nothing after rnn, nothing before rnn (")


def test_names_at_the_top_may_be_of_any_class() -> None:
    model = cfc(3, 8, proj_size=2)
    (line,) = of(model).assumed
    assert line.startswith("nothing between rnn and fc, nothing after fc, nothing before rnn")
    assert of(model, "rnn,fc").assumed == of(model, "rnn").assumed == ()
    assert len(of(model, "rnn,relu,fc").network.layers) == 3


@pytest.mark.parametrize("between", ["relu", "silu", "tanh", "gelu"])
def test_functions_between_are_carried_over(between: str) -> None:
    function = {"relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh, "gelu": nn.GELU}[between]()
    model = Row(rnn=cfc(3, 8), act=function, fc=nn.Linear(8, 2))
    loaded = of(model, f"rnn,{between},fc")
    agrees(loaded, model)
    same = loaded.network.layers[1]
    assert isinstance(same, Dense)
    assert same.activation == between
    assert np.array_equal(same.linear.weight, np.eye(8))


def test_a_function_after_a_dense_layer_is_its_activation() -> None:
    model = Row(rnn=cfc(3, 8), a=nn.Linear(8, 5), act=nn.ReLU(), b=nn.Linear(5, 2))
    assert refusal(model).endswith(
        "weights do not say what is between them: give it as --order rnn,a,relu,b, or identity "
        "for nothing"
    )
    loaded = of(model, "rnn,a,relu,b")
    agrees(loaded, model)
    assert [getattr(layer, "activation", "") for layer in loaded.network.layers[1:]] == [
        "relu",
        "linear",
    ]
    twice = Row(rnn=cfc(3, 8), a=nn.Linear(8, 5), act=nn.ReLU(), again=nn.Tanh())
    agrees(of(twice, "rnn,a,relu,tanh"), twice)


@pytest.mark.parametrize("end", ["sigmoid", "softmax", "log_softmax"])
def test_functions_at_the_end_stay_outside(end: str) -> None:
    function = {
        "sigmoid": nn.Sigmoid(),
        "softmax": nn.Softmax(-1),
        "log_softmax": nn.LogSoftmax(-1),
    }
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2), act=function[end])
    loaded = of(model, f"rnn,fc,{end}")
    agrees(loaded, model)
    assert loaded.end == end
    assert loaded.assumed == (f"without the {end} of the last layer",)
    assert len(loaded.network.layers) == 2


def test_a_square_dense_layer_has_two_places() -> None:
    before = Row(linear=nn.Linear(3, 3), rnn=cfc(3, 3))
    after = Row(rnn=cfc(3, 3), linear=nn.Linear(3, 3))
    for model in (before, after):
        assert (
            "linear may be at several places: give --order rnn,linear or --order linear,rnn"
            in (refusal(model))
        )
    agrees(of(before, "linear,rnn"), before)
    agrees(of(after, "rnn,linear"), after)
    for name in ("fc", "dense", "proj", "layer"):
        assert "may be at several places" in refusal(
            Row(**{name: nn.Linear(3, 3), "rnn": cfc(3, 3)})
        )


@pytest.mark.parametrize(("name", "first"), [("head", False), ("encoder", True)])
def test_a_telling_name_decides_between_two_places(name: str, first: bool) -> None:
    parts = {name: nn.Linear(3, 3), "rnn": cfc(3, 3)}
    model = Row(**parts) if first else Row(**dict(reversed(parts.items())))
    loaded = of(model)
    agrees(loaded, model)
    assert "nothing between" in loaded.assumed[0]


def test_sizes_leave_one_order() -> None:
    model = Row(mix=nn.Linear(5, 3), rnn=cfc(3, 8), last=nn.Linear(8, 2))
    loaded = of(model)
    agrees(loaded, model)
    assert loaded.assumed[0].startswith(
        "nothing between mix and rnn, nothing between rnn and last"
    )


def test_cells_side_by_side_are_not_put_in_a_row() -> None:
    axes = nn.ModuleList([cfc(3, 3) for _ in range(3)])
    text = refusal(Row(axis=axes))
    assert "axis.0 and axis.1 have 3 inputs each: they may be one after the other or side" in text
    assert "give --order axis.0,axis.1,axis.2; side by side they cannot be imported" in text
    assert len(of(Row(axis=axes), "axis.0,axis.1,axis.2").network.layers) == 3
    unnamed = refusal(Row(left=cfc(3, 3), right=cfc(3, 3)))
    assert (
        "cells left and right have no order: give it as --order left,right, or take one" in unnamed
    )


def test_a_stack_that_sizes_leave_no_choice_about_is_read() -> None:
    model = nn.ModuleDict({"layers": nn.ModuleList([cfc(3, 8), cfc(8, 5)]), "fc": nn.Linear(5, 2)})
    assert [type(v).__name__ for v in of(model).network.layers] == ["CfC", "CfC", "Dense"]
    deep = nn.ModuleList([cfc(3, 8), cfc(8, 8), cfc(8, 8)])
    assert "1 and 2 have 8 inputs each" in refusal(deep)
    assert len(of(deep, "0,1,2").network.layers) == 3


def test_our_own_stacks_are_in_a_row() -> None:
    deep = nn.ModuleDict({"layers": nn.ModuleList([cfc(3, 8), cfc(8, 8), cfc(8, 8)])})
    loaded = of(deep, cell="cfc", layers=3, hidden_size=8, output_size=8)
    assert len(loaded.network.layers) == 3
    assert loaded.assumed == ()


def test_a_gap_in_the_numbers_is_something_without_weights() -> None:
    head = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 2))
    model = Row(rnn=cfc(3, 8), head=head)
    assert refusal(model).startswith(
        "state dict: head.1 has no weights, and what it does is not known: give all modules and "
        "functions in their order, such as --order rnn,head.0,relu,head.2 (identity or dropout"
    )
    agrees(of(model, "rnn,head.0,relu,head.2"), model)
    late = Row(rnn=cfc(3, 8), head=nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 2)))
    assert "head.0 has no weights" in refusal(late)
    agrees(of(late, "rnn,dropout,head.1"), late)
    full = Row(rnn=cfc(3, 8), head=nn.Sequential(nn.Linear(8, 2)))
    agrees(of(full), full)


def test_two_heads_do_not_fit() -> None:
    model = Row(rnn=cfc(3, 8), a=nn.Linear(8, 2), b=nn.Linear(8, 4))
    assert "b has 8 inputs, expected 2, the outputs of a; they may be side by side" in refusal(
        model, "rnn,a,b"
    )


def test_an_order_is_checked() -> None:
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    for order, match in (
        ("rnn", "order: fc is missing; expected all of rnn, fc"),
        ("rnn,fc,fc", "order: fc is none of the modules (rnn, fc), or one that is there already"),
        ("rnn,rleu,fc", "order: rleu is none of the modules (rnn, fc)"),
        ("relu,rnn,fc", "order: relu is none of the modules"),
        ("rnn,softmax,fc", "order: softmax is none of the modules"),
        ("rnn,fc,softmax,softmax", "order: softmax after softmax"),
        ("fc,rnn", "rnn has 3 inputs, expected 2, the outputs of fc"),
    ):
        assert match in refusal(model, order)


def test_projections_of_ncps_belong_to_their_cells() -> None:
    model = Row(rnn=cfc(3, 8, proj_size=4), fc=nn.Linear(4, 2))
    assert "dense layers rnn.fc and fc follow each other" in refusal(model)
    agrees(of(model, "rnn,fc"), model)
    then = Row(rnn=cfc(3, 8, proj_size=4), lstm=nn.LSTM(4, 5, batch_first=True))
    loaded = of(then, "rnn,lstm")
    agrees(loaded, then)
    assert len(loaded.network.layers) == 3
    for order in ("rnn,relu,fc", "rnn,rnn.fc,relu,fc"):
        with_relu = Row(
            rnn=model.get_submodule("rnn"), act=nn.ReLU(), fc=model.get_submodule("fc")
        )
        agrees(of(model, order), with_relu)


def test_a_table_of_vectors_is_not_a_dense_layer() -> None:
    assert "embed.weight has no bias and may be an nn.Embedding" in refusal(
        Row(embed=nn.Embedding(3, 3), rnn=cfc(3, 8))
    )


def test_numbers_and_names_of_strangers() -> None:
    weights = arrays(Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2)).state_dict())
    for name, match in (
        ("head.999999999999999999999", "nothing between rnn and head.999999999999999999999"),
        ("head.99999999", "head.0 has no weights"),
        ("head." + "9" * 5000, "nothing between rnn and head.999"),
        ("head.\u00b2", "nothing between rnn and head.\u00b2"),
    ):
        renamed = {key.replace("fc.", f"{name}."): value for key, value in weights.items()}
        try:
            text = str(checkpoint.from_weights(renamed, {}).assumed)
        except UlnnError as error:
            text = str(error)
        assert match in text
    one = {key: value for key, value in weights.items() if not key.startswith("fc.")}
    top = {key.removeprefix("rnn."): value for key, value in one.items()}
    same = top | {"rnn.weight": np.ones((8, 8)), "rnn.bias": np.ones(8)}
    with pytest.raises(UlnnError, match=r"2 modules \(rnn, rnn\), expected at most 16, each"):
        checkpoint.from_weights(same, {})
    many = {f"m{k}.{key}": value for k in range(40) for key, value in top.items()}
    with pytest.raises(UlnnError, match=r"40 modules .*, expected at most 16"):
        checkpoint.from_weights(many, {})
    ours = {"cell": "lstm", "hidden_size": 8, "output_size": 2}
    with pytest.raises(UlnnError, match="fc has 5 inputs, expected 8"):
        checkpoint.from_weights(weights | {"fc.weight": np.ones((2, 5))}, ours)


def test_layers_of_a_cell_are_all_there() -> None:
    model = nn.LSTM(8, 8, 3)
    weights = {k: v for k, v in arrays(model.state_dict()).items() if not k.endswith("l1")}
    with pytest.raises(UlnnError, match="layer 1 is missing; expected all layers of a cell"):
        checkpoint.from_weights(weights, {})
    weights = arrays(nn.LSTM(3, 8, 2).state_dict()) | {"weight_ih_l1": np.ones((32, 5))}
    with pytest.raises(UlnnError, match="rnn has 5 inputs, expected 8, the outputs of rnn"):
        checkpoint.from_weights(weights, {})


def test_many_dense_layers_need_an_order() -> None:
    many = {f"part_{c}": nn.Linear(8, 8) for c in "abcdef"}
    assert "6 dense layers (part_a, part_b, part_c, part_d, ...) have no order" in refusal(
        Row(rnn=cfc(3, 8), **many)
    )
