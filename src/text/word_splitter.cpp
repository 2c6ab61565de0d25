#include "text/word_splitter.h"

#include <utility>

namespace megalith {

WordSplitter::WordSplitter(std::span<const SplitStage> stages, const std::string& source) {
  stages_.reserve(stages.size());
  for (const SplitStage& stage : stages) {
    Stage& added =
        stages_.emplace_back(Stage{stage.behavior, stage.matches, stage.leading_space, stage.text, std::nullopt});
    if (!stage.expression.empty()) added.pattern.emplace(stage.expression, source);
  }
}

// As the reference searches: an empty match where the one before ended does not count, and the search goes on after
// the next character.
bool WordSplitter::Cutter::next_match(WordPattern::Match& match) {
  while (search_from_ <= text_.size() && pattern_.find(scratch_, search_from_, match)) {
    search_from_ = match.end;
    if (match.begin != match.end || last_match_end_ != match.end) {
      last_match_end_ = match.end;
      return true;
    }
    search_from_ += match.end < text_.size() ? decode_utf8(text_, match.end).length_bytes : 1;
  }
  return false;
}

bool WordSplitter::Cutter::next_part(Part& part) {
  const bool inverted = stage_.matches == SplitStage::Matches::kInverted;
  if (!waiting_match_ && !has_ended_) {
    WordPattern::Match match;
    if (next_match(match)) {
      waiting_match_ = match;
    } else {
      has_ended_ = true;
    }
  }
  const size_t gap_end = waiting_match_ ? waiting_match_->begin : text_.size();
  if (covered_ != gap_end) {
    part = {covered_, gap_end, inverted};
    covered_ = gap_end;
    return true;
  }
  if (!waiting_match_) return false;
  part = {waiting_match_->begin, waiting_match_->end, !inverted};
  covered_ = waiting_match_->end;
  waiting_match_.reset();
  return true;
}

bool WordSplitter::Cutter::next(std::string_view& piece) {
  using Behavior = SplitStage::Behavior;
  const auto give = [&](const Part& part) {
    piece = text_.substr(part.begin, part.end - part.begin);
    return true;
  };
  Part part;
  if (stage_.behavior == Behavior::kIsolated || stage_.behavior == Behavior::kRemoved) {
    while (next_part(part)) {
      if (!part.is_match || stage_.behavior == Behavior::kIsolated) return give(part);
    }
    return false;
  }
  // The parts that are joined are adjacent: the open one grows until one comes that starts anew.
  while (next_part(part)) {
    bool joins = false;
    switch (stage_.behavior) {
      case Behavior::kContiguous:
        joins = part.is_match == previous_was_match_;
        break;
      case Behavior::kMergedWithPrevious:
        joins = part.is_match && !previous_was_match_;
        break;
      default:
        joins = !part.is_match && previous_was_match_;
        break;
    }
    previous_was_match_ = part.is_match;
    if (open_ && joins) {
      open_->end = part.end;
      continue;
    }
    const std::optional<Part> complete = std::exchange(open_, part);
    if (complete) return give(*complete);
  }
  if (!open_) return false;
  give(*open_);
  open_.reset();
  return true;
}

}  // namespace megalith
