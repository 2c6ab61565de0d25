#pragma once
// The kernel tables that this machine can run.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "backends/cpu/kernel_table.h"
#include "base/machine.h"

namespace megalith::cpu {

inline std::vector<const KernelTable*> available_tables() {
  const Machine machine = probe_machine();
  std::vector<const KernelTable*> tables;
  for (const KernelTable* table : kernel_tables()) {
    if (std::ranges::find(machine.instruction_sets, table->instruction_set) != machine.instruction_sets.end()) {
      tables.push_back(table);
    } else {
      std::cout << "skipped, not on this machine: " << name(table->instruction_set) << "\n";
    }
  }
  return tables;
}

struct TableName {
  std::string operator()(const ::testing::TestParamInfo<const KernelTable*>& info) const {
    return std::string(name(info.param->instruction_set));
  }
};

}  // namespace megalith::cpu
