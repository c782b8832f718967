/* framegate.h: run a converted CNN over a stream of frames, recomputing only what changed.
 *
 * C11, no heap, no globals, no stdio. A model is read-only and may be shared by threads and streams; a stream belongs
 * to one thread at a time. You own all memory; there is nothing to free.
 *
 *     fg_model model; fg_error error; fg_config config; fg_plan plan; fg_stream *stream;
 *     if (fg_model_open(&model, file, file_bytes, &error) != FG_OK) { puts(error.message); return 1; }
 *     fg_config_init(&config);
 *     fg_plan_memory(&model, &config, &plan, &error);
 *     fg_memory memory = {aligned_alloc(64, plan.state_bytes), plan.state_bytes,
 *                         aligned_alloc(64, plan.scratch_bytes), plan.scratch_bytes};
 *     if (fg_stream_init(&stream, &model, &config, &memory, &error) != FG_OK) { puts(error.message); return 1; }
 *     for (;;) {
 *         fg_frame frame = {camera_pixels, 640 * 3, 480, 640, 3, FG_DTYPE_U8};
 *         if (fg_stream_push(stream, &frame, 1, &error) != FG_OK) { puts(error.message); continue; }
 *         fg_tensor scores; fg_stream_output(stream, 0, &scores);
 *     }
 */
#ifndef FRAMEGATE_H
#define FRAMEGATE_H

#include <stddef.h>
#include <stdint.h>

#define FG_VERSION_STRING "0.1.0" /* the only place the version is written */

