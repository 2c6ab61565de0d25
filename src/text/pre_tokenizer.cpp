#include "text/pre_tokenizer.h"

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace megalith {
namespace {

/// The code point at a position with what the regular expressions ask of it; past the end nothing holds.
struct Character {
  char32_t code_point = 0;
  size_t end = 0;  // position after it
  bool exists = false, letter = false, number = false, space = false;

  bool is_newline() const { return exists && (code_point == '\r' || code_point == '\n'); }
  /// [^\s\p{L}\p{N}]
  bool is_other() const { return exists && !letter && !number && !space; }
};

Character character_at(std::string_view text, size_t position) {
  if (position >= text.size()) return {};
  const Utf8Step step = decode_utf8(text, position);
  const CodePointProperties properties = properties_of(step.code_point);
  return {step.code_point,        position + step.length_bytes, true,
          properties.is_letter(), properties.is_number(),       properties.is_space()};
}

/// The end of the longest run from `position` on whose characters satisfy `condition`.
template <typename Condition>
size_t run_end(std::string_view text, size_t position, Condition condition) {
  for (Character next = character_at(text, position); next.exists && condition(next);
       next = character_at(text, position)) {
    position = next.end;
  }
  return position;
}

size_t letters_end(std::string_view text, size_t position) {
  return run_end(text, position, [](const Character& c) { return c.letter; });
}
size_t others_end(std::string_view text, size_t position) {
  return run_end(text, position, [](const Character& c) { return c.is_other(); });
}
size_t newlines_end(std::string_view text, size_t position) {
  return run_end(text, position, [](const Character& c) { return c.is_newline(); });
}

/// A run of white space: its end, where its last character begins, and the end of its last newline (0: none).
struct SpaceRun {
  size_t end = 0, last_begin = 0, last_newline_end = 0;
};

SpaceRun space_run(std::string_view text, size_t position) {
  SpaceRun run{position, position, 0};
  for (Character next = character_at(text, position); next.space; next = character_at(text, run.end)) {
    run.last_begin = run.end;
    run.end = next.end;
    if (next.is_newline()) run.last_newline_end = next.end;
  }
  return run;
}

/// \s+(?!\S)|\s+ : a run leaves its last character to the word that follows, unless it is its only one.
size_t match_spaces(std::string_view text, size_t begin, const SpaceRun& run) {
  return run.end == text.size() || run.last_begin == begin ? run.end : run.last_begin;
}

char32_t ascii_lower(char32_t code_point) {
  return code_point >= 'A' && code_point <= 'Z' ? code_point + ('a' - 'A') : code_point;
}

/// What a case-insensitive regular expression takes for equal to a small letter of the contractions; of all that
/// Unicode folds to these letters only U+017F, the long s, lies outside ASCII.
char32_t fold_case(char32_t code_point) { return code_point == 0x17F ? U's' : ascii_lower(code_point); }

char32_t same_case(char32_t code_point) { return code_point; }

/// 's|'t|'re|'ve|'m|'ll|'d : the end of the match, or `begin` if there is none.
template <char32_t (*fold)(char32_t)>
size_t match_contraction(std::string_view text, size_t begin) {
  if (text[begin] != '\'') return begin;
  const Character first = character_at(text, begin + 1);
  if (!first.exists) return begin;
  const char32_t one = fold(first.code_point);
  if (one == 's' || one == 't' || one == 'm' || one == 'd') return first.end;
  if (one != 'r' && one != 'v' && one != 'l') return begin;
  const Character second = character_at(text, first.end);
  if (!second.exists) return begin;
  return fold(second.code_point) == (one == 'l' ? U'l' : U'e') ? second.end : begin;
}

// GPT-2 (Radford et al. 2019), as in Hugging Face's ByteLevel:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t match_gpt2(std::string_view text, size_t begin) {
  const size_t contraction_end = match_contraction<same_case>(text, begin);
  if (contraction_end != begin) return contraction_end;
  const size_t word_begin = text[begin] == ' ' ? begin + 1 : begin;
  const Character first = character_at(text, word_begin);
  if (first.letter) return letters_end(text, first.end);
  if (first.number) return run_end(text, first.end, [](const Character& c) { return c.number; });
  if (first.is_other()) return others_end(text, first.end);
  return match_spaces(text, begin, space_run(text, begin));
}

// Llama 3 and Qwen 2 (both after tiktoken's cl100k_base); they differ in how many numbers make a word, 3 and 1:
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max}|
//   ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
template <int kMaxNumbers>
size_t match_cl100k(std::string_view text, size_t begin) {
  const size_t contraction_end = match_contraction<fold_case>(text, begin);
  if (contraction_end != begin) return contraction_end;
  const Character first = character_at(text, begin);
  if (first.letter) return letters_end(text, first.end);
  if (first.number) {
    int count = 0;
    return run_end(text, begin, [&](const Character& c) { return c.number && ++count <= kMaxNumbers; });
  }
  const Character second = character_at(text, first.end);
  if (second.letter && !first.is_newline()) return letters_end(text, second.end);
  const Character symbol = first.code_point == ' ' ? second : first;
  if (symbol.is_other()) return newlines_end(text, others_end(text, symbol.end));
  const SpaceRun run = space_run(text, begin);
  return run.last_newline_end != 0 ? run.last_newline_end : match_spaces(text, begin, run);
}

