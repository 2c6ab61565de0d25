#pragma once
// The parts of probe_machine(), with the file system's root as a parameter so that tests can describe any machine.
#include <string>
#include <vector>

#include "base/machine.h"

namespace megalith {

/// Instruction sets of the CPU this runs on, kScalar first.
std::vector<InstructionSet> probe_instruction_sets();

/// Cores and memory as `root`/proc and `root`/sys describe them ("" is the real root). `usable_cpus`: the affinity
/// mask.
Machine probe_linux(const std::string& root, const std::vector<int>& usable_cpus);

/// Overwrites the memory of `machine` by what sysinfo(2) says, for where there is no /proc. It cannot tell the page
/// cache from memory in use, so what is available is a lower bound. Changes nothing on other systems than Linux.
void ask_kernel_for_memory(Machine& machine);

}  // namespace megalith
