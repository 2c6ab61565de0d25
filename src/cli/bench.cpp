// megalith bench: speeds, each beside the machine's own limit, measured in the same run.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/ledger.h"
#include "base/machine.h"
#include "cli/arguments.h"
#include "cli/bench_measure.h"
#include "cli/command.h"
#include "cli/engine_arguments.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/machine_limits.h"
#include "cli/model_facts.h"

namespace megalith::cli {

namespace {

// Spread above which a mean says little (coefficient of variation).
constexpr double kNoisy = 0.05;
constexpr uint64_t kMostTokens = 1 << 24;

struct BenchArguments {
  ModelArgument model;
  std::vector<int32_t> prompts{512};
  std::vector<int32_t> answers{128};
  std::vector<int32_t> depths{0};
  std::vector<int32_t> sequences{1};
  std::vector<int32_t> threads;
  int32_t repetitions = 5;
  std::string output = "md";
  EngineArguments engine;
  bool profile = false;
};

struct BenchResult {
  BenchCase bench_case;
  int threads = 0;
  std::string instruction_set;
  std::vector<double> samples;  // tokens a second
  Spread speed;
  /// What the mean speed means for the machine: bytes read a second when answering, multiply-adds a second when
  /// reading a prompt; and the measured limit of the same.
  double rate = 0;
  double limit = 0;
  double bandwidth = 0, multiply_adds_per_second = 0;  // both limits, for the profile
  std::vector<CostMeter::Line> profile;

  bool reads_prompt() const { return bench_case.prompt_tokens > 0; }
};

struct Bench {
  std::string path;
  std::string name;
  uint64_t size_bytes = 0;
  uint64_t parameters = 0;
  Format format = Format::kF32;  // of most of its bytes: its arithmetic is the limit
  std::shared_ptr<const Checkpoint> checkpoint;
  std::vector<BenchResult> results;
  std::optional<uint64_t> peak_memory;  // bytes of this process, weights that were touched among them
};

std::vector<BenchCase> make_cases(const BenchArguments& arguments) {
  std::vector<BenchCase> cases;
  for (const int32_t prompt : arguments.prompts) {
    if (prompt > 0) cases.push_back({.prompt_tokens = prompt});
  }
  for (const int32_t depth : arguments.depths) {
    for (const int32_t answer : arguments.answers) {
      if (answer == 0) continue;
      for (const int32_t count : arguments.sequences) {
        cases.push_back({.answer_tokens = answer, .depth_tokens = depth, .sequences = count});
      }
    }
  }
  if (cases.empty()) throw Error(ErrorKind::kUsage, "nothing to measure: both -p and -n are 0");
  return cases;
}

// The most memory that this process has held at once; none if the system does not tell.
std::optional<uint64_t> peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    uint64_t kibibytes = 0;
    std::istringstream fields(line);
    std::string key;
    if (fields >> key >> kibibytes && key == "VmHWM:") return kibibytes * 1024;
  }
  return std::nullopt;
}

// A token's cost changes with its position; the one in the middle stands for all.
double rate_of(const Checkpoint& checkpoint, const BenchResult& result) {
  const BenchCase& bench_case = result.bench_case;
  if (result.reads_prompt()) {
    const Cost cost = count_step(checkpoint, {.tokens = bench_case.prompt_tokens});
    return static_cast<double>(cost.multiply_adds) / bench_case.prompt_tokens * result.speed.mean;
  }
  const int32_t middle = std::max(1, bench_case.depth_tokens) + bench_case.answer_tokens / 2;
  const Cost cost = count_step(checkpoint, {.earlier_tokens = middle});
  // A step reads the weights once for all sequences, and each one's state.
  const double steps_per_second = result.speed.mean / bench_case.sequences;
  return static_cast<double>(cost.weight_bytes + cost.state_bytes * static_cast<uint64_t>(bench_case.sequences)) *
         steps_per_second;
}

std::string label_of(const BenchResult& result) {
  return fmt::format("{} with {} thread{}", result.bench_case.name(), result.threads, result.threads == 1 ? "" : "s");
}

