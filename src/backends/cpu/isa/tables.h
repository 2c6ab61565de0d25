#pragma once
// The kernel tables of this binary, one defined by each isa/<set>.cpp. Those files hold flags' worth of instantiation
// and nothing else: their traits live in anonymous namespaces, so that no code compiled with instruction-set flags can
// be shared with, and so leak into, the portable part of the binary.
#include "backends/cpu/kernel_table.h"

namespace megalith::cpu {

extern const KernelTable kScalarTable;
extern const KernelTable kAvx2Table;
extern const KernelTable kAvxVnniTable;
extern const KernelTable kAvx512Table;
extern const KernelTable kAvx512VnniTable;

}  // namespace megalith::cpu