using Normalisation = PreTokenizer::Normalisation;
using Digits = PreTokenizer::Digits;
using WholeWords = PreTokenizer::WholeWords;
using Bos = PreTokenizer::Bos;

constexpr std::string_view kGpt2Names[] = {"gpt-2", "default", "phi-2"};
constexpr std::string_view kSmolLmNames[] = {"smollm", "starcoder", "refact"};
constexpr std::string_view kQwen2Names[] = {"qwen2", "deepseek-r1-qwen"};
constexpr std::string_view kLlama3Names[] = {"llama-bpe", "llama3", "llama-v3"};
constexpr std::string_view kSmaugNames[] = {"smaug-bpe"};

// One row a pre-tokenizer (docs/text.md says how to add one).
constexpr std::array kPreTokenizers = {
    PreTokenizer{kGpt2Names, Normalisation::kNone, Digits::kAsMatched, match_gpt2, WholeWords::kMerge, Bos::kOmitted},
    PreTokenizer{kSmolLmNames, Normalisation::kNone, Digits::kIsolated, match_gpt2, WholeWords::kMerge, Bos::kOmitted},
    PreTokenizer{kQwen2Names, Normalisation::kNfc, Digits::kAsMatched, match_cl100k<1>, WholeWords::kMerge,
                 Bos::kOmitted},
    PreTokenizer{kLlama3Names, Normalisation::kNone, Digits::kAsMatched, match_cl100k<3>, WholeWords::kTakeIfKnown,
                 Bos::kAdded},
    PreTokenizer{kSmaugNames, Normalisation::kNone, Digits::kAsMatched, match_cl100k<3>, WholeWords::kMerge,
                 Bos::kOmitted},
};

}  // namespace

std::span<const PreTokenizer> pre_tokenizers() { return kPreTokenizers; }

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
  for (const PreTokenizer& row : kPreTokenizers) {
    if (std::find(row.names.begin(), row.names.end(), name) != row.names.end()) return &row;
  }
  return nullptr;
}

std::string known_pre_tokenizers() {
  std::string list;
  for (const PreTokenizer& row : kPreTokenizers) {
    for (std::string_view name : row.names) {
      if (!list.empty()) list += ", ";
      list += name;
    }
  }
  return list;
}

size_t stretch_length(const PreTokenizer& row, std::string_view text) {
  if (row.digits == PreTokenizer::Digits::kAsMatched) return text.size();
  for (size_t position = 0; position < text.size();) {
    const Utf8Step step = decode_utf8(text, position);
    if (properties_of(step.code_point).is_numeric()) return position == 0 ? step.length_bytes : position;
    position += step.length_bytes;
  }
  return text.size();
}

}  // namespace megalith
