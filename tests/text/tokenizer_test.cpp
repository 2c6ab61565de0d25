#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>

#include "base/error.h"
#include "text/pre_tokenizer.h"
#include "text/test_vocabulary.h"

namespace megalith {
namespace {

using testing::byte_vocabulary;
using testing::golden_vocabulary;
using Special = Tokenizer::Special;
using Ids = std::vector<TokenId>;

// The rows differ in their words alone, which the goldens of PreTokenizer hold for each.
TEST(Tokenizer, GoldensOfTheReference) {
  const nlohmann::json goldens = testing::read_json("tokenizer_goldens.json");
  const auto strings = goldens.at("strings").get<std::vector<std::string>>();
  ASSERT_GT(strings.size(), 300u);
  ASSERT_GE(goldens.at("tokens").size(), 5u);
  for (const auto& [name, tokens] : goldens.at("tokens").items()) {
    SCOPED_TRACE(name);
    const auto tokenizer = make_tokenizer(golden_vocabulary(name));
    const auto plain = tokens.get<std::vector<Ids>>();
    ASSERT_EQ(plain.size(), strings.size());
    std::vector<Ids> parsed = plain;
    const auto& differing = goldens.at("tokens_parsing_special").at(name);
    ASSERT_GT(differing.size(), 10u);
    for (const auto& [index, ids] : differing.get<std::vector<std::pair<size_t, Ids>>>()) parsed.at(index) = ids;
    for (size_t i = 0; i < strings.size(); ++i) {
      EXPECT_EQ(tokenizer->encode(strings[i], {}), plain[i]) << strings[i];
      EXPECT_EQ(tokenizer->encode(strings[i], {.parse_special = true}), parsed[i]) << strings[i];
    }
  }
}

// Bytes of every kind, valid and not, in random order.
std::string random_bytes(std::mt19937& generator, size_t count) {
  static constexpr const char* kPieces[] = {"a",        "low ",    " ",     "\n",       "12",   "\xE2\x82\xAC",
                                            "\xE2\x82", "\xE2",    "\x80",  "\xF0\x9F", "\xFF", "\xC3",
                                            "\xA9",     "<think>", "<thin", "<|bos|>",  "'s",   "\xED\xA0\x80"};
  std::string text;
  while (text.size() < count) {
    if (generator() % 4 == 0) {
      text += static_cast<char>(generator());
    } else {
      text += kPieces[generator() % std::size(kPieces)];
    }
  }
  return text;
}

TEST(Tokenizer, AnyBytesComeBackWhereNothingNormalises) {
  std::mt19937 generator(3);
  for (const PreTokenizer& row : pre_tokenizers()) {
    const auto tokenizer = make_tokenizer(byte_vocabulary(std::string(row.names.front())));
    for (int i = 0; i < 500; ++i) {
      const std::string text = random_bytes(generator, generator() % 60);
      if (row.normalisation == PreTokenizer::Normalisation::kNone) {
        for (bool parse_special : {false, true}) {
          const Ids ids = tokenizer->encode(text, {.parse_special = parse_special});
          EXPECT_EQ(tokenizer->decode(ids, Special::kRender), text);
        }
      } else {
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {}), Special::kRender).size() == 0, text.empty());
      }
    }
  }
}

TEST(Tokenizer, InvalidUtf8IsAWordOfItsOwn) {
  const auto tokenizer = make_tokenizer(byte_vocabulary("gpt-2"));
  // The merges of the whole character apply to its beginning too.
  EXPECT_EQ(tokenizer->encode("\xE2\x82\xAC", {}), Ids{*tokenizer->find("âĤ¬")});
  EXPECT_EQ(tokenizer->encode("\xE2\x82", {}), Ids{*tokenizer->find("âĤ")});
  EXPECT_EQ(tokenizer->encode("\xE2\x82 \xAC", {}), (Ids{*tokenizer->find("âĤ"), 0x20, 0xAC}));
  // Two stray bytes are two words, even if their tokens would merge.
  EXPECT_EQ(tokenizer->encode("\xE2\xE2\x82", {}), (Ids{0xE2, *tokenizer->find("âĤ")}));
  // A space before it ends the text: it does not lean on what follows.
  EXPECT_EQ(tokenizer->encode("a\xFF"
                              "a",
                              {}),
            (Ids{'a', 0xFF, 'a'}));
}

