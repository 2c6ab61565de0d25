// Tokenizers as the tiny checkpoints carry them, from the file to the ids that the makers' own pipeline gives.
#include "text/gguf_vocabulary.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace megalith {
namespace {

std::string data_path(const std::string& file) { return std::string(MEGALITH_TEST_DATA) + "/models/data/" + file; }

/// The tiny Llama with one key changed, or removed.
Vocabulary read_with(const std::string& key, std::optional<MetadataValue> value) {
  const std::string path = data_path("llama.gguf");
  const std::shared_ptr<const Checkpoint> healthy = open_checkpoint(path);
  Metadata metadata(path);
  for (const Metadata::Entry& entry : healthy->metadata().entries()) {
    if (entry.key != key) metadata.add(entry.key, entry.value);
  }
  if (value) metadata.add(key, *value);
  Checkpoint::Parts parts;
  parts.path = path;
  parts.metadata = std::move(metadata);
  return read_vocabulary(Checkpoint(std::move(parts)));
}

std::string refusal(const std::string& key, std::optional<MetadataValue> value) {
  try {
    read_with(key, std::move(value));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel);
    return error.what();
  }
  return "";
}

TEST(GgufVocabulary, HasWhatTheFileHas) {
  const Vocabulary vocabulary = read_vocabulary(*open_checkpoint(data_path("llama.gguf")));
  EXPECT_EQ(vocabulary.source, data_path("llama.gguf"));
  EXPECT_EQ(vocabulary.model, "gpt2");
  EXPECT_EQ(vocabulary.pre, "smollm");
  ASSERT_EQ(vocabulary.tokens.size(), 300U);
  EXPECT_EQ(vocabulary.tokens[1], "<|im_start|>");
  ASSERT_EQ(vocabulary.types.size(), 300U);
  EXPECT_EQ(vocabulary.types[2], TokenType::kControl);
  EXPECT_EQ(vocabulary.types[3], TokenType::kNormal);
  EXPECT_EQ(vocabulary.merges.size(), 300U - 256U - 3U);
  EXPECT_EQ(vocabulary.bos, 1);
  EXPECT_EQ(vocabulary.eos, 2);
  EXPECT_EQ(vocabulary.pad, 0);
  EXPECT_EQ(vocabulary.unk, std::nullopt);
  EXPECT_EQ(vocabulary.add_bos, std::optional(false));
  EXPECT_EQ(vocabulary.add_eos, std::nullopt);
}

TEST(GgufVocabulary, ItsTokenizerGivesTheMakersIds) {
  for (const std::string name : {"llama", "qwen2"}) {
    std::ifstream in(data_path(name + ".json"));
    const nlohmann::json golden = nlohmann::json::parse(in);
    const auto tokenizer = make_tokenizer(read_vocabulary(*open_checkpoint(data_path(name + ".gguf"))));
    const auto text = golden.at("text").get<std::string>();
    const auto ids = golden.at("prompt").get<std::vector<TokenId>>();
    EXPECT_EQ(tokenizer->encode(text, {}), ids) << name;
    EXPECT_EQ(tokenizer->decode(ids, Tokenizer::Special::kRender), text) << name;
  }
}

TEST(GgufVocabulary, ChatTemplateIsTheFilesOwnOrNone) {
  const auto source = read_chat_template(*open_checkpoint(data_path("llama.gguf")));
  ASSERT_TRUE(source.has_value());
  EXPECT_TRUE(source->starts_with("{% for message in messages %}")) << *source;
  const std::string path = data_path("llama.gguf");
  Checkpoint::Parts parts;
  parts.path = path;
  parts.metadata = Metadata(path);
  const Checkpoint bare(std::move(parts));
  EXPECT_EQ(read_chat_template(bare), std::nullopt);
}

TEST(GgufVocabulary, MissingValuesHaveTheirMeaning) {
  EXPECT_EQ(read_with("tokenizer.ggml.pre", std::nullopt).pre, "");
  EXPECT_EQ(read_with("tokenizer.ggml.bos_token_id", std::nullopt).bos, std::nullopt);
  EXPECT_EQ(read_with("tokenizer.ggml.bos_token_id", int64_t{std::numeric_limits<uint32_t>::max()}).bos, std::nullopt);
  EXPECT_EQ(read_with("tokenizer.ggml.add_bos_token", std::nullopt).add_bos, std::nullopt);
  EXPECT_EQ(read_with("tokenizer.ggml.eom_token_id", int64_t{5}).end_of_generation, std::vector<TokenId>{5});
  EXPECT_EQ(read_with("tokenizer.ggml.token_type", std::vector<int64_t>(300, 0)).types,
            std::vector<TokenType>(300, TokenType::kNormal));
}

TEST(GgufVocabulary, NonsenseIsRefusedByKey) {
  const std::string file = data_path("llama.gguf") + ": ";
  EXPECT_EQ(refusal("tokenizer.ggml.tokens", std::nullopt),
            file + "the file has no tokenizer: key 'tokenizer.ggml.tokens' is missing");
  EXPECT_EQ(refusal("tokenizer.ggml.model", std::nullopt), file + "key 'tokenizer.ggml.model' is missing");
  EXPECT_EQ(refusal("tokenizer.ggml.eos_token_id", int64_t{-7}),
            file + "key 'tokenizer.ggml.eos_token_id' is -7, which is no token id");
  EXPECT_EQ(refusal("tokenizer.ggml.eos_token_id", int64_t{1} << 40),
            file + "key 'tokenizer.ggml.eos_token_id' is 1099511627776, which is no token id");
  EXPECT_EQ(refusal("tokenizer.ggml.token_type", std::vector<int64_t>(300, 9)),
            file + "key 'tokenizer.ggml.token_type' holds 9, expected 1 (normal) to 6 (byte)");
  EXPECT_EQ(refusal("tokenizer.ggml.add_bos_token", int64_t{1}),
            file + "key 'tokenizer.ggml.add_bos_token' is an integer, expected a boolean");
}

}  // namespace
}  // namespace megalith
