#include "text/normalizer.h"

#include <algorithm>
#include <span>

#include "text/space_mark.h"
#include "text/unicode.h"

namespace megalith {
namespace {

#include "text/normalizer_data.inc"

using Kind = NormalizerStep::Kind;

bool is_in(std::span<const Range> ranges, char32_t code_point) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), code_point,
                                      [](char32_t value, const Range& range) { return value < range.first; });
  return after != ranges.begin() && code_point <= (after - 1)->last;
}

void append_lower(std::string& out, char32_t code_point) {
  constexpr char32_t kDottedI = 0x130;
  if (code_point == kDottedI) {
    out += "i\xCC\x87";
    return;
  }
  for (const LowerRun& run : kLowerRuns) {
    if (code_point < run.first || code_point > run.last || (code_point - run.first) % run.step != 0) continue;
    append_utf8(out, static_cast<char32_t>(static_cast<int32_t>(code_point) + run.delta));
    return;
  }
  append_utf8(out, code_point);
}

/// Calls take(code point) for each of the valid UTF-8 `text`.
template <typename Take>
void for_each_code_point(std::string_view text, Take take) {
  for (size_t position = 0; position < text.size();) {
    const Utf8Step step = decode_utf8(text, position);
    take(step.code_point);
    position += step.length_bytes;
  }
}

std::string lowered(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_code_point(text, [&](char32_t c) {
    if (c < 0x80) {
      out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    } else {
      append_lower(out, c);
    }
  });
  return out;
}

std::string without(std::span<const Range> dropped, std::string_view text) {
  std::string out;
  for_each_code_point(text, [&](char32_t c) {
    if (!is_in(dropped, c)) append_utf8(out, c);
  });
  return out;
}

std::string cleaned(std::string_view text) {
  std::string out;
  for_each_code_point(text, [&](char32_t c) {
    if (is_in(kSpaceByClean, c)) {
      out += ' ';
    } else if (!is_in(kDroppedByClean, c)) {
      append_utf8(out, c);
    }
  });
  return out;
}

std::string with_spaces_around_han(std::string_view text) {
  std::string out;
  for_each_code_point(text, [&](char32_t c) {
    const bool is_han = is_in(kHanOfBert, c);
    if (is_han) out += ' ';
    append_utf8(out, c);
    if (is_han) out += ' ';
  });
  return out;
}

std::string replaced(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  append_replaced(out, text, pattern, content);
  return out;
}

std::string with_matches_replaced(std::string_view text, const WordPattern& expression, std::string_view content) {
  std::string out;
  WordPattern::Scratch scratch;
  expression.begin_text(text, scratch);
  size_t position = 0;
  for (WordPattern::Match match; position < text.size() && expression.find(scratch, position, match);) {
    out += text.substr(position, match.begin - position);
    position = match.end;
    if (match.end > match.begin) {
      out += content;
    } else if (position < text.size()) {  // an empty match replaces nothing
      const size_t length = decode_utf8(text, position).length_bytes;
      out += text.substr(position, length);
      position += length;
    }
  }
  if (position < text.size()) out += text.substr(position);
  return out;
}

std::string_view strip_left(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = decode_utf8(text, 0);
    if (!properties_of(step.code_point).is_space()) break;
    text.remove_prefix(step.length_bytes);
  }
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    const size_t last = character_before(text, text.size());
    if (!properties_of(decode_utf8(text, last).code_point).is_space()) break;
    text = text.substr(0, last);
  }
  return text;
}

}  // namespace

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps, const std::string& source) {
  for (const NormalizerStep& what : steps) {
    Step step{what, {}, {}};
    if (what.kind == Kind::kReplaceMatches) step.expression.emplace_back(what.pattern, source + ": ");
    if (what.kind == Kind::kCharacterMap) {
      step.map.emplace_back(what.content, source);
      step.what.content.clear();
    }
    steps_.push_back(std::move(step));
  }
}

std::string_view Normalizer::apply(std::string_view text, PlaceInStretch place, std::string& buffer) const {
  const auto keep = [&](std::string next) {
    buffer = std::move(next);
    text = buffer;
  };
  for (const Step& step : steps_) {
    switch (step.what.kind) {
      case Kind::kNfc:
        if (!is_surely_nfc(text)) keep(to_normal_form(text, NormalForm::kNfc));
        break;
      case Kind::kNfd:
        keep(to_normal_form(text, NormalForm::kNfd));
        break;
      case Kind::kNfkc:
        keep(to_normal_form(text, NormalForm::kNfkc));
        break;
      case Kind::kNfkd:
        keep(to_normal_form(text, NormalForm::kNfkd));
        break;
      case Kind::kLowercase:
        keep(lowered(text));
        break;
      case Kind::kStripAccents:
        keep(without(kMarks, text));
        break;
      case Kind::kStripMarksOfBert:
        keep(without(kMarksOfBert, text));
        break;
      case Kind::kReplace:
        if (text.find(step.what.pattern) != std::string_view::npos) {
          keep(replaced(text, step.what.pattern, step.what.content));
        }
        break;
      case Kind::kReplaceMatches:
        keep(with_matches_replaced(text, step.expression.front(), step.what.content));
        break;
      case Kind::kPrepend:
        if (place == PlaceInStretch::kBeginning) keep(step.what.content + std::string(text));
        break;
      case Kind::kStripLeft:
        if (place == PlaceInStretch::kBeginning) text = strip_left(text);
        break;
      case Kind::kStripRight:
        text = strip_right(text);
        break;
      case Kind::kCleanText:
        keep(cleaned(text));
        break;
      case Kind::kSpacesAroundHan:
        keep(with_spaces_around_han(text));
        break;
      case Kind::kCharacterMap: {
        std::string mapped;
        step.map.front().append(mapped, text);
        keep(std::move(mapped));
        break;
      }
    }
  }
  return text;
}

}  // namespace megalith
