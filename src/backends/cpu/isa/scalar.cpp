#include "backends/cpu/isa/float_scalar.h"
#include "backends/cpu/isa/tables.h"
#include "backends/cpu/kernels/vector_table.h"

namespace megalith::cpu {

constinit const KernelTable kScalarTable = {
    .instruction_set = InstructionSet::kScalar,
    .linear = kScalarLinearKernels,
    .vector = kVectorKernels<FloatScalar>,
};

}  // namespace megalith::cpu
