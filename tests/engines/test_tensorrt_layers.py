from edgekd.engines.tensorrt.layers import Layer, bytes_moved, layers_listed

TENSOR = "{{ Name: {name}, Dimensions: [{sides}], Strides: [1], Datatype: {kind}, Format: (Linear) }}"


def line(name, inputs, outputs, kind="kgen"):
    """A line of the list that the builder of TensorRT for RTX logs; weights stand under Constants."""
    groups = {
        key: ", ".join(TENSOR.format(name=f"{key}{index}", sides=sides, kind=type_) for index, (sides, type_) in pairs)
        for key, pairs in (("in", enumerate(inputs)), ("out", enumerate(outputs)))
    }
    weights = TENSOR.format(name="w", sides="64,64,3,3", kind="Int8")
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: [ {groups['in']}], Constants: [ {weights}], "
        f"Outputs: [ {groups['out']}], TacticName: t, StreamId: 0, Metadata: [ONNX Layer: conv]"
    )


def test_what_a_layer_moves_is_its_inputs_and_outputs_without_weights():
    (layer,) = layers_listed(
        [line("conv_1", [("1,64,8,8", "Int8"), ("1,64,8,8", "Half")], [("1,32,8,8", "Float")], "correlation")]
    )
    assert layer.bytes_moved == {"Int8": 4096, "Half": 8192, "Float": 8192}
    assert bytes_moved([layer, layer, Layer("wait", "wait", None, [])]) == {"Half": 16384, "Float": 16384, "Int8": 8192}


def test_a_layer_that_only_moves_or_casts_is_a_reformat():
    def is_reformat(name, kind="kgen"):
        return Layer(name, kind, "Half", []).is_reformat

    assert is_reformat("__myl_MoveConc_myl0_3")
    assert is_reformat("__myl_CastTran_myl0_0")
    assert is_reformat("Reformatting CopyNode for frames", "Reformat")
    assert not is_reformat("__myl_CastMulResi_myl0_3")
    assert not is_reformat("node_conv_myl0_3", "correlation")
