// The sets of an x86-64 binary.
#include "backends/cpu/isa/tables.h"

namespace megalith::cpu {

std::span<const KernelTable* const> kernel_tables() {
  static constexpr const KernelTable* kTables[] = {&kScalarTable};
  return kTables;
}

}  // namespace megalith::cpu
