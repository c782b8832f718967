"""Damaged headers, sections, values, inputs and outputs: name -> damage, status, message."""

from __future__ import annotations

import re

from runtime.reference import format as fgm
from runtime.reference.format import DATA, INDEX, INPUTS, NODES, OUTPUTS, STRINGS, VALUES

from .damage import (
    CONSTANT_GAP,
    DATA_BYTES,
    FILE,
    GAP,
    INF,
    NAN,
    NET,
    SIZE,
    Damage,
    F,
    U,
    V,
    both,
    extended,
    header,
    poke,
    put,
    rebuilt,
    section,
    short_table,
    unsealed,
    value,
    with_content,
    without,
)

CASES: dict[str, Damage] = {
    # the file and its header
    "empty": Damage(lambda _: b"", F, "file is empty"),
    "one_byte": Damage(
        lambda f: bytes(f.data[:1]), F, "file is truncated: a header has 64 bytes, got 1; copy it again"
    ),
    "half_a_header": Damage(
        lambda f: bytes(f.data[:63]), F, "file is truncated: a header has 64 bytes, got 63; copy it again"
    ),
    "header_only": Damage(
        lambda f: bytes(f.data[:64]), F, f"file is truncated: header says {SIZE} bytes, got 64; copy it again"
    ),
    "one_byte_short": Damage(
        lambda f: bytes(f.data[:-1]), F, f"file is truncated: header says {SIZE} bytes, got {SIZE - 1}; copy it again"
    ),
    "bytes_after_the_end": Damage(
        lambda f: bytes(f.data) + b"\0" * 64,
        F,
        f"file has bytes after its end: header says {SIZE} bytes, got {SIZE + 64}",
    ),
    "another_kind_of_file": Damage(
        lambda _: b"PK\3\4" + b"\0" * 60, F, "magic does not match: this is not a .fgm file"
    ),
    "all_zeros": Damage(lambda _: b"\0" * 4096, F, "magic does not match: this is not a .fgm file"),
    "text_mode_transfer": Damage(
        lambda f: bytes(f.data).replace(b"\r\n", b"\n"),
        F,
        "magic is damaged as by a text-mode transfer; copy the file again in binary mode",
    ),
    "version_0": Damage(
        header("version_major", 0),
        "VERSION",
        "file has format version 0, this library reads version 1; convert the network again",
    ),
    "version_2": Damage(
        header("version_major", 2),
        "VERSION",
        "file has format version 2, this library reads version 1; convert the network again",
    ),
    "header_flags": Damage(header("flags", 8), U, "header has flags 8, this library knows none; use a newer one"),
    "file_bytes_huge": Damage(
        header("file_bytes", 2**64 - 1),
        F,
        f"file is truncated: header says {2**64 - 1} bytes, got {SIZE}; copy it again",
    ),
    "checksum": Damage(
        unsealed(header("checksum", 7)),
        F,
        re.compile(r"checksum is 7, of these bytes it is \d+: the file is damaged, copy it again"),
    ),
    "weight_bit_flipped": Damage(
        unsealed(poke(SIZE - 1)),
        F,
        re.compile(r"checksum is \d+, of these bytes it is \d+: the file is damaged, copy it again"),
    ),
    "section_count_6": Damage(header("section_count", 6), F, "section_count is 6, must be 7 to 32"),
    "section_count_33": Damage(header("section_count", 33), F, "section_count is 33, must be 7 to 32"),
    "header_reserved": Damage(header("reserved", 256), F, "reserved words of the header must be zero, a byte is 1"),
    # sections
    "table_past_the_end": Damage(
        short_table,
        F,
        "section table of 32 records does not fit into a file of 320 bytes",
    ),
    "section_kind_unknown": Damage(
        section(DATA, "kind", 99), U, "section 6: kind 99 is not known to this library; use a newer one"
    ),
    "section_kind_zero": Damage(
        section(STRINGS, "kind", 0), U, "section 0: kind 0 is not known to this library; use a newer one"
    ),
    "section_twice": Damage(section(VALUES, "kind", STRINGS), F, "section 1: kind is 1 after 1, must ascend"),
    "sections_out_of_order": Damage(
        rebuilt(lambda _, sections: [*sections, (0x80000002, 0, b""), (fgm.METADATA, 0, b"{}")]),
        F,
        f"section 8: kind is {fgm.METADATA} after {0x80000002}, must ascend",
    ),
    "section_missing": Damage(without(OUTPUTS), F, "section OUTPUTS is missing"),
    "data_missing": Damage(without(DATA), F, "section DATA is missing"),
    "section_misaligned": Damage(
        section(VALUES, "offset", FILE.offsets[VALUES] + 4),
        F,
        f"section 1: offset is {FILE.offsets[VALUES] + 4}, must be {FILE.offsets[VALUES]}",
    ),
    "sections_overlap": Damage(
        section(VALUES, "offset", FILE.offsets[STRINGS]),
        F,
        f"section 1: offset is {FILE.offsets[STRINGS]}, must be {FILE.offsets[VALUES]}",
    ),
    "section_offset_wraps": Damage(
        section(NODES, "offset", 2**64 - 64),
        F,
        f"section 2: offset is {2**64 - 64}, must be {FILE.offsets[NODES]}",
    ),
    "section_past_the_end": Damage(
        section(DATA, "bytes", DATA_BYTES + 1),
        F,
        f"section 6: bytes is {DATA_BYTES + 1}, but only {DATA_BYTES} are left in the file",
    ),
    "section_bytes_wrap": Damage(
        section(DATA, "bytes", 2**64 - 1),
        F,
        f"section 6: bytes is {2**64 - 1}, but only {DATA_BYTES} are left in the file",
    ),
    "file_longer_than_sections": Damage(
        section(DATA, "bytes", DATA_BYTES - 4), F, "file has 4 bytes after its last section"
    ),
    "gap_not_zero": Damage(poke(GAP), F, "section 1: the gap before it must be zero, a byte is 1"),
    "record_bytes": Damage(section(NODES, "record_bytes", 255), F, "section 2: record_bytes is 255, must be 256"),
    "record_bytes_of_data": Damage(section(DATA, "record_bytes", 4), F, "section 6: record_bytes is 4, must be 0"),
    "record_count_too_large": Damage(
        section(VALUES, "record_count", 65537), F, "section 1: record_count is 65537, must be 1 to 65536"
    ),
    "record_count_and_bytes": Damage(
        section(NODES, "record_count", len(NET.nodes) + 1),
        F,
        f"section 2: bytes is {256 * len(NET.nodes)}, must be {256 * (len(NET.nodes) + 1)}",
    ),
    "no_inputs": Damage(section(INPUTS, "record_count", 0), F, "section 4: record_count is 0, must be 1 to 16"),
    "outputs_too_many": Damage(
        section(OUTPUTS, "record_count", 257), F, "section 5: record_count is 257, must be 1 to 256"
    ),
    "section_reserved": Damage(section(INDEX, "reserved", 1), F, "section 3: reserved is 1, must be 0"),
    "ignorable_section_bytes": Damage(
        rebuilt(lambda _, sections: [*sections, (0x80000002, 3, b"")]), F, "section 7: record_count is 3, must be 0"
    ),
    # strings
    "strings_empty": Damage(with_content(STRINGS, b""), F, "STRINGS is empty, must hold the empty name"),
    "strings_not_terminated": Damage(
        with_content(STRINGS, bytes(NET.strings) + b"x"), F, "last byte of STRINGS must be zero, a byte is 120"
    ),
    "strings_without_empty_name": Damage(
        with_content(STRINGS, b"x" + bytes(NET.strings[1:])), F, "first byte of STRINGS must be zero, a byte is 120"
    ),
    "name_past_the_end": Damage(
        value("conv", "name", len(NET.strings)),
        F,
        f"value {V['conv']}: name starts at byte {len(NET.strings)} of STRINGS, which has {len(NET.strings)} bytes",
    ),
    # values
    "value_kind": Damage(value("conv", "kind", 3), F, f"value {V['conv']}: kind is 3, must be 0 to 2"),
    "value_dtype_unknown": Damage(
        value("conv", "dtype", 2), U, f"value {V['conv']}: dtype 2 is not supported for values"
    ),
    "value_dtype_i32": Damage(value("conv", "dtype", 3), F, f"value {V['conv']}: dtype is i32, only constants may be"),
    "rows_0": Damage(value("pool", "rows", 0), F, f"value {V['pool']}: rows is 0, must be 1 to 65536"),
    "cols_65537": Damage(value("pool", "cols", 65537), F, f"value {V['pool']}: cols is 65537, must be 1 to 65536"),
    "channels_huge": Damage(
        value("pool", "channels", 2**32 - 1), F, f"value {V['pool']}: channels is {2**32 - 1}, must be 1 to {2**28}"
    ),
    "elements_too_many": Damage(
        value("pool", "channels", 2**28), F, f"value {V['pool']}: extents 4 x 4 x {2**28} are too large"
    ),
    "value_reserved": Damage(
        value("pool", "reserved", 256, 3), F, f"value {V['pool']}: reserved words must be zero, a byte is 1"
    ),
    "value_reserved0": Damage(value("pool", "reserved0", 5), F, f"value {V['pool']}: reserved is 5, must be 0"),
    "constant_with_producer": Damage(
        value("conv.bias", "producer", 0), F, f"value {V['conv.bias']}: producer is 0, must be {fgm.NONE}"
    ),
    "constant_bytes": Damage(
        value("conv.bias", "data_bytes", 68), F, f"value {V['conv.bias']}: data_bytes is 68, must be 64"
    ),
    "constant_extents": Damage(
        value("conv.bias", "channels", 32), F, f"value {V['conv.bias']}: data_bytes is 64, must be 128"
    ),
    "constants_overlap": Damage(
        value("conv.bias", "data_offset", 0), F, f"value {V['conv.bias']}: data_offset is 0, must be 1728"
    ),
    "constant_misaligned": Damage(
        value("conv.bias", "data_offset", 1732), F, f"value {V['conv.bias']}: data_offset is 1732, must be 1728"
    ),
    "constant_hole": Damage(
        value("conv.bias", "data_offset", 1792), F, f"value {V['conv.bias']}: data_offset is 1792, must be 1728"
    ),
    "constant_offset_wraps": Damage(
        value("conv.bias", "data_offset", 2**64 - 64),
        F,
        f"value {V['conv.bias']}: data_offset is {2**64 - 64}, must be 1728",
    ),
    "constant_past_the_end": Damage(
        with_content(DATA, NET.data[:-4]),
        F,
        f"value {V['winograd.weights']}: data_bytes is 36864, but only 36860 are left in DATA",
    ),
    "constant_gap_not_zero": Damage(
        lambda f: f.data.__setitem__(CONSTANT_GAP, 9),
        F,
        f"value {V['shuffle.map']}: the gap before its data must be zero, a byte is 9",
    ),
    "data_after_the_last_constant": Damage(extended, F, f"bytes of DATA is {DATA_BYTES + 4}, must be {DATA_BYTES}"),
    "running_value_with_data": Damage(
        value("conv", "data_bytes", 64), F, f"value {V['conv']}: data_bytes is 64, must be 0"
    ),
    "producer_not_a_node": Damage(
        value("conv", "producer", 99), F, f"value {V['conv']}: producer is node 99, the file has {len(NET.nodes)}"
    ),
    "producer_another_node": Damage(
        value("conv", "producer", 1), F, f"value {V['conv']}: producer is node 1, which gives value {V['depthwise']}"
    ),
    "producer_not_an_input": Damage(value("image", "producer", 2), F, "value 0: producer is input 2, the file has 2"),
    "producer_another_input": Damage(
        value("image", "producer", 1), F, "value 0: producer is input 1, which gives value 1"
    ),
    # inputs
    "input_value_past_the_end": Damage(
        put(INPUTS, 1, "value", 99), F, "value 1: producer is input 1, which gives value 99"
    ),
    "input_rank": Damage(put(INPUTS, 0, "rank", 9), F, "input 0 'input0': rank is 9, must be 0 to 8"),
    "input_shape": Damage(
        put(INPUTS, 0, "shape", 4, 1), F, "input 0 'input0': shape has 256 elements, the value has 192"
    ),
    "input_shape_zero": Damage(
        put(INPUTS, 0, "shape", 0, 0), F, "input 0 'input0': shape has 0 elements, the value has 192"
    ),
    "input_shape_beyond_rank": Damage(
        put(INPUTS, 0, "shape", 1, 4), F, "input 0 'input0': shape beyond the rank must be zero, a byte is 1"
    ),
    "input_shape_overflows": Damage(
        both(*(put(INPUTS, 0, "shape", 2**32 - 1, i) for i in range(4))),
        F,
        "input 0 'input0': shape has too many elements",
    ),
    "pixel_axes_3": Damage(put(INPUTS, 0, "pixel_axes", 3), F, "input 0 'input0': pixel_axes is 3, must be 0 to 2"),
    "pixel_axes_0": Damage(
        both(put(INPUTS, 0, "pixel_axes", 0), *(put(INPUTS, 0, "pixel_axis", 0, i) for i in (0, 1))),
        F,
        "input 0 'input0': pixel_axes is 0, but the value has 8 rows and 8 cols",
    ),
    "pixel_axis_past_rank": Damage(
        put(INPUTS, 0, "pixel_axis", 4, 1), F, "input 0 'input0': pixel_axis is 4, must be another axis of the 4"
    ),
    "pixel_axis_twice": Damage(
        put(INPUTS, 0, "pixel_axis", 2, 1), F, "input 0 'input0': pixel_axis is 2, must be another axis of the 4"
    ),
    "pixel_axis_extent": Damage(
        put(INPUTS, 0, "pixel_axis", 1, 0), F, "input 0 'input0': shape[1] is 3, but the value has 8 pixels there"
    ),
    "pixel_axis_unused": Damage(
        put(INPUTS, 1, "pixel_axis", 1, 0), F, "input 1 'input1': unused pixel_axis must be zero, a byte is 1"
    ),
    "threshold_nan": Damage(put(INPUTS, 0, "threshold", NAN), F, "input 0 'input0': threshold is not finite"),
    "threshold_negative": Damage(put(INPUTS, 0, "threshold", -1.0), F, "input 0 'input0': threshold is negative"),
    "grey_level_infinite": Damage(put(INPUTS, 0, "grey_level", INF), F, "input 0 'input0': grey_level is not finite"),
    "prepare_2": Damage(put(INPUTS, 0, "prepare", 2), F, "input 0 'input0': prepare is 2, must be 0 to 1"),
    "unprepared_with_fill": Damage(
        put(INPUTS, 1, "fill", 1), F, "input 1 'input1': preparation of an unprepared input must be zero, a byte is 1"
    ),
    "prepared_channels": Damage(
        put(INPUTS, 1, "prepare", 1), F, "input 1 'input1': channels of a prepared input is 8, must be 1 to 4"
    ),
    "resize_mode": Damage(put(INPUTS, 0, "resize", 3), F, "input 0 'input0': resize is 3, must be 0 to 2"),
    "align_mode": Damage(put(INPUTS, 0, "align", 2), F, "input 0 'input0': align is 2, must be 0 to 1"),
    "fill_256": Damage(put(INPUTS, 0, "fill", 256), F, "input 0 'input0': fill is 256, must be 0 to 255"),
    "channel_order_range": Damage(
        put(INPUTS, 0, "channel_order", 3),
        F,
        "input 0 'input0': channel_order[0] is 3, must be a permutation of 3 channels",
    ),
    "channel_order_twice": Damage(
        put(INPUTS, 0, "channel_order", 2, 1),
        F,
        "input 0 'input0': channel_order[1] is 2, must be a permutation of 3 channels",
    ),
    "channel_order_unused": Damage(
        put(INPUTS, 0, "channel_order", 3, 3), F, "input 0 'input0': unused channel_order must be zero, a byte is 3"
    ),
    "mean_nan": Damage(put(INPUTS, 0, "mean", NAN, 1), F, "input 0 'input0': mean is not finite"),
    "scale_infinite": Damage(put(INPUTS, 0, "scale", -INF, 2), F, "input 0 'input0': scale is not finite"),
    "input_reserved": Damage(
        put(INPUTS, 0, "reserved", 1, 31), F, "input 0 'input0': reserved words must be zero, a byte is 1"
    ),
    # outputs
    "output_value": Damage(
        put(OUTPUTS, 0, "value", 99), F, f"output 0 'output0': value is 99, must be 0 to {len(V) - 1}"
    ),
    "output_is_a_table": Damage(
        put(OUTPUTS, 0, "value", V["shuffle.map"]),
        F,
        f"output 0 'output0': value is {V['shuffle.map']}, which is an index table",
    ),
    "output_dtype": Damage(put(OUTPUTS, 0, "dtype", 1), U, "output 0 'output0': dtype 1 is not supported for outputs"),
    "output_shape": Damage(
        put(OUTPUTS, 2, "shape", 15, 0), F, "output 2 'output2': shape has 240 elements, the value has 256"
    ),
    "output_rank": Damage(
        put(OUTPUTS, 3, "rank", 2**32 - 1), F, f"output 3 'output3': rank is {2**32 - 1}, must be 0 to 8"
    ),
    "output_reserved": Damage(
        put(OUTPUTS, 0, "reserved", 1), F, "output 0 'output0': reserved words must be zero, a byte is 1"
    ),
}
