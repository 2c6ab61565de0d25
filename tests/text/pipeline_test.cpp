// Whole tokenizer.json files of every kind, against the package tokenizers (tests/oracle/make_pipeline_goldens.py).
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "text/folder_vocabulary.h"
#include "text/test_vocabulary.h"
#include "text/tokenizer_json.h"

namespace megalith {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;
using Special = Tokenizer::Special;

const json& goldens() {
  static const json document = testing::read_json("pipelines.json");
  return document;
}

std::unique_ptr<Tokenizer> golden_tokenizer(const std::string& name) {
  return make_tokenizer(read_tokenizer_json(goldens().at("tokenizers").at(name).at("json").dump(), name));
}

class PipelineGoldens : public ::testing::TestWithParam<std::string> {};

TEST_P(PipelineGoldens, TokensAreThoseOfTheReference) {
  const json& golden = goldens().at("tokenizers").at(GetParam());
  const auto strings = goldens().at("strings").get<std::vector<std::string>>();
  const auto tokenizer = golden_tokenizer(GetParam());
  json plain = golden.at("tokens"), parsed = plain;
  for (const json& entry : golden.at("tokens_parsing_special")) parsed.at(entry.at(0).get<size_t>()) = entry.at(1);
  ASSERT_EQ(plain.size(), strings.size());
  for (size_t i = 0; i < strings.size(); ++i) {
    const auto compare = [&](const json& expected, EncodeOptions options) {
      if (expected.is_null()) return;
      EXPECT_EQ(tokenizer->encode(strings[i], options), expected.get<Ids>()) << strings[i];
    };
    compare(plain[i], {});
    compare(parsed[i], {.parse_special = true});
  }
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), golden.at("around").get<Ids>());
}

TEST_P(PipelineGoldens, DecodingIsThatOfTheReference) {
  const json& golden = goldens().at("tokenizers").at(GetParam());
  const auto tokenizer = golden_tokenizer(GetParam());
  size_t compared = 0;
  for (size_t i = 0; i < golden.at("tokens").size(); ++i) {
    if (golden.at("decoded")[i].is_null()) continue;
    const auto tokens = golden.at("tokens")[i].get<Ids>();
    EXPECT_EQ(tokenizer->decode(tokens, Special::kRender), golden.at("decoded")[i].get<std::string>());
    ++compared;
  }
  EXPECT_GT(compared, 100u);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, golden] : goldens().at("tokenizers").items()) all.push_back(name);
  return all;
}

std::string as_identifier(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& character : name) character = character == '-' ? '_' : character;
  return name;
}

INSTANTIATE_TEST_SUITE_P(, PipelineGoldens, ::testing::ValuesIn(names()), as_identifier);

TEST(Pipeline, CostIsLinearInTheLengthOfAText) {
  constexpr size_t kLength = 1 << 18;
  for (const std::string& name : names()) {
    SCOPED_TRACE(name);
    const auto tokenizer = golden_tokenizer(name);
    // A quadratic step would take many minutes here; the runner's limit ends the test then.
    for (const std::string unit : {"a", " ", "\n", "1", "\xE4\xB8\xAD", "\xCC\x81", "<|left|>", "!", "\xFF"}) {
      std::string text;
      while (text.size() < kLength) text += unit;
      EXPECT_LE(tokenizer->encode(text, {.parse_special = true}).size(), 2 * text.size());
    }
  }
}

TEST(Pipeline, DamagedUnigramsAreNamed) {
  const std::vector<std::pair<std::string, std::function<void(json&)>>> cases = {
      {"model.vocab[3] is no pair of a text and a score", [](json& d) { d["model"]["vocab"][3] = "x"; }},
      {"model.unk_id is 70000", [](json& d) { d["model"]["unk_id"] = 70000; }},
      {"token 5 has the same text as token 4", [](json& d) { d["model"]["vocab"][5] = d["model"]["vocab"][4]; }},
      {"post_processor.special_tokens.</s>.ids[0] is 99999",
       [](json& d) { d["post_processor"]["special_tokens"]["</s>"]["ids"] = {99999}; }},
  };
  for (const auto& [expected, spoil] : cases) {
    json document = goldens().at("tokenizers").at("unigram").at("json");
    spoil(document);
    try {
      make_tokenizer(read_tokenizer_json(document.dump(), "f"));
      ADD_FAILURE() << "accepted; expected: " << expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel);
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

/// The byte-level vocabulary of the goldens in tiktoken's form: its merges are all in the order of their ids.
TEST(TiktokenFile, GivesTheTokensOfTheSameVocabularyWithMerges) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", testing::tiktoken_text(testing::golden_vocabulary("gpt-2")));
  folder.write("config.json", R"({"model_type":"llama"})");
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder":{"2000":{"content":"<|end|>","special":true},)"
                                        R"("2001":{"content":"<|tool|>","special":false}},"eos_token":"<|end|>"})");
  const auto tokenizer = make_tokenizer(read_vocabulary_from_folder(folder.path()));
  EXPECT_EQ(tokenizer->size(), 2002);
  EXPECT_EQ(tokenizer->type(1999), TokenType::kUnused);
  EXPECT_EQ(tokenizer->encode("<|end|><|tool|>", {.parse_special = true}), (Ids{2000, 2001}));
  EXPECT_GT(tokenizer->encode("<|end|>", {}).size(), 1u);
  EXPECT_TRUE(tokenizer->ends_generation(2000));
  const json expected = testing::read_json("tiktoken_goldens.json");
  for (const json& entry : expected) {
    const auto text = entry.at(0).get<std::string>();
    EXPECT_EQ(tokenizer->encode(text, {}), entry.at(1).get<Ids>()) << text;
    EXPECT_EQ(tokenizer->decode(entry.at(1).get<Ids>(), Special::kRender), text);
  }
}

TEST(TiktokenFile, DamageIsNamedByLine) {
  const auto refusal = [](const std::string& text) -> std::string {
    const TemporaryFolder folder;
    folder.write("tiktoken.model", text);
    folder.write("config.json", R"({"model_type":"llama"})");
    try {
      make_tokenizer(read_vocabulary_from_folder(folder.path()));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel);
      return error.what();
    }
    return "accepted";
  };
  const auto has = [&](const std::string& text, const std::string& part) {
    EXPECT_NE(refusal(text).find(part), std::string::npos) << refusal(text);
  };
  EXPECT_EQ(refusal("YQ== 0\nYg== 1\n"), "accepted");
  EXPECT_EQ(refusal("YQ== 0\r\nYg== 1"), "accepted");
  has("YQ== 0\nYg=* 1\n", "line 2, 'Yg=* 1', is not a token in base64 and its rank");
  has("YQ== 0\nYg== one\n", "line 2");
  has("YQ== 0\nYg== 0\n", "line 2 has the rank 0, which is taken");
  has("YQ== 0\nYg== 4000000000\n", "line 2 has the absurd rank 4000000000");
  has("YQ== 0\nYg== 2\n", "some are missing");
  has("YQ== 0\nYQ== 1\n", "token 1 has the same text as token 0");
  has("not a vocabulary", "has no tokenizer.json and no vocabulary of tiktoken's form");
}

}  // namespace
}  // namespace megalith
