#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace megalith::cli {
namespace {

TEST(Terminal, DisplayWidth) {
  EXPECT_EQ(display_width(""), 0);
  EXPECT_EQ(display_width("abc é"), 5);
  EXPECT_EQ(display_width("日本語"), 6);
  EXPECT_EQ(display_width("한국"), 4);
  EXPECT_EQ(display_width("ｆｕｌｌ"), 8);
  EXPECT_EQ(display_width("e\u0301"), 1);         // a combining accent
  EXPECT_EQ(display_width("a\u200Bb\u200D"), 2);  // zero width space and joiner
  EXPECT_EQ(display_width("🙂"), 2);
  EXPECT_EQ(display_width("𠀀"), 2);
}

TEST(Terminal, PrintableLeavesNoControls) {
  EXPECT_EQ(printable("a\x1b[31mb\r\tc\n"), "a\\x1b[31mb\\x0d\tc\n");
  EXPECT_EQ(printable_line("a\nb\tc\x7f"), "a\\nb\\tc\\x7f");
  EXPECT_EQ(printable("\u0085\xff"), "\\xc2\\x85\\xff");
}

}  // namespace
}  // namespace megalith::cli
