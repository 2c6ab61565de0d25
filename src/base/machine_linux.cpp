// Cores and memory from /proc, /sys and the cgroups (versions 1 and 2) that hold this process.
#include <dirent.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/machine_probe.h"

namespace megalith {

namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return std::numeric_limits<int64_t>::max();
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

/// A limit in bytes; "max", nonsense and version 1's huge values mean none.
uint64_t read_limit(const std::string& path) {
  const auto line = first_line(path);
  const auto value = line ? parse_integer(*line) : std::nullopt;
  constexpr int64_t kVersion1Unlimited = int64_t{1} << 60;
  return value && *value >= 0 && *value < kVersion1Unlimited ? static_cast<uint64_t>(*value) : kNoLimit;
}

uint64_t read_count(const std::string& path) {
  const auto line = first_line(path);
  const auto value = line ? parse_integer(*line) : std::nullopt;
  return value && *value > 0 ? static_cast<uint64_t>(*value) : 0;
}

/// The value after `key` in a file of "key value" or "key: value kB" lines.
std::optional<uint64_t> read_field(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    uint64_t value = 0;
    if (words >> name && name == key && words >> value) return value;
  }
  return std::nullopt;
}

/// A hierarchy that limits this process: the folders from its own cgroup up to the mount point.
struct Hierarchy {
  int version = 2;
  std::vector<std::string> folders;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

struct CgroupMount {
  int version = 2;
  std::string cgroup_root;  // the cgroup that is visible at `mount_point`
  std::string mount_point;
  std::vector<std::string> controllers;  // version 1 only
};

std::vector<CgroupMount> cgroup_mounts(const std::string& root) {
  std::vector<CgroupMount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // "36 35 98:0 /root /mount/point options... - type source super-options"
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const std::vector<std::string> before = split(line.substr(0, dash), ' ');
    const std::vector<std::string> after = split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    if (after[0] == "cgroup2") mounts.push_back({2, before[3], before[4], {}});
    if (after[0] == "cgroup") mounts.push_back({1, before[3], before[4], split(after[2], ',')});
  }
  return mounts;
}

/// The hierarchies that can limit `controller` ("memory" or "cpu").
std::vector<Hierarchy> hierarchies(const std::string& root, const std::string& controller) {
  std::vector<Hierarchy> found;
  const std::vector<CgroupMount> mounts = cgroup_mounts(root);
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "0::/path" for version 2, "4:memory:/path" for version 1
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::vector<std::string> controllers = split(line.substr(first + 1, second - first - 1), ',');
    const int version = controllers.empty() ? 2 : 1;
    if (version == 1 && !contains(controllers, controller)) continue;
    std::string path = line.substr(second + 1);
    for (const CgroupMount& mount : mounts) {
      if (mount.version != version || (version == 1 && !contains(mount.controllers, controller))) continue;
      // In a container the mount shows a part of the tree only.
      if (mount.cgroup_root != "/") {
        const bool below = path == mount.cgroup_root || path.starts_with(mount.cgroup_root + "/");
        path = below ? path.substr(mount.cgroup_root.size()) : "";
      }
      Hierarchy hierarchy{version, {}};
      while (!path.empty() && path != "/") {
        hierarchy.folders.push_back(root + mount.mount_point + path);
        path.resize(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
      }
      hierarchy.folders.push_back(root + mount.mount_point);
      found.push_back(std::move(hierarchy));
      break;
    }
  }
  return found;
}