void measure_with_threads(Console& console, const BenchArguments& arguments, int threads, Bench& bench) {
  const std::vector<BenchCase> cases = make_cases(arguments);
  EngineOptions options = arguments.engine.options(bench.path, console.environment);
  if (threads > 0) options.threads = threads;
  options.profile = arguments.profile;
  options.context_tokens = 0;
  for (const BenchCase& bench_case : cases) {
    options.context_tokens = std::max(options.context_tokens, bench_case.context_tokens());
    options.max_sequences = std::max(options.max_sequences, bench_case.sequences);
  }
  const std::unique_ptr<Engine> engine = open_engine_for(console, options);
  const EngineProperties& properties = engine->properties();
  for (const BenchCase& bench_case : cases) {
    BenchResult result;
    result.bench_case = bench_case;
    result.threads = properties.threads;
    result.instruction_set = properties.instruction_set;
    Progress progress(console.error, label_of(result));
    result.samples =
        measure(*engine, bench_case, arguments.repetitions,
                {.progress = [&](double fraction) { progress.update(fraction); }, .stop_requested = interrupted});
    result.speed = spread_of(result.samples);
    result.rate = rate_of(*bench.checkpoint, result);
    if (arguments.profile) result.profile = engine->take_profile();
    progress.clear();
    if (result.speed.relative() > kNoisy) {
      console.note(
          fmt::format("{} varied by {:.0f} % between repetitions: something else is using the machine, or more "
                      "repetitions (-r) are needed",
                      label_of(result), 100 * result.speed.relative()));
    }
    bench.results.push_back(std::move(result));
  }
}

// After the speeds, for the buffer that it reads would count as memory of the engine.
void set_limits(Bench& bench) {
  std::map<std::pair<std::string, int>, MachineLimits> measured;
  for (BenchResult& result : bench.results) {
    const auto [found, is_new] = measured.try_emplace({result.instruction_set, result.threads});
    if (is_new) {
      const InstructionSet set = instruction_set_from_name(result.instruction_set);
      found->second = measure_limits(probe_machine(), {.instruction_set = &set,
                                                       .threads = result.threads,
                                                       .progress = {},
                                                       .check_interrupt = throw_if_interrupted});
    }
    const MachineLimits& limits = found->second;
    result.bandwidth = limits.read_bytes_per_second();
    result.multiply_adds_per_second = limits.multiply_adds_per_second(bench.format);
    result.limit = result.reads_prompt() ? result.multiply_adds_per_second : result.bandwidth;
  }
}

/// How near an op came to what the machine can do of its kind: its time at full bandwidth or at the peak of
/// arithmetic, whichever is longer, as a part of the time that it took. None for ops that have no counted work.
std::optional<double> fraction_of_limit(const CostMeter::Line& line, const BenchResult& result) {
  const double bytes = static_cast<double>(line.cost.weight_bytes + line.cost.state_bytes);
  const double least_seconds = std::max(bytes / result.bandwidth,
                                        static_cast<double>(line.cost.multiply_adds) / result.multiply_adds_per_second);
  if (least_seconds <= 0 || line.seconds <= 0) return std::nullopt;
  return least_seconds / line.seconds;
}

Json profile_json(const BenchResult& result) {
  Json list = Json::array();
  for (const CostMeter::Line& line : result.profile) {
    const std::optional<double> fraction = fraction_of_limit(line, result);
    list.push_back({{"op", line.op},
                    {"calls", line.calls},
                    {"seconds", line.seconds},
                    {"weight_bytes", line.cost.weight_bytes},
                    {"state_bytes", line.cost.state_bytes},
                    {"multiply_adds", line.cost.multiply_adds},
                    {"fraction_of_limit", fraction ? Json(*fraction) : Json(nullptr)}});
  }
  return list;
}

