// megalith doctor: what this machine can do, and what each model found would need of it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/ledger.h"
#include "base/machine.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/machine_limits.h"
#include "cli/model_facts.h"
#include "engine/context_budget.h"
#include "hub/hub.h"

namespace megalith::cli {

namespace {

struct DoctorArguments {
  bool no_measure = false;
  bool json = false;
};

/// What one model on this machine would need.
struct ModelNeed {
  LocalModel model;
  std::string problem;  // why megalith cannot run it; then nothing below counts
  uint64_t weight_bytes = 0;
  uint64_t kv_bytes = 0;  // for its whole context
  int32_t context_tokens = 0;
  int64_t context_that_fits = 0;
  double bytes_per_token = 0;
};

struct Findings {
  Machine machine;
  std::optional<MachineLimits> limits;
  std::vector<ModelNeed> models;
};

// As the engine will find it: weights, then headroom, then KV.
int64_t context_that_fits(uint64_t weight_bytes, const ModelProperties& model, const Machine& machine) {
  if (weight_bytes >= machine.memory_available_bytes) return 0;
  const uint64_t page_bytes = std::max<uint64_t>(1, model.state.page_bytes());
  return std::min(largest_context(machine.memory_available_bytes - weight_bytes, page_bytes, /*sequences=*/1),
                  model.context_tokens);
}

ModelNeed need_of(const LocalModel& model, const Machine& machine) {
  ModelNeed need;
  need.model = model;
  try {
    const ModelFacts facts = read_model_facts(model.path);
    if (!facts.properties || !facts.tokenizer) {
      need.problem = facts.properties ? facts.why_no_tokenizer : facts.why_not;
      return need;
    }
    need.weight_bytes = facts.checkpoint->weight_bytes();
    need.context_tokens = facts.properties->context_tokens;
    need.kv_bytes = facts.kv_bytes(need.context_tokens);
    need.context_that_fits = context_that_fits(need.weight_bytes, *facts.properties, machine);
    need.bytes_per_token = static_cast<double>(facts.token_cost.weight_bytes);
  } catch (const Error& error) {
    need.problem = error.what();
  }
  return need;
}

std::string verdict(const ModelNeed& need) {
  if (!need.problem.empty()) return "cannot run: " + need.problem;
  if (need.context_that_fits == 0) return "does not fit in memory";
  if (need.context_that_fits < need.context_tokens) return fmt::format("fits with --ctx {}", need.context_that_fits);
  return "fits";
}

Findings examine(Console& console, const DoctorArguments& arguments) {
  Findings findings;
  findings.machine = probe_machine();
  if (!arguments.no_measure) {
    Progress progress(console.error, "measuring");
    findings.limits = measure_limits(findings.machine, {.instruction_set = nullptr,
                                                        .threads = findings.machine.physical_cores,
                                                        .progress = [&](double done) { progress.update(done); },
                                                        .check_interrupt = throw_if_interrupted});
  }
  for (const LocalModel& model : list_local_models(console.environment)) {
    throw_if_interrupted();
    findings.models.push_back(need_of(model, findings.machine));
  }
  return findings;
}

std::vector<std::string> set_names(const Machine& machine) {
  std::vector<std::string> names;
  for (const InstructionSet set : machine.instruction_sets) names.emplace_back(name(set));
  return names;
}

Json findings_json(const Findings& findings) {
  const Machine& machine = findings.machine;
  Json document{{"cpu", machine.cpu_name},
                {"instruction_sets", set_names(machine)},
                {"physical_cores", machine.physical_cores},
                {"logical_cores", machine.logical_cores},
                {"numa_nodes", machine.numa_nodes},
                {"memory_bytes", machine.memory_bytes},
                {"memory_limit_bytes", machine.memory_limit_bytes},
                {"memory_available_bytes", machine.memory_available_bytes}};
  if (findings.limits) {
    document["read_bytes_per_second_1_stream"] = findings.limits->read_bytes_per_second_1;
    document["read_bytes_per_second_16_streams"] = findings.limits->read_bytes_per_second_16;
    document["multiply_adds_per_second"] = Json::object();
    for (const MachineLimits::Peak& peak : findings.limits->peaks)
      document["multiply_adds_per_second"][peak.kind] = peak.multiply_adds_per_second;
  }
  document["models"] = Json::array();
  for (const ModelNeed& need : findings.models) {
    Json entry{{"name", need.model.name}, {"path", need.model.path}, {"runs", need.problem.empty()}};
    if (need.problem.empty()) {
      entry["weight_bytes"] = need.weight_bytes;
      entry["context_tokens"] = need.context_tokens;
      entry["kv_bytes_full_context"] = need.kv_bytes;
      entry["context_that_fits"] = need.context_that_fits;
      entry["fits"] = need.context_that_fits > 0;
      if (findings.limits)
        entry["most_tokens_per_second"] = findings.limits->read_bytes_per_second() / need.bytes_per_token;
    } else {
      entry["problem"] = need.problem;
    }
    document["models"].push_back(std::move(entry));
  }
  return document;
}

std::string models_text(const Findings& findings, const Output& out) {
  using Align = Table::Align;
  Table table({{"MODEL"},
               {"WEIGHTS", Align::kRight},
               {"CONTEXT", Align::kRight},
               {"KV FOR IT", Align::kRight},
               {"AT MOST", Align::kRight},
               {"VERDICT"}});
  for (const ModelNeed& need : findings.models) {
    if (!need.problem.empty()) {
      table.add({printable_line(need.model.name), "-", "-", "-", "-", printable_line(verdict(need))});
      continue;
    }
    const std::string most =
        findings.limits ? fmt::format("{:.0f} t/s", findings.limits->read_bytes_per_second() / need.bytes_per_token)
                        : "-";
    table.add({printable_line(need.model.name), format_bytes(need.weight_bytes), std::to_string(need.context_tokens),
               format_bytes(need.kv_bytes), most, verdict(need)});
  }
  return table.text(out);
}

std::string findings_text(const Findings& findings, const Output& out) {
  const Machine& machine = findings.machine;
  std::string text;
  const auto line = [&](std::string_view label, std::string_view value) {
    text += fmt::format("{}{}\n", out.bold(fmt::format("{:<18}", label)), value);
  };
  line("processor", machine.cpu_name.empty() ? "unknown" : printable_line(machine.cpu_name));
  line("instruction sets", fmt::format("{}", fmt::join(set_names(machine), " ")));
  line("cores", fmt::format("{} physical, {} logical, {} NUMA node{}", machine.physical_cores, machine.logical_cores,
                            machine.numa_nodes, machine.numa_nodes == 1 ? "" : "s"));
  std::string memory =
      fmt::format("{}, {} available", format_bytes(machine.memory_bytes), format_bytes(machine.memory_available_bytes));
  if (machine.memory_limit_bytes < machine.memory_bytes)
    memory += fmt::format(", this process is limited to {}", format_bytes(machine.memory_limit_bytes));
  line("memory", memory);
  if (findings.limits) {
    line("read bandwidth",
         fmt::format("{:.1f} GB/s with 1 stream for each core, {:.1f} GB/s with 16",
                     findings.limits->read_bytes_per_second_1 / 1e9, findings.limits->read_bytes_per_second_16 / 1e9));
    std::vector<std::string> peaks;
    for (const MachineLimits::Peak& peak : findings.limits->peaks)
      peaks.push_back(fmt::format("{} {:.0f}", peak.kind, peak.multiply_adds_per_second / 1e9));
    line("arithmetic", fmt::format("{} G multiply-adds a second", fmt::join(peaks, ", ")));
  }
  if (findings.models.empty())
    return text + "\nNo models found; 'megalith list --help' says where they are looked for.\n";
  return text + "\n" + models_text(findings, out);
}

void examine_machine(Console& console, const DoctorArguments& arguments) {
  const Findings findings = examine(console, arguments);
  if (arguments.json) return write_json(console.out, findings_json(findings));
  console.out.write(findings_text(findings, console.out));
}

}  // namespace

Action define_doctor(CLI::App& app) {
  auto arguments = std::make_shared<DoctorArguments>();
  app.add_flag("--no-measure", arguments->no_measure, "Only what can be read off, at once");
  app.add_flag("--json", arguments->json, "Print one JSON document");
  return [arguments](Console& console) { examine_machine(console, *arguments); };
}

}  // namespace megalith::cli
