// SentencePiece's BPE against the package sentencepiece, with scores as GGUF has them, and by ranks as tokenizer.json.
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "text/test_vocabulary.h"
#include "text/tokenizer.h"

namespace megalith {
namespace {

using Ids = std::vector<TokenId>;
using Special = Tokenizer::Special;

Vocabulary golden_pieces(SpacePrefix prefix) {
  const nlohmann::json json = testing::read_json("sentence_piece_vocabulary.json");
  Vocabulary vocabulary;
  vocabulary.source = "golden";
  vocabulary.model = "llama";
  vocabulary.tokens = json.at("tokens").get<std::vector<std::string>>();
  vocabulary.scores = json.at("scores").get<std::vector<double>>();
  for (int type : json.at("types")) vocabulary.types.push_back(static_cast<TokenType>(type));
  vocabulary.unk = 0;
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.pipeline = sentence_piece_pipeline(prefix);
  return vocabulary;
}

/// <unk> <s> </s>, the bytes, then a few pieces: "ab" is best, then "bc", "aa" and "aaaa".
Vocabulary small_pieces() {
  Vocabulary vocabulary;
  vocabulary.source = "pieces";
  vocabulary.model = "llama";
  const auto add = [&](const std::string& text, TokenType type, double score) {
    vocabulary.tokens.push_back(text);
    vocabulary.types.push_back(type);
    vocabulary.scores.push_back(score);
  };
  add("<unk>", TokenType::kUnknown, 0);
  add("<s>", TokenType::kControl, 0);
  add("</s>", TokenType::kControl, 0);
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    add(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + '>', TokenType::kByte, 0);
  }
  double score = 0;
  for (const char* piece : {"ab", "bc", "aa", "aaaa", "▁a", "▁▁", "▁▁▁▁", "a", "b", "c", "▁"}) {
    add(piece, TokenType::kNormal, score -= 1);
  }
  add("<t>", TokenType::kUserDefined, 0);
  add("\n\n", TokenType::kUserDefined, 0);
  vocabulary.unk = 0;
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  return vocabulary;
}

Ids texts_to_ids(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  Ids ids;
  for (const std::string& text : texts) ids.push_back(tokenizer.find(text).value_or(-1));
  return ids;
}

TEST(SentencePiece, GoldensOfTheReference) {
  const nlohmann::json goldens = testing::read_json("sentence_piece_goldens.json");
  const auto strings = goldens.at("strings").get<std::vector<std::string>>();
  ASSERT_GT(strings.size(), 300u);
  const std::pair<const char*, SpacePrefix> kinds[] = {{"tokens", SpacePrefix::kOmitted},
                                                       {"tokens_with_space_prefix", SpacePrefix::kAdded}};
  for (const auto& [name, prefix] : kinds) {
    const auto tokenizer = make_tokenizer(golden_pieces(prefix));
    const auto expected = goldens.at(name).get<std::vector<Ids>>();
    ASSERT_EQ(expected.size(), strings.size());
    for (size_t i = 0; i < strings.size(); ++i) {
      EXPECT_EQ(tokenizer->encode(strings[i], {}), expected[i]) << name << ": " << strings[i];
      if (strings[i].find("▁") == std::string::npos) {
        EXPECT_EQ(tokenizer->decode(expected[i], Special::kRender), strings[i]);
      }
    }
  }
}

TEST(SentencePiece, MergesByScoreAndTheLeftmostOfEquals) {
  const auto tokenizer = make_tokenizer(small_pieces());
  EXPECT_EQ(tokenizer->encode("abc", {}), texts_to_ids(*tokenizer, {"ab", "c"}));
  EXPECT_EQ(tokenizer->encode("aab", {}), texts_to_ids(*tokenizer, {"a", "ab"}));
  EXPECT_EQ(tokenizer->encode("aaaaa", {}), texts_to_ids(*tokenizer, {"aaaa", "a"}));
  Vocabulary equal = small_pieces();
  for (double& score : equal.scores) score = -1;
  const auto leftmost = make_tokenizer(equal);
  EXPECT_EQ(leftmost->encode("bcbc", {}), texts_to_ids(*leftmost, {"bc", "bc"}));
  EXPECT_EQ(leftmost->encode("aab", {}), texts_to_ids(*leftmost, {"aa", "b"}));
}

TEST(SentencePiece, MergesByRankWhereTheFileHasMerges) {
  Vocabulary vocabulary = small_pieces();
  vocabulary.scores.clear();
  vocabulary.merges = {"b c", "a b", "aa aa", "a a"};
  const auto tokenizer = make_tokenizer(vocabulary);
  EXPECT_EQ(tokenizer->encode("abc", {}), texts_to_ids(*tokenizer, {"a", "bc"}));
  EXPECT_EQ(tokenizer->encode("aaaaa", {}), texts_to_ids(*tokenizer, {"aaaa", "a"}));
  EXPECT_EQ(tokenizer->encode(" a", {}), texts_to_ids(*tokenizer, {"▁", "a"}));
}

TEST(SentencePiece, WhatNoPieceCoversIsBytesOrUnknown) {
  const auto tokenizer = make_tokenizer(small_pieces());
  EXPECT_EQ(tokenizer->encode("a€", {}), texts_to_ids(*tokenizer, {"a", "<0xE2>", "<0x82>", "<0xAC>"}));
  EXPECT_EQ(tokenizer->encode("a\xFF\xE2\x82", {}), texts_to_ids(*tokenizer, {"a", "<0xFF>", "<0xE2>", "<0x82>"}));
  Vocabulary vocabulary = small_pieces();
  for (TokenType& type : vocabulary.types) type = type == TokenType::kByte ? TokenType::kControl : type;
  const auto without_bytes = make_tokenizer(vocabulary);
  EXPECT_EQ(without_bytes->encode("a€€b€", {}), texts_to_ids(*without_bytes, {"a", "<unk>", "b", "<unk>"}));
}

TEST(SentencePiece, SpacesBeforeAText) {
  const Pipeline none = sentence_piece_pipeline(SpacePrefix::kOmitted);
  const Pipeline always = sentence_piece_pipeline(SpacePrefix::kAdded);
  Pipeline unless_there, at_start_unless_there;
  unless_there.space_marks = SpaceMarks{SpaceMarks::Prefix::kAlways, SpaceMarks::Words::kWhole};
  at_start_unless_there.space_marks = SpaceMarks{SpaceMarks::Prefix::kFirst, SpaceMarks::Words::kWhole};
  const auto encode = [](const Pipeline& pipeline, const char* text) {
    Vocabulary vocabulary = small_pieces();
    vocabulary.pipeline = pipeline;
    const auto tokenizer = make_tokenizer(vocabulary);
    const Ids ids = tokenizer->encode(text, {.parse_special = true});
    std::string joined;
    for (TokenId token : ids) joined += vocabulary.tokens[token] + '|';
    return joined;
  };
  EXPECT_EQ(encode(none, "b</s>b"), "b|</s>|b|");
  EXPECT_EQ(encode(always, "b</s>b"), "▁|b|</s>|▁|b|");
  EXPECT_EQ(encode(always, " b"), "▁▁|b|");
  EXPECT_EQ(encode(always, "</s>"), "</s>|");
  EXPECT_EQ(encode(unless_there, " b</s>b"), "▁|b|</s>|▁|b|");
  EXPECT_EQ(encode(at_start_unless_there, "b</s>b"), "▁|b|</s>|b|");
  EXPECT_EQ(encode(at_start_unless_there, "</s>b"), "</s>|b|");
  EXPECT_EQ(encode(none, ""), "");
}

TEST(SentencePiece, SpecialTokens) {
  Vocabulary vocabulary = small_pieces();
  vocabulary.add_bos.reset();
  const auto tokenizer = make_tokenizer(vocabulary);
  EXPECT_EQ(tokenizer->encode("a<t>\n\n\n", {}), texts_to_ids(*tokenizer, {"a", "<t>", "\n\n", "<0x0A>"}));
  EXPECT_EQ(tokenizer->encode("</s>", {}).size(), 4u);
  EXPECT_EQ(tokenizer->encode("</s>", {.parse_special = true}), Ids{2});
  // As Llama 2 does where the file is silent.
  EXPECT_EQ(tokenizer->encode("b", {.add_special = true}), (Ids{1, *tokenizer->find("b")}));
  EXPECT_TRUE(tokenizer->ends_generation(2));
  Vocabulary gemma = small_pieces();
  gemma.tokens[1] = "<end_of_turn>";
  gemma.tokens[2] = "<eos>";
  gemma.eos.reset();
  const auto ends = make_tokenizer(gemma);
  EXPECT_TRUE(ends->ends_generation(1) && ends->ends_generation(2));
  EXPECT_EQ(tokenizer->bytes(*tokenizer->find("▁a"), Special::kOmit), " a");
  EXPECT_EQ(tokenizer->bytes(*tokenizer->find("<0x0A>"), Special::kOmit), "\n");
  EXPECT_EQ(tokenizer->bytes(1, Special::kOmit), "");
  EXPECT_EQ(tokenizer->bytes(1, Special::kRender), "<s>");
}

TEST(SentencePiece, LongWordsFinish) {
  constexpr size_t kMiB = 1 << 20;
  const auto tokenizer = make_tokenizer(small_pieces());
  EXPECT_EQ(tokenizer->encode(std::string(kMiB, 'a'), {}), Ids(kMiB / 4, *tokenizer->find("aaaa")));
  EXPECT_EQ(tokenizer->encode(std::string(kMiB, ' '), {}), Ids(kMiB / 4, *tokenizer->find("▁▁▁▁")));
  EXPECT_EQ(tokenizer->encode(std::string(kMiB, '<'), {}).size(), kMiB);
  EXPECT_EQ(tokenizer->encode(std::string(kMiB, '\xE2'), {}).size(), kMiB);
}

TEST(SentencePiece, BadVocabulariesAreNamed) {
  const std::vector<std::pair<std::string, std::function<void(Vocabulary&)>>> cases = {
      {"tokenizer.ggml.scores is missing", [](Vocabulary& v) { v.scores.clear(); }},
      {"the score of token 7 is no finite number",
       [](Vocabulary& v) { v.scores[7] = std::numeric_limits<double>::quiet_NaN(); }},
      {"token 3, '<0x00', is marked as a byte", [](Vocabulary& v) { v.tokens[3] = "<0x00"; }},
      {"token 3, '<0x0g>', is marked as a byte", [](Vocabulary& v) { v.tokens[3] = "<0x0g>"; }},
      {"token 5 has the same text as token 4", [](Vocabulary& v) { v.tokens[5] = v.tokens[4]; }},
      {"needs the token 'x'",
       [](Vocabulary& v) {
         v.scores.clear();
         v.merges = {"a x"};
       }},
  };
  for (const auto& [expected, spoil] : cases) {
    Vocabulary vocabulary = small_pieces();
    spoil(vocabulary);
    try {
      make_tokenizer(std::move(vocabulary));
      ADD_FAILURE() << "accepted; expected: " << expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel);
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace megalith
