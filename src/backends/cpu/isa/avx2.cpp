#include "backends/cpu/isa/float_avx2.h"
#include "backends/cpu/isa/int_avx2.h"
#include "backends/cpu/isa/tables.h"
#include "backends/cpu/kernels/linear_table.h"
#include "backends/cpu/kernels/vector_table.h"

namespace megalith::cpu {

constinit const KernelTable kAvx2Table = {
    .instruction_set = InstructionSet::kAvx2,
    .linear = linear_kernels<Avx2>(quantise_x86),
    .vector = kVectorKernels<FloatAvx2>,
};

}  // namespace megalith::cpu
