// tokenizer.json and the files beside it, against the package tokenizers.
#include "text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "text/folder_vocabulary.h"
#include "text/pre_tokenizer.h"
#include "text/test_vocabulary.h"

namespace megalith {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

enum class Pairs { kAsTexts, kAsLists };

/// The pipeline of this name with the vocabulary of its kind: a whole tokenizer.json.
json golden_document(const std::string& pipeline, Pairs pairs = Pairs::kAsTexts) {
  json document = testing::read_json("tokenizer_pipelines.json").at(pipeline);
  const bool byte_level = find_pre_tokenizer(pipeline) != nullptr;
  const json tables = testing::read_json(byte_level ? "tokenizer_vocabulary.json" : "sentence_piece_vocabulary.json");
  json& model = document["model"];
  const size_t added = byte_level ? document["added_tokens"].size() : 0;
  for (size_t i = 0; i + added < tables["tokens"].size(); ++i) model["vocab"][tables["tokens"][i]] = i;
  model["merges"] = tables["merges"];
  for (json& merge : model["merges"]) {
    const auto text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (pairs == Pairs::kAsLists) merge = {text.substr(0, space), text.substr(space + 1)};
  }
  return document;
}

std::string refusal(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(TokenizerJson, ByteLevelGoldensOfTheReference) {
  const json goldens = testing::read_json("tokenizer_goldens.json");
  const auto strings = goldens.at("strings").get<std::vector<std::string>>();
  for (const PreTokenizer& row : pre_tokenizers()) {
    const std::string name(row.names.front());
    SCOPED_TRACE(name);
    for (const Pairs pairs : {Pairs::kAsTexts, Pairs::kAsLists}) {
      const Vocabulary vocabulary = read_tokenizer_json(golden_document(name, pairs).dump(), "golden");
      EXPECT_EQ(vocabulary.pre, name);
      const auto tokenizer = make_tokenizer(vocabulary);
      if (!goldens.at("tokens").contains(name)) continue;  // the words of these rows have goldens
      for (size_t i = 0; i < strings.size(); ++i) {
        EXPECT_EQ(tokenizer->encode(strings[i], {}), goldens.at("tokens").at(name)[i].get<Ids>()) << strings[i];
      }
    }
  }
}

TEST(TokenizerJson, SentencePieceGoldensOfTheReference) {
  const json goldens = testing::read_json("sentence_piece_goldens.json");
  const auto strings = goldens.at("strings").get<std::vector<std::string>>();
  ASSERT_EQ(goldens.at("fast").size(), 4u);
  for (const auto& [name, expected] : goldens.at("fast").items()) {
    SCOPED_TRACE(name);
    const auto tokenizer = make_tokenizer(read_tokenizer_json(golden_document(name, Pairs::kAsLists).dump(), "golden"));
    EXPECT_EQ(tokenizer->vocabulary().add_bos, std::optional(true));
    for (size_t i = 0; i < strings.size(); ++i) {
      EXPECT_EQ(tokenizer->encode(strings[i], {.parse_special = true}), expected[i].get<Ids>()) << strings[i];
    }
  }
}

TEST(TokenizerJson, BrokenAndUnknownDocumentsAreNamed) {
  struct Case {
    std::string pipeline;
    std::string expected;  // part of the message
    std::function<void(json&)> spoil;
  };
  const std::vector<Case> cases = {
      {"qwen2", "model.type is \"WordLevel\"", [](json& d) { d["model"]["type"] = "WordLevel"; }},
      {"qwen2", "model.vocab is not a list", [](json& d) { d["model"]["type"] = "Unigram"; }},
      {"qwen2", "has no \"model\"", [](json& d) { d.erase("model"); }},
      {"qwen2", "model.vocab is not an object", [](json& d) { d["model"]["vocab"] = 3; }},
      {"qwen2", "an id that is no whole number", [](json& d) { d["model"]["vocab"]["a"] = "x"; }},
      {"qwen2", "the id -1", [](json& d) { d["model"]["vocab"]["a"] = -1; }},
      {"qwen2", "some ids have no token", [](json& d) { d["model"]["vocab"]["a"] = 2000000000; }},
      {"qwen2", "the id 99999999999", [](json& d) { d["model"]["vocab"]["a"] = 99999999999; }},
      {"qwen2", "have no token of the id",
       [](json& d) { d["added_tokens"].push_back(d["added_tokens"][0]), d["model"]["vocab"].erase("a"); }},
      {"qwen2", "give the id 5 to", [](json& d) { d["model"]["vocab"]["new"] = 5; }},
      {"qwen2", "model.merges[0] is neither", [](json& d) { d["model"]["merges"][0] = 1; }},
      {"qwen2", "model.merges[0] is neither", [](json& d) { d["model"]["merges"][0] = {"a", "b", "c"}; }},
      {"qwen2", "added_tokens[0].id is not a whole number", [](json& d) { d["added_tokens"][0]["id"] = "0"; }},
      {"qwen2", "(?{1}a)", [](json& d) { d["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(?{1}a)"; }},
      {"qwen2", "pre_tokenizer.pretokenizers[0].pattern is neither a String nor a Regex",
       [](json& d) { d["pre_tokenizer"]["pretokenizers"][0]["pattern"] = json::object(); }},
      {"qwen2", "pattern.String is empty",
       [](json& d) { d["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"String", ""}}; }},
      {"qwen2", "splits in the unknown way \"Sideways\"",
       [](json& d) { d["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Sideways"; }},
      {"qwen2", "pre_tokenizer.pretokenizers[0] is of the type \"UnicodeScripts\"",
       [](json& d) { d["pre_tokenizer"]["pretokenizers"][0] = {{"type", "UnicodeScripts"}}; }},
      {"qwen2", "decoder is of the type \"CTC\"", [](json& d) { d["decoder"] = {{"type", "CTC"}}; }},
      {"qwen2", "post_processor is of the type \"Sum\"", [](json& d) { d["post_processor"] = {{"type", "Sum"}}; }},
      {"qwen2", "model.dropout is set", [](json& d) { d["model"]["dropout"] = 0.1; }},
      {"gemma", "normalizer is of the type \"Nmt\"", [](json& d) { d["normalizer"] = {{"type", "Nmt"}}; }},
      {"gemma", "precompiled_charsmap is not base64",
       [](json& d) { d["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "AB*"}}; }},
      {"gemma", "has neither byte_fallback nor", [](json& d) { d["model"]["byte_fallback"] = false; }},
      {"gemma", "model.unk_token names \"nothing\"", [](json& d) { d["model"]["unk_token"] = "nothing"; }},
      {"metaspace-first", "unknown prepend_scheme \"last\"",
       [](json& d) { d["pre_tokenizer"]["prepend_scheme"] = "last"; }},
  };
  for (const Case& bad : cases) {
    json document = golden_document(bad.pipeline);
    bad.spoil(document);
    const std::string message =
        refusal([&] { make_tokenizer(read_tokenizer_json(document.dump(), "folder/tokenizer.json")); });
    EXPECT_TRUE(message.starts_with("folder/tokenizer.json: ")) << message;
    EXPECT_NE(message.find(bad.expected), std::string::npos) << message << "; expected: " << bad.expected;
  }
  json missing = golden_document("qwen2");
  missing["model"]["merges"].push_back("left a");
  EXPECT_NE(refusal([&] {
              make_tokenizer(read_tokenizer_json(missing.dump(), "f"));
            }).find("needs the token 'left', which model.vocab lacks"),
            std::string::npos);
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"), std::string(100000, '[')}) {
    EXPECT_NE(refusal([&] { read_tokenizer_json(text, "f"); }), "accepted") << text.substr(0, 10);
  }
}

TEST(FolderVocabulary, FilesBesideTokenizerJsonHaveTheirSay) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", golden_document("qwen2").dump());
  const Vocabulary alone = read_vocabulary_from_folder(folder.path());
  EXPECT_EQ(alone.bos, std::nullopt);
  EXPECT_EQ(alone.add_bos, std::optional(false));
  const auto id = [&](const std::string& text) {
    return static_cast<TokenId>(std::find(alone.tokens.begin(), alone.tokens.end(), text) - alone.tokens.begin());
  };
  folder.write("tokenizer_config.json",
               R"({"bos_token":{"content":"<|im|>"},"eos_token":"<|im_end|>","add_bos_token":true,"pad_token":null})");
  folder.write("generation_config.json", R"({"eos_token_id":[3,4]})");
  const Vocabulary vocabulary = read_vocabulary_from_folder(folder.path());
  EXPECT_EQ(vocabulary.bos, id("<|im|>"));
  EXPECT_EQ(vocabulary.eos, id("<|im_end|>"));
  EXPECT_EQ(vocabulary.pad, std::nullopt);
  EXPECT_EQ(vocabulary.add_bos, std::optional(true));
  EXPECT_EQ(vocabulary.end_of_generation, (Ids{3, 4}));
  folder.write("generation_config.json", R"({"eos_token_id":7})");
  EXPECT_EQ(read_vocabulary_from_folder(folder.path()).end_of_generation, Ids{7});
  folder.write("generation_config.json", R"({"eos_token_id":[1,700000]})");
  EXPECT_NE(refusal([&] {
              read_vocabulary_from_folder(folder.path());
            }).find("generation_config.json: eos_token_id[1] is 700000"),
            std::string::npos);
  folder.write("tokenizer_config.json", R"({"eos_token":"<none>"})");
  EXPECT_NE(refusal([&] {
              read_vocabulary_from_folder(folder.path());
            }).find("tokenizer_config.json: eos_token is \"<none>\""),
            std::string::npos);
}

TEST(FolderVocabulary, IntegersBeyondSixtyFourBitsAreRead) {
  // What transformers writes where there is no limit; digits inside strings stay as they are.
  const TemporaryFolder folder;
  folder.write("tokenizer.json", golden_document("qwen2").dump());
  folder.write("tokenizer_config.json",
               R"({"model_max_length":1000000000000000019884624838656,"least":-99999999999999999999,)"
               R"("real":1.00000000000000000000001,"chat_template":"a \"12345678901234567890123\" b"})");
  read_vocabulary_from_folder(folder.path());
  EXPECT_EQ(read_chat_template_from_folder(folder.path()), "a \"12345678901234567890123\" b");
  folder.write("tokenizer_config.json", R"({"model_max_length":1000000000000000019884624838656,"bad":1.2.3})");
  EXPECT_NE(refusal([&] { read_vocabulary_from_folder(folder.path()); }).find("no JSON"), std::string::npos);
}

TEST(FolderVocabulary, WithoutTokenizerJsonIsRefused) {
  const TemporaryFolder folder;
  EXPECT_NE(refusal([&] { read_vocabulary_from_folder(folder.path()); }).find("has no tokenizer.json"),
            std::string::npos);
}

TEST(FolderVocabulary, ChatTemplatesByTheirRank) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_chat_template_from_folder(folder.path()), std::nullopt);
  folder.write("tokenizer_config.json", R"({"chat_template":"from config"})");
  EXPECT_EQ(read_chat_template_from_folder(folder.path()), "from config");
  folder.write("tokenizer_config.json",
               R"({"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]})");
  EXPECT_EQ(read_chat_template_from_folder(folder.path()), "d");
  folder.write("chat_template.json", R"({"chat_template":"from json"})");
  EXPECT_EQ(read_chat_template_from_folder(folder.path()), "from json");
  folder.write("chat_template.jinja", "from jinja");
  EXPECT_EQ(read_chat_template_from_folder(folder.path()), "from jinja");
}

}  // namespace
}  // namespace megalith
