#pragma once
// The vector kernels of one set: included by isa/<set>.cpp with that set's float traits.
#include "backends/cpu/kernels/vector_attention.h"
#include "backends/cpu/kernels/vector_rows.h"

namespace megalith::cpu {

template <class S>
inline constexpr VectorKernels kVectorKernels = {
    .rms_norm = rms_norm_rows<S>,
    .add = add_rows<S>,
    .silu_gated = silu_gated_rows<S>,
    .gelu_tanh_gated = gelu_tanh_gated_rows<S>,
    .rotate_halves = rotate_halves_rows<S>,
    .rotate_interleaved = rotate_interleaved_rows<S>,
    .to_half = to_half_rows<S>,
    .all_finite = all_finite_rows<S>,
    .attend = attend_block<S>,
    .merge_partials = merge_partials<S>,
};

}  // namespace megalith::cpu
