#pragma once
// Vocabularies for the tests of this room.
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "text/unicode.h"

namespace megalith::testing {

inline nlohmann::json read_json(const std::string& name) {
  std::ifstream file(std::string(MEGALITH_TEST_DATA) + "/text/data/" + name);
  return nlohmann::json::parse(file);
}

/// The small trained vocabulary that the goldens are made with. It lacks the bytes 241 and 242.
inline Vocabulary golden_vocabulary(const std::string& pre) {
  const nlohmann::json json = read_json("tokenizer_vocabulary.json");
  Vocabulary vocabulary;
  vocabulary.source = "golden";
  vocabulary.model = "gpt2";
  vocabulary.pre = pre;
  vocabulary.tokens = json.at("tokens").get<std::vector<std::string>>();
  for (int type : json.at("types")) vocabulary.types.push_back(static_cast<TokenType>(type));
  vocabulary.merges = json.at("merges").get<std::vector<std::string>>();
  return vocabulary;
}

/// A byte as a token's text stores it.
inline std::string stored_byte(int byte) {
  const auto prints_itself = [](int value) { return (value > 32 && value < 127) || (value > 160 && value != 173); };
  char32_t next = 0x100;
  for (int earlier = 0; earlier < byte; ++earlier) next += prints_itself(earlier) ? 0 : 1;
  std::string text;
  append_utf8(text, prints_itself(byte) ? static_cast<char32_t>(byte) : next);
  return text;
}

/// All bytes as tokens 0-255, some merges, then <|bos|> <|eos|> (control), <think> <thinking> (user-defined), [PAD].
inline Vocabulary byte_vocabulary(const std::string& pre) {
  Vocabulary vocabulary;
  vocabulary.source = "bytes";
  vocabulary.model = "gpt2";
  vocabulary.pre = pre;
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.push_back(stored_byte(byte));
  for (const char* merge : {"a a", "aa aa", "aaaa aaaa", "l o", "lo w", "Ġ Ġ", "ĠĠ ĠĠ", "Ġ low", "â Ĥ", "âĤ ¬"}) {
    vocabulary.merges.push_back(merge);
    std::string text = merge;
    vocabulary.tokens.push_back(text.erase(text.find(' '), 1));
  }
  vocabulary.types.assign(vocabulary.tokens.size(), TokenType::kNormal);
  const auto add = [&](const char* text, TokenType type) {
    vocabulary.tokens.push_back(text);
    vocabulary.types.push_back(type);
    return static_cast<TokenId>(vocabulary.tokens.size() - 1);
  };
  vocabulary.bos = add("<|bos|>", TokenType::kControl);
  vocabulary.eos = add("<|eos|>", TokenType::kControl);
  add("<think>", TokenType::kUserDefined);
  add("<thinking>", TokenType::kUserDefined);
  add("[PAD]", TokenType::kUnused);
  return vocabulary;
}

}  // namespace megalith::testing
