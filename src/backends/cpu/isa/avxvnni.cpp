#include "backends/cpu/isa/float_avx2.h"
#include "backends/cpu/isa/int_avxvnni.h"
#include "backends/cpu/isa/tables.h"
#include "backends/cpu/kernels/linear_table.h"
#include "backends/cpu/kernels/vector_table.h"

namespace megalith::cpu {

constinit const KernelTable kAvxVnniTable = {
    .instruction_set = InstructionSet::kAvxVnni,
    .linear = linear_kernels<AvxVnni>(quantise_x86),
    .vector = kVectorKernels<FloatAvx2>,
};

}  // namespace megalith::cpu