#ifdef __cplusplus
extern "C" {
#endif

#if defined(FG_EXPORT_API) && defined(__GNUC__) /* while the shared library is built, with all else hidden */
#pragma GCC visibility push(default)
#endif

/* cdef: begin */
#define FG_MEMORY_ALIGN 64
#define FG_NONE 0xFFFFFFFF
#define FG_MAX_RANK 8

typedef enum fg_status {
    FG_OK = 0,
    FG_ERR_ARGUMENT = 1,    /* a pointer, size, frame or index from the caller is wrong */
    FG_ERR_FORMAT = 2,      /* the file breaks docs/file_format.md */
    FG_ERR_VERSION = 3,     /* a major version this library does not read */
    FG_ERR_UNSUPPORTED = 4, /* valid, but this build lacks the op, dtype, gate or flag */
    FG_ERR_MEMORY = 5,      /* memory passed in is too small or misaligned */
    FG_ERR_STATE = 6        /* call not allowed now */
} fg_status;                /* values never change meaning */

typedef struct fg_error {
    fg_status status;
    uint32_t node;   /* node the message is about, or FG_NONE */
    uint64_t offset; /* byte of the file the message is about, or 0 */
    char message[160];
} fg_error;

typedef enum fg_dtype {
    FG_DTYPE_U8 = 1,
    FG_DTYPE_S8 = 2,
    FG_DTYPE_S32 = 3,
    FG_DTYPE_F32 = 4,
    FG_DTYPE_S64 = 5,
    FG_DTYPE_BOOL = 6
} fg_dtype;

typedef struct fg_model {
    uint64_t opaque[16]; /* declare it anywhere; holds pointers into the file */
} fg_model;

typedef struct fg_stream fg_stream; /* lives inside your state memory */

typedef struct fg_input_info {
    const char *name;
    uint32_t height, width, channels; /* of the network's input; a frame may differ where it is resized */
    uint32_t prepared;                /* 1: uint8 frames are resized and normalised; 0: the frame is the input itself */
    uint32_t resized;                 /* 1: any frame height and width will do */
} fg_input_info;

typedef struct fg_output_info {
    const char *name;
    fg_dtype dtype;
    uint32_t rank;
    uint32_t shape[8];        /* the source model's own */
    uint64_t stride_bytes[8]; /* of the tensor fg_stream_output returns */
    uint32_t rows, cols;      /* extents of its changed mask */
} fg_output_info;

typedef struct fg_node_info {
    const char *name;
    const char *op;
    uint32_t rows, cols, channels; /* of the output */
    uint32_t gated;                /* 1: a gate of any kind */
    uint64_t macs;                 /* multiply-accumulates of a dense frame */
} fg_node_info;

/* Runs function(context, item, thread) for item = 0 .. count - 1, in any order, and returns when all are done. thread
 * is below fg_config.threads and no two items running at once share it. */
typedef void (*fg_task)(void *context, uint32_t item, uint32_t thread);
typedef void (*fg_parallel_for)(void *pool, fg_task function, void *context, uint32_t count);
typedef uint64_t (*fg_clock)(void); /* nanoseconds from any start */

typedef struct fg_config {
    uint32_t struct_bytes;        /* set by fg_config_init: lets the struct grow */
    uint32_t isa_mask;            /* all ones: best available; 0: scalar twins */
    uint32_t gating;              /* 0: every frame dense */
    uint32_t refresh_interval;    /* undo what gates held back every N pushes; 0: never */
    float threshold_scale;        /* multiplies all thresholds, the inputs' too; 0: exact */
    uint32_t threads;             /* scratch memory for this many */
    fg_parallel_for parallel_for; /* NULL: a plain loop */
    void *pool;                   /* handed to parallel_for */
    fg_clock clock;               /* times every node for fg_stats; NULL: none does. No result depends on it */
} fg_config;

typedef struct fg_plan {
    size_t state_bytes;   /* per stream, must persist */
    size_t scratch_bytes; /* dead between pushes: streams pushed in turn may share it */
    size_t weight_bytes;  /* constants in the file, shared by all streams */
} fg_plan;

typedef struct fg_memory {
    void *state;
    size_t state_bytes;
    void *scratch;
    size_t scratch_bytes;
} fg_memory;

typedef struct fg_frame {
    const void *data; /* height rows of width pixels, channels innermost */
    size_t row_stride_bytes;
    uint32_t height, width, channels;
    fg_dtype dtype; /* FG_DTYPE_U8 or FG_DTYPE_F32 */
} fg_frame;

typedef struct fg_tensor {
    fg_output_info info;
    const void *data;
    uint32_t changed; /* 0: no pixel of it changed in the last push */
} fg_tensor;

typedef struct fg_stats {
    uint64_t frames;     /* pushes since init or reset */
    uint64_t macs_dense; /* of one dense frame */
    uint64_t macs;       /* executed by the last push */
    uint64_t macs_total; /* executed by all pushes */
    uint64_t pixels;     /* output pixels of one dense frame */
    uint64_t computed;   /* output pixels computed by the last push */
    uint64_t changed;    /* of them written, because their gate fired or a bit differed */
    uint64_t refreshes;  /* pushes that undid what gates had held back */
    /* of nodes with a skip gate, for the last push: executed by the gates themselves, not part of macs; and what the
     * official Skip-Conv module counts: half gates half, and its gates' convolutions at every output */
    uint64_t macs_gate, macs_official;
    /* multiply-accumulates the kernels executed in the last push, and of a dense frame: macs, but a Winograd node's are
     * the products of its tiles */
    uint64_t work, work_dense;
    uint64_t nanoseconds; /* of the last push, where the stream has a clock; a node's, or all nodes' and inputs' */
} fg_stats;

/* library */
uint32_t fg_version(void); /* major << 16 | minor << 8 | patch */
const char *fg_status_name(fg_status status);
const char *fg_status_message(fg_status status);
uint32_t fg_isa_detect(void);
const char *fg_isa_name(uint32_t isa_mask); /* the best instruction set of the mask that this build and machine have */

/* model: the file's bytes must outlive it, be aligned to 8 and not change */
fg_status fg_model_open(fg_model *model, const void *file, size_t file_bytes, fg_error *error);
uint32_t fg_model_input_count(const fg_model *model);
uint32_t fg_model_output_count(const fg_model *model);
uint32_t fg_model_node_count(const fg_model *model);
fg_status fg_model_input_info(const fg_model *model, uint32_t index, fg_input_info *info);
fg_status fg_model_output_info(const fg_model *model, uint32_t index, fg_output_info *info);
fg_status fg_model_node_info(const fg_model *model, uint32_t index, fg_node_info *info);

/* memory plan and stream creation; memory aligned to FG_MEMORY_ALIGN */
void fg_config_init(fg_config *config);
fg_status fg_plan_memory(const fg_model *model, const fg_config *config, fg_plan *plan, fg_error *error);
fg_status fg_stream_init(fg_stream **stream, const fg_model *model, const fg_config *config, const fg_memory *memory,
                         fg_error *error);

/* streaming: one frame per network input, in the file's order; on an error the stream is as before the call */
fg_status fg_stream_push(fg_stream *stream, const fg_frame *frames, uint32_t count, fg_error *error);
fg_status fg_stream_output(const fg_stream *stream, uint32_t index, fg_tensor *tensor); /* valid until the next call */
fg_status fg_stream_reset(fg_stream *stream); /* the next push recomputes everything */

/* inspection; node = FG_NONE for the whole network. Masks: one byte per pixel, 1 where it changed in the last push */
fg_status fg_stream_stats(const fg_stream *stream, uint32_t node, fg_stats *stats);
fg_status fg_stream_input_mask(const fg_stream *stream, uint32_t input, uint8_t *mask, size_t mask_bytes);
fg_status fg_stream_node_mask(const fg_stream *stream, uint32_t node, uint8_t *mask, size_t mask_bytes);
fg_status fg_stream_output_mask(const fg_stream *stream, uint32_t output, uint8_t *mask, size_t mask_bytes);

/* Gates of a node with a skip gate in the last push, one byte per pixel: 2 open, 1 half open, 0 closed. */
fg_status fg_stream_gate_map(const fg_stream *stream, uint32_t node, uint8_t *gates, size_t gate_bytes);

/* for hosted systems (src/threads/, not part of the heap-free core): a clock and a small thread pool */
uint64_t fg_clock_monotonic(void); /* an fg_clock */
typedef struct fg_pool fg_pool;
fg_pool *fg_pool_create(uint32_t threads);                                     /* NULL where threads cannot be had */
void fg_pool_run(void *pool, fg_task function, void *context, uint32_t count); /* an fg_parallel_for */
void fg_pool_destroy(fg_pool *pool);
/* cdef: end */

#if defined(FG_EXPORT_API) && defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
