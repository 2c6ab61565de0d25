#include "backends/cpu/isa/tables.h"

namespace megalith::cpu {

constinit const KernelTable kScalarTable = {
    .instruction_set = InstructionSet::kScalar,
    .linear = kScalarLinearKernels,
    .vector = {},
};

}  // namespace megalith::cpu
