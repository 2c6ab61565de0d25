// Any text through every pre-tokenizer and back, and any bytes as a vocabulary: no crash, no lost byte, errors only as
// megalith::Error.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/detokenizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace {

using namespace megalith;

void require(bool condition) {
  if (!condition) std::abort();
}

Vocabulary byte_vocabulary(std::string_view pre) {
  Vocabulary vocabulary;
  vocabulary.source = "fuzz";
  vocabulary.model = "gpt2";
  vocabulary.pre = pre;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool prints_itself = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    append_utf8(vocabulary.tokens.emplace_back(), prints_itself ? byte : next++);
  }
  for (const char* merge : {"a a", "aa aa", "Ġ Ġ", "ĠĠ ĠĠ", "Ġ a", "â Ĥ", "âĤ ¬", "Ċ Ċ"}) {
    vocabulary.merges.push_back(merge);
    std::string& token = vocabulary.tokens.emplace_back(merge);
    token.erase(token.find(' '), 1);
  }
  vocabulary.types.assign(vocabulary.tokens.size(), TokenType::kNormal);
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"<|a|>", "<b>", "<b>a"});
  vocabulary.types.insert(vocabulary.types.end(),
                          {TokenType::kControl, TokenType::kUserDefined, TokenType::kUserDefined});
  return vocabulary;
}

std::vector<std::unique_ptr<Tokenizer>> make_all() {
  std::vector<std::unique_ptr<Tokenizer>> all;
  for (const PreTokenizer& row : pre_tokenizers()) all.push_back(make_tokenizer(byte_vocabulary(row.names.front())));
  return all;
}

std::string shown(std::string_view bytes) {
  std::string text;
  for (size_t position = 0; position < bytes.size();) {
    const Utf8Step step = decode_utf8(bytes, position);
    append_utf8(text, step.code_point);
    position += step.length_bytes;
  }
  return text;
}

void check_text(std::string_view text) {
  static const std::vector<std::unique_ptr<Tokenizer>> tokenizers = make_all();
  for (size_t row = 0; row < tokenizers.size(); ++row) {
    for (bool parse_special : {false, true}) {
      const auto tokens = tokenizers[row]->encode(text, {.parse_special = parse_special});
      const std::string decoded = tokenizers[row]->decode(tokens, Tokenizer::Special::kRender);
      if (pre_tokenizers()[row].normalisation == PreTokenizer::Normalisation::kNone) require(decoded == text);
      Detokenizer detokenizer;
      std::string streamed;
      for (TokenId token : tokens)
        streamed += detokenizer.push(tokenizers[row]->bytes(token, Tokenizer::Special::kRender));
      streamed += detokenizer.finish();
      require(streamed == shown(decoded));
    }
  }
}

/// Fields of a vocabulary, separated by zero bytes: tokens, an empty field, merges.
void check_vocabulary(std::string_view bytes) {
  Vocabulary vocabulary;
  vocabulary.source = "fuzz";
  vocabulary.model = "gpt2";
  vocabulary.pre = "llama-bpe";
  std::vector<std::string>* fields = &vocabulary.tokens;
  while (!bytes.empty()) {
    const std::string_view field = bytes.substr(0, bytes.find('\0'));
    bytes.remove_prefix(std::min(field.size() + 1, bytes.size()));
    if (field.empty()) {
      fields = &vocabulary.merges;
    } else {
      fields->emplace_back(field);
      if (fields == &vocabulary.tokens) vocabulary.types.push_back(static_cast<TokenType>(field.front() & 7));
    }
  }
  try {
    const auto tokenizer = make_tokenizer(vocabulary);
    for (const std::string& token : vocabulary.tokens) {
      tokenizer->decode(tokenizer->encode(token + token, {.parse_special = true}), Tokenizer::Special::kRender);
    }
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kInvalidModel);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] & 1) {
    check_vocabulary(bytes);
  } else {
    check_text(bytes);
  }
  return 0;
}