TEST(Tokenizer, InvalidBytesThatTheVocabularyLacksAreReadAsReplacementCharacters) {
  const auto tokenizer = make_tokenizer(golden_vocabulary("smollm"));
  ASSERT_FALSE(tokenizer->find(testing::stored_byte(0xF1)).has_value());
  EXPECT_EQ(tokenizer->encode("a\xF1\x80 b", {}), tokenizer->encode("a\xEF\xBF\xBD b", {}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("\xF1", {}), Special::kOmit), "\xEF\xBF\xBD");
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("\xF0\x80", {}), Special::kOmit), "\xF0\x80");
}

TEST(Tokenizer, SpecialTokens) {
  const auto tokenizer = make_tokenizer(byte_vocabulary("gpt-2"));
  const TokenId bos = *tokenizer->vocabulary().bos, eos = *tokenizer->vocabulary().eos;
  const TokenId think = *tokenizer->find("<think>"), thinking = *tokenizer->find("<thinking>");
  EXPECT_EQ(tokenizer->encode("<|bos|>", {.parse_special = true}), Ids{bos});
  EXPECT_EQ(tokenizer->encode("<|bos|>", {}).size(), 7u);
  // User-defined tokens always, the longest at a place, the leftmost first.
  EXPECT_EQ(tokenizer->encode("<think><thinking><thinkin", {}).size(), 2u + 8u);
  EXPECT_EQ(tokenizer->encode("<thinking>", {}), Ids{thinking});
  EXPECT_EQ(tokenizer->encode("<<think>>", {}), (Ids{'<', think, '>'}));
  EXPECT_EQ(tokenizer->encode("[PAD]", {.parse_special = true}).size(), 5u);
  const Ids ids = {bos, 'x', think, eos, *tokenizer->find("[PAD]")};
  EXPECT_EQ(tokenizer->decode(ids, Special::kOmit), "x<think>");
  EXPECT_EQ(tokenizer->decode(ids, Special::kRender), "<|bos|>x<think><|eos|>[PAD]");
  EXPECT_EQ(tokenizer->type(bos), TokenType::kControl);
  EXPECT_EQ(tokenizer->type('a'), TokenType::kNormal);
  EXPECT_FALSE(tokenizer->find("no such token").has_value());
}

TEST(Tokenizer, AddsBosAndEosAsTheFileSays) {
  const auto encode = [](const std::string& pre, std::optional<bool> add_bos, std::optional<bool> add_eos) {
    Vocabulary vocabulary = byte_vocabulary(pre);
    vocabulary.add_bos = add_bos;
    vocabulary.add_eos = add_eos;
    const auto tokenizer = make_tokenizer(std::move(vocabulary));
    EXPECT_EQ(tokenizer->encode("x", {}), Ids{'x'});
    EXPECT_TRUE(tokenizer->vocabulary().add_bos.has_value() && tokenizer->vocabulary().add_eos.has_value());
    return tokenizer->encode("x", {.add_special = true});
  };
  const TokenId bos = *byte_vocabulary("").bos, eos = *byte_vocabulary("").eos;
  EXPECT_EQ(encode("gpt-2", true, true), (Ids{bos, 'x', eos}));
  EXPECT_EQ(encode("gpt-2", std::nullopt, std::nullopt), Ids{'x'});
  EXPECT_EQ(encode("llama-bpe", std::nullopt, std::nullopt), (Ids{bos, 'x'}));
  EXPECT_EQ(encode("llama-bpe", false, std::nullopt), Ids{'x'});
}

