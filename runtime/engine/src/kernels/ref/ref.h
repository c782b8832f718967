/* ref.h: the scalar twins that have a file of their own. */
#ifndef FG_KERNELS_REF_H
#define FG_KERNELS_REF_H

#include "../kernels.h"

/* x after the steps of finish. */
float fg_finished(const fg_finish *finish, float x);

void fg_gemm_f32_ref(const fg_gemm_f32_args *args);
void fg_depthwise_f32_ref(const fg_depthwise_f32_args *args);

#endif
