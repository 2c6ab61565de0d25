#include "text/sentence_piece_bpe.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "text/space_mark.h"
#include "text/unicode.h"

namespace megalith {
namespace {

/// Finite floats in reverse order as integers: the higher the score the lower the rank, equal scores have equal ranks.
int32_t rank_of_score(float score) {
  const int32_t bits = std::bit_cast<int32_t>(score);
  const int32_t ascending = bits >= 0 ? bits : static_cast<int32_t>(int64_t{INT32_MIN} - bits);
  return ~ascending;
}

}  // namespace

SentencePieceBpe::SentencePieceBpe(const TokenTable& table)
    : table_(table),
      merges_(table.vocabulary().scores.empty() ? table.vocabulary().merges.size() : 0),
      byte_tokens_(index_bytes(table)) {
  index_pieces();
  if (table.vocabulary().scores.empty()) {
    index_merges(table, merges_);
  } else {
    index_scores();
  }
  find_words_that_go_on();
}

void SentencePieceBpe::index_pieces() {
  for (size_t i = 0; i < table_.size(); ++i) {
    const TokenId token = static_cast<TokenId>(i);
    if (is_piece(token)) longest_piece_bytes_ = std::max(longest_piece_bytes_, table_.text(token).size());
  }
  for (size_t character = 0; character < ascii_tokens_.size(); ++character) {
    const char text[] = {static_cast<char>(character)};
    const TokenId token = table_.find({text, 1});
    ascii_tokens_[character] = token >= 0 && is_piece(token) ? token : -1;
  }
}

void SentencePieceBpe::index_scores() {
  const std::vector<double>& scores = table_.vocabulary().scores;
  ranks_.reserve(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!std::isfinite(scores[i])) {
      table_.fail("tokenizer.ggml.scores: the score of token " + std::to_string(i) +
                  " is no finite number; the file is damaged");
    }
    ranks_.push_back(rank_of_score(static_cast<float>(scores[i])));
  }
}

/// Nothing merges across a place where no piece has these two characters beside each other. For most vocabularies that
/// is nearly every space, and so a text falls into words, which keeps heaps small.
void SentencePieceBpe::find_words_that_go_on() {
  for (size_t i = 0; i < table_.size(); ++i) {
    const std::string_view text = table_.text(static_cast<TokenId>(i));
    if (!is_piece(static_cast<TokenId>(i)) || find_invalid_utf8(text, 0) != text.size()) continue;
    for (size_t space = text.find(kSpaceMark, 1); space < text.size(); space = text.find(kSpaceMark, space + 1)) {
      before_inner_space_.push_back(decode_utf8(text, character_before(text, space)).code_point);
    }
  }
  std::sort(before_inner_space_.begin(), before_inner_space_.end());
  before_inner_space_.erase(std::unique(before_inner_space_.begin(), before_inner_space_.end()),
                            before_inner_space_.end());
}

/// Whether nothing merges across the place before the space mark at `space` (> 0).
bool SentencePieceBpe::starts_word(std::string_view text, size_t space) const {
  const char32_t before = decode_utf8(text, character_before(text, space)).code_point;
  return !std::binary_search(before_inner_space_.begin(), before_inner_space_.end(), before);
}

/// One stretch of text being encoded, word by word.
class SentencePieceBpe::Word {
 public:
  Word(const SentencePieceBpe& model, Scratch& scratch) : model_(model), scratch_(scratch) {}

  void encode(std::string_view word) {
    word_ = word;
    start_symbols();
    merge_symbols(scratch_.merging,
                  [&](MergeSymbol& left, const MergeSymbol& right) { return find_merge(left, right); });
    const std::vector<MergeSymbol>& symbols = scratch_.merging.symbols;
    for (int32_t i = 0; i >= 0; i = symbols[i].next) {
      put_piece(word.substr(symbols[i].begin, symbols[i].length), symbols[i].token);
    }
  }

