#include <gtest/gtest.h>

#include <string>

#include "base/utf8.h"

namespace megalith {
namespace {

TEST(Utf8, TellsWellFormedFromNot) {
  for (const char* text : {"", "abc", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xe2\x82\xac!"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "ok\xf0\x9f\x98"}) {
    EXPECT_FALSE(is_valid_utf8(text)) << in_quotes(text);
  }
  EXPECT_TRUE(is_valid_utf8(std::string_view("a\0b", 3)));
}

TEST(Utf8, QuotesForATerminal) {
  EXPECT_EQ(in_quotes("token_embd.weight"), "'token_embd.weight'");
  EXPECT_EQ(in_quotes("h\xc3\xa9"), "'h\xc3\xa9'");
  EXPECT_EQ(in_quotes("a\x1b[31m\n"), "'a\\x1b[31m\\x0a'");
  EXPECT_EQ(in_quotes("\xc2\x9b"), "'\\xc2\\x9b'");  // C1: terminals take it for ESC [
  EXPECT_EQ(in_quotes("\xff"), "'\\xff'");
  EXPECT_EQ(in_quotes(std::string(100, 'x')), "'" + std::string(80, 'x') + "'...");
  EXPECT_EQ(in_quotes(std::string(79, 'x') + "\xc3\xa9"), "'" + std::string(79, 'x') + "'...");
}

}  // namespace
}  // namespace megalith
