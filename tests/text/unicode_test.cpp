#include "text/unicode.h"

#include <gtest/gtest.h>

#include <vector>

namespace megalith {
namespace {

std::string nfc(std::string_view text) { return to_normal_form(text, NormalForm::kNfc); }

using Kind = Utf8Step::Kind;

TEST(Unicode, EveryCodePointGoesThroughUtf8) {
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    std::string text;
    append_utf8(text, code_point);
    const Utf8Step step = decode_utf8(text, 0);
    if (code_point >= 0xD800 && code_point < 0xE000) {
      ASSERT_EQ(step.kind, Kind::kInvalid);
      ASSERT_EQ(step.length_bytes, 1);
      continue;
    }
    ASSERT_EQ(step.kind, Kind::kCharacter);
    ASSERT_EQ(step.code_point, code_point);
    ASSERT_EQ(step.length_bytes, text.size());
    for (size_t length = 1; length < text.size(); ++length) {
      const Utf8Step part = decode_utf8(std::string_view(text).substr(0, length), 0);
      ASSERT_EQ(part.kind, Kind::kUnfinished);
      ASSERT_EQ(part.length_bytes, length);
    }
  }
}

TEST(Unicode, MaximalSubpartsAsInTable3To11) {
  // The example of the Unicode Standard, section 3.9, table 3-11.
  const std::string text = "\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42";
  std::vector<size_t> lengths;
  for (size_t position = 0; position < text.size(); position += lengths.back()) {
    const Utf8Step step = decode_utf8(text, position);
    lengths.push_back(step.length_bytes);
    EXPECT_EQ(step.kind == Kind::kCharacter, text[position] == 'A' || text[position] == 'B');
  }
  EXPECT_EQ(lengths, std::vector<size_t>(9, 1));
  EXPECT_EQ(decode_utf8("\xE1\x80\xE2", 0).length_bytes, 2);  // table 3-10
  EXPECT_EQ(decode_utf8("\xF1\x80\x80\x41", 0).length_bytes, 3);
  EXPECT_EQ(decode_utf8("\xC0\xAF", 0).length_bytes, 1);  // table 3-8: overlong
  EXPECT_EQ(decode_utf8("\xE0\x80\xBF", 0).length_bytes, 1);
  EXPECT_EQ(find_invalid_utf8("ab\xC3\xA9\xFFzz", 0), 4u);
  EXPECT_EQ(find_invalid_utf8("ab\xC3\xA9", 0), 4u);
}

TEST(Unicode, Properties) {
  EXPECT_TRUE(properties_of('a').is_letter());
  EXPECT_TRUE(properties_of(0x4E00).is_letter());
  EXPECT_TRUE(properties_of(0x105C0).is_letter());  // of Unicode 16
  EXPECT_TRUE(properties_of(0x301).is_mark());
  EXPECT_TRUE(properties_of(0xBD).is_number());
  EXPECT_TRUE(properties_of('_').is_punctuation());
  EXPECT_TRUE(properties_of('+').is_symbol());
  EXPECT_TRUE(properties_of(0x11DE0).is_numeric());  // of Unicode 17
  EXPECT_FALSE(properties_of(0x11DE0).is_number());
  int spaces = 0;
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) spaces += properties_of(code_point).is_space();
  EXPECT_EQ(spaces, 25);
  EXPECT_TRUE(properties_of(0x85).is_space());
  EXPECT_FALSE(properties_of(0x180E).is_space());
  EXPECT_FALSE(properties_of(0x110000).is_letter());
}

TEST(Unicode, Nfc) {
  const std::vector<std::pair<std::u32string, std::u32string>> cases = {
      {U"plain", U"plain"},
      {U"e\u0301", U"\u00E9"},
      {U"e\u0323\u0301", U"\u1EB9\u0301"},
      {U"e\u0301\u0323", U"\u1EB9\u0301"},                   // reordered, then composed
      {U"\u212B\u2126", U"\u00C5\u03A9"},                    // singletons
      {U"\u0958", U"\u0915\u093C"},                          // excluded from composition
      {U"\u1100\u1161\u11A8\uAC00\u11A8", U"\uAC01\uAC01"},  // Hangul
      {U"\u0344", U"\u0308\u0301"},
      {U"\u0301a\u0301", U"\u0301\u00E1"},  // a mark without a base
      {U"q\u0307\u0323x", U"q\u0323\u0307x"},
      {U"\U0001D15E", U"\U0001D157\U0001D165"},
      // Newer than Unicode 9, the version of the reference: neither composed nor reordered.
      {U"\U00011935\U00011930", U"\U00011935\U00011930"},
      {U"\U000105D2\u0307", U"\U000105D2\u0307"},
      {U"a\u0345\u0897\u0316", U"a\u0345\u0897\u0316"},
  };
  for (const auto& [from, to] : cases) {
    std::string text, expected;
    for (char32_t code_point : from) append_utf8(text, code_point);
    for (char32_t code_point : to) append_utf8(expected, code_point);
    EXPECT_EQ(nfc(text), expected) << text;
    EXPECT_EQ(nfc(expected), expected) << text;
    if (is_surely_nfc(text)) {
      EXPECT_EQ(text, expected);
    }
  }
  EXPECT_TRUE(is_surely_nfc("ASCII, é and 日本"));
  EXPECT_FALSE(is_surely_nfc("e\u0301"));
}

// Ordering the marks by insertion would be quadratic: hours.
TEST(Unicode, NfcOfALongRunOfMarksFinishes) {
  constexpr size_t kPairs = 1 << 18;
  std::string text = "a", acute_last = "\u00E1";
  for (size_t i = 0; i < kPairs; ++i) text += "\u0301\u0316";
  for (size_t i = 0; i < kPairs; ++i) acute_last += "\u0316";
  for (size_t i = 1; i < kPairs; ++i) acute_last += "\u0301";
  EXPECT_EQ(nfc(text), acute_last);
}

}  // namespace
}  // namespace megalith
