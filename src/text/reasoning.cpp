#include "text/reasoning.h"

#include <algorithm>
#include <array>

namespace megalith {
namespace {

using Piece = ReasoningSplitter::Piece;

constexpr std::string_view kSpace = " \t\r\n";

// DeepSeek-R1, Qwen3, QwQ, GLM-4.5 and many more.
constexpr std::array<std::string_view, 2> kThink{"<think>", "</think>"};
// EXAONE Deep.
constexpr std::array<std::string_view, 2> kThought{"<thought>", "</thought>"};
// Seed-OSS.
constexpr std::array<std::string_view, 2> kSeed{"<seed:think>", "</seed:think>"};
// Magistral.
constexpr std::array<std::string_view, 2> kBrackets{"[THINK]", "[/THINK]"};
// Command A Reasoning.
constexpr std::array<std::string_view, 2> kCommand{"<|START_THINKING|>", "<|END_THINKING|>"};
// gpt-oss; described by OpenAI's "Harmony response format".
constexpr std::array<std::string_view, 6> kHarmony{"<|channel|>", "<|message|>", "<|start|>",
                                                   "<|end|>",     "<|return|>",  "<|call|>"};

constexpr std::array kStyles{
    ReasoningStyle{"harmony", ReasoningStyle::Kind::kChannels, kHarmony},
    ReasoningStyle{"thought", ReasoningStyle::Kind::kTags, kThought},
    ReasoningStyle{"seed", ReasoningStyle::Kind::kTags, kSeed},
    ReasoningStyle{"brackets", ReasoningStyle::Kind::kTags, kBrackets},
    ReasoningStyle{"command", ReasoningStyle::Kind::kTags, kCommand},
    ReasoningStyle{"think", ReasoningStyle::Kind::kTags, kThink},
};

void add(std::vector<Piece>& pieces, Piece::Kind kind, std::string_view text) {
  if (text.empty()) return;
  if (pieces.empty() || pieces.back().kind != kind) pieces.push_back({kind, {}});
  pieces.back().text += text;
}

/// Length of the longest end of `text` that is a beginning of `mark`, but not all of it.
size_t begun(std::string_view text, std::string_view mark) {
  for (size_t length = std::min(text.size(), mark.size() - 1); length > 0; --length) {
    if (text.ends_with(mark.substr(0, length))) return length;
  }
  return 0;
}

/// The first mark in a text, the longest where several begin.
struct FoundMark {
  size_t at = std::string_view::npos;
  std::string_view mark;
};

FoundMark first_mark(std::string_view text, std::span<const std::string_view> marks) {
  FoundMark found;
  for (const std::string_view mark : marks) {
    const size_t at = text.find(mark);
    if (at < found.at) found = {at, mark};
  }
  return found;
}

}  // namespace

std::span<const ReasoningStyle> reasoning_styles() { return kStyles; }

const ReasoningStyle& reasoning_style_of_template(std::string_view template_source) {
  // Channels are known by their first mark, tags by the closing one: templates cut past answers there.
  const auto shows = [&](const ReasoningStyle& style) {
    const size_t telling = style.kind == ReasoningStyle::Kind::kTags ? 1 : 0;
    return template_source.find(style.marks[telling]) != std::string_view::npos;
  };
  const auto* const found = std::find_if(kStyles.begin(), kStyles.end(), shows);
  return found != kStyles.end() ? *found : kStyles.back();
}

const ReasoningStyle& reasoning_style(std::string_view name) {
  const auto* const found = std::find_if(kStyles.begin(), kStyles.end(), [&](const auto& s) { return s.name == name; });
  return found != kStyles.end() ? *found : kStyles.back();
}

ReasoningSplitter::ReasoningSplitter(const ReasoningStyle& style, std::string_view prompt)
    : style_(style), place_(Place::kStart) {
  if (style.kind == ReasoningStyle::Kind::kTags) {
    const size_t last = prompt.find_last_not_of(kSpace);
    if (last == std::string_view::npos || !prompt.substr(0, last + 1).ends_with(style.marks[0])) return;
    place_ = Place::kReasoning;
    after_mark_ = true;
    return;
  }
  // Where in a message the prompt ends is what its last message says.
  place_ = Place::kHeader;
  const size_t message = prompt.rfind(kHarmony[2]);
  if (message == std::string_view::npos) return;
  pending_ = prompt.substr(message);
  std::vector<Piece> of_the_prompt;
  split_channels(of_the_prompt);
  pending_.clear();
  any_mark_ = false;
  if (!names_channel_) header_.clear();
}

std::vector<Piece> ReasoningSplitter::push(std::string_view text) {
  pending_ += text;
  std::vector<Piece> pieces;
  if (style_.kind == ReasoningStyle::Kind::kTags) {
    split_tags(pieces);
  } else {
    split_channels(pieces);
  }
  return pieces;
}

std::vector<Piece> ReasoningSplitter::finish() {
  std::vector<Piece> pieces;
  if (style_.kind == ReasoningStyle::Kind::kTags) {
    add(pieces, place_ == Place::kReasoning ? Piece::Kind::kReasoning : Piece::Kind::kContent, pending_);
  } else {
    take_channel_text(pending_, pieces);
    // A model that keeps to no format has still answered.
    if (place_ == Place::kHeader && !any_mark_) add(pieces, Piece::Kind::kContent, header_);
  }
  pending_.clear();
  header_.clear();
  return pieces;
}

void ReasoningSplitter::drop_space() {
  if (!after_mark_) return;
  pending_.erase(0, std::min(pending_.find_first_not_of(kSpace), pending_.size()));
  after_mark_ = pending_.empty();
}

void ReasoningSplitter::split_tags(std::vector<Piece>& pieces) {
  const std::string_view opens = style_.marks[0];
  const std::string_view closes = style_.marks[1];
  if (place_ == Place::kStart) {
    const size_t begin = std::min(pending_.find_first_not_of(kSpace), pending_.size());
    const std::string_view rest = std::string_view(pending_).substr(begin);
    if (rest.size() < opens.size() && opens.starts_with(rest)) return;
    const bool reasons = rest.starts_with(opens);
    place_ = reasons ? Place::kReasoning : Place::kContent;
    if (reasons) pending_.erase(0, begin + opens.size());
    after_mark_ = reasons;
  }
  drop_space();
  if (place_ == Place::kReasoning) {
    const size_t end = pending_.find(closes);
    const size_t length = end != std::string::npos ? end : pending_.size() - begun(pending_, closes);
    add(pieces, Piece::Kind::kReasoning, std::string_view(pending_).substr(0, length));
    pending_.erase(0, length);
    if (end == std::string::npos) return;
    pending_.erase(0, closes.size());
    place_ = Place::kContent;
    after_mark_ = true;
    drop_space();
  }
  add(pieces, Piece::Kind::kContent, pending_);
  pending_.clear();
}

void ReasoningSplitter::split_channels(std::vector<Piece>& pieces) {
  std::string_view rest = pending_;
  while (true) {
    const FoundMark found = first_mark(rest, style_.marks);
    if (found.at == std::string_view::npos) break;
    take_channel_text(rest.substr(0, found.at), pieces);
    take_channel_mark(found.mark);
    rest.remove_prefix(found.at + found.mark.size());
  }
  size_t held = 0;
  for (const std::string_view mark : style_.marks) held = std::max(held, begun(rest, mark));
  take_channel_text(rest.substr(0, rest.size() - held), pieces);
  pending_ = std::string(rest.substr(rest.size() - held));
}

void ReasoningSplitter::take_channel_mark(std::string_view mark) {
  any_mark_ = true;
  if (mark != kHarmony[1]) {
    // A new header, or the end of a message: the next one has a header of its own.
    place_ = Place::kHeader;
    names_channel_ = mark == kHarmony[0];
  } else {
    // "analysis", "commentary to=functions.x", "final <|constrain|>json": the first word is the channel.
    const std::string channel = header_.substr(0, header_.find_first_of(" \t\r\n<"));
    place_ = names_channel_ && channel == "analysis" ? Place::kReasoning : Place::kContent;
    names_channel_ = false;
  }
  header_.clear();
}

void ReasoningSplitter::take_channel_text(std::string_view text, std::vector<Piece>& pieces) {
  if (place_ == Place::kHeader) {
    header_ += text;
  } else {
    add(pieces, place_ == Place::kReasoning ? Piece::Kind::kReasoning : Piece::Kind::kContent, text);
  }
}

}  // namespace megalith