/// CPUs that the quotas of all cgroups above us allow, rounded up; nullopt if there is no quota.
std::optional<int> quota_cpus(const std::string& root) {
  std::optional<int> fewest;
  for (const Hierarchy& hierarchy : hierarchies(root, "cpu")) {
    for (const std::string& folder : hierarchy.folders) {
      std::optional<int64_t> quota_us;
      std::optional<int64_t> period_us;
      if (hierarchy.version == 2) {
        const std::vector<std::string> words = split(first_line(folder + "/cpu.max").value_or(""), ' ');
        if (words.size() < 2) continue;
        quota_us = parse_integer(words[0]);
        period_us = parse_integer(words[1]);
      } else {
        quota_us = parse_integer(first_line(folder + "/cpu.cfs_quota_us").value_or(""));
        period_us = parse_integer(first_line(folder + "/cpu.cfs_period_us").value_or(""));
      }
      if (!quota_us || !period_us || *quota_us <= 0 || *period_us <= 0) continue;
      const int64_t cpus = std::min<int64_t>(*quota_us / *period_us + (*quota_us % *period_us != 0), 1 << 20);
      fewest = std::min(fewest.value_or(1 << 20), static_cast<int>(cpus));
    }
  }
  return fewest;
}

void probe_cores(const std::string& root, const std::vector<int>& usable_cpus, Machine& machine) {
  std::set<std::string> cores;  // a core is named by the list of its hardware threads
  for (const int cpu : usable_cpus) {
    const std::string topology = root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    auto siblings = first_line(topology + "core_cpus_list");
    if (!siblings) siblings = first_line(topology + "thread_siblings_list");
    cores.insert(siblings.value_or("cpu" + std::to_string(cpu)));
  }
  const int quota = quota_cpus(root).value_or(std::numeric_limits<int>::max());
  machine.logical_cores = std::max(1, std::min(static_cast<int>(usable_cpus.size()), quota));
  machine.physical_cores = std::max(1, std::min(static_cast<int>(cores.size()), quota));
}

void probe_memory(const std::string& root, Machine& machine) {
  constexpr uint64_t kKilobyte = 1024;
  const std::string meminfo = root + "/proc/meminfo";
  machine.memory_bytes = read_field(meminfo, "MemTotal:").value_or(0) * kKilobyte;
  machine.memory_limit_bytes = machine.memory_bytes;
  machine.memory_available_bytes =
      read_field(meminfo, "MemAvailable:").value_or(read_field(meminfo, "MemFree:").value_or(0)) * kKilobyte;
  for (const Hierarchy& hierarchy : hierarchies(root, "memory")) {
    const bool v2 = hierarchy.version == 2;
    for (const std::string& folder : hierarchy.folders) {
      const uint64_t limit = read_limit(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
      if (limit == kNoLimit) continue;
      machine.memory_limit_bytes = std::min(machine.memory_limit_bytes, limit);
      const uint64_t usage = read_count(folder + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
      // The kernel drops file pages before it refuses memory, those of a mapped model on the active list too.
      uint64_t file_pages = 0;
      for (const char* key : {"inactive_file", "active_file"}) {
        file_pages += read_field(folder + "/memory.stat", v2 ? key : "total_" + std::string(key)).value_or(0);
      }
      const uint64_t kept = usage - std::min(usage, file_pages);
      machine.memory_available_bytes = std::min(machine.memory_available_bytes, limit - std::min(limit, kept));
    }
  }
}

std::string cpu_name(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

int count_numa_nodes(const std::string& root) {
  // Not std::filesystem::directory_iterator: where memory runs out inside one, libstdc++ ends the process.
  struct Close {
    void operator()(DIR* folder) const { closedir(folder); }
  };
  const std::unique_ptr<DIR, Close> folder(opendir((root + "/sys/devices/system/node").c_str()));
  if (folder == nullptr) return 1;
  int nodes = 0;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    const bool is_node =
        name.size() > 4 && name.starts_with("node") && name.find_first_not_of("0123456789", 4) == std::string::npos;
    nodes += is_node ? 1 : 0;
  }
  return std::max(1, nodes);
}

}  // namespace

Machine probe_linux(const std::string& root, const std::vector<int>& usable_cpus) {
  Machine machine;
  machine.cpu_name = cpu_name(root);
  machine.numa_nodes = count_numa_nodes(root);
  probe_cores(root, usable_cpus, machine);
  probe_memory(root, machine);
  return machine;
}

}  // namespace megalith
