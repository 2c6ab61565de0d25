#pragma once
// The kernels of one instruction set: generic templates (kernels/) compiled once per set (isa/).
#include <span>

#include "backends/cpu/kernels/linear_kernels.h"
#include "backends/cpu/kernels/vector_kernels.h"
#include "base/machine.h"

namespace megalith::cpu {

struct KernelTable {
  InstructionSet instruction_set;
  LinearKernels linear;  // matmul kernels by format, activation quantisation
  VectorKernels vector;  // attention, norms, activations
};

/// Every set compiled into this binary, in rising order of preference; the scalar one is always first.
std::span<const KernelTable* const> kernel_tables();
/// The best table that the machine supports, or the forced one. Throws kUsage if that is not to be had here.
const KernelTable& choose_kernels(const Machine& machine, const InstructionSet* forced);

}  // namespace megalith::cpu
