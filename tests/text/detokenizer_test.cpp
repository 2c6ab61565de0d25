#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "text/unicode.h"

namespace megalith {
namespace {

struct Answer {
  std::string text;
  int matched_stop = -1;
  friend bool operator==(const Answer&, const Answer&) = default;
};

/// By the definition: the replaced text, cut at the stop string that is complete first, the longest of equals.
Answer expected_answer(std::string_view bytes, const std::vector<std::string>& stops) {
  Answer answer;
  for (size_t position = 0; position < bytes.size();) {
    const Utf8Step step = decode_utf8(bytes, position);
    append_utf8(answer.text, step.code_point);
    position += step.length_bytes;
    size_t longest = 0;
    for (size_t i = 0; i < stops.size(); ++i) {
      if (!answer.text.ends_with(stops[i]) || stops[i].size() <= longest) continue;
      longest = stops[i].size();
      answer.matched_stop = static_cast<int>(i);
    }
    if (longest > 0) {
      answer.text.resize(answer.text.size() - longest);
      break;
    }
  }
  return answer;
}

Answer pushed(const std::vector<std::string>& tokens, const std::vector<std::string>& stops) {
  Detokenizer detokenizer(stops);
  Answer answer;
  for (const std::string& token : tokens) {
    const bool stopped = detokenizer.stopped();
    const std::string text = detokenizer.push(token);
    EXPECT_EQ(find_invalid_utf8(text, 0), text.size()) << "half a character";
    if (stopped) {
      EXPECT_EQ(text, "");
    }
    answer.text += text;
  }
  const std::string rest = detokenizer.finish();
  EXPECT_EQ(find_invalid_utf8(rest, 0), rest.size());
  answer.text += rest;
  answer.matched_stop = detokenizer.matched_stop();
  EXPECT_EQ(detokenizer.stopped(), answer.matched_stop >= 0);
  return answer;
}

TEST(Detokenizer, EverySplitOfAStreamGivesTheSameText) {
  const std::string bytes = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82z\xE2\x82 \xFF\xF0\x9F";
  const std::vector<std::string> stops = {"\xE2\x82\xACz", "zz"};
  const Answer expected = expected_answer(bytes, stops);
  ASSERT_EQ(expected.text, "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82z\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD");
  // Bit i: a token border after byte i.
  for (uint32_t borders = 0; borders < 1u << (bytes.size() - 1); ++borders) {
    std::vector<std::string> tokens(1);
    for (size_t i = 0; i < bytes.size(); ++i) {
      tokens.back() += bytes[i];
      if (borders >> i & 1) tokens.emplace_back();
    }
    ASSERT_EQ(pushed(tokens, stops), expected) << borders;
  }
}

TEST(Detokenizer, RandomBytesAndStopStrings) {
  std::mt19937 generator(17);
  static const std::string kPieces[] = {"a",  "b",        "ab",       "é",    "\xC3", "\xA9",
                                        "🙂", "\xF0\x9F", "\x99\x82", "\xFF", "\n",   "\uFFFD"};
  const auto random_text = [&](size_t pieces) {
    std::string text;
    for (size_t i = 0; i < pieces; ++i) text += kPieces[generator() % std::size(kPieces)];
    return text;
  };
  int stopped = 0;
  for (int repeat = 0; repeat < 20000; ++repeat) {
    std::vector<std::string> stops(generator() % 4);
    for (std::string& stop : stops) {
      do stop = random_text(generator() % 3 + 1);
      while (find_invalid_utf8(stop, 0) != stop.size());
    }
    const std::string bytes = random_text(generator() % 20);
    std::vector<std::string> tokens;
    for (size_t begin = 0; begin < bytes.size();) {
      const size_t length = generator() % 4;
      tokens.push_back(bytes.substr(begin, length));
      begin += length;
    }
    const Answer expected = expected_answer(bytes, stops);
    ASSERT_EQ(pushed(tokens, stops), expected) << bytes;
    stopped += expected.matched_stop >= 0;
  }
  EXPECT_GT(stopped, 1000);
}

TEST(Detokenizer, HoldsBackNoMoreThanItMust) {
  Detokenizer plain;
  EXPECT_EQ(plain.push("ab\xE2\x82"), "ab");
  EXPECT_EQ(plain.push("\xAC"), "\xE2\x82\xAC");
  EXPECT_EQ(plain.push("\xE2\x82"), "");
  EXPECT_EQ(plain.push("x"), "\xEF\xBF\xBDx");  // no longer a character
  EXPECT_EQ(plain.finish(), "");

  Detokenizer with_stops({"\n\nUser:", "</s>"});
  EXPECT_EQ(with_stops.push("one\n"), "one");
  EXPECT_EQ(with_stops.push("two"), "\ntwo");
  EXPECT_EQ(with_stops.push("\n\n\nUs"), "\n");  // the beginning moved on by one line end
  EXPECT_EQ(with_stops.push("er; <"), "\n\nUser; ");
  EXPECT_EQ(with_stops.finish(), "<");
}

TEST(Detokenizer, StopsAtTheFirstCompleteStopString) {
  Detokenizer detokenizer({"stop", "top", "s"});
  EXPECT_EQ(detokenizer.push("a sto"), "a ");
  EXPECT_TRUE(detokenizer.stopped());
  EXPECT_EQ(detokenizer.matched_stop(), 2);
  EXPECT_EQ(detokenizer.push("p and more"), "");
  EXPECT_EQ(detokenizer.finish(), "");

  Detokenizer longest({"top", "stop"});
  EXPECT_EQ(longest.push("a sto"), "a ");
  EXPECT_EQ(longest.push("p"), "");
  EXPECT_EQ(longest.matched_stop(), 1);
}

TEST(Detokenizer, StopStringsAreComparedAsText) {
  Detokenizer unfinished({"\xEF\xBF\xBD"});
  EXPECT_EQ(unfinished.push("a\xE2"), "a");
  EXPECT_FALSE(unfinished.stopped());
  EXPECT_EQ(unfinished.finish(), "");
  EXPECT_TRUE(unfinished.stopped());
  // An invalid stop string is what its bytes are shown as; it never matches inside a character.
  Detokenizer invalid({"\xA9"});
  EXPECT_EQ(invalid.push("é"), "é");
  EXPECT_EQ(invalid.push("\xA9"), "");
  EXPECT_TRUE(invalid.stopped());
}

TEST(Detokenizer, AnEmptyStopStringIsRefused) {
  try {
    Detokenizer detokenizer({"x", ""});
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

}  // namespace
}  // namespace megalith
