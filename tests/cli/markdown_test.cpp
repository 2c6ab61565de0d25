#include "cli/markdown.h"

#include <gtest/gtest.h>

#include <regex>

#include "cli/terminal.h"

namespace megalith::cli {
namespace {

/// Codes as words: <b> bold, <i> italic, <d> dim, <c> code, </> plain.
std::string readable(std::string text) {
  for (const auto& [code, word] : {std::pair{"0", "</>"}, {"1", "<b>"}, {"2", "<d>"}, {"3", "<i>"}, {"36", "<c>"}})
    text = std::regex_replace(text, std::regex(std::string("\x1b\\[") + code + "m"), word);
  return text;
}

std::string in_pieces_of(size_t characters, std::string_view text, int columns) {
  Markdown markdown(columns);
  std::string shown;
  std::string piece;
  size_t in_piece = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    piece += text.substr(at, end - at);
    at = end;
    if (++in_piece % characters == 0) {
      shown += markdown.push(piece);
      piece.clear();
    }
  }
  shown += markdown.push(piece);
  return readable(shown + markdown.finish());
}

/// The same however it is cut.
std::string show(std::string_view text, int columns = 40) {
  const std::string whole = in_pieces_of(text.size() + 1, text, columns);
  for (const size_t characters : {1, 2, 3, 5, 7}) {
    EXPECT_EQ(in_pieces_of(characters, text, columns), whole) << "pieces of " << characters << " of: " << text;
  }
  return whole;
}

TEST(Markdown, PlainTextIsItself) {
  for (const std::string text : {"",
                                 "Hello",
                                 "Hello\n",
                                 "\n\na\n",
                                 "a  b\n  c\n",
                                 "2 * 3 * 4 = 24",
                                 "f(*args, **kwargs)",
                                 "snake_case_name",
                                 "5*3*2",

                                 "#hashtag",
                                 "-dash",
                                 "--",
                                 "1.5",
                                 "a > b",
                                 "`open",
                                 "**open",
                                 "*",
                                 "_",
                                 "`",
                                 "C:\\dir \\(x\\)",
                                 "[text](http://a.b/c_d_e)",
                                 "~~~~ x",
                                 "1234567890. x"})
    EXPECT_EQ(show(text), text == "~~~~ x" ? "<d>~~~~ x</>" : text);
}

TEST(Markdown, Emphasis) {
  EXPECT_EQ(show("a **bold** b"), "a <b>bold</> b");
  EXPECT_EQ(show("*it* and _it_ and ***both***"), "<i>it</> and <i>it</> and <b><i>both</>");
  EXPECT_EQ(show("**bold *and it***"), "<b>bold</> <b><i>and it</>");
  EXPECT_EQ(show("*it **and bold***"), "<i>it</> <b><i>and bold</>");
  EXPECT_EQ(show("这是**重点**。"), "这是<b>重点</>。");
  EXPECT_EQ(show("**a** **b**"), "<b>a b</>");
  EXPECT_EQ(show("** no ** and * no *"), "** no ** and * no *");
  EXPECT_EQ(show("\\*kept\\*"), "*kept*");
  EXPECT_EQ(show("**open\nnext**"), "**open\nnext**");
  EXPECT_EQ(show("`**code**` and ``a`b``"), "<c>**code**</> and <c>a`b</>");
  EXPECT_EQ(show("**a `b**` c**"), "<b>a</> <b><c>b**</> <b>c</>");
}

TEST(Markdown, Blocks) {
  EXPECT_EQ(show("# Title\ntext\n"), "<b>Title</>\ntext\n");
  EXPECT_EQ(show("###### a *b*"), "<b>a</> <b><i>b</>");
  EXPECT_EQ(show("- one\n* two\n  + three\n10. ten\n"), "• one\n• two\n  • three\n10. ten\n");
  EXPECT_EQ(show("> said\n> > twice"), "<d>│</> <d>said</>\n<d>│</> <d>│</> <d>twice</>");
  EXPECT_EQ(show("> - in a list"), "<d>│</> • <d>in a list</>");
  EXPECT_EQ(show("---\n"), "<d>────────────────────</>\n");
  EXPECT_EQ(show("***\n***bold***\n"), "<d>────────────────────</>\n<b><i>bold</>\n");
  EXPECT_EQ(show("| a | **b** |\n|---|---|"), "| a | **b** |\n|---|---|");
}

TEST(Markdown, FencedCode) {
  EXPECT_EQ(show("```python\ndef f(*a):\n    return `a`\n```\n**b**"),
            "<d>```python</>\n<c>def f(*a):</>\n<c>    return `a`</>\n<d>```</>\n<b>b</>");
  EXPECT_EQ(show("~~~\n```\n~~\n~~~~\nx"), "<d>~~~</>\n<c>```</>\n<c>~~</>\n<d>~~~~</>\nx");
  EXPECT_EQ(show("````\n```\n````"), "<d>````</>\n<c>```</>\n<d>````</>");
  EXPECT_EQ(show("```\nnever closed"), "<d>```</>\n<c>never closed</>");
  EXPECT_EQ(show("```inline``` here"), "<c>inline</> here");
  EXPECT_EQ(show("``` "), "<d>``` </>");
  // Code keeps its lines, however long.
  EXPECT_EQ(show("```\n" + std::string(60, 'x') + " y\n```", 20),
            "<d>```</>\n<c>" + std::string(60, 'x') + " y</>\n<d>```</>");
}

TEST(Markdown, BreaksLinesBetweenWords) {
  EXPECT_EQ(show("aaa bbb ccc ddd", 7), "aaa bbb\nccc ddd");
  EXPECT_EQ(show("aaa **bbb ccc** ddd", 7), "aaa <b>bbb</>\n<b>ccc</> ddd");
  EXPECT_EQ(show("abcdefghijklmno p", 6), "abcdef\nghijkl\nmno p");
  EXPECT_EQ(show("- aaa bbb ccc", 7), "• aaa\n  bbb\n  ccc");
  EXPECT_EQ(show("> aaa bbb ccc", 7), "<d>│</> <d>aaa</>\n<d>│</> <d>bbb</>\n<d>│</> <d>ccc</>");
  EXPECT_EQ(show("1. aaa bbb", 7), "1. aaa\n   bbb");
  EXPECT_EQ(show("aaa bbb\nccc", 7), "aaa bbb\nccc");
}

TEST(Markdown, WideCharactersCountTwice) {
  EXPECT_EQ(show("日本語日本語", 6), "日本語\n日本語");
  EXPECT_EQ(show("日本語日本語", 7), "日本語\n日本語");
  // No line begins with a full stop.
  EXPECT_EQ(show("日本語。日本", 6), "日本\n語。日\n本");
  EXPECT_EQ(show("ab日本語 cd", 6), "ab日本\n語 cd");
  EXPECT_EQ(show("e\u0301e\u0301e\u0301 e\u0301e\u0301", 6), "e\u0301e\u0301e\u0301 e\u0301e\u0301");
}

TEST(Markdown, NoLineIsWiderThanTheTerminal) {
  const std::string text =
      "Some *words* of `different` lengths, **in bold** and not, 日本語の文章です。and "
      "averyveryverylongwordthatcannotfit ok\n"
      "- a list item that is long enough to be broken\n> a quote that is long enough to be broken too\n";
  for (int columns = 8; columns < 60; ++columns) {
    const std::string shown = std::regex_replace(show(text, columns), std::regex("</?[bidc]?>"), "");
    for (size_t begin = 0, end; (end = shown.find('\n', begin)) != std::string::npos; begin = end + 1)
      EXPECT_LE(display_width(shown.substr(begin, end - begin)), columns) << shown;
  }
}

TEST(Markdown, ShowsAsSoonAsItCan) {
  Markdown markdown(40);
  EXPECT_EQ(markdown.push("Hello wor"), "Hello");
  EXPECT_EQ(markdown.push("ld, **bo"), " world,");
  EXPECT_EQ(readable(markdown.push("ld** x")), " <b>bold");
  // A mark that is not closed holds nothing back for long.
  const std::string held = markdown.push(" **" + std::string(Markdown::kLongestSpan, 'a') + " b ");
  EXPECT_NE(held.find("aaa"), std::string::npos);
}

TEST(Markdown, ControlCharactersAreShownNotObeyed) {
  EXPECT_EQ(show("a\x1b[2Jb\r"), "a\\x1b[2Jb\\x0d");
  EXPECT_EQ(show("```\n\x1b]0;t\x07\n```"), "<d>```</>\n<c>\\x1b]0;t\\x07</>\n<d>```</>");
}

TEST(Markdown, DimBase) {
  Markdown markdown(40, kDim);
  const std::string shown = markdown.push("so **it** is\n");
  EXPECT_EQ(readable(shown + markdown.finish()), "<d>so</> <b><d>it</> <d>is</>\n");
}

}  // namespace
}  // namespace megalith::cli
