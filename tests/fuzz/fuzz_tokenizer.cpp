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

enum class Order { kScores, kMerges };

/// SentencePiece, by scores or by merges.
Vocabulary piece_vocabulary(const Pipeline& pipeline, Order order) {
  Vocabulary vocabulary;
  vocabulary.source = "fuzz";
  vocabulary.model = "llama";
  vocabulary.pipeline = pipeline;
  const auto add = [&](std::string text, TokenType type) {
    vocabulary.tokens.push_back(std::move(text));
    vocabulary.types.push_back(type);
    vocabulary.scores.push_back(-static_cast<double>(vocabulary.tokens.size() / 2));
  };
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    add(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + '>', TokenType::kByte);
  }
  for (const char* piece : {"a", "b", "\u2581", "ab", "\u2581a", "aa", "aaaa", "\u2581\u2581", "a\u2581b", "\u20ac"}) {
    add(piece, TokenType::kNormal);
  }
  add("ba", TokenType::kUnused);
  add("<|a|>", TokenType::kControl);
  add("<b>", TokenType::kUserDefined);
  add("<b>a", TokenType::kUserDefined);
  if (order == Order::kScores) return vocabulary;
  vocabulary.scores.clear();
  vocabulary.merges = {"a b", "\u2581 a", "a a", "aa aa", "\u2581 \u2581"};
  return vocabulary;
}

struct Subject {
  std::unique_ptr<Tokenizer> tokenizer;
  bool normalises;
};

std::vector<Subject> make_all() {
  std::vector<Subject> all;
  for (const PreTokenizer& row : pre_tokenizers()) {
    all.push_back(
        {make_tokenizer(byte_vocabulary(row.names.front())), row.normalisation != PreTokenizer::Normalisation::kNone});
  }
  for (const Order order : {Order::kScores, Order::kMerges}) {
    for (const SpacePrefix prefix : {SpacePrefix::kOmitted, SpacePrefix::kAdded}) {
      all.push_back({make_tokenizer(piece_vocabulary(sentence_piece_pipeline(prefix), order)), true});
    }
    for (const SpaceMarks::Prefix prefix : {SpaceMarks::Prefix::kAlways, SpaceMarks::Prefix::kFirst}) {
      Pipeline pipeline;
      pipeline.space_marks = SpaceMarks{prefix, SpaceMarks::Words::kCutAtMarks};
      pipeline.leading_space = Pipeline::LeadingSpace::kDrop;
      all.push_back({make_tokenizer(piece_vocabulary(pipeline, order)), true});
    }
  }
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

/// SentencePiece changes nothing but spaces: it may put one before a stretch, and reads U+2581 as one.
void check_spaces(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens, std::string_view text) {
  const auto without_spaces = [](std::string bytes) {
    constexpr std::string_view kMark = "\xE2\x96\x81";
    for (size_t at = bytes.find(kMark); at != std::string::npos; at = bytes.find(kMark, at))
      bytes.erase(at, kMark.size());
    std::erase(bytes, ' ');
    return bytes;
  };
  const std::string decoded = tokenizer.decode(tokens, Tokenizer::Special::kRender);
  require(without_spaces(decoded) == without_spaces(std::string(text)));
}

void check_text(std::string_view text) {
  static const std::vector<Subject> subjects = make_all();
  for (const Subject& subject : subjects) {
    const Tokenizer& tokenizer = *subject.tokenizer;
    for (bool parse_special : {false, true}) {
      const auto tokens = tokenizer.encode(text, {.parse_special = parse_special});
      std::string decoded;  // without what decode() takes off the beginning
      for (TokenId token : tokens) decoded += tokenizer.bytes(token, Tokenizer::Special::kRender);
      if (!subject.normalises) require(decoded == text);
      if (tokenizer.vocabulary().model == "llama") check_spaces(tokenizer, tokens, text);
      Detokenizer detokenizer;
      std::string streamed;
      for (TokenId token : tokens) streamed += detokenizer.push(tokenizer.bytes(token, Tokenizer::Special::kRender));
      streamed += detokenizer.finish();
      require(streamed == shown(decoded));
    }
  }
}

/// Fields of a vocabulary, separated by zero bytes: tokens, an empty field, merges.
void check_vocabulary(std::string_view bytes, const char* model) {
  Vocabulary vocabulary;
  vocabulary.source = "fuzz";
  vocabulary.model = model;
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
    check_vocabulary(bytes, data[0] & 2 ? "llama" : "gpt2");
  } else {
    check_text(bytes);
  }
  return 0;
}
