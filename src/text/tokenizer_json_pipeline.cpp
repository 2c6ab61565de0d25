#include "text/tokenizer_json_pipeline.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "text/base64.h"
#include "text/space_mark.h"

namespace megalith {
namespace {

using Kind = NormalizerStep::Kind;
using Behavior = SplitStage::Behavior;

/// A known type of step and what reading one adds to the pipeline.
struct StepReader {
  std::string_view type;
  void (*read)(const JsonField& step, Pipeline& pipeline);
};

template <size_t kCount>
void read_step(const JsonField& step, const StepReader (&readers)[kCount], Pipeline& pipeline) {
  const std::string_view type = step_type(step);
  const auto reader =
      std::find_if(std::begin(readers), std::end(readers), [&](const StepReader& row) { return row.type == type; });
  if (reader != std::end(readers)) return reader->read(step, pipeline);
  std::string known;
  for (const StepReader& row : readers) known += (known.empty() ? "" : ", ") + std::string(row.type);
  fail_step(step, known);
}

/// A pattern: {"String": "..."} or {"Regex": "..."}.
struct Pattern {
  enum class Form { kText, kExpression } form;
  std::string text;
};

Pattern read_pattern(const JsonField& step) {
  const JsonField pattern = step.require("pattern");
  if (const auto text = pattern.find("String")) {
    if (text->string().empty()) text->fail("is empty: it would match everywhere");
    return {Pattern::Form::kText, std::string(text->string())};
  }
  if (const auto expression = pattern.find("Regex")) {
    return {Pattern::Form::kExpression, std::string(expression->string())};
  }
  pattern.fail("is neither a String nor a Regex");
}

/// An expression that matches just this text.
std::string expression_of(std::string_view text) {
  std::string expression;
  for (char character : text) {
    const bool has_meaning = std::string_view("\\^$.|?*+()[]{}-&").find(character) != std::string_view::npos;
    if (has_meaning) expression += '\\';
    expression += character;
  }
  return expression;
}

template <Kind kind>
void read_plain(const JsonField&, Pipeline& pipeline) {
  pipeline.normalizer.push_back({kind});
}

void read_replace(const JsonField& step, Pipeline& pipeline) {
  Pattern pattern = read_pattern(step);
  const Kind kind = pattern.form == Pattern::Form::kText ? Kind::kReplace : Kind::kReplaceMatches;
  pipeline.normalizer.push_back({kind, std::move(pattern.text), std::string(step.require("content").string())});
}

void read_prepend(const JsonField& step, Pipeline& pipeline) {
  pipeline.normalizer.push_back({Kind::kPrepend, "", std::string(step.require("prepend").string())});
}

void read_strip(const JsonField& step, Pipeline& pipeline) {
  if (step.boolean_or("strip_left", true)) pipeline.normalizer.push_back({Kind::kStripLeft});
  if (step.boolean_or("strip_right", true)) pipeline.normalizer.push_back({Kind::kStripRight});
}

void read_precompiled(const JsonField& step, Pipeline& pipeline) {
  const JsonField field = step.require("precompiled_charsmap");
  std::optional<std::string> map = decode_base64(field.string());
  if (!map) field.fail("is not base64");
  pipeline.normalizer.push_back({Kind::kCharacterMap, "", *std::move(map)});
}

void read_bert_normalizer(const JsonField& step, Pipeline& pipeline) {
  const bool lowercase = step.boolean_or("lowercase", true);
  if (step.boolean_or("clean_text", true)) pipeline.normalizer.push_back({Kind::kCleanText});
  if (step.boolean_or("handle_chinese_chars", true)) pipeline.normalizer.push_back({Kind::kSpacesAroundHan});
  if (step.boolean_or("strip_accents", lowercase)) {
    pipeline.normalizer.push_back({Kind::kNfd});
    pipeline.normalizer.push_back({Kind::kStripMarksOfBert});
  }
  if (lowercase) pipeline.normalizer.push_back({Kind::kLowercase});
}

constexpr StepReader kNormalizers[] = {
    {"NFC", read_plain<Kind::kNfc>},
    {"NFD", read_plain<Kind::kNfd>},
    {"NFKC", read_plain<Kind::kNfkc>},
    {"NFKD", read_plain<Kind::kNfkd>},
    {"Lowercase", read_plain<Kind::kLowercase>},
    {"StripAccents", read_plain<Kind::kStripAccents>},
    {"Replace", read_replace},
    {"Prepend", read_prepend},
    {"Strip", read_strip},
    {"Precompiled", read_precompiled},
    {"BertNormalizer", read_bert_normalizer},
};

Behavior read_behavior(const JsonField& step, std::string_view where_silent) {
  constexpr std::pair<std::string_view, Behavior> kBehaviors[] = {
      {"Isolated", Behavior::kIsolated},
      {"Removed", Behavior::kRemoved},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
      {"Contiguous", Behavior::kContiguous},
  };
  const std::string_view name = step.string_or("behavior", where_silent);
  for (const auto& [known, behavior] : kBehaviors) {
    if (name == known) return behavior;
  }
  step.fail("splits in the unknown way \"" + std::string(name) +
            "\" (known: Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous)");
}

void add_stage(Pipeline& pipeline, std::string_view expression, Behavior behavior = Behavior::kIsolated) {
  pipeline.stages.push_back({.expression = std::string(expression), .behavior = behavior});
}

void read_byte_level(const JsonField& step, Pipeline& pipeline) {
  SplitStage stage;
  if (step.boolean_or("use_regex", true)) stage.expression = kGpt2Expression;
  if (step.boolean_or("add_prefix_space", true)) stage.leading_space = SplitStage::LeadingSpace::kAddedUnlessThere;
  const bool does_something = !stage.expression.empty() || stage.leading_space != SplitStage::LeadingSpace::kAsIs;
  if (does_something) pipeline.stages.push_back(std::move(stage));
}

void read_digits(const JsonField& step, Pipeline& pipeline) {
  const bool one_by_one = step.boolean_or("individual_digits", false);
  add_stage(pipeline, kDigitsExpression, one_by_one ? Behavior::kIsolated : Behavior::kContiguous);
}

void read_split(const JsonField& step, Pipeline& pipeline) {
  const Pattern pattern = read_pattern(step);
  SplitStage stage;
  stage.expression = pattern.form == Pattern::Form::kText ? expression_of(pattern.text) : pattern.text;
  stage.behavior = read_behavior(step, "");
  if (step.boolean_or("invert", false)) stage.matches = SplitStage::Matches::kInverted;
  pipeline.stages.push_back(std::move(stage));
}

void read_punctuation(const JsonField& step, Pipeline& pipeline) {
  add_stage(pipeline, kPunctuationExpression, read_behavior(step, "Isolated"));
}

void read_whitespace(const JsonField&, Pipeline& pipeline) {
  pipeline.stages.push_back({.expression = std::string(kWhitespaceExpression),
                             .behavior = Behavior::kRemoved,
                             .matches = SplitStage::Matches::kInverted});
}

void read_whitespace_split(const JsonField&, Pipeline& pipeline) {
  add_stage(pipeline, kWhitespaceSplitExpression, Behavior::kRemoved);
}

void read_bert(const JsonField&, Pipeline& pipeline) {
  add_stage(pipeline, kWhitespaceSplitExpression, Behavior::kRemoved);
  add_stage(pipeline, kPunctuationExpression);
}

void read_delimiter(const JsonField& step, Pipeline& pipeline) {
  const JsonField delimiter = step.require("delimiter");
  if (delimiter.string().empty()) delimiter.fail("is empty");
  add_stage(pipeline, expression_of(delimiter.string()), Behavior::kRemoved);
}

SpaceMarks::Prefix read_prefix_scheme(const JsonField& step) {
  const std::string_view old_scheme = step.boolean_or("add_prefix_space", true) ? "always" : "never";
  const std::string_view scheme = step.string_or("prepend_scheme", old_scheme);
  if (scheme == "always") return SpaceMarks::Prefix::kAlways;
  if (scheme == "first") return SpaceMarks::Prefix::kFirst;
  if (scheme == "never") return SpaceMarks::Prefix::kNever;
  step.fail("has the unknown prepend_scheme \"" + std::string(scheme) + "\" (known: always, first, never)");
}

void read_metaspace(const JsonField& step, Pipeline& pipeline) {
  if (step.require("replacement").string() != kSpaceMark) step.fail("replaces spaces by something else than U+2581");
  SpaceMarks marks;
  marks.prefix = read_prefix_scheme(step);
  marks.words = step.boolean_or("split", true) ? SpaceMarks::Words::kCutAtMarks : SpaceMarks::Words::kWhole;
  pipeline.space_marks = marks;
}

constexpr StepReader kPreTokenizers[] = {
    {"ByteLevel", read_byte_level},
    {"Split", read_split},
    {"Digits", read_digits},
    {"Punctuation", read_punctuation},
    {"Metaspace", read_metaspace},
    {"Whitespace", read_whitespace},
    {"BertPreTokenizer", read_bert},
    {"WhitespaceSplit", read_whitespace_split},
    {"CharDelimiterSplit", read_delimiter},
};

void drop_leading_space(const JsonField&, Pipeline& pipeline) {
  pipeline.leading_space = Pipeline::LeadingSpace::kDrop;
}

void read_metaspace_decoder(const JsonField& step, Pipeline& pipeline) {
  if (read_prefix_scheme(step) != SpaceMarks::Prefix::kNever) drop_leading_space(step, pipeline);
}

void read_strip_decoder(const JsonField& step, Pipeline& pipeline) {
  if (step.require("content").string() != " " || step.require("stop").integer() != 0) {
    step.fail("strips something else than spaces from the beginning, which is not supported here");
  }
  const int64_t start = step.require("start").integer();
  if (start != 0 && start != 1) step.fail("strips more than one space, which is not supported here");
  if (start == 1) drop_leading_space(step, pipeline);
}

// What a token's bytes are follows from the model here; of the decoder only what it does beyond that counts.
void read_nothing(const JsonField&, Pipeline&) {}

constexpr StepReader kDecoders[] = {
    {"ByteLevel", read_nothing},
    {"Metaspace", read_metaspace_decoder},
    {"Replace", read_nothing},
    {"ByteFallback", read_nothing},
    {"Fuse", read_nothing},
    {"Strip", read_strip_decoder},
    {"WordPiece", drop_leading_space},
};

void append_steps(const JsonField& field, std::string_view list, std::vector<JsonField>& steps) {
  if (step_type(field) != "Sequence") {
    steps.push_back(field);
    return;
  }
  const JsonField items = field.require(list);
  size_t index = 0;
  // The document's depth is bounded, and so is this recursion.
  for (const simdjson::dom::element element : items.array()) append_steps(items.item(index++, element), list, steps);
}

}  // namespace

std::string_view step_type(const JsonField& step) { return step.require("type").string(); }

void fail_step(const JsonField& step, std::string_view known) {
  step.fail("is of the type \"" + std::string(step_type(step)) +
            "\", which is not known here (known: " + std::string(known) + ")");
}

std::vector<JsonField> steps_of(const std::optional<JsonField>& field, std::string_view list) {
  std::vector<JsonField> steps;
  if (field) append_steps(*field, list, steps);
  return steps;
}

bool is_byte_level(const JsonField& root) {
  constexpr std::pair<const char*, const char*> kFields[] = {{"pre_tokenizer", "pretokenizers"},
                                                             {"decoder", "decoders"}};
  for (const auto& [field, list] : kFields) {
    const std::vector<JsonField> steps = steps_of(root.find(field), list);
    if (std::any_of(steps.begin(), steps.end(), [](const auto& step) { return step_type(step) == "ByteLevel"; })) {
      return true;
    }
  }
  return false;
}

Pipeline read_pipeline(const JsonField& root) {
  Pipeline pipeline;
  for (const JsonField& step : steps_of(root.find("normalizer"), "normalizers")) {
    read_step(step, kNormalizers, pipeline);
  }
  bool after_byte_level = false;
  for (const JsonField& step : steps_of(root.find("pre_tokenizer"), "pretokenizers")) {
    if (pipeline.space_marks) step.fail("comes after Metaspace, which is not supported here");
    const size_t before = pipeline.stages.size();
    read_step(step, kPreTokenizers, pipeline);
    if (after_byte_level) {
      for (size_t i = before; i < pipeline.stages.size(); ++i)
        pipeline.stages[i].text = SplitStage::Text::kInByteAlphabet;
    }
    after_byte_level = after_byte_level || step_type(step) == "ByteLevel";
  }
  for (const JsonField& step : steps_of(root.find("decoder"), "decoders")) read_step(step, kDecoders, pipeline);
  return pipeline;
}

}  // namespace megalith