Json result_json(const Bench& bench, const BenchResult& result) {
  const BenchCase& bench_case = result.bench_case;
  Json document{{"version", MEGALITH_VERSION},
                {"model", bench.path},
                {"model_name", bench.name},
                {"model_size_bytes", bench.size_bytes},
                {"model_parameters", bench.parameters},
                {"backend", "cpu"},
                {"instruction_set", result.instruction_set},
                {"threads", result.threads},
                {"test", bench_case.name()},
                {"prompt_tokens", bench_case.prompt_tokens},
                {"answer_tokens", bench_case.answer_tokens},
                {"depth_tokens", bench_case.depth_tokens},
                {"sequences", bench_case.sequences},
                {"tokens_per_second", result.speed.mean},
                {"deviation", result.speed.deviation},
                {"samples", result.samples}};
  const char* rate = result.reads_prompt() ? "multiply_adds_per_second" : "bytes_read_per_second";
  document[rate] = result.rate;
  document[fmt::format("limit_{}", rate)] = result.limit;
  document["fraction_of_limit"] = result.rate / result.limit;
  document["peak_memory_bytes"] = bench.peak_memory ? Json(*bench.peak_memory) : Json(nullptr);
  if (!result.profile.empty()) document["profile"] = profile_json(result);
  return document;
}

std::string csv_text(const Bench& bench) {
  std::string text;
  for (const BenchResult& result : bench.results) {
    const Json document = result_json(bench, result);
    std::string titles;
    std::string line;
    for (const auto& [key, value] : document.items()) {
      if (value.is_structured()) continue;  // samples and profile have no place in a line
      titles += (titles.empty() ? "" : ",") + csv_cell(key);
      line += (line.empty() ? "" : ",") + csv_cell(value.is_string() ? value.get<std::string>() : value.dump());
    }
    if (text.empty()) text = titles + "\n";
    text += line + "\n";
  }
  return text;
}

std::string rate_text(const BenchResult& result) {
  return result.reads_prompt() ? fmt::format("{:.1f} Gmac/s", result.rate / 1e9)
                               : fmt::format("{:.2f} GB/s", result.rate / 1e9);
}

std::string markdown_text(const Bench& bench) {
  using Align = Table::Align;
  Table table({{"model"},
               {"size", Align::kRight},
               {"params", Align::kRight},
               {"backend"},
               {"threads", Align::kRight},
               {"test", Align::kRight},
               {"t/s", Align::kRight},
               {"work", Align::kRight},
               {"of limit", Align::kRight}});
  for (const BenchResult& result : bench.results) {
    table.add({printable_line(bench.name), format_bytes(bench.size_bytes), format_count(bench.parameters),
               fmt::format("cpu {}", result.instruction_set), std::to_string(result.threads), result.bench_case.name(),
               fmt::format("{:.2f} ± {:.2f}", result.speed.mean, result.speed.deviation), rate_text(result),
               fmt::format("{:.0f} % of {:.1f}", 100 * result.rate / result.limit, result.limit / 1e9)});
  }
  return table.markdown();
}

std::string profile_text(const BenchResult& result, const Output& out) {
  using Align = Table::Align;
  double seconds = 0;
  for (const CostMeter::Line& line : result.profile) seconds += line.seconds;
  Table table({{"op"},
               {"calls", Align::kRight},
               {"ms", Align::kRight},
               {"share", Align::kRight},
               {"GB/s", Align::kRight},
               {"Gmac/s", Align::kRight},
               {"of limit", Align::kRight}});
  for (const CostMeter::Line& line : result.profile) {
    const std::optional<double> fraction = fraction_of_limit(line, result);
    const double bytes = static_cast<double>(line.cost.weight_bytes + line.cost.state_bytes);
    const auto rate = [&](double work) {
      return work > 0 && line.seconds > 0 ? fmt::format("{:.2f}", work / line.seconds / 1e9) : std::string("-");
    };
    table.add({std::string(line.op), std::to_string(line.calls), fmt::format("{:.1f}", 1000 * line.seconds),
               fmt::format("{:.1f} %", seconds > 0 ? 100 * line.seconds / seconds : 0), rate(bytes),
               rate(static_cast<double>(line.cost.multiply_adds)),
               fraction ? fmt::format("{:.0f} %", 100 * *fraction) : std::string("-")});
  }
  return fmt::format("\n{}\n{}", label_of(result), table.text(out));
}

