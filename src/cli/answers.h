#pragma once
// The answers to one prompt as they come: shown one after the other, or kept for one JSON document.
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/json.h"
#include "engine/engine.h"

namespace megalith::cli {

struct AnswersOptions {
  size_t choices = 1;
  enum class Form { kText, kJson } form = Form::kText;
  bool statistics = false;  // even where standard error is no terminal
  bool logprobs = false;    // in JSON
  bool greedy = false;      // no seed to report
};

/// "prompt 12 tokens, 345.6 t/s | answer ...". `greedy`: no seed to report.
std::string statistics_line(const Event& finished, bool greedy);

/// Answers are keyed by their choice index, which is their request's id too. The first is written as its tokens come,
/// the others, which are computed beside it, after it.
class Answers {
 public:
  Answers(Console& console, const Engine& engine, const AnswersOptions& options)
      : console_(console), engine_(engine), options_(options), answers_(options.choices) {}

  void take_token(const Event& event);
  /// The end of every answer, [choices], in order. Writes all that is not written yet. Throws the first Error that an
  /// answer ended with, after writing what there is.
  void finish(const std::vector<Event>& finished);
  /// After an error, so that its message begins on a line of its own. A pipe that closed meanwhile must not take the
  /// error's place.
  void break_off();

 private:
  struct Answer {
    std::string text;
    std::vector<TokenId> tokens;
    Json logprobs = Json::array();
  };
  bool json() const { return options_.form == AnswersOptions::Form::kJson; }
  void write(const std::string& text);
  void write_heading(size_t choice);
  void write_statistics(const Event& finished);
  Json answer_json(Answer& answer, const Event& finished) const;
  void write_document(const std::vector<Event>& finished);

  Console& console_;
  const Engine& engine_;
  AnswersOptions options_;
  std::vector<Answer> answers_;  // [choices]
  bool started_ = false;         // the first has its heading
  bool ends_line_ = true;
};

}  // namespace megalith::cli