TEST(Tokenizer, EndsOfGeneration) {
  Vocabulary vocabulary = byte_vocabulary("gpt-2");
  vocabulary.eot = 'q';
  vocabulary.end_of_generation = {'z'};
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"<|endoftext|>", "<|end|>"});
  vocabulary.types.insert(vocabulary.types.end(), {TokenType::kControl, TokenType::kUserDefined});
  const auto tokenizer = make_tokenizer(vocabulary);
  EXPECT_TRUE(tokenizer->ends_generation(*vocabulary.eos));
  EXPECT_TRUE(tokenizer->ends_generation('q'));
  EXPECT_TRUE(tokenizer->ends_generation('z'));
  EXPECT_TRUE(tokenizer->ends_generation(*tokenizer->find("<|endoftext|>")));
  EXPECT_FALSE(tokenizer->ends_generation(*tokenizer->find("<|end|>")));
  EXPECT_FALSE(tokenizer->ends_generation(*vocabulary.bos));
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreRefused) {
  const auto tokenizer = make_tokenizer(byte_vocabulary("gpt-2"));
  for (TokenId token : {-1, tokenizer->size(), INT32_MAX, INT32_MIN}) {
    for (const auto& use : std::vector<std::function<void()>>{
             [&] { tokenizer->bytes(token, Special::kOmit); }, [&] { tokenizer->type(token); },
             [&] { tokenizer->ends_generation(token); }, [&] { tokenizer->decode(Ids{token}, Special::kOmit); }}) {
      try {
        use();
        ADD_FAILURE() << "accepted " << token;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kUsage);
        EXPECT_NE(std::string(error.what()).find(std::to_string(token)), std::string::npos) << error.what();
      }
    }
  }
}

TEST(Tokenizer, BadVocabulariesAreNamed) {
  struct Case {
    std::string expected;  // part of the message
    std::function<void(Vocabulary&)> spoil;
  };
  const std::vector<Case> cases = {
      {"\"rwkv\" (known: gpt2", [](Vocabulary& v) { v.model = "rwkv"; }},
      {"names no unknown token", [](Vocabulary& v) { v.model = "bert"; }},
      {"tokenizer.ggml.model is missing", [](Vocabulary& v) { v.model.clear(); }},
      {"\"tekkan\"; if you know one that does the same, name it with --pre-tokenizer (known: gpt-2",
       [](Vocabulary& v) { v.pre = "tekkan"; }},
      {"tokenizer.ggml.pre is missing", [](Vocabulary& v) { v.pre.clear(); }},
      {"tokenizer.ggml.tokens is missing", [](Vocabulary& v) { v.tokens.clear(); }},
      {"tokenizer.ggml.token_type has 270 entries for 271 tokens", [](Vocabulary& v) { v.types.pop_back(); }},
      {"tokenizer.ggml.scores has 3 entries", [](Vocabulary& v) { v.scores.resize(3); }},
      {"token 5 has the unknown type 7", [](Vocabulary& v) { v.types[5] = static_cast<TokenType>(7); }},
      {"token 9 has the unknown type 0", [](Vocabulary& v) { v.types[9] = static_cast<TokenType>(0); }},
      {"token 98 has the same text as token 97, 'a'", [](Vocabulary& v) { v.tokens['b'] = v.tokens['a']; }},
      {"bos_token_id is 271", [](Vocabulary& v) { v.bos = 271; }},
      {"eos_token_id is -1", [](Vocabulary& v) { v.eos = -1; }},
      {"eot_token_id is 1000", [](Vocabulary& v) { v.eot = 1000; }},
      {"unknown_token_id", [](Vocabulary& v) { v.unk = 1000; }},
      {"padding_token_id", [](Vocabulary& v) { v.pad = 1000; }},
      {"ends generation is 271", [](Vocabulary& v) { v.end_of_generation = {3, 271}; }},
      {"add_bos_token is true", [](Vocabulary& v) { v.add_bos = true, v.bos.reset(); }},
      {"add_eos_token is true", [](Vocabulary& v) { v.add_eos = true, v.eos.reset(); }},
      {"entry 10, 'nospace'", [](Vocabulary& v) { v.merges.push_back("nospace"); }},
      {"entry 10, ' a'", [](Vocabulary& v) { v.merges.push_back(" a"); }},
      {"entry 10, 'a '", [](Vocabulary& v) { v.merges.push_back("a "); }},
      {"entry 10, ''", [](Vocabulary& v) { v.merges.push_back(""); }},
      {"entry 10, 'a b c'", [](Vocabulary& v) { v.merges.push_back("a b c"); }},
      {"needs the token 'ab'", [](Vocabulary& v) { v.merges.push_back("a b"); }},
      {"needs the token 'left\'", [](Vocabulary& v) { v.merges.push_back("left a"); }},
      {"needs the token 'right\'", [](Vocabulary& v) { v.merges.push_back("a right"); }},
  };
  for (const Case& bad : cases) {
    Vocabulary vocabulary = byte_vocabulary("gpt-2");
    ASSERT_EQ(vocabulary.tokens.size(), 271u);
    bad.spoil(vocabulary);
    try {
      make_tokenizer(std::move(vocabulary));
      ADD_FAILURE() << "accepted; expected: " << bad.expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel);
      EXPECT_NE(std::string(error.what()).find(bad.expected), std::string::npos) << error.what();
      EXPECT_TRUE(std::string(error.what()).starts_with("bytes: ")) << error.what();
    }
  }
}

