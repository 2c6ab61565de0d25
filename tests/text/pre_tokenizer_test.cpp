#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "test_vocabulary.h"
#include "text/unicode.h"

namespace megalith {
namespace {

using Words = std::vector<std::string>;

Words words_of(std::string_view name, std::string_view text) {
  Words words;
  const WordSplitter splitter(find_pre_tokenizer(name)->stages, "test: ");
  WordSplitter::Scratch scratch;
  splitter.split(text, scratch, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(PreTokenizer, NamesAreUniqueAndListed) {
  std::set<std::string_view> names;
  for (const PreTokenizer& row : pre_tokenizers()) {
    for (std::string_view name : row.names) {
      EXPECT_TRUE(names.insert(name).second) << name;
      EXPECT_EQ(find_pre_tokenizer(name), &row);
      EXPECT_NE(known_pre_tokenizers().find(name), std::string::npos);
    }
  }
  EXPECT_EQ(find_pre_tokenizer("qwen9"), nullptr);
  EXPECT_EQ(find_pre_tokenizer(""), nullptr);
}

TEST(PreTokenizer, EveryRowCoversEveryText) {
  std::mt19937 generator(5);
  for (const PreTokenizer& row : pre_tokenizers()) {
    const WordSplitter splitter(row.stages, "test: ");
    WordSplitter::Scratch scratch;
    for (int repeat = 0; repeat < 2000; ++repeat) {
      std::string text;
      for (size_t i = generator() % 12; i > 0; --i) {
        static constexpr char32_t kCharacters[] = {' ', '\n', '\r', '\t', '\'', 's', 'L', '1', '!', 0xA0, 0xBD, 0x4E00};
        char32_t character = kCharacters[generator() % std::size(kCharacters)];
        if (generator() % 5 == 0) character = static_cast<char32_t>(generator() % 0xD800);
        append_utf8(text, character);
      }
      std::string joined;
      splitter.split(text, scratch, [&](std::string_view word) {
        EXPECT_FALSE(word.empty());
        // Falcon's makers cut bytes, not characters.
        if (row.names.front() != "falcon") {
          EXPECT_EQ(find_invalid_utf8(word, 0), word.size()) << "cut inside a character";
        }
        joined += word;
      });
      EXPECT_EQ(joined, text);
    }
  }
}

/// "(123)" or a digit of base 36 for each word.
std::string lengths_of(const PreTokenizer& row, const WordSplitter& splitter, const std::string& text) {
  const bool normalises = row.normalisation == PreTokenizer::Normalisation::kNfc;
  const std::string normalised = normalises ? to_normal_form(text, NormalForm::kNfc) : text;
  WordSplitter::Scratch scratch;
  std::string lengths;
  splitter.split(normalised, scratch, [&](std::string_view word) {
    if (word.size() < 36) {
      lengths += "0123456789abcdefghijklmnopqrstuvwxyz"[word.size()];
    } else {
      lengths += "(" + std::to_string(word.size()) + ")";
    }
  });
  return lengths;
}

TEST(PreTokenizer, WordsOfTheReferenceForEveryRow) {
  const nlohmann::json goldens = testing::read_json("word_goldens.json");
  const auto strings = goldens.at("strings").get<std::vector<std::string>>();
  ASSERT_GT(strings.size(), 300u);
  EXPECT_EQ(goldens.at("lengths").size(), pre_tokenizers().size());
  for (const PreTokenizer& row : pre_tokenizers()) {
    const std::string name(row.names.front());
    SCOPED_TRACE(name);
    const auto expected = goldens.at("lengths").at(name).get<std::vector<std::string>>();
    ASSERT_EQ(expected.size(), strings.size());
    const WordSplitter splitter(row.stages, "test: ");
    for (size_t i = 0; i < strings.size(); ++i)
      EXPECT_EQ(lengths_of(row, splitter, strings[i]), expected[i]) << strings[i];
  }
}

// A matcher that looked at a run again for each of its words would be quadratic here: hours.
TEST(PreTokenizer, LongRunsFinish) {
  constexpr size_t kLength = 1 << 18;
  for (const PreTokenizer& row : pre_tokenizers()) {
    const WordSplitter splitter(row.stages, "test: ");
    WordSplitter::Scratch scratch;
    for (const std::string unit :
         {"a", " ", "1", "\n", "'", "!", "\n  \t", " \n", "'s", " 1", " !\r\n", "\u3000", "\u0301"}) {
      std::string text;
      while (text.size() < kLength) text += unit;
      size_t covered = 0;
      splitter.split(text, scratch, [&](std::string_view word) { covered += word.size(); });
      EXPECT_EQ(covered, text.size());
    }
  }
}

// Expressions that would be quadratic or worse if nothing were remembered of what failed: hours.
TEST(WordPattern, EveryExpressionIsLinear) {
  for (const char* expression :
       {R"(\s+$)", R"(\s+,$)", R"(\s+(?!\S)x)", R"((?=(\d{3})+(?!\d)))", R"((?:a+)+b)", R"((?=a*+b)c)", R"(a+?b)",
        R"((?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+$)", R"(\d{1,3}(?=(?:\d{3})*\b))", R"((?!a*b)ab)"}) {
    const SplitStage stage{.expression = expression};
    const WordSplitter splitter(std::span(&stage, 1), "test: ");
    WordSplitter::Scratch scratch;
    for (const std::string unit : {"a", " ", "1", "a a", " x"}) {
      std::string text;
      while (text.size() < 300000) text += unit;
      size_t covered = 0;
      splitter.split(text + "!", scratch, [&](std::string_view word) { covered += word.size(); });
      EXPECT_EQ(covered, text.size() + 1);
    }
  }
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ(words_of("gpt-2", "I'll  go, 123\n\nDON'T   "),
            (Words{"I", "'ll", " ", " go", ",", " 123", "\n", "\n", "DON", "'", "T", "   "}));
}

TEST(PreTokenizer, SmolLmSplitsDigitsBeforeAnythingElse) {
  // The run of spaces before a digit ends a text of its own, so it stays whole.
  EXPECT_EQ(words_of("smollm", "a  12 b"), (Words{"a", "  ", "1", "2", " b"}));
  EXPECT_EQ(words_of("gpt-2", "a  12 b"), (Words{"a", " ", " 12", " b"}));
  EXPECT_EQ(words_of("smollm", "½x"), (Words{"½", "x"}));
}

TEST(PreTokenizer, Qwen2) {
  EXPECT_EQ(words_of("qwen2", "It'S 12!\r\n\n  x\n y"),
            (Words{"It", "'S", " ", "1", "2", "!\r\n\n", " ", " x", "\n", " y"}));
  // A line end is no part of a word, any other sign before letters is.
  EXPECT_EQ(words_of("qwen2", "\na\rb\tc(d"), (Words{"\n", "a", "\r", "b", "\tc", "(d"}));
  // The regular expressions ignore case as Unicode does: the long s is an s.
  EXPECT_EQ(words_of("qwen2", "a'\u017Fb"), (Words{"a", "'\u017F", "b"}));
  EXPECT_EQ(words_of("gpt-2", "a'\u017Fb"), (Words{"a", "'", "\u017Fb"}));
}

TEST(PreTokenizer, Llama3TakesUpToThreeNumbers) {
  EXPECT_EQ(words_of("llama-bpe", "1234567 (x) \n\n a"), (Words{"123", "456", "7", " (", "x", ")", " \n\n", " a"}));
}

TEST(PreTokenizer, WhiteSpaceIsUnicodes) {
  // U+0085 and U+3000 are white space; U+180E has not been since Unicode 6.3, and U+200B never was.
  EXPECT_EQ(words_of("gpt-2", "\u0085\u3000"), (Words{"\u0085\u3000"}));
  EXPECT_EQ(words_of("gpt-2", " \u180E"), (Words{" \u180E"}));
  EXPECT_EQ(words_of("gpt-2", "\u3000\u200B"), (Words{"\u3000", "\u200B"}));
}

}  // namespace
}  // namespace megalith
