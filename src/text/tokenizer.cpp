#include "text/tokenizer.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "text/byte_level_bpe.h"
#include "text/pre_tokenizer.h"
#include "text/sentence_piece_bpe.h"

namespace megalith {
namespace {

// Texts of control tokens that end an answer. Files name one such token at most; the makers' generation settings, which
// files lack, name the others (Qwen 2.5: <|im_end|> and <|endoftext|>; Llama 3: <|eot_id|>, <|eom_id|>,
// <|end_of_text|>; Gemma: <end_of_turn>, <eos>).
constexpr std::string_view kEndOfGenerationTexts[] = {
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>", "<eos>",
};

[[noreturn]] void fail(const Vocabulary& vocabulary, const std::string& what) {
  throw Error(ErrorKind::kInvalidModel, vocabulary.source + ": " + what);
}

std::string in_file(const Vocabulary& vocabulary) { return std::to_string(vocabulary.tokens.size()) + " tokens"; }

void check_lengths(const Vocabulary& vocabulary) {
  const size_t count = vocabulary.tokens.size();
  if (count == 0) fail(vocabulary, "tokenizer.ggml.tokens is missing or empty; the file cannot turn text into tokens");
  if (count > static_cast<size_t>(std::numeric_limits<TokenId>::max())) {
    fail(vocabulary, "tokenizer.ggml.tokens has " + in_file(vocabulary) + ", more than an id can count");
  }
  if (vocabulary.merges.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max() - 1)) {
    fail(vocabulary, "tokenizer.ggml.merges has too many entries");
  }
  const auto check = [&](size_t length, const char* field) {
    if (length != 0 && length != count) {
      fail(vocabulary, std::string(field) + " has " + std::to_string(length) + " entries for " + in_file(vocabulary));
    }
  };
  check(vocabulary.types.size(), "tokenizer.ggml.token_type");
  check(vocabulary.scores.size(), "tokenizer.ggml.scores");
}

void check_types(const Vocabulary& vocabulary) {
  for (size_t i = 0; i < vocabulary.types.size(); ++i) {
    const int32_t type = static_cast<int32_t>(vocabulary.types[i]);
    if (type < static_cast<int32_t>(TokenType::kNormal) || type > static_cast<int32_t>(TokenType::kByte)) {
      fail(vocabulary, "tokenizer.ggml.token_type: token " + std::to_string(i) + " has the unknown type " +
                           std::to_string(type) + "; known are 1 to 6");
    }
  }
}

void check_id(const Vocabulary& vocabulary, std::optional<TokenId> token, const char* field) {
  if (token && (*token < 0 || static_cast<size_t>(*token) >= vocabulary.tokens.size())) {
    fail(vocabulary, std::string(field) + " is " + std::to_string(*token) + ", but there are " + in_file(vocabulary));
  }
}

void check_ids(const Vocabulary& vocabulary) {
  check_id(vocabulary, vocabulary.bos, "tokenizer.ggml.bos_token_id");
  check_id(vocabulary, vocabulary.eos, "tokenizer.ggml.eos_token_id");
  check_id(vocabulary, vocabulary.eot, "tokenizer.ggml.eot_token_id");
  check_id(vocabulary, vocabulary.unk, "tokenizer.ggml.unknown_token_id");
  check_id(vocabulary, vocabulary.pad, "tokenizer.ggml.padding_token_id");
  for (TokenId token : vocabulary.end_of_generation) check_id(vocabulary, token, "a token that ends generation");
}

void settle_bos_and_eos(Vocabulary& vocabulary, PreTokenizer::Bos where_silent) {
  if (vocabulary.add_bos == true && !vocabulary.bos) {
    fail(vocabulary, "tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is missing");
  }
  if (vocabulary.add_eos == true && !vocabulary.eos) {
    fail(vocabulary, "tokenizer.ggml.add_eos_token is true, but tokenizer.ggml.eos_token_id is missing");
  }
  if (!vocabulary.add_bos) vocabulary.add_bos = where_silent == PreTokenizer::Bos::kAdded && vocabulary.bos.has_value();
  if (!vocabulary.add_eos) vocabulary.add_eos = false;
}

/// [n_vocab]
std::vector<bool> find_ends_of_generation(const Vocabulary& vocabulary) {
  std::vector<bool> ends(vocabulary.tokens.size());
  for (std::optional<TokenId> token : {vocabulary.eos, vocabulary.eot}) {
    if (token) ends[*token] = true;
  }
  for (TokenId token : vocabulary.end_of_generation) ends[token] = true;
  for (size_t i = 0; i < vocabulary.types.size(); ++i) {
    if (vocabulary.types[i] != TokenType::kControl) continue;
    const auto& texts = kEndOfGenerationTexts;
    if (std::find(std::begin(texts), std::end(texts), vocabulary.tokens[i]) != std::end(texts)) ends[i] = true;
  }
  return ends;
}

std::unique_ptr<Tokenizer> make_byte_level_bpe(Vocabulary vocabulary) {
  const PreTokenizer* row = find_pre_tokenizer(vocabulary.pre);
  if (row == nullptr) {
    const std::string problem =
        vocabulary.pre.empty()
            ? std::string(vocabulary.fields->pre) +
                  " is missing, so how the makers cut text into words is unknown; "
                  "convert the model again with a current converter"
            : std::string(vocabulary.fields->pre) + " names the unknown pre-tokenizer \"" + vocabulary.pre + '"';
    fail(vocabulary, problem + " (known: " + known_pre_tokenizers() + ")");
  }
  settle_bos_and_eos(vocabulary, row->bos);
  std::vector<bool> ends = find_ends_of_generation(vocabulary);
  return std::make_unique<ByteLevelBpe>(std::move(vocabulary), *row, std::move(ends));
}

std::unique_ptr<Tokenizer> make_sentence_piece_bpe(Vocabulary vocabulary) {
  if (vocabulary.scores.empty() && vocabulary.merges.empty()) {
    fail(vocabulary, "tokenizer.ggml.scores is missing, so the order in which tokens merge is unknown");
  }
  settle_bos_and_eos(vocabulary, PreTokenizer::Bos::kAdded);
  std::vector<bool> ends = find_ends_of_generation(vocabulary);
  return std::make_unique<SentencePieceBpe>(std::move(vocabulary), std::move(ends));
}

struct Algorithm {
  std::string_view name;  // GGUF's tokenizer.ggml.model
  std::unique_ptr<Tokenizer> (*make)(Vocabulary vocabulary);
};

constexpr Algorithm kAlgorithms[] = {
    {"gpt2", make_byte_level_bpe},
    {"llama", make_sentence_piece_bpe},
};

}  // namespace

std::string Tokenizer::decode(std::span<const TokenId> tokens, Special special) const {
  std::string text;
  for (TokenId token : tokens) text += bytes(token, special);
  return text;
}

std::unique_ptr<Tokenizer> make_tokenizer(Vocabulary vocabulary) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name != vocabulary.model) continue;
    check_lengths(vocabulary);
    check_types(vocabulary);
    check_ids(vocabulary);
    return algorithm.make(std::move(vocabulary));
  }
  std::string known;
  for (const Algorithm& algorithm : kAlgorithms) known += (known.empty() ? "" : ", ") + std::string(algorithm.name);
  fail(vocabulary,
       (vocabulary.model.empty() ? "tokenizer.ggml.model is missing"
                                 : "tokenizer.ggml.model names the unknown tokenizer \"" + vocabulary.model + '"') +
           " (known: " + known + ")");
}

}  // namespace megalith
