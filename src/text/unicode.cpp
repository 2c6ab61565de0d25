#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace megalith {
namespace {

#include "text/unicode_data.inc"

constexpr size_t kBlockSize = sizeof(kSortsInBlock[0]);
constexpr char32_t kLastCodePoint = 0x10FFFF;
constexpr char32_t kReplacement = 0xFFFD;

uint8_t byte_at(std::string_view text, size_t position) { return static_cast<uint8_t>(text[position]); }

/// How many bytes a lead byte announces and what its second byte may be; length 0: not a lead byte.
struct Lead {
  uint8_t length, second_min, second_max;
};

constexpr Lead lead_of(uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// Appends the normal form of code points whose neighbours on both sides cannot interact with them.
class NormalisingWindow {
 public:
  explicit NormalisingWindow(NormalForm form)
      : decomposition_(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE),
        composes_(form == NormalForm::kNfc || form == NormalForm::kNfkc) {
    if (form == NormalForm::kNfkc || form == NormalForm::kNfkd) decomposition_ |= UTF8PROC_COMPAT;
  }

  /// Appends what is kept before taking a code point that does not interact with it.
  void add(char32_t code_point, std::string& out) {
    // No compatibility decomposition is longer than 18 (U+FDFA).
    constexpr int kLongest = 32;
    utf8proc_int32_t decomposed[kLongest];
    int last_boundary_class = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), decomposed, kLongest,
                                static_cast<utf8proc_option_t>(decomposition_), &last_boundary_class);
    if (count < 1 || count > kLongest) throw Error(ErrorKind::kRuntime, "utf8proc could not decompose a code point");
    if (!properties_of(static_cast<char32_t>(decomposed[0])).is_nfc_unsafe()) flush(out);
    code_points_.insert(code_points_.end(), decomposed, decomposed + count);
  }

  void flush(std::string& out) {
    if (code_points_.empty()) return;
    sort_marks();
    utf8proc_ssize_t count = static_cast<utf8proc_ssize_t>(code_points_.size());
    if (composes_) {
      count = utf8proc_normalize_utf32(code_points_.data(), count,
                                       static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    }
    for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(out, static_cast<char32_t>(code_points_[i]));
    code_points_.clear();
  }

 private:
  // utf8proc_decompose orders marks by insertion, which is quadratic in a run of them: a megabyte of alternating
  // accents would take hours. Hence a sort of our own: by combining class, equal ones in their order.
  void sort_marks() {
    const auto combining_class = [](utf8proc_int32_t code_point) {
      return static_cast<uint64_t>(utf8proc_get_property(code_point)->combining_class);
    };
    const size_t count = code_points_.size();
    for (size_t begin = 0, end = 0; begin < count; begin = end + 1) {
      sort_keys_.clear();
      for (end = begin; end < count && combining_class(code_points_[end]) != 0; ++end) {
        const uint64_t code_point = static_cast<uint32_t>(code_points_[end]);
        sort_keys_.push_back(combining_class(code_points_[end]) << 56 | (end - begin) << 24 | code_point);
      }
      std::sort(sort_keys_.begin(), sort_keys_.end());
      for (size_t i = 0; i < sort_keys_.size(); ++i) {
        code_points_[begin + i] = static_cast<utf8proc_int32_t>(sort_keys_[i] & 0xFFFFFF);
      }
    }
  }

  int decomposition_;
  bool composes_;
  std::vector<uint64_t> sort_keys_;  // class (8 bits), place in the run (32 bits), code point (24 bits)
  std::vector<utf8proc_int32_t> code_points_;
};

}  // namespace

Utf8Step decode_utf8(std::string_view text, size_t position) {
  const uint8_t first = byte_at(text, position);
  if (first < 0x80) return {first, 1, Utf8Step::Kind::kCharacter};
  const Lead lead = lead_of(first);
  if (lead.length == 0) return {kReplacement, 1, Utf8Step::Kind::kInvalid};
  char32_t code_point = first & (0xFF >> (lead.length + 1));
  for (uint8_t i = 1; i < lead.length; ++i) {
    if (position + i == text.size()) return {kReplacement, i, Utf8Step::Kind::kUnfinished};
    const uint8_t byte = byte_at(text, position + i);
    const uint8_t minimum = i == 1 ? lead.second_min : 0x80;
    const uint8_t maximum = i == 1 ? lead.second_max : 0xBF;
    if (byte < minimum || byte > maximum) return {kReplacement, i, Utf8Step::Kind::kInvalid};
    code_point = code_point << 6 | (byte & 0x3F);
  }
  return {code_point, lead.length, Utf8Step::Kind::kCharacter};
}

void append_utf8(std::string& text, char32_t code_point) {
  const auto push = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    push(code_point);
  } else if (code_point < 0x800) {
    push(0xC0 | code_point >> 6);
    push(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    push(0xE0 | code_point >> 12);
    push(0x80 | (code_point >> 6 & 0x3F));
    push(0x80 | (code_point & 0x3F));
  } else {
    push(0xF0 | code_point >> 18);
    push(0x80 | (code_point >> 12 & 0x3F));
    push(0x80 | (code_point >> 6 & 0x3F));
    push(0x80 | (code_point & 0x3F));
  }
}

size_t character_before(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (byte_at(text, begin) & 0xC0) == 0x80) --begin;
  return begin;
}

size_t find_invalid_utf8(std::string_view text, size_t position) {
  while (position < text.size()) {
    const Utf8Step step = decode_utf8(text, position);
    if (step.kind != Utf8Step::Kind::kCharacter) return position;
    position += step.length_bytes;
  }
  return position;
}

CodePointProperties properties_of(char32_t code_point) {
  if (code_point > kLastCodePoint) return CodePointProperties(0);
  const uint8_t sort = kSortsInBlock[kBlockOfCodePoint[code_point / kBlockSize]][code_point % kBlockSize];
  return CodePointProperties(kPropertyBits[sort]);
}

size_t property_run_count() { return std::size(kRuns); }

PropertyRun property_run(size_t index) {
  return {kRuns[index] >> 8, CodePointProperties(kPropertyBits[kRuns[index] & 0xFF])};
}

bool is_surely_nfc(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    const Utf8Step step = decode_utf8(text, position);
    if (properties_of(step.code_point).is_nfc_unsafe()) return false;
    position += step.length_bytes;
  }
  return true;
}

// Only windows around unsafe code points go through the algorithm. A safe code point starts a window, because a mark
// after it may compose with it, unless it is newer than the reference's NFC: then nothing composes with it, whatever
// the version of the utf8proc that we are linked to says.
std::string to_normal_form(std::string_view text, NormalForm form) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  NormalisingWindow window(form);
  for (size_t position = 0; position < text.size();) {
    const Utf8Step step = decode_utf8(text, position);
    const CodePointProperties properties = properties_of(step.code_point);
    if (properties.is_after_unicode_9()) {
      window.flush(out);
      append_utf8(out, step.code_point);
    } else {
      window.add(step.code_point, out);
    }
    position += step.length_bytes;
  }
  window.flush(out);
  return out;
}

}  // namespace megalith
