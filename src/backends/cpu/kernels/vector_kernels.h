#pragma once
// Attention, norms and activations of one instruction set.

namespace megalith::cpu {

struct VectorKernels {};

}  // namespace megalith::cpu