 private:
  /// One symbol a character. Where merges go by pairs of ids, an unknown character is a symbol for each of its bytes'
  /// tokens, as in the reference.
  void start_symbols() {
    scratch_.merging.clear();
    for (size_t begin = 0; begin < word_.size();) {
      const uint8_t lead = static_cast<uint8_t>(word_[begin]);
      const size_t length = lead < 0x80 ? 1 : decode_utf8(word_, begin).length_bytes;
      const std::string_view character = word_.substr(begin, length);
      const TokenId token = lead < 0x80 ? model_.ascii_tokens_[lead] : model_.find_piece(character);
      if (token < 0 && !model_.merges_by_score() && has_all_bytes(model_.byte_tokens_, character)) {
        for (size_t i = 0; i < length; ++i) {
          scratch_.merging.add(model_.byte_tokens_[static_cast<uint8_t>(character[i])], begin + i, 1);
        }
      } else {
        scratch_.merging.add(token, begin, length);
      }
      begin += length;
    }
  }

  bool find_merge(MergeSymbol& left, const MergeSymbol& right) {
    if (!model_.merges_by_score()) {
      if (left.token < 0 || right.token < 0) return false;
      const MergeTable::Merge merge = model_.merges_.find(left.token, right.token);
      left.rank = merge.rank;
      left.result = merge.result;
      return merge.rank != MergeTable::kNoMerge;
    }
    const std::string_view text = word_.substr(left.begin, size_t{left.length} + right.length);
    const TokenId token = model_.find_piece(text);
    if (token < 0) return false;
    if (model_.table_.type(token) == TokenType::kUnused) left_length_of_unused_[text] = left.length;
    left.rank = model_.ranks_[token];
    left.result = token;
    return true;
  }

  void put_piece(std::string_view piece, TokenId token) {
    if (token < 0) return put_unknown(piece);
    if (model_.table_.type(token) == TokenType::kUnused) {
      const auto merged_from = left_length_of_unused_.find(piece);
      if (merged_from != left_length_of_unused_.end()) {
        // Pieces are short, and so is this recursion: each half is shorter.
        for (const std::string_view half : {piece.substr(0, merged_from->second), piece.substr(merged_from->second)}) {
          put_piece(half, model_.find_piece(half));
        }
        return;
      }
    }
    after_unknown_ = false;
    scratch_.output.push_back(token);
  }

  void put_unknown(std::string_view character) {
    if (model_.encode_bytes(character, scratch_)) {
      after_unknown_ = false;
      return;
    }
    // Without an unknown token the character is left out, as in the reference.
    const std::optional<TokenId> unknown = model_.table_.vocabulary().unk;
    if (unknown && !after_unknown_) scratch_.output.push_back(*unknown);
    after_unknown_ = true;
  }

  const SentencePieceBpe& model_;
  Scratch& scratch_;
  std::string_view word_;
  bool after_unknown_ = false;  // neighbouring unknown characters are one unknown token
  // What pieces of type kUnused were last merged from: they are taken apart again, as SentencePiece does.
  std::unordered_map<std::string_view, size_t> left_length_of_unused_;
};

void SentencePieceBpe::encode(std::string_view text, Scratch& scratch) const {
  Word word(*this, scratch);
  size_t begin = 0;
  for (size_t space = text.find(kSpaceMark, 1); space < text.size(); space = text.find(kSpaceMark, space + 1)) {
    if (!starts_word(text, space)) continue;
    word.encode(text.substr(begin, space - begin));
    begin = space;
  }
  word.encode(text.substr(begin));
}

TokenId SentencePieceBpe::find_piece(std::string_view text) const {
  const TokenId token = text.size() > longest_piece_bytes_ ? -1 : table_.find(text);
  return token >= 0 && is_piece(token) ? token : -1;
}

bool SentencePieceBpe::encode_bytes(std::string_view bytes, Scratch& scratch) const {
  return append_byte_tokens(scratch.output, byte_tokens_, bytes);
}

/// Whether merging may lead to the token: SentencePiece keeps the others, by which files mark control tokens and bytes,
/// apart from its pieces.
bool SentencePieceBpe::is_piece(TokenId token) const {
  const TokenType type = table_.type(token);
  return type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
}

void SentencePieceBpe::append_bytes(std::string& out, TokenId token) const { append_piece_bytes(out, table_, token); }

void SentencePieceBpe::append_added(std::string& out, std::string_view text) const {
  append_replaced(out, text, kSpaceMark, " ");
}

}  // namespace megalith
