#include "text/detokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/unicode.h"

namespace megalith {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Calls take(characters) for the whole characters of `bytes`, replacing what is invalid; returns the unfinished rest.
template <typename Take>
std::string_view for_each_character(std::string_view bytes, Take take) {
  for (size_t position = 0; position < bytes.size();) {
    const Utf8Step step = decode_utf8(bytes, position);
    if (step.kind == Utf8Step::Kind::kUnfinished) return bytes.substr(position);
    take(step.kind == Utf8Step::Kind::kCharacter ? bytes.substr(position, step.length_bytes) : kReplacement);
    position += step.length_bytes;
  }
  return {};
}

std::vector<size_t> borders_of(std::string_view text) {
  std::vector<size_t> border(text.size());
  for (size_t i = 1, length = 0; i < text.size(); ++i) {
    while (length > 0 && text[i] != text[length]) length = border[length - 1];
    if (text[i] == text[length]) ++length;
    border[i] = length;
  }
  return border;
}

}  // namespace

Detokenizer::Detokenizer(std::vector<std::string> stop_strings) {
  for (const std::string& bytes : stop_strings) {
    if (bytes.empty()) throw Error(ErrorKind::kUsage, "a stop string is empty; leave it out or give it characters");
    Stop stop;
    // An invalid stop string would match inside a character; as emitted text it can only match whole ones.
    const auto rest = for_each_character(bytes, [&](std::string_view character) { stop.text += character; });
    if (!rest.empty()) stop.text += kReplacement;
    stop.border = borders_of(stop.text);
    stops_.push_back(std::move(stop));
  }
}

bool Detokenizer::Stop::advance(char byte) {
  while (matched > 0 && text[matched] != byte) matched = border[matched - 1];
  if (text[matched] == byte) ++matched;
  return matched == text.size();
}

void Detokenizer::take(std::string_view characters) {
  for (char byte : characters) {
    if (stopped()) return;
    pending_ += byte;
    size_t longest = 0;
    for (size_t i = 0; i < stops_.size(); ++i) {
      if (stops_[i].advance(byte) && stops_[i].text.size() > longest) {
        longest = stops_[i].text.size();
        matched_stop_ = static_cast<int>(i);
      }
    }
    pending_.resize(pending_.size() - longest);
  }
}

std::string Detokenizer::push(std::string_view token_bytes) {
  if (stopped()) return {};
  unfinished_ += token_bytes;
  const std::string_view rest = for_each_character(unfinished_, [&](std::string_view character) { take(character); });
  unfinished_.erase(0, unfinished_.size() - rest.size());
  size_t held_bytes = 0;
  if (!stopped()) {
    for (const Stop& stop : stops_) held_bytes = std::max(held_bytes, stop.matched);
  }
  std::string text = pending_.substr(0, pending_.size() - held_bytes);
  pending_.erase(0, text.size());
  return text;
}

std::string Detokenizer::finish() {
  if (!stopped() && !unfinished_.empty()) take(kReplacement);
  unfinished_.clear();
  return std::exchange(pending_, {});
}

}  // namespace megalith
