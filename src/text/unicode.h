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

/// Where the character that ends before `end` (> 0) begins; the text before `end` is valid UTF-8.
size_t character_before(std::string_view text, size_t end);

/// The first position from `position` on where `text` is not valid UTF-8; text.size() if all of it is.
size_t find_invalid_utf8(std::string_view text, size_t position);

/// General categories, in the order of the table.
enum class Category : uint8_t {
  kCn,
  kLu,
  kLl,
  kLt,
  kLm,
  kLo,
  kMn,
  kMc,
  kMe,
  kNd,
  kNl,
  kNo,
  kPc,
  kPd,
  kPs,
  kPe,
  kPi,
  kPf,
  kPo,
  kSm,
  kSc,
  kSk,
  kSo,
  kZs,
  kZl,
  kZp,
  kCc,
  kCf,
  kCo,
  kCs
};

/// The scripts that expressions may name; every other one is kOther.
enum class Script : uint8_t {
  kOther,
  kHan,
  kHiragana,
  kKatakana,
  kHangul,
  kLatin,
  kGreek,
  kCyrillic,
  kArabic,
  kHebrew,
  kDevanagari,
  kThai,
  kLao,
  kMyanmar,
  kKhmer,
  kBopomofo
};

/// The properties of one code point; code points past U+10FFFF have none.
class CodePointProperties {
 public:
  explicit constexpr CodePointProperties(uint16_t bits) : bits_(bits) {}
  constexpr Category category() const { return static_cast<Category>(bits_ & 0x1F); }
  constexpr Script script() const { return static_cast<Script>(bits_ >> 5 & 0xF); }
  constexpr bool is_letter() const { return is_between(Category::kLu, Category::kLo); }       // \p{L}
  constexpr bool is_mark() const { return is_between(Category::kMn, Category::kMe); }         // \p{M}
  constexpr bool is_number() const { return is_between(Category::kNd, Category::kNo); }       // \p{N}
  constexpr bool is_punctuation() const { return is_between(Category::kPc, Category::kPo); }  // \p{P}
  constexpr bool is_symbol() const { return is_between(Category::kSm, Category::kSo); }       // \p{S}
  constexpr bool is_space() const { return bits_ & 0x200; }                                   // \s: White_Space
  constexpr bool is_word() const { return bits_ & 0x400; }                                    // \w of Oniguruma
  constexpr bool is_numeric() const { return bits_ & 0x800; }     // Rust's char::is_numeric: \p{N} of a newer Unicode
  constexpr bool is_rust_word() const { return bits_ & 0x1000; }  // \w of Rust's regular expressions
  constexpr bool is_rust_punctuation() const { return bits_ & 0x2000; }  // of `tokenizers`: of an older Unicode
  /// NFC may change this code point, move it, or compose it with the one before.
  constexpr bool is_nfc_unsafe() const { return bits_ & 0x4000; }
  /// Not assigned in Unicode 9.0, the version of the reference's NFC: it neither moves nor composes.
  constexpr bool is_after_unicode_9() const { return bits_ & 0x8000; }

 private:
  constexpr bool is_between(Category first, Category last) const { return category() >= first && category() <= last; }
  uint16_t bits_;
};

CodePointProperties properties_of(char32_t code_point);

/// A run of code points of the same properties; it ends where the next one begins.
struct PropertyRun {
  char32_t begin;
  CodePointProperties properties;
};
/// All code points, U+0000 to U+10FFFF, as runs.
size_t property_run_count();
PropertyRun property_run(size_t index);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// A normalisation form of valid UTF-8. Linear but for a sort inside each run of combining marks.
std::string to_normal_form(std::string_view text, NormalForm form);
/// True if form C is the text as it is, by a quick look at each code point; false if it may not.
bool is_surely_nfc(std::string_view text);

}  // namespace megalith
