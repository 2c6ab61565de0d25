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

inline std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) bits = bits << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kAlphabet[bits >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

/// The normal tokens of a byte-level vocabulary, which come first, as a tiktoken file.
inline std::string tiktoken_text(const Vocabulary& vocabulary) {
  const auto tokenizer = make_tokenizer(vocabulary);
  std::string text;
  for (TokenId token = 0; token < tokenizer->size(); ++token) {
    if (tokenizer->type(token) != TokenType::kNormal) continue;
    text += base64(tokenizer->bytes(token, Tokenizer::Special::kOmit)) + ' ' + std::to_string(token) + '\n';
  }
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
