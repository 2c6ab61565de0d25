#include "text/sentence_piece_bpe.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace megalith {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, which stands for a space

/// The byte that "<0x0A>" names, or -1.
int byte_of(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int value = 0;
  for (char digit : text.substr(3, 2)) {
    if (digit >= '0' && digit <= '9') {
      value = value * 16 + (digit - '0');
    } else if (digit >= 'A' && digit <= 'F') {
      value = value * 16 + (digit - 'A' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

void append_with_spaces(std::string& out, std::string_view piece) {
  for (size_t position = 0; position < piece.size();) {
    const size_t space = std::min(piece.find(kSpace, position), piece.size());
    out += piece.substr(position, space - position);
    if (space == piece.size()) return;
    out += ' ';
    position = space + kSpace.size();
  }
}

void append_with_marks(std::string& out, std::string_view text) {
  for (char character : text) {
    if (character == ' ') {
      out += kSpace;
    } else {
      out += character;
    }
  }
}

/// Finite floats in reverse order as integers: the higher the score the lower the rank, equal scores have equal ranks.
int32_t rank_of_score(float score) {
  const int32_t bits = std::bit_cast<int32_t>(score);
  const int32_t ascending = bits >= 0 ? bits : static_cast<int32_t>(int64_t{INT32_MIN} - bits);
  return ~ascending;
}

/// Where the character that ends before `end` begins; the text before `end` is valid UTF-8 and not empty.
size_t character_before(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

}  // namespace

/// What one call of encode() works with.
struct SentencePieceBpe::Scratch {
  struct Symbol {
    TokenId token;           // -1: no piece
    uint32_t begin, length;  // bytes of the word
    int32_t previous, next;  // positions; -1: none
    int32_t rank;            // of the merge with the next symbol
    TokenId result;          // of that merge
  };
  struct Candidate {
    int32_t rank, position;
    // std::push_heap keeps the greatest on top.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  std::vector<TokenId> output;
  bool parse_special = false;
  bool after_unknown = false;  // neighbouring unknown characters are one unknown token
  std::string_view word;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  // What pieces of type kUnused were last merged from: they are taken apart again, as SentencePiece does.
  std::unordered_map<std::string_view, size_t> left_length_of_unused;
};

SentencePieceBpe::SentencePieceBpe(Vocabulary vocabulary, std::vector<bool> ends_generation)
    : vocabulary_(std::move(vocabulary)),
      ends_generation_(std::move(ends_generation)),
      index_(vocabulary_.tokens.size()),
      merges_(vocabulary_.scores.empty() ? vocabulary_.merges.size() : 0) {
  index_tokens();
  index_bytes();
  if (vocabulary_.scores.empty()) {
    index_merges(vocabulary_, index_, merges_);
  } else {
    index_scores();
  }
  find_words_that_go_on();
}

void SentencePieceBpe::index_tokens() {
  index_texts(vocabulary_, index_);
  bytes_begin_.reserve(vocabulary_.tokens.size() + 1);
  for (size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
    const std::string& text = vocabulary_.tokens[i];
    const TokenId token = static_cast<TokenId>(i);
    bytes_begin_.push_back(static_cast<uint32_t>(token_bytes_.size()));
    if (type_of(i) == TokenType::kByte) {
      const int byte = byte_of(text);
      if (byte < 0) {
        throw Error(ErrorKind::kInvalidModel, vocabulary_.source + ": " + std::string(vocabulary_.fields->tokens) +
                                                  ": token " + std::to_string(i) + ", " + in_quotes(text) +
                                                  ", is marked as a byte but names none, as <0x0A> would");
      }
      token_bytes_ += static_cast<char>(byte);
    } else {
      append_with_spaces(token_bytes_, text);
      index_special(token);
    }
    if (is_piece(token)) longest_piece_bytes_ = std::max(longest_piece_bytes_, text.size());
  }
  bytes_begin_.push_back(static_cast<uint32_t>(token_bytes_.size()));
  for (const TokenId token : vocabulary_.found_in_normalised_text) {
    const auto match =
        type_of(token) == TokenType::kUserDefined ? SpecialTokens::Match::kAlways : SpecialTokens::Match::kWhenParsing;
    normalised_tokens_.insert(normalise(vocabulary_.tokens[token], Place::kStart), token, match);
  }
}

void SentencePieceBpe::index_special(TokenId token) {
  const std::string& text = vocabulary_.tokens[token];
  const auto& elsewhere = vocabulary_.found_in_normalised_text;
  if (std::binary_search(elsewhere.begin(), elsewhere.end(), token)) return;
  switch (type_of(token)) {
    case TokenType::kControl:
    case TokenType::kUnknown:
      special_tokens_.insert(text, token, SpecialTokens::Match::kWhenParsing);
      break;
    case TokenType::kUserDefined:
      if (vocabulary_.scores.empty()) {
        special_tokens_.insert(text, token, SpecialTokens::Match::kAlways);
      } else {
        // SentencePiece looks for them after it has replaced spaces; converters may have replaced them back.
        std::string marked;
        append_with_marks(marked, text);
        normalised_tokens_.insert(marked, token, SpecialTokens::Match::kAlways);
      }
      break;
    default:
      break;
  }
}

void SentencePieceBpe::index_bytes() {
  byte_tokens_.fill(-1);
  for (size_t i = 0; i < vocabulary_.types.size(); ++i) {
    if (type_of(i) != TokenType::kByte) continue;
    byte_tokens_[byte_of(vocabulary_.tokens[i])] = static_cast<TokenId>(i);
  }
  for (size_t character = 0; character < ascii_tokens_.size(); ++character) {
    const char text[] = {static_cast<char>(character)};
    const TokenId token = index_.find(vocabulary_.tokens, {text, 1});
    ascii_tokens_[character] = token >= 0 && is_piece(token) ? token : -1;
  }
}

void SentencePieceBpe::index_scores() {
  ranks_.reserve(vocabulary_.scores.size());
  for (size_t i = 0; i < vocabulary_.scores.size(); ++i) {
    const float score = vocabulary_.scores[i];
    if (!std::isfinite(score)) {
      throw Error(ErrorKind::kInvalidModel, vocabulary_.source + ": tokenizer.ggml.scores: the score of token " +
                                                std::to_string(i) + " is no finite number; the file is damaged");
    }
    ranks_.push_back(rank_of_score(score));
  }
}

/// Nothing merges across a place where no piece has these two characters beside each other. For most vocabularies that
/// is nearly every space, and so a text falls into words, which keeps heaps small.
void SentencePieceBpe::find_words_that_go_on() {
  for (size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
    const std::string_view text = vocabulary_.tokens[i];
    if (!is_piece(static_cast<TokenId>(i)) || find_invalid_utf8(text, 0) != text.size()) continue;
    for (size_t space = text.find(kSpace, 1); space < text.size(); space = text.find(kSpace, space + 1)) {
      before_inner_space_.push_back(decode_utf8(text, character_before(text, space)).code_point);
    }
  }
  std::sort(before_inner_space_.begin(), before_inner_space_.end());
  before_inner_space_.erase(std::unique(before_inner_space_.begin(), before_inner_space_.end()),
                            before_inner_space_.end());
}

std::vector<TokenId> SentencePieceBpe::encode(std::string_view text, EncodeOptions options) const {
  check_text_size(text);
  Scratch scratch;
  scratch.parse_special = options.parse_special;
  const auto add_if_wanted = [&](std::optional<bool> wanted, std::optional<TokenId> token) {
    if (options.add_special && wanted.value_or(false) && token) scratch.output.push_back(*token);
  };
  add_if_wanted(vocabulary_.add_bos, vocabulary_.bos);
  for_each_part(
      special_tokens_, text, options.parse_special,
      [&](std::string_view part) {
        const Place place = part.data() == text.data() ? Place::kStart : Place::kLater;
        encode_stretch(normalise(part, place), scratch);
      },
      [&](TokenId token) { scratch.output.push_back(token); });
  add_if_wanted(vocabulary_.add_eos, vocabulary_.eos);
  return std::move(scratch.output);
}

std::string SentencePieceBpe::normalise(std::string_view text, Place place) const {
  std::string normalised;
  if (text.empty()) return normalised;
  const bool starts_with_space = text.front() == ' ' || text.starts_with(kSpace);
  switch (vocabulary_.space_prefix) {
    case SpacePrefix::kNone:
      break;
    case SpacePrefix::kAlways:
      normalised = kSpace;
      break;
    case SpacePrefix::kUnlessThere:
      if (!starts_with_space) normalised = kSpace;
      break;
    case SpacePrefix::kAtStartUnlessThere:
      if (!starts_with_space && place == Place::kStart) normalised = kSpace;
      break;
  }
  const size_t spaces = static_cast<size_t>(std::count(text.begin(), text.end(), ' '));
  normalised.reserve(normalised.size() + text.size() + spaces * (kSpace.size() - 1));
  append_with_marks(normalised, text);
  return normalised;
}

/// Normalised text between special tokens.
void SentencePieceBpe::encode_stretch(std::string_view text, Scratch& scratch) const {
  scratch.left_length_of_unused.clear();
  for_each_part(
      normalised_tokens_, text, scratch.parse_special, [&](std::string_view part) { encode_run(part, scratch); },
      [&](TokenId token) { scratch.output.push_back(token); });
}

/// Stretches of valid UTF-8, and maximal subparts of invalid UTF-8 between them.
void SentencePieceBpe::encode_run(std::string_view text, Scratch& scratch) const {
  scratch.after_unknown = false;
  for (size_t position = 0; position < text.size();) {
    const size_t invalid = find_invalid_utf8(text, position);
    encode_words(text.substr(position, invalid - position), scratch);
    if (invalid == text.size()) return;
    const size_t length = decode_utf8(text, invalid).length_bytes;
    const std::string_view subpart = text.substr(invalid, length);
    if (has_all_bytes(subpart)) {
      put_unknown(subpart, scratch);
    } else {
      encode_word("\xEF\xBF\xBD", scratch);
    }
    position = invalid + length;
  }
}

/// Whether nothing merges across the place before the space mark at `space` (> 0).
bool SentencePieceBpe::starts_word(std::string_view text, size_t space) const {
  if (vocabulary_.splits_at_spaces) return true;
  const char32_t before = decode_utf8(text, character_before(text, space)).code_point;
  return !std::binary_search(before_inner_space_.begin(), before_inner_space_.end(), before);
}

void SentencePieceBpe::encode_words(std::string_view text, Scratch& scratch) const {
  size_t begin = 0;
  for (size_t space = text.find(kSpace, 1); space < text.size(); space = text.find(kSpace, space + 1)) {
    if (!starts_word(text, space)) continue;
    encode_word(text.substr(begin, space - begin), scratch);
    begin = space;
  }
  if (begin < text.size()) encode_word(text.substr(begin), scratch);
}

void SentencePieceBpe::encode_word(std::string_view word, Scratch& scratch) const {
  scratch.word = word;
  start_symbols(scratch);
  merge_symbols(scratch);
  for (int32_t i = 0; i >= 0; i = scratch.symbols[i].next) {
    const Scratch::Symbol& symbol = scratch.symbols[i];
    put_piece(word.substr(symbol.begin, symbol.length), symbol.token, scratch);
  }
}

/// One symbol a character. Where merges go by pairs of ids, an unknown character is a symbol for each of its bytes'
/// tokens, as in the reference.
void SentencePieceBpe::start_symbols(Scratch& scratch) const {
  const std::string_view word = scratch.word;
  scratch.symbols.clear();
  const auto add = [&](TokenId token, size_t begin, size_t length) {
    const int32_t position = static_cast<int32_t>(scratch.symbols.size());
    scratch.symbols.push_back({token, static_cast<uint32_t>(begin), static_cast<uint32_t>(length), position - 1,
                               position + 1, MergeTable::kNoMerge, -1});
  };
  for (size_t begin = 0; begin < word.size();) {
    const uint8_t lead = static_cast<uint8_t>(word[begin]);
    const size_t length = lead < 0x80 ? 1 : decode_utf8(word, begin).length_bytes;
    const std::string_view character = word.substr(begin, length);
    const TokenId token = lead < 0x80 ? ascii_tokens_[lead] : find_piece(character);
    if (token < 0 && !merges_by_score() && has_all_bytes(character)) {
      for (size_t i = 0; i < length; ++i) add(byte_tokens_[static_cast<uint8_t>(character[i])], begin + i, 1);
    } else {
      add(token, begin, length);
    }
    begin += length;
  }
  scratch.symbols.back().next = -1;
}

TokenId SentencePieceBpe::find_piece(std::string_view text) const {
  const TokenId token = text.size() > longest_piece_bytes_ ? -1 : index_.find(vocabulary_.tokens, text);
  return token >= 0 && is_piece(token) ? token : -1;
}

/// Sets the symbol's merge with its right neighbour; false if there is none.
bool SentencePieceBpe::find_merge(int32_t position, Scratch& scratch) const {
  Scratch::Symbol& left = scratch.symbols[position];
  left.rank = MergeTable::kNoMerge;
  if (left.next < 0) return false;
  const Scratch::Symbol& right = scratch.symbols[left.next];
  if (!merges_by_score()) {
    if (left.token < 0 || right.token < 0) return false;
    const MergeTable::Merge merge = merges_.find(left.token, right.token);
    left.rank = merge.rank;
    left.result = merge.result;
    return merge.rank != MergeTable::kNoMerge;
  }
  const std::string_view text = scratch.word.substr(left.begin, size_t{left.length} + right.length);
  const TokenId token = find_piece(text);
  if (token < 0) return false;
  if (type_of(token) == TokenType::kUnused) scratch.left_length_of_unused[text] = left.length;
  left.rank = ranks_[token];
  left.result = token;
  return true;
}

void SentencePieceBpe::merge_symbols(Scratch& scratch) const {
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  std::vector<Scratch::Candidate>& heap = scratch.heap;
  heap.clear();
  for (int32_t i = 0; i < static_cast<int32_t>(symbols.size()); ++i) {
    if (find_merge(i, scratch)) heap.push_back({symbols[i].rank, i});
  }
  std::make_heap(heap.begin(), heap.end());
  const auto renew_pair = [&](int32_t position) {
    if (!find_merge(position, scratch)) return;
    heap.push_back({symbols[position].rank, position});
    std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    const Scratch::Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    Scratch::Symbol& left = symbols[best.position];
    if (left.rank != best.rank) continue;  // one of the two has merged since
    Scratch::Symbol& right = symbols[left.next];
    right.rank = MergeTable::kNoMerge;
    left.token = left.result;
    left.length += right.length;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.position;
    renew_pair(best.position);
    if (left.previous >= 0) renew_pair(left.previous);
  }
}

void SentencePieceBpe::put_piece(std::string_view piece, TokenId token, Scratch& scratch) const {
  if (token < 0) return put_unknown(piece, scratch);
  if (type_of(token) == TokenType::kUnused) {
    const auto merged_from = scratch.left_length_of_unused.find(piece);
    if (merged_from != scratch.left_length_of_unused.end()) {
      // Pieces are short, and so is this recursion: each half is shorter.
      for (const std::string_view half : {piece.substr(0, merged_from->second), piece.substr(merged_from->second)}) {
        put_piece(half, find_piece(half), scratch);
      }
      return;
    }
  }
  scratch.after_unknown = false;
  scratch.output.push_back(token);
}

void SentencePieceBpe::put_unknown(std::string_view character, Scratch& scratch) const {
  if (has_all_bytes(character)) {
    scratch.after_unknown = false;
    for (char byte : character) scratch.output.push_back(byte_tokens_[static_cast<uint8_t>(byte)]);
    return;
  }
  // Without an unknown token the character is left out, as in the reference.
  if (vocabulary_.unk && !scratch.after_unknown) scratch.output.push_back(*vocabulary_.unk);
  scratch.after_unknown = true;
}

bool SentencePieceBpe::has_all_bytes(std::string_view text) const {
  return std::all_of(text.begin(), text.end(),
                     [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)] >= 0; });
}

void SentencePieceBpe::check_id(TokenId token) const { check_token_id(vocabulary_, token); }

TokenType SentencePieceBpe::type_of(size_t token) const {
  return vocabulary_.types.empty() ? TokenType::kNormal : vocabulary_.types[token];
}

/// Whether merging may lead to the token: SentencePiece keeps the others, by which files mark control tokens and bytes,
/// apart from its pieces.
bool SentencePieceBpe::is_piece(TokenId token) const {
  const TokenType type = type_of(token);
  return type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
}

TokenType SentencePieceBpe::type(TokenId token) const {
  check_id(token);
  return type_of(token);
}

std::string_view SentencePieceBpe::bytes(TokenId token, Special special) const {
  check_id(token);
  const TokenType type = type_of(token);
  const bool is_special = type == TokenType::kControl || type == TokenType::kUnknown || type == TokenType::kUnused;
  if (is_special && special == Special::kOmit) return {};
  return std::string_view(token_bytes_).substr(bytes_begin_[token], bytes_begin_[token + 1] - bytes_begin_[token]);
}

std::string SentencePieceBpe::decode(std::span<const TokenId> tokens, Special special) const {
  std::string text = Tokenizer::decode(tokens, special);
  if (vocabulary_.space_prefix != SpacePrefix::kNone && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

std::optional<TokenId> SentencePieceBpe::find(std::string_view text) const {
  const TokenId token = index_.find(vocabulary_.tokens, text);
  return token < 0 ? std::nullopt : std::optional(token);
}

bool SentencePieceBpe::ends_generation(TokenId token) const {
  check_id(token);
  return ends_generation_[token];
}

}  // namespace megalith
