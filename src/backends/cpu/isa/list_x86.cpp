// The sets of an x86-64 binary.
#include "backends/cpu/isa/tables.h"

namespace megalith::cpu {

std::span<const KernelTable* const> kernel_tables() {
  static constexpr const KernelTable* kTables[] = {&kScalarTable, &kAvx2Table, &kAvxVnniTable, &kAvx512Table,
                                                   &kAvx512VnniTable};
  return kTables;
}

}  // namespace megalith::cpu