void print(Console& console, const BenchArguments& arguments, const Bench& bench) {
  std::string text;
  if (arguments.output == "json") {
    Json list = Json::array();
    for (const BenchResult& result : bench.results) list.push_back(result_json(bench, result));
    return write_json(console.out, list);
  }
  if (arguments.output == "jsonl") {
    for (const BenchResult& result : bench.results) text += json_line(result_json(bench, result)) + "\n";
  } else if (arguments.output == "csv") {
    text = csv_text(bench);
  } else {
    text = markdown_text(bench);
    for (const BenchResult& result : bench.results) {
      if (!result.profile.empty()) text += profile_text(result, console.out);
    }
    if (bench.peak_memory) {
      text += fmt::format(
          "\nlimits: GB/s read from memory and Gmac/s (multiply-adds) for {} weights, measured just now; peak memory "
          "{}\n",
          format_info(bench.format).name, format_bytes(*bench.peak_memory));
    }
  }
  console.out.write(text);
}

void bench_model(Console& console, const BenchArguments& arguments) {
  Bench bench;
  bench.path = arguments.model.take_path(console.environment);
  bench.checkpoint = open_checkpoint(bench.path);
  make_cases(arguments);  // complains before anything is measured
  const ModelFacts facts = read_model_facts(bench.path);
  if (!facts.properties) throw Error(ErrorKind::kInvalidModel, facts.why_not);
  bench.name = facts.properties->name.empty() ? facts.properties->architecture : facts.properties->name;
  bench.size_bytes = bench.checkpoint->weight_bytes();
  bench.parameters = facts.properties->parameters;
  if (!facts.formats.empty()) bench.format = facts.formats.front().format;
  const std::vector<int32_t> threads = arguments.threads.empty() ? std::vector<int32_t>{0} : arguments.threads;
  for (const int32_t count : threads) measure_with_threads(console, arguments, count, bench);
  bench.peak_memory = peak_memory_bytes();
  set_limits(bench);
  print(console, arguments, bench);
}

}  // namespace

Action define_bench(CLI::App& app) {
  auto arguments = std::make_shared<BenchArguments>();
  arguments->model.add_to(app);
  const auto list = [&](const std::string& flags, std::vector<int32_t>& values, int64_t low, const std::string& text) {
    app.add_option(flags, values, text)
        ->type_name("N,...")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->transform(whole_number(low, kMostTokens, "a number"));
  };
  list("-p,--prompt", arguments->prompts, 0, "Lengths of prompts to read; 0: none [512]");
  list("-n,--answer", arguments->answers, 0, "Lengths of answers to write; 0: none [128]");
  list("-d,--depth", arguments->depths, 0, "Tokens already in the context when an answer begins [0]");
  list("-b,--batch", arguments->sequences, 1, "Answers written at once [1]");
  list("-t,--threads", arguments->threads, 1, "Numbers of threads [one for each physical core]");
  app.add_option("-r,--repetitions", arguments->repetitions, "Repetitions of each measurement [5]")
      ->type_name("N")
      ->transform(whole_number(1, 10000, "a number"));
  app.add_option("-o,--output", arguments->output, "Form of the result: md, json, jsonl or csv [md]")
      ->type_name("FORM")
      ->check(CLI::IsMember({"md", "json", "jsonl", "csv"}));
  arguments->engine.add_instruction_set_to(app);
  arguments->engine.add_pre_tokenizer_to(app);
  app.add_flag("--profile", arguments->profile, "Where the time goes: calls, time, bytes and multiply-adds of each op");
  CLI::Option* json =
      app.add_flag_callback("--json", [arguments] { arguments->output = "json"; }, "The same as -o json");
  json->excludes(app.get_option("--output"));
  return [arguments](Console& console) { bench_model(console, *arguments); };
}

}  // namespace megalith::cli
