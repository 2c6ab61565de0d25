#include "cli/answers.h"

#include <fmt/format.h>

#include <utility>

#include "eval/drive.h"

namespace megalith::cli {

namespace {

double per_second(double count, double milliseconds) { return milliseconds > 0 ? 1000 * count / milliseconds : 0; }

Json logprobs_json(const Engine& engine, const TokenLogprob& scored) {
  return {{"token", scored.token},
          {"text", engine.detokenize({scored.token}, Tokenizer::Special::kRender)},
          {"logprob", scored.logprob}};
}

}  // namespace

std::string statistics_line(const Event& finished, bool greedy) {
  const Usage& usage = finished.usage;
  const Timings& timings = finished.timings;
  const int32_t read = usage.prompt_tokens - usage.cached_tokens;
  std::string line =
      fmt::format("prompt {} tokens, {:.1f} t/s", usage.prompt_tokens, per_second(read, timings.prefill_ms));
  if (usage.cached_tokens > 0) line += fmt::format(" ({} cached)", usage.cached_tokens);
  // The first token comes with the prompt; the others are what decoding took its time for.
  line += fmt::format(" | answer {} tokens", usage.completion_tokens);
  if (usage.completion_tokens > 1)
    line += fmt::format(", {:.1f} t/s", per_second(usage.completion_tokens - 1, timings.decode_ms));
  if (usage.completion_tokens > 0)
    line += fmt::format(" | first token after {:.0f} ms", timings.queued_ms + timings.prefill_ms);
  if (!greedy) line += fmt::format(" | seed {}", finished.seed);
  if (finished.reason == FinishReason::kLength) line += " | stopped at the length limit";
  return line;
}

void Answers::take_token(const Event& event) {
  Answer& answer = answers_.at(event.request);
  answer.text += event.text;
  if (!json() && event.request == 0) {
    write_heading(0);
    write(event.text);
  }
  if (!json()) return;
  answer.tokens.push_back(event.token);
  if (!event.logprob) return;
  Json entry = logprobs_json(engine_, {event.token, *event.logprob});
  entry["top"] = Json::array();
  for (const TokenLogprob& other : event.top_logprobs) entry["top"].push_back(logprobs_json(engine_, other));
  answer.logprobs.push_back(std::move(entry));
}

void Answers::finish(const std::vector<Event>& finished) {
  if (json()) {
    for (const Event& event : finished) throw_if_failed(event);
    return write_document(finished);
  }
  for (size_t choice = 0; choice < finished.size(); ++choice) {
    write_heading(choice);
    if (choice > 0) write(answers_[choice].text);
    write(finished[choice].text);
    if (!ends_line_) write("\n");
    if (finished[choice].reason != FinishReason::kError) write_statistics(finished[choice]);
  }
  for (const Event& event : finished) throw_if_failed(event);
}

void Answers::break_off() {
  if (!json() && !ends_line_) console_.out.try_write("\n");
}

void Answers::write(const std::string& text) {
  if (text.empty()) return;
  console_.out.write(console_.out.is_terminal() ? printable(text) : text);
  ends_line_ = text.back() == '\n';
}

void Answers::write_heading(size_t choice) {
  if (choice == 0 && std::exchange(started_, true)) return;
  if (answers_.size() == 1) return;
  console_.out.write(console_.out.dim(fmt::format("{}--- choice {}", choice == 0 ? "" : "\n", choice)) + "\n");
}

void Answers::write_statistics(const Event& finished) {
  if (!options_.statistics && !console_.error.is_terminal()) return;
  const std::string line = statistics_line(finished, options_.greedy);
  console_.error.try_write(console_.error.dim(line) + "\n");
}

Json Answers::answer_json(Answer& answer, const Event& finished) const {
  const Usage& usage = finished.usage;
  const Timings& timings = finished.timings;
  answer.text += finished.text;
  Json document{
      {"text", std::move(answer.text)},
      {"tokens", std::move(answer.tokens)},
      {"finish_reason", name(finished.reason)},
      {"seed", finished.seed},
      {"usage",
       {{"prompt_tokens", usage.prompt_tokens},
        {"cached_tokens", usage.cached_tokens},
        {"completion_tokens", usage.completion_tokens}}},
      {"timings",
       {{"queued_ms", timings.queued_ms},
        {"prefill_ms", timings.prefill_ms},
        {"decode_ms", timings.decode_ms},
        {"prompt_tokens_per_second", per_second(usage.prompt_tokens - usage.cached_tokens, timings.prefill_ms)},
        {"answer_tokens_per_second",
         usage.completion_tokens > 1 ? per_second(usage.completion_tokens - 1, timings.decode_ms) : 0}}}};
  if (options_.logprobs) document["logprobs"] = std::move(answer.logprobs);
  return document;
}

void Answers::write_document(const std::vector<Event>& finished) {
  const EngineProperties& model = engine_.properties();
  Json document{{"model", model.model_path}};
  if (finished.size() == 1) {
    document.update(answer_json(answers_[0], finished[0]));
  } else {
    document["choices"] = Json::array();
    for (size_t choice = 0; choice < finished.size(); ++choice) {
      Json entry{{"index", choice}};
      entry.update(answer_json(answers_[choice], finished[choice]));
      document["choices"].push_back(std::move(entry));
    }
  }
  document["engine"] = {{"context_tokens", model.context_tokens},
                        {"backend", model.backend},
                        {"instruction_set", model.instruction_set},
                        {"threads", model.threads}};
  write_json(console_.out, document);
}

}  // namespace megalith::cli
