/* prepare.h: a camera's uint8 frame becomes a network input: resize, gate per pixel, channel order, mean and scale. */
#ifndef FG_PREPARE_H
#define FG_PREPARE_H

#include "../include/framegate.h"
#include "format.h"
#include "kernels/kernels.h"

/* Per input, inside the state memory: tables for the camera's current size and the held image in the network's size.
 * The bytes it takes do not depend on the camera's size. */
typedef struct fg_prepare fg_prepare;

/* Bytes of memory for one input with prepare = 1; a multiple of FG_MEMORY_ALIGN. */
size_t fg_prepare_bytes(const fg_input_record *input, const fg_value_record *value);

/* prepare points to fg_prepare_bytes bytes, aligned to FG_MEMORY_ALIGN. Also how a stream forgets what it has seen. */
void fg_prepare_init(fg_prepare *prepare, const fg_input_record *input, const fg_value_record *value);

/* FG_ERR_ARGUMENT where frame is not a uint8 image this input can take. Touches no state. */
fg_status fg_prepare_check(const fg_input_record *input, const fg_value_record *value, const fg_frame *frame,
                           fg_error *error);

/* One frame that fg_prepare_check has passed, and where it goes. A pixel changes where a channel differs from the held
 * image by more than threshold grey levels; with first, every pixel does. Changed pixels are copied to the held image
 * and converted into out (rows x cols x channels numbers); the others keep what out holds. mask has (cols + 63) / 64
 * words per row, unused bits 0. */
typedef struct fg_prepare_args {
    fg_prepare *prepare;
    const fg_input_record *input;
    const fg_value_record *value;
    const fg_kernels *kernels;
    const fg_frame *frame;
    uint32_t threshold;
    int first;
    float *out;
    uint64_t *mask;
} fg_prepare_args;

/* Before the frame's rows: tables for its size. */
void fg_prepare_begin(const fg_prepare_args *args);

/* Takes rows begin .. end - 1 of the network's image; several threads may, each others. row: room for one. Whether a
 * pixel changed. */
int fg_prepare_rows(const fg_prepare_args *args, uint32_t begin, uint32_t end, uint8_t *row);

#endif
