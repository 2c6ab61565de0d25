#include "text/tokenizer.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "text/byte_level_bpe.h"
#include "text/pipeline_tokenizer.h"
#include "text/pre_tokenizer.h"
#include "text/sentence_piece_bpe.h"
#include "text/space_mark.h"
#include "text/unigram.h"
#include "text/word_piece.h"

namespace megalith {
namespace {

// Texts of control tokens that end an answer. Files name one such token at most; the makers' generation settings, which
// files lack, name the others (Qwen 2.5: <|im_end|> and <|endoftext|>; Llama 3: <|eot_id|>, <|eom_id|>,
// <|end_of_text|>; Gemma: <end_of_turn>, <eos>; gpt-oss: <|return|>, <|call|>).
constexpr std::string_view kEndOfGenerationTexts[] = {
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>",
    "<|end|>",    "<end_of_turn>", "<eos>",      "<|return|>", "<|call|>",
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
  for (TokenId token : vocabulary.leading) check_id(vocabulary, token, "a token before texts");
  for (TokenId token : vocabulary.trailing) check_id(vocabulary, token, "a token after texts");
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
  if (vocabulary.leading.empty() && vocabulary.add_bos == true && vocabulary.bos)
    vocabulary.leading = {*vocabulary.bos};
  if (vocabulary.trailing.empty() && vocabulary.add_eos == true && vocabulary.eos)
    vocabulary.trailing = {*vocabulary.eos};
}

/// Added tokens as a GGUF file marks them: it says no more of them than their types.
std::vector<AddedToken> added_tokens_by_type(const Vocabulary& vocabulary, AddedToken::Search where_user_defined) {
  std::vector<AddedToken> added;
  for (size_t i = 0; i < vocabulary.types.size(); ++i) {
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    if (vocabulary.types[i] == TokenType::kUserDefined) {
      token.search = where_user_defined;
    } else if (vocabulary.types[i] == TokenType::kControl || vocabulary.types[i] == TokenType::kUnknown) {
      token.read = AddedToken::Read::kWhenParsingSpecial;
    } else {
      continue;
    }
    added.push_back(token);
  }
  return added;
}

/// [n_vocab]
std::vector<bool> find_ends_of_generation(const Vocabulary& vocabulary) {
  std::vector<bool> ends(vocabulary.tokens.size());
  for (std::optional<TokenId> token : {vocabulary.eos, vocabulary.eot}) {
    if (token) ends[*token] = true;
  }
  for (TokenId token : vocabulary.end_of_generation) ends[token] = true;
  std::optional<size_t> end_of_message, end_of_answer;
  for (size_t i = 0; i < vocabulary.types.size(); ++i) {
    if (vocabulary.types[i] != TokenType::kControl) continue;
    const std::string& text = vocabulary.tokens[i];
    const auto& texts = kEndOfGenerationTexts;
    if (std::find(std::begin(texts), std::end(texts), text) != std::end(texts)) ends[i] = true;
    if (text == "<|end|>") end_of_message = i;
    if (text == "<|return|>") end_of_answer = i;
  }
  // gpt-oss ends each message of an answer with <|end|>, the reasoning too, and the answer with <|return|>.
  if (end_of_message && end_of_answer) ends[*end_of_message] = false;
  return ends;
}

const PreTokenizer& pre_tokenizer_of(const Vocabulary& vocabulary) {
  if (const PreTokenizer* row = find_pre_tokenizer(vocabulary.pre)) return *row;
  const std::string problem =
      vocabulary.pre.empty()
          ? std::string(vocabulary.fields->pre) + " is missing, so how the makers cut text into words is unknown"
          : std::string(vocabulary.fields->pre) + " names the unknown pre-tokenizer \"" + vocabulary.pre + '"';
  fail(vocabulary, problem + "; if you know one that does the same, name it with --pre-tokenizer (known: " +
                       known_pre_tokenizers() + ")");
}

// What each algorithm needs that the file may have left open.

void settle_byte_level_bpe(Vocabulary& vocabulary) {
  if (vocabulary.pipeline) return settle_bos_and_eos(vocabulary, PreTokenizer::Bos::kOmitted);
  const PreTokenizer& row = pre_tokenizer_of(vocabulary);
  vocabulary.pipeline = pipeline_of(row);
  settle_bos_and_eos(vocabulary, row.bos);
}

void settle_sentence_piece_bpe(Vocabulary& vocabulary) {
  if (vocabulary.scores.empty() && vocabulary.merges.empty()) {
    fail(vocabulary, "tokenizer.ggml.scores is missing, so the order in which tokens merge is unknown");
  }
  if (!vocabulary.pipeline) vocabulary.pipeline = sentence_piece_pipeline(SpacePrefix::kOmitted);
  // SentencePiece looks for user-defined symbols after it has replaced spaces.
  if (!vocabulary.added && !vocabulary.scores.empty()) {
    vocabulary.added = added_tokens_by_type(vocabulary, AddedToken::Search::kWithinNormalisedText);
  }
  settle_bos_and_eos(vocabulary, PreTokenizer::Bos::kAdded);
}

void settle_unigram(Vocabulary& vocabulary) {
  if (vocabulary.scores.empty()) {
    fail(vocabulary, "tokenizer.ggml.scores is missing, without which a unigram tokenizer cannot choose pieces");
  }
  if (!vocabulary.pipeline) vocabulary.pipeline = sentence_piece_pipeline(SpacePrefix::kAdded);
  if (!vocabulary.add_eos) vocabulary.add_eos = vocabulary.eos.has_value();
  settle_bos_and_eos(vocabulary, PreTokenizer::Bos::kOmitted);
}

void settle_word_piece(Vocabulary& vocabulary) {
  // GGUF files do not say whether a model was made for lower-cased text; nearly all were.
  if (!vocabulary.pipeline) vocabulary.pipeline = bert_pipeline();
  if (!vocabulary.add_eos) vocabulary.add_eos = vocabulary.eos.has_value();
  settle_bos_and_eos(vocabulary, PreTokenizer::Bos::kAdded);
}

using Model = std::unique_ptr<const TokenModel>;

Model make_byte_level_bpe(const TokenTable& table) {
  return std::make_unique<ByteLevelBpe>(table, ByteLevelBpe::Ranks::kFromMerges,
                                        settled(table.vocabulary().pipeline).whole_words);
}

Model make_tiktoken(const TokenTable& table) {
  return std::make_unique<ByteLevelBpe>(table, ByteLevelBpe::Ranks::kFromIds, Pipeline::WholeWords::kTakeIfKnown);
}

Model make_sentence_piece_bpe(const TokenTable& table) { return std::make_unique<SentencePieceBpe>(table); }

Model make_unigram(const TokenTable& table) { return std::make_unique<Unigram>(table); }

Model make_word_piece(const TokenTable& table) {
  const bool from_gguf = table.vocabulary().fields == &kGgufFields;
  return std::make_unique<WordPiece>(table, from_gguf ? WordPiece::kOfGguf : WordPiece::kOfTokenizerJson);
}

struct Algorithm {
  std::string_view name;  // GGUF's tokenizer.ggml.model
  void (*settle)(Vocabulary& vocabulary);
  Model (*make)(const TokenTable& table);
};

constexpr Algorithm kAlgorithms[] = {
    {"gpt2", settle_byte_level_bpe, make_byte_level_bpe},
    {"tiktoken", settle_byte_level_bpe, make_tiktoken},
    {"llama", settle_sentence_piece_bpe, make_sentence_piece_bpe},
    {"t5", settle_unigram, make_unigram},
    {"bert", settle_word_piece, make_word_piece},
};

}  // namespace

std::unique_ptr<Tokenizer> make_tokenizer(Vocabulary vocabulary) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name != vocabulary.model) continue;
    check_lengths(vocabulary);
    check_types(vocabulary);
    check_ids(vocabulary);
    algorithm.settle(vocabulary);
    if (!vocabulary.added) vocabulary.added = added_tokens_by_type(vocabulary, AddedToken::Search::kRawText);
    std::vector<bool> ends = find_ends_of_generation(vocabulary);
    auto table = std::make_unique<const TokenTable>(std::move(vocabulary));
    Model model = algorithm.make(*table);
    return std::make_unique<PipelineTokenizer>(std::move(table), std::move(model), std::move(ends));
  }
  std::string known;
  for (const Algorithm& algorithm : kAlgorithms) known += (known.empty() ? "" : ", ") + std::string(algorithm.name);
  fail(vocabulary,
       (vocabulary.model.empty() ? "tokenizer.ggml.model is missing"
                                 : "tokenizer.ggml.model names the unknown tokenizer \"" + vocabulary.model + '"') +
           " (known: " + known + ")");
}

}  // namespace megalith
