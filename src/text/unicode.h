#pragma once
// UTF-8 decoding, the code point properties that pre-tokenizers ask about, and NFC. Independent of the locale and of
// the system's Unicode version: the same text gives the same tokens everywhere (docs/text.md names the versions).
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace megalith {

/// One step of decoding UTF-8 (Unicode 16, table 3-7: no surrogates, no overlong forms, nothing past U+10FFFF).
struct Utf8Step {
  enum class Kind : uint8_t {
    kCharacter,   // code_point is valid
    kInvalid,     // a maximal subpart that no continuation can make valid
    kUnfinished,  // the text ends inside a character that more bytes could finish
  };
  char32_t code_point;   // U+FFFD unless kCharacter
  uint8_t length_bytes;  // 1..4
  Kind kind;
};

/// Decodes at `position`, which must lie inside `text`.
Utf8Step decode_utf8(std::string_view text, size_t position);

void append_utf8(std::string& text, char32_t code_point);

/// The first position from `position` on where `text` is not valid UTF-8; text.size() if all of it is.
size_t find_invalid_utf8(std::string_view text, size_t position);

/// The properties of one code point; code points past U+10FFFF have none.
class CodePointProperties {
 public:
  explicit constexpr CodePointProperties(uint8_t bits) : bits_(bits) {}
  constexpr bool is_letter() const { return (bits_ & kCategoryMask) == 1; }  // \p{L}
  constexpr bool is_mark() const { return (bits_ & kCategoryMask) == 2; }    // \p{M}
  constexpr bool is_number() const { return (bits_ & kCategoryMask) == 3; }  // \p{N}
  constexpr bool is_punctuation() const { return (bits_ & kCategoryMask) == 4; }
  constexpr bool is_symbol() const { return (bits_ & kCategoryMask) == 5; }
  constexpr bool is_space() const { return bits_ & 0x08; }    // \s: White_Space
  constexpr bool is_numeric() const { return bits_ & 0x10; }  // Rust's char::is_numeric: \p{N} of a newer Unicode
  /// NFC may change this code point, move it, or compose it with the one before.
  constexpr bool is_nfc_unsafe() const { return bits_ & 0x20; }
  /// Not assigned in Unicode 9.0, the version of the reference's NFC: it neither moves nor composes.
  constexpr bool is_after_unicode_9() const { return bits_ & 0x40; }

 private:
  static constexpr uint8_t kCategoryMask = 7;
  uint8_t bits_;
};

CodePointProperties properties_of(char32_t code_point);

/// Normalisation form C of valid UTF-8. Linear but for a sort inside each run of combining marks.
std::string to_nfc(std::string_view text);
/// True if to_nfc would return the text as it is, by a quick look at each code point; false if it may not.
bool is_surely_nfc(std::string_view text);

}  // namespace megalith
