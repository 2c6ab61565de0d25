#include "text/reasoning.h"

#include <gtest/gtest.h>

#include <set>

namespace megalith {
namespace {

using Piece = ReasoningSplitter::Piece;

struct Split {
  std::string reasoning, content;
  friend bool operator==(const Split&, const Split&) = default;
  friend void PrintTo(const Split& split, std::ostream* out) {
    *out << "reasoning '" << split.reasoning << "', content '" << split.content << "'";
  }
};

void take(Split& split, const std::vector<Piece>& pieces) {
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_FALSE(pieces[i].text.empty());
    if (i > 0) {
      EXPECT_NE(pieces[i].kind, pieces[i - 1].kind);
    }
    (pieces[i].kind == Piece::Kind::kReasoning ? split.reasoning : split.content) += pieces[i].text;
  }
}

Split in_pieces_of(size_t bytes, std::string_view style, std::string_view prompt, std::string_view text) {
  ReasoningSplitter splitter(reasoning_style(style), prompt);
  Split split;
  for (; !text.empty(); text.remove_prefix(std::min(bytes, text.size())))
    take(split, splitter.push(text.substr(0, bytes)));
  take(split, splitter.finish());
  return split;
}

/// The same however the text is cut.
Split split(std::string_view style, std::string_view prompt, std::string_view text) {
  const Split whole = in_pieces_of(text.size() + 1, style, prompt, text);
  for (size_t bytes = 1; bytes <= text.size(); ++bytes)
    EXPECT_EQ(in_pieces_of(bytes, style, prompt, text), whole) << "pieces of " << bytes << " bytes";
  return whole;
}

TEST(Reasoning, TagsOfEveryStyle) {
  size_t tested = 0;
  for (const ReasoningStyle& style : reasoning_styles()) {
    if (style.kind != ReasoningStyle::Kind::kTags) continue;
    ++tested;
    const std::string opens(style.marks[0]);
    const std::string closes(style.marks[1]);
    const Split expected{"Let me see.\n", "Forty-two."};
    EXPECT_EQ(split(style.name, "user: hi", opens + "\nLet me see.\n" + closes + "\n\nForty-two."), expected);
    EXPECT_EQ(split(style.name, "user: hi", "\n " + opens + "Let me see.\n" + closes + "Forty-two."), expected);
    // The template opened it.
    EXPECT_EQ(split(style.name, "assistant: " + opens + "\n", "Let me see.\n" + closes + "\n\nForty-two."), expected);
    // The template opened and closed it: no reasoning is wanted.
    EXPECT_EQ(split(style.name, opens + "\n\n" + closes + "\n\n", "Forty-two."), (Split{"", "Forty-two."}));
    EXPECT_EQ(split(style.name, "", opens + opens + closes + closes), (Split{opens, closes}));
  }
  EXPECT_GE(tested, 5U);
}

TEST(Reasoning, TagsInsideTheAnswerAreText) {
  EXPECT_EQ(split("think", "", "Write <think> and </think>."), (Split{"", "Write <think> and </think>."}));
  EXPECT_EQ(split("think", "", "  indented"), (Split{"", "  indented"}));
  EXPECT_EQ(split("think", "", "<thin ice"), (Split{"", "<thin ice"}));
  EXPECT_EQ(split("think", "", "<think>a</think>b</think><think>c"), (Split{"a", "b</think><think>c"}));
  EXPECT_EQ(split("think", "", "<think>a < b </thin> c</think>d"), (Split{"a < b </thin> c", "d"}));
  EXPECT_EQ(split("think", "", "<think></think>"), (Split{"", ""}));
  EXPECT_EQ(split("think", "<think>\n", "<</think>x"), (Split{"<", "x"}));
}

TEST(Reasoning, AnEndInTheMiddleLosesNothing) {
  EXPECT_EQ(split("think", "", "<think>so far"), (Split{"so far", ""}));
  EXPECT_EQ(split("think", "", "<think>so far</th"), (Split{"so far</th", ""}));
  EXPECT_EQ(split("think", "", " <thi"), (Split{"", " <thi"}));
  EXPECT_EQ(split("think", "", ""), (Split{"", ""}));
}

TEST(Reasoning, HoldsBackNoMoreThanABeginningOfAMark) {
  ReasoningSplitter splitter(reasoning_style("think"), "");
  EXPECT_TRUE(splitter.push("<thi").empty());
  EXPECT_EQ(splitter.push("nk>a"), (std::vector<Piece>{{Piece::Kind::kReasoning, "a"}}));
  EXPECT_EQ(splitter.push("b<"), (std::vector<Piece>{{Piece::Kind::kReasoning, "b"}}));
  EXPECT_EQ(splitter.push("c</"), (std::vector<Piece>{{Piece::Kind::kReasoning, "<c"}}));
  EXPECT_EQ(splitter.push("think>\n"), (std::vector<Piece>{}));
  EXPECT_EQ(splitter.push("\nd<think"), (std::vector<Piece>{{Piece::Kind::kContent, "d<think"}}));
}

TEST(Reasoning, Harmony) {
  const std::string prompt = "<|start|>user<|message|>Hi<|end|><|start|>assistant";
  const Split expected{"They greet.", "Hello!"};
  EXPECT_EQ(split("harmony", prompt,
                  "<|channel|>analysis<|message|>They greet.<|end|><|start|>assistant<|channel|>final<|message|>Hello!"
                  "<|return|>"),
            expected);
  // The end of the answer is no token of it.
  EXPECT_EQ(
      split("harmony", prompt,
            "<|channel|>analysis<|message|>They greet.<|end|><|start|>assistant<|channel|>final<|message|>Hello!"),
      expected);
  // The template opened a message.
  EXPECT_EQ(split("harmony", prompt + "<|channel|>analysis<|message|>",
                  "They greet.<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>Hello!"),
            expected);
  EXPECT_EQ(split("harmony", prompt + "<|channel|>final<|message|>", "Hello!"), (Split{"", "Hello!"}));
  EXPECT_EQ(split("harmony", prompt + "<|channel|>", "analysis<|message|>They greet."), (Split{"They greet.", ""}));
  EXPECT_EQ(split("harmony", prompt, "<|channel|>commentary<|message|>I shall look.<|end|>"),
            (Split{"", "I shall look."}));
  EXPECT_EQ(split("harmony", prompt, "<|message|>No channel<|end|>"), (Split{"", "No channel"}));
  EXPECT_EQ(split("harmony", prompt, "Just text with <| in it"), (Split{"", "Just text with <| in it"}));
  EXPECT_EQ(split("harmony", "", "<|channel|>analysis<|message|>a <|end b"), (Split{"a <|end b", ""}));
}

TEST(Reasoning, StylesByTemplate) {
  EXPECT_EQ(reasoning_style_of_template("{{ '<|im_start|>' }}").name, "think");
  EXPECT_EQ(reasoning_style_of_template("{{ content.split('</think>')[-1] }}").name, "think");
  EXPECT_EQ(reasoning_style_of_template("'<|channel|>final<|message|>'").name, "harmony");
  EXPECT_EQ(reasoning_style_of_template("[THINK]x[/THINK]").name, "brackets");
  EXPECT_EQ(reasoning_style_of_template("</seed:think>").name, "seed");
  std::set<std::string_view> names;
  for (const ReasoningStyle& style : reasoning_styles()) {
    EXPECT_TRUE(names.insert(style.name).second) << style.name;
    EXPECT_EQ(&reasoning_style(style.name), &style);
    EXPECT_GE(style.marks.size(), 2U);
  }
  EXPECT_EQ(reasoning_style("nothing of the kind").name, "think");
}

}  // namespace
}  // namespace megalith
