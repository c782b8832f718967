/* format.h: the records of a .fgm file as they lie in memory. Mirror of docs/file_format.md, which is normative. */
#ifndef FG_FORMAT_H
#define FG_FORMAT_H

#include <stdint.h>

#define FG_HEADER_BYTES 64
#define FG_SECTION_ALIGN 64
#define FG_PANEL 16 /* output channels per weight panel */

enum { FG_WINOGRAD_TILE = 4, FG_WINOGRAD_PATCH = 6, FG_WINOGRAD_PIXELS = 16, FG_WINOGRAD_POSITIONS = 36 };

enum {
    FG_LIMIT_VALUES = 65536,
    FG_LIMIT_NODES = 65536,
    FG_LIMIT_INDEX = 1048576,
    FG_LIMIT_INPUTS = 16,
    FG_LIMIT_OUTPUTS = 256,
    FG_LIMIT_SECTIONS = 32,
    FG_LIMIT_NODE_INPUTS = 1024,
    FG_LIMIT_SIDE = 65536,
    FG_LIMIT_ELEMENTS = 1 << 28,
    FG_LIMIT_KERNEL = 4096,
    FG_LIMIT_TAPS = 65536,
    FG_LIMIT_PHASES = 64,
    FG_LIMIT_TABLES = 1 << 26 /* entries of all nodes' index tables together: bounds the time of opening */
};

typedef enum fg_section_kind {
    FG_SECTION_STRINGS = 1,
    FG_SECTION_VALUES = 2,
    FG_SECTION_NODES = 3,
    FG_SECTION_INDEX = 4,
    FG_SECTION_INPUTS = 5,
    FG_SECTION_OUTPUTS = 6,
    FG_SECTION_DATA = 7
} fg_section_kind;
#define FG_SECTION_IGNORABLE 0x80000000u

typedef enum fg_value_kind { FG_VALUE_CONSTANT = 0, FG_VALUE_INPUT = 1, FG_VALUE_NODE = 2 } fg_value_kind;

typedef enum fg_op {
    FG_OP_CONV2D = 1,
    FG_OP_CONV_TRANSPOSE2D = 2,
    FG_OP_MATMUL = 3,
    FG_OP_POOL = 4,
    FG_OP_REDUCE_PIXELS = 5,
    FG_OP_REDUCE_CHANNELS = 6,
    FG_OP_SOFTMAX = 7,
    FG_OP_UNARY = 8,
    FG_OP_BINARY = 9,
    FG_OP_WHERE = 10,
    FG_OP_GATHER = 11,
    FG_OP_CONCAT = 12,
    FG_OP_RESIZE = 13,
    FG_OP_VIEW = 14,
    FG_OP_TRANSPOSE = 15,
    FG_OP_COUNT = 16
} fg_op;

typedef enum fg_activation {
    FG_ACT_IDENTITY = 0,
    FG_ACT_RELU,
    FG_ACT_CLIP,
    FG_ACT_LEAKY_RELU,
    FG_ACT_SIGMOID,
    FG_ACT_SILU,
    FG_ACT_HARD_SIGMOID,
    FG_ACT_HARD_SWISH,
    FG_ACT_TANH,
    FG_ACT_GELU,
    FG_ACT_GELU_TANH,
    FG_ACT_ERF,
    FG_ACT_ELU,
    FG_ACT_SELU,
    FG_ACT_MISH,
    FG_ACT_SOFTPLUS,
    FG_ACT_SOFTSIGN,
    FG_ACT_EXP,
    FG_ACT_LOG,
    FG_ACT_SQRT,
    FG_ACT_RECIPROCAL,
    FG_ACT_FLOOR,
    FG_ACT_CEIL,
    FG_ACT_ROUND,
    FG_ACT_ABS,
    FG_ACT_NEG,
    FG_ACT_SIGN,
    FG_ACT_TRUNC,
    FG_ACT_NOT,
    FG_ACT_POW,
    FG_ACT_SQUARE,
    FG_ACT_AFFINE,
    FG_ACT_CELU,
    FG_ACT_THRESHOLD,
    FG_ACT_BOOL,
    FG_ACT_COUNT
} fg_activation;

typedef enum fg_binary {
    FG_BINARY_ADD = 0,
    FG_BINARY_SUB,
    FG_BINARY_MUL,
    FG_BINARY_DIV,
    FG_BINARY_MIN,
    FG_BINARY_MAX,
    FG_BINARY_POW,
    FG_BINARY_EQUAL,
    FG_BINARY_LESS,
    FG_BINARY_LESS_EQUAL,
    FG_BINARY_GREATER,
    FG_BINARY_GREATER_EQUAL,
    FG_BINARY_AND,
    FG_BINARY_OR,
    FG_BINARY_XOR,
    FG_BINARY_PRELU,
    FG_BINARY_MOD,
    FG_BINARY_FMOD,
    FG_BINARY_COUNT
} fg_binary;

typedef enum fg_reduce {
    FG_REDUCE_MEAN = 0,
    FG_REDUCE_SUM,
    FG_REDUCE_MAX,
    FG_REDUCE_MIN,
    FG_REDUCE_PRODUCT,
    FG_REDUCE_ARG_MAX,
    FG_REDUCE_ARG_MIN,
    FG_REDUCE_COUNT
} fg_reduce;

typedef enum fg_node_flag {
    FG_NODE_WINOGRAD = 1, /* conv2d by F(4x4, 3x3): transformed weights */
    FG_NODE_COMPACT = 2,  /* with FG_NODE_WINOGRAD: the kernel's own weights, which the engine transforms */
    FG_NODE_FLAGS = 3
} fg_node_flag;