// Looking at all pairs for each merge would be quadratic: these would take hours.
TEST(Tokenizer, LongWordsFinish) {
  constexpr size_t kMiB = 1 << 20;
  const auto tokenizer = make_tokenizer(byte_vocabulary("gpt-2"));
  EXPECT_EQ(tokenizer->encode(std::string(kMiB, 'a'), {}), Ids(kMiB / 8, *tokenizer->find("aaaaaaaa")));
  EXPECT_EQ(tokenizer->encode(std::string(kMiB, ' '), {}), Ids(kMiB / 4, *tokenizer->find("ĠĠĠĠ")));
  EXPECT_EQ(tokenizer->encode(std::string(kMiB, '<'), {}).size(), kMiB);
  EXPECT_EQ(tokenizer->encode(std::string(kMiB, '\xE2'), {}).size(), kMiB);
}

// The two ways of merging, for short words and for long ones, agree with merging pair by pair as the definition has it.
TEST(Tokenizer, MergesTheLowestRankFirstAndTheLeftmostOfEquals) {
  const Vocabulary vocabulary = golden_vocabulary("gpt-2");
  const auto tokenizer = make_tokenizer(vocabulary);
  std::map<std::pair<TokenId, TokenId>, std::pair<size_t, TokenId>> merges;
  for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const std::string& merge = vocabulary.merges[rank];
    const std::string left = merge.substr(0, merge.find(' ')), right = merge.substr(merge.find(' ') + 1);
    merges[{*tokenizer->find(left), *tokenizer->find(right)}] = {rank, *tokenizer->find(left + right)};
  }
  std::mt19937 generator(11);
  for (int repeat = 0; repeat < 300; ++repeat) {
    std::string word;
    for (size_t i = generator() % 60 + 1; i > 0; --i) word += "etaoinshrdl"[generator() % 11];
    Ids expected;
    for (char letter : word) expected.push_back(*tokenizer->find({&letter, 1}));
    while (true) {
      size_t best_rank = SIZE_MAX, best = 0;
      for (size_t i = 0; i + 1 < expected.size(); ++i) {
        const auto merge = merges.find({expected[i], expected[i + 1]});
        if (merge == merges.end() || merge->second.first >= best_rank) continue;
        best_rank = merge->second.first;
        best = i;
      }
      if (best_rank == SIZE_MAX) break;
      expected[best] = merges.at({expected[best], expected[best + 1]}).second;
      expected.erase(expected.begin() + best + 1);
    }
    EXPECT_EQ(tokenizer->encode(word, {}), expected) << word;
  }
}

}  // namespace
}  // namespace megalith
