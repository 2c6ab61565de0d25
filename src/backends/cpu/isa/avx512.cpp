#include "backends/cpu/isa/float_avx512.h"
#include "backends/cpu/isa/int_avx512.h"
#include "backends/cpu/isa/tables.h"
#include "backends/cpu/kernels/linear_table.h"
#include "backends/cpu/kernels/vector_table.h"

namespace megalith::cpu {

constinit const KernelTable kAvx512Table = {
    .instruction_set = InstructionSet::kAvx512,
    .linear = linear_kernels<Avx512>(quantise_x86),
    .vector = kVectorKernels<FloatAvx512>,
};

}  // namespace megalith::cpu
