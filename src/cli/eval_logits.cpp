// megalith eval logits: exact scores, and the probes of promise P3.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/engine_arguments.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "eval/logits.h"

namespace megalith::cli {

namespace {

constexpr size_t kShownTokens = 10;

struct LogitsArguments {
  ModelArgument model;
  std::string tokens;
  int32_t chunk = 0;
  int32_t neighbours = 0;
  EngineArguments engine;
  bool json = false;
};

// As doubles, which hold every float exactly: the same text means the same bits.
Json floats_json(const std::vector<float>& values) {
  Json list = Json::array();
  for (const float value : values) list.push_back(static_cast<double>(value));
  return list;
}

std::string likeliest_text(const Engine& engine, const LogitsResult& result, const Output& out) {
  std::vector<size_t> order(result.last.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t shown = std::min(kShownTokens, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
      [&](size_t a, size_t b) { return result.last[a] != result.last[b] ? result.last[a] > result.last[b] : a < b; });
  Table table({{"LIKELIEST NEXT"}, {"ID", Table::Align::kRight}, {"LOGIT", Table::Align::kRight}});
  for (size_t i = 0; i < shown; ++i) {
    const auto token = static_cast<TokenId>(order[i]);
    table.add({printable_line(engine.detokenize({token}, Tokenizer::Special::kRender)), std::to_string(token),
               fmt::format("{}", result.last[order[i]])});
  }
  return table.text(out);
}

void eval_logits(Console& console, const LogitsArguments& arguments) {
  const std::string path = arguments.model.take_path(console.environment);
  LogitsProbe probe;
  probe.tokens = parse_token_ids(arguments.tokens);
  if (probe.tokens.empty()) throw Error(ErrorKind::kUsage, "--tokens is empty; give ids, as in --tokens \"1 2 3\"");
  probe.neighbours = arguments.neighbours;
  probe.stop_requested = interrupted;
  EngineOptions options = arguments.engine.options(path, console.environment);
  options.prefill_chunk_tokens = arguments.chunk;
  options.max_sequences = arguments.neighbours + 1;
  const std::unique_ptr<Engine> engine = open_engine_for(console, options);
  const LogitsResult result = probe_logits(*engine, probe);
  if (arguments.json) {
    const Json document{{"logits_last", floats_json(result.last)},
                        {"token_logprobs", floats_json(result.token_logprobs)}};
    return console.out.write(json_line(document) + "\n");
  }
  std::string text = likeliest_text(*engine, result, console.out);
  if (!result.token_logprobs.empty()) {
    const double sum = std::accumulate(result.token_logprobs.begin(), result.token_logprobs.end(), 0.0);
    text += fmt::format("\nlog-probability of the given tokens, from the second on: {:.6f} ({} tokens)\n", sum,
                        result.token_logprobs.size());
  }
  console.out.write(text);
}

}  // namespace

Action define_eval_logits(CLI::App& app) {
  auto arguments = std::make_shared<LogitsArguments>();
  arguments->model.add_to(app);
  app.add_option("--tokens", arguments->tokens, "Token ids: \"1 2 3\"; 'megalith tokenize' makes them from text")
      ->type_name("IDS")
      ->required();
  app.add_option("--chunk", arguments->chunk, "Read the prompt N tokens at a time [chosen by time]")
      ->type_name("N")
      ->transform(whole_number(1, 1 << 20, "a number of tokens"));
  app.add_option("--neighbours", arguments->neighbours,
                 "Compute N other requests, of other lengths, in the same batch [0]")
      ->type_name("N")
      ->transform(whole_number(0, 1023, "a number"));
  arguments->engine.add_context_to(app);
  arguments->engine.add_threads_to(app);
  arguments->engine.add_instruction_set_to(app);
  arguments->engine.add_pre_tokenizer_to(app);
  app.add_flag("--json", arguments->json, R"(Print {"logits_last":[...],"token_logprobs":[...]})");
  return [arguments](Console& console) { eval_logits(console, *arguments); };
}

}  // namespace megalith::cli