typedef enum fg_gate {
    FG_GATE_NONE = 0,
    FG_GATE_HOLD = 1,
    FG_GATE_NORM_INPUT = 2, /* this and the following are skip gates */
    FG_GATE_NORM_OUTPUT = 3,
    FG_GATE_GUMBEL = 4,
    FG_GATE_SHARED = 5, /* the gates of another node, gate_leader */
    FG_GATE_COUNT
} fg_gate;
typedef enum fg_gate_flag { /* of skip gates */
                            FG_GATE_RESIDUAL = 1,
                            FG_GATE_FIRED = 2,
                            FG_GATE_FLOOR = 4,
                            FG_GATE_HALF = 8,
                            FG_GATE_FLAGS = 15
} fg_gate_flag;
typedef enum fg_norm { FG_NORM_L1 = 0, FG_NORM_RMS, FG_NORM_MAX, FG_NORM_COUNT } fg_norm;
typedef enum fg_residual { FG_RESIDUAL_NONE = 0, FG_RESIDUAL_BEFORE, FG_RESIDUAL_AFTER, FG_RESIDUAL_COUNT } fg_residual;
typedef enum fg_pool_kind { FG_POOL_MAX = 0, FG_POOL_AVERAGE, FG_POOL_COUNT } fg_pool_kind;
typedef enum fg_resize { FG_RESIZE_NONE = 0, FG_RESIZE_STRETCH, FG_RESIZE_LETTERBOX, FG_RESIZE_COUNT } fg_resize;
typedef enum fg_align { FG_ALIGN_TOP_LEFT = 0, FG_ALIGN_CENTER, FG_ALIGN_COUNT } fg_align;

typedef struct fg_header_record {
    uint8_t magic[8];
    uint16_t version_major, version_minor;
    uint32_t flags;
    uint64_t file_bytes;
    uint64_t checksum;
    uint32_t section_count;
    uint32_t reserved[7];
} fg_header_record;

typedef struct fg_section_record {
    uint32_t kind, record_count;
    uint64_t offset, bytes;
    uint32_t record_bytes, reserved;
} fg_section_record;

typedef struct fg_value_record {
    uint32_t name, kind, dtype;
    uint32_t rows, cols, channels;
    uint32_t producer, reserved0;
    uint64_t data_offset, data_bytes;
    uint32_t reserved[4];
} fg_value_record;

typedef struct fg_conv_attributes { /* conv2d and conv_transpose2d */
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int32_t pad_top, pad_left, pad_bottom, pad_right;
    int32_t groups, residual;
} fg_conv_attributes;

typedef struct fg_pool_attributes {
    int32_t kind;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int32_t pad_top, pad_left, pad_bottom, pad_right;
    int32_t count_include_pad;
} fg_pool_attributes;

typedef struct fg_reduce_pixels_attributes {
    int32_t kind, over_rows, over_cols;
} fg_reduce_pixels_attributes;

typedef struct fg_reduce_channels_attributes {
    int32_t kind, outer, count, inner, select_last;
} fg_reduce_channels_attributes;

typedef struct fg_softmax_attributes {
    int32_t outer, count, inner, log;
} fg_softmax_attributes;

typedef struct fg_binary_attributes {
    int32_t kind;
} fg_binary_attributes;

typedef struct fg_gather_attributes {
    int32_t phase_rows, phase_cols;
    float fill;
} fg_gather_attributes;

typedef struct fg_concat_attributes {
    int32_t axis;
} fg_concat_attributes;

typedef struct fg_resize_attributes {
    int32_t row_taps, col_taps;
    float fill;
} fg_resize_attributes;

typedef struct fg_transpose_attributes {
    int32_t rank, dims[8], perm[8];
} fg_transpose_attributes;

typedef struct fg_node_record {
    uint32_t name, op, op_version, flags;
    uint32_t output, first_input, input_count;
    uint32_t activation;
    float activation_parameters[4];
    uint32_t gate, gate_norm, gate_block;
    float gate_alpha, gate_std;
    uint32_t gate_flags; /* fg_gate_flag */
    float gate_eps, gate_scale, gate_bias;
    uint32_t gate_reset, gate_leader;
    uint32_t reserved[9];
    union {
        int32_t words[32];
        fg_conv_attributes conv;
        fg_pool_attributes pool;
        fg_reduce_pixels_attributes reduce_pixels;
        fg_reduce_channels_attributes reduce_channels;
        fg_softmax_attributes softmax;
        fg_binary_attributes binary;
        fg_gather_attributes gather;
        fg_concat_attributes concat;
        fg_resize_attributes resize;
        fg_transpose_attributes transpose;
    } attributes;
} fg_node_record;

typedef struct fg_input_record {
    uint32_t name, value;
    uint32_t rank, shape[8];
    uint32_t pixel_axes, pixel_axis[2];
    float threshold, grey_level;
    uint32_t prepare, resize, align, fill;
    uint32_t channel_order[4];
    float mean[4], scale[4];
    uint32_t reserved[32];
} fg_input_record;

typedef struct fg_output_record {
    uint32_t name, value, dtype;
    uint32_t rank, shape[8];
    uint32_t pixel_axes, pixel_axis[2];
    uint32_t reserved[17];
} fg_output_record;

_Static_assert(sizeof(fg_header_record) == 64, "header record");
_Static_assert(sizeof(fg_section_record) == 32, "section record");
_Static_assert(sizeof(fg_value_record) == 64, "value record");
_Static_assert(sizeof(fg_node_record) == 256, "node record");
_Static_assert(sizeof(fg_input_record) == 256, "input record");
_Static_assert(sizeof(fg_output_record) == 128, "output record");

#endif
