#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/expect_error.h"
#include "base/machine.h"
#include "base/machine_probe.h"
#include "base/temporary_folder.h"

namespace megalith {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(InstructionSets, NamesGoBothWays) {
  for (const char* text : {"scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "neon", "neon_i8mm"}) {
    EXPECT_EQ(name(instruction_set_from_name(text)), text);
  }
  EXPECT_ERROR(instruction_set_from_name("sse9"), ErrorKind::kUsage, "'sse9'; the names are scalar, avx2, avxvnni");
}

TEST(InstructionSets, ImpliedSetsAreThere) {
  const std::vector<InstructionSet> sets = probe_instruction_sets();
  const auto has = [&](InstructionSet set) { return std::count(sets.begin(), sets.end(), set) == 1; };
  EXPECT_EQ(sets.front(), InstructionSet::kScalar);
  EXPECT_TRUE(std::is_sorted(sets.begin(), sets.end()));
  EXPECT_TRUE(!has(InstructionSet::kAvx512Vnni) || has(InstructionSet::kAvx512));
  EXPECT_TRUE(!has(InstructionSet::kAvx512) || has(InstructionSet::kAvx2));
  EXPECT_TRUE(!has(InstructionSet::kAvxVnni) || has(InstructionSet::kAvx2));
  EXPECT_TRUE(!has(InstructionSet::kNeonI8mm) || has(InstructionSet::kNeon));
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  EXPECT_EQ(has(InstructionSet::kAvx2),
            __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"));
  EXPECT_EQ(has(InstructionSet::kAvx512), __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"));
#endif
}

TEST(Machine, ThisOneMakesSense) {
  const Machine machine = probe_machine();
  EXPECT_GE(machine.physical_cores, 1);
  EXPECT_GE(machine.logical_cores, machine.physical_cores);
  EXPECT_GE(machine.numa_nodes, 1);
  EXPECT_GT(machine.memory_bytes, 0u);
  EXPECT_GT(machine.memory_limit_bytes, 0u);
  EXPECT_LE(machine.memory_limit_bytes, machine.memory_bytes);
  EXPECT_LE(machine.memory_available_bytes, machine.memory_limit_bytes);
}

/// A machine of 4 cores with 2 hardware threads each and 1024 MiB, of which 800 are available.
class FakeMachine : public testing::Test {
 protected:
  FakeMachine() {
    root_.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Test CPU 9000\n");
    root_.write("proc/meminfo", "MemTotal:        1048576 kB\nMemFree: 5 kB\nMemAvailable:     819200 kB\n");
    for (int cpu = 0; cpu < 8; ++cpu) {
      root_.write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
                  std::to_string(cpu % 4) + "," + std::to_string(cpu % 4 + 4) + "\n");
    }
    root_.write("sys/devices/system/node/node0/cpulist", "0-3\n");
    root_.write("sys/devices/system/node/node1/cpulist", "4-7\n");
    root_.write("sys/devices/system/node/possible", "0-1\n");
  }

  void use_cgroup_v2(const std::string& own_path, const std::string& mount_root = "/") {
    root_.write("proc/self/cgroup", "0::" + own_path + "\n");
    root_.write("proc/self/mountinfo",
                "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                "30 22 0:26 " +
                    mount_root + " /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }

  Machine probe() const { return probe_linux(root_.path(), cpus_); }

  TemporaryFolder root_;
  std::vector<int> cpus_ = {0, 1, 2, 3, 4, 5, 6, 7};
};

TEST_F(FakeMachine, CountsCoresNodesAndMemory) {
  const Machine machine = probe();
  EXPECT_EQ(machine.cpu_name, "Test CPU 9000");
  EXPECT_EQ(machine.logical_cores, 8);
  EXPECT_EQ(machine.physical_cores, 4);
  EXPECT_EQ(machine.numa_nodes, 2);
  EXPECT_EQ(machine.memory_bytes, 1024 * kMiB);
  EXPECT_EQ(machine.memory_limit_bytes, 1024 * kMiB);
  EXPECT_EQ(machine.memory_available_bytes, 800 * kMiB);
}

TEST_F(FakeMachine, HonoursTheAffinityMask) {
  cpus_ = {1, 5, 2};
  EXPECT_EQ(probe().logical_cores, 3);
  EXPECT_EQ(probe().physical_cores, 2);
}

TEST_F(FakeMachine, HonoursQuotasOfVersion2Upwards) {
  use_cgroup_v2("/user/job");
  root_.write("sys/fs/cgroup/user/job/cpu.max", "max 100000\n");
  EXPECT_EQ(probe().physical_cores, 4);
  root_.write("sys/fs/cgroup/user/cpu.max", "250000 100000\n");
  EXPECT_EQ(probe().physical_cores, 3) << "2.5 CPUs, rounded up";
  EXPECT_EQ(probe().logical_cores, 3);
  root_.write("sys/fs/cgroup/user/job/cpu.max", "5000 100000\n");
  EXPECT_EQ(probe().physical_cores, 1);
}

TEST_F(FakeMachine, HonoursMemoryLimitsOfVersion2Upwards) {
  use_cgroup_v2("/user/job");
  root_.write("sys/fs/cgroup/user/job/memory.max", "max\n");
  root_.write("sys/fs/cgroup/user/memory.max", std::to_string(512 * kMiB) + "\n");
  root_.write("sys/fs/cgroup/user/memory.current", std::to_string(400 * kMiB) + "\n");
  root_.write("sys/fs/cgroup/user/memory.stat", "anon 5\nfile 7\ninactive_file " + std::to_string(200 * kMiB) +
                                                    "\nactive_file " + std::to_string(50 * kMiB) + "\n");
  const Machine machine = probe();
  EXPECT_EQ(machine.memory_limit_bytes, 512 * kMiB);
  EXPECT_EQ(machine.memory_available_bytes, (512 - (400 - 250)) * kMiB);
}

TEST_F(FakeMachine, AvailableIsNeverAboveTheMachines) {
  use_cgroup_v2("/");
  root_.write("sys/fs/cgroup/memory.max", std::to_string(900 * kMiB) + "\n");
  root_.write("sys/fs/cgroup/memory.current", "0\n");
  EXPECT_EQ(probe().memory_limit_bytes, 900 * kMiB);
  EXPECT_EQ(probe().memory_available_bytes, 800 * kMiB);
}

TEST_F(FakeMachine, AFullCgroupLeavesNothing) {
  use_cgroup_v2("/job");
  root_.write("sys/fs/cgroup/job/memory.max", std::to_string(100 * kMiB) + "\n");
  root_.write("sys/fs/cgroup/job/memory.current", std::to_string(120 * kMiB) + "\n");
  EXPECT_EQ(probe().memory_available_bytes, 0u);
}

TEST_F(FakeMachine, FindsItsOwnGroupBelowAContainersMount) {
  use_cgroup_v2("/docker/abc/inner", "/docker/abc");
  root_.write("sys/fs/cgroup/inner/memory.max", std::to_string(64 * kMiB) + "\n");
  EXPECT_EQ(probe().memory_limit_bytes, 64 * kMiB);
  root_.write("sys/fs/cgroup/memory.max", std::to_string(32 * kMiB) + "\n");
  EXPECT_EQ(probe().memory_limit_bytes, 32 * kMiB);
}

TEST_F(FakeMachine, HonoursVersion1) {
  root_.write("proc/self/cgroup", "5:memory:/jobs/a\n3:cpu,cpuacct:/jobs\n1:name=systemd:/\n0::/\n");
  root_.write("proc/self/mountinfo",
              "30 22 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
              "31 22 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  root_.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root_.write("sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", std::to_string(700 * kMiB) + "\n");
  root_.write("sys/fs/cgroup/memory/jobs/a/memory.limit_in_bytes", std::to_string(600 * kMiB) + "\n");
  root_.write("sys/fs/cgroup/memory/jobs/a/memory.usage_in_bytes", std::to_string(300 * kMiB) + "\n");
  root_.write("sys/fs/cgroup/memory/jobs/a/memory.stat",
              "inactive_file 1\ntotal_inactive_file " + std::to_string(100 * kMiB) + "\n");
  root_.write("sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us", "150000\n");
  root_.write("sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us", "100000\n");
  root_.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  root_.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  const Machine machine = probe();
  EXPECT_EQ(machine.memory_limit_bytes, 600 * kMiB);
  EXPECT_EQ(machine.memory_available_bytes, 400 * kMiB);
  EXPECT_EQ(machine.physical_cores, 2);
}

TEST(MachineProbe, KeepsDefaultsWhereNothingCanBeRead) {
  const Machine machine = probe_linux("/nonexistent", {});
  EXPECT_EQ(machine.physical_cores, 1);
  EXPECT_EQ(machine.logical_cores, 1);
  EXPECT_EQ(machine.numa_nodes, 1);
  EXPECT_EQ(machine.memory_bytes, 0u);
}

#if defined(__linux__)
TEST(MachineProbe, WithoutProcTheKernelTellsOfMemory) {
  Machine machine = probe_linux("/nonexistent", {});
  ASSERT_EQ(machine.memory_available_bytes, 0u);
  ask_kernel_for_memory(machine);
  EXPECT_GT(machine.memory_available_bytes, kMiB);
  EXPECT_LT(machine.memory_available_bytes, machine.memory_bytes);
  EXPECT_EQ(machine.memory_limit_bytes, machine.memory_bytes);
  const Machine through_proc = probe_linux("", {});
  if (through_proc.memory_bytes > 0) {
    EXPECT_EQ(machine.memory_bytes / kMiB, through_proc.memory_bytes / kMiB);
  }
}
#endif

TEST_F(FakeMachine, NonsenseInFilesIsNoLimit) {
  use_cgroup_v2("job/../..//");
  root_.write("sys/fs/cgroup/cpu.max", "banana 0\n");
  root_.write("sys/fs/cgroup/memory.max", "-5 x\n");
  EXPECT_EQ(probe().physical_cores, 4);
  EXPECT_EQ(probe().memory_limit_bytes, 1024 * kMiB);
}

}  // namespace
}  // namespace megalith
