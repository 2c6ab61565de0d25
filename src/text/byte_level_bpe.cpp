#include "text/byte_level_bpe.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/unicode.h"

namespace megalith {
namespace {

// A word of up to this many symbols is merged by looking at all its pairs each time, which is faster than a heap there.
constexpr size_t kShortWord = 24;

/// The alphabet of GPT-2: each byte as one printable character, its own where Latin-1 prints it, else from U+0100 on.
constexpr bool prints_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct ByteAlphabet {
  std::array<char16_t, 256> character_of_byte{};
  std::array<int16_t, 0x144> byte_of_character{};  // -1: not of the alphabet
};

constexpr ByteAlphabet make_byte_alphabet() {
  ByteAlphabet alphabet;
  alphabet.byte_of_character.fill(-1);
  char16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const char16_t character = prints_itself(byte) ? static_cast<char16_t>(byte) : next++;
    alphabet.character_of_byte[byte] = character;
    alphabet.byte_of_character[character] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr ByteAlphabet kByteAlphabet = make_byte_alphabet();

void append_in_alphabet(std::string& out, std::string_view bytes) {
  for (char byte : bytes) append_utf8(out, kByteAlphabet.character_of_byte[static_cast<uint8_t>(byte)]);
}

/// Appends the bytes that `stored` means; if it has a character outside the alphabet, `stored` itself, as the
/// reference's decoder does.
void append_decoded(std::string& out, std::string_view stored) {
  const size_t size_before = out.size();
  for (size_t position = 0; position < stored.size();) {
    const Utf8Step step = decode_utf8(stored, position);
    const bool known = step.kind == Utf8Step::Kind::kCharacter &&
                       step.code_point < kByteAlphabet.byte_of_character.size() &&
                       kByteAlphabet.byte_of_character[step.code_point] >= 0;
    if (!known) {
      out.resize(size_before);
      out += stored;
      return;
    }
    out.push_back(static_cast<char>(kByteAlphabet.byte_of_character[step.code_point]));
    position += step.length_bytes;
  }
}

}  // namespace

/// What one call of encode() works with.
struct ByteLevelBpe::Scratch {
  struct Symbol {
    TokenId token;
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
  std::vector<TokenId> word;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  std::string stored;  // a word in the byte alphabet
  WordSplitter::Scratch words;
};

ByteLevelBpe::ByteLevelBpe(Vocabulary vocabulary, const PreTokenizer& pre_tokenizer, std::vector<bool> ends_generation)
    : vocabulary_(std::move(vocabulary)),
      pre_tokenizer_(pre_tokenizer),
      splitter_(pre_tokenizer.stages, vocabulary_.source + ": "),
      ends_generation_(std::move(ends_generation)),
      index_(vocabulary_.tokens.size()),
      merges_(vocabulary_.merges.size()) {
  index_tokens();
  index_merges(vocabulary_, index_, merges_);
}

void ByteLevelBpe::index_tokens() {
  const size_t total_bytes = index_texts(vocabulary_, index_);
  token_bytes_.reserve(total_bytes);
  bytes_begin_.reserve(vocabulary_.tokens.size() + 1);
  for (size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
    const std::string& text = vocabulary_.tokens[i];
    const TokenId token = static_cast<TokenId>(i);
    bytes_begin_.push_back(static_cast<uint32_t>(token_bytes_.size()));
    switch (type_of(i)) {
      case TokenType::kNormal:
      case TokenType::kByte:
        append_decoded(token_bytes_, text);
        break;
      case TokenType::kUserDefined:
        special_tokens_.insert(text, token, SpecialTokens::Match::kAlways);
        token_bytes_ += text;
        break;
      case TokenType::kControl:
      case TokenType::kUnknown:
        special_tokens_.insert(text, token, SpecialTokens::Match::kWhenParsing);
        token_bytes_ += text;
        break;
      case TokenType::kUnused:
        token_bytes_ += text;
        break;
    }
  }
  bytes_begin_.push_back(static_cast<uint32_t>(token_bytes_.size()));
  for (int byte = 0; byte < 256; ++byte) {
    const char bytes[] = {static_cast<char>(byte)};
    std::string stored;
    append_in_alphabet(stored, {bytes, 1});
    byte_tokens_[byte] = index_.find(vocabulary_.tokens, stored);
  }
}

std::vector<TokenId> ByteLevelBpe::encode(std::string_view text, EncodeOptions options) const {
  check_text_size(text);
  Scratch scratch;
  const auto add_if_wanted = [&](std::optional<bool> wanted, std::optional<TokenId> token) {
    if (options.add_special && wanted.value_or(false) && token) scratch.output.push_back(*token);
  };
  add_if_wanted(vocabulary_.add_bos, vocabulary_.bos);
  for_each_part(
      special_tokens_, text, options.parse_special, [&](std::string_view part) { encode_text(part, scratch); },
      [&](TokenId token) { scratch.output.push_back(token); });
  add_if_wanted(vocabulary_.add_eos, vocabulary_.eos);
  return std::move(scratch.output);
}

/// A text without special tokens: stretches of valid UTF-8, and maximal subparts of invalid UTF-8 between them.
void ByteLevelBpe::encode_text(std::string_view text, Scratch& scratch) const {
  for (size_t position = 0; position < text.size();) {
    const size_t invalid = find_invalid_utf8(text, position);
    encode_valid(text.substr(position, invalid - position), scratch);
    if (invalid == text.size()) return;
    const size_t length = decode_utf8(text, invalid).length_bytes;
    encode_invalid(text.substr(invalid, length), scratch);
    position = invalid + length;
  }
}

void ByteLevelBpe::encode_valid(std::string_view text, Scratch& scratch) const {
  std::string normalised;
  if (pre_tokenizer_.normalisation == PreTokenizer::Normalisation::kNfc && !is_surely_nfc(text)) {
    normalised = to_nfc(text);
    text = normalised;
  }
  splitter_.split(text, scratch.words, [&](std::string_view word) { encode_word(word, scratch); });
}

void ByteLevelBpe::encode_invalid(std::string_view bytes, Scratch& scratch) const {
  const bool all_known =
      std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)] >= 0; });
  encode_word(all_known ? bytes : "\xEF\xBF\xBD", scratch);
}

void ByteLevelBpe::encode_word(std::string_view word, Scratch& scratch) const {
  if (pre_tokenizer_.whole_words == PreTokenizer::WholeWords::kTakeIfKnown) {
    scratch.stored.clear();
    append_in_alphabet(scratch.stored, word);
    const TokenId token = index_.find(vocabulary_.tokens, scratch.stored);
    if (token >= 0 && type_of(token) == TokenType::kNormal) {
      scratch.output.push_back(token);
      return;
    }
  }
  scratch.word.clear();
  for (char byte : word) {
    const TokenId token = byte_tokens_[static_cast<uint8_t>(byte)];
    // The reference leaves out bytes that its vocabulary lacks.
    if (token >= 0) scratch.word.push_back(token);
  }
  if (scratch.word.size() <= kShortWord) {
    merge_short(scratch);
  } else {
    merge_long(scratch);
  }
}

void ByteLevelBpe::merge_short(Scratch& scratch) const {
  std::vector<TokenId>& word = scratch.word;
  std::array<MergeTable::Merge, kShortWord> pairs;  // [i]: of symbols i and i + 1
  size_t count = word.size();
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = merges_.find(word[i], word[i + 1]);
  while (count > 1) {
    const auto best = std::min_element(pairs.begin(), pairs.begin() + (count - 1),
                                       [](const auto& a, const auto& b) { return a.rank < b.rank; });
    if (best->rank == MergeTable::kNoMerge) break;
    const size_t i = best - pairs.begin();
    word[i] = best->result;
    std::copy(word.begin() + i + 2, word.begin() + count, word.begin() + i + 1);
    std::copy(pairs.begin() + i + 1, pairs.begin() + (count - 1), pairs.begin() + i);
    --count;
    if (i > 0) pairs[i - 1] = merges_.find(word[i - 1], word[i]);
    if (i + 1 < count) pairs[i] = merges_.find(word[i], word[i + 1]);
  }
  scratch.output.insert(scratch.output.end(), word.begin(), word.begin() + count);
}

void ByteLevelBpe::merge_long(Scratch& scratch) const {
  const int32_t count = static_cast<int32_t>(scratch.word.size());
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  std::vector<Scratch::Candidate>& heap = scratch.heap;
  symbols.clear();
  heap.clear();
  for (int32_t i = 0; i < count; ++i) {
    MergeTable::Merge merge;
    if (i + 1 < count) merge = merges_.find(scratch.word[i], scratch.word[i + 1]);
    symbols.push_back({scratch.word[i], i - 1, i + 1 < count ? i + 1 : -1, merge.rank, merge.result});
    if (merge.rank != MergeTable::kNoMerge) heap.push_back({merge.rank, i});
  }
  std::make_heap(heap.begin(), heap.end());
  const auto renew_pair = [&](int32_t position) {
    Scratch::Symbol& symbol = symbols[position];
    MergeTable::Merge merge;
    if (symbol.next >= 0) merge = merges_.find(symbol.token, symbols[symbol.next].token);
    symbol.rank = merge.rank;
    symbol.result = merge.result;
    if (merge.rank == MergeTable::kNoMerge) return;
    heap.push_back({merge.rank, position});
    std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    const Scratch::Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    Scratch::Symbol& left = symbols[best.position];
    if (left.rank != best.rank) continue;  // one of the two has merged since
    const Scratch::Symbol& right = symbols[left.next];
    symbols[left.next].rank = MergeTable::kNoMerge;
    left.token = left.result;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.position;
    renew_pair(best.position);
    if (left.previous >= 0) renew_pair(left.previous);
  }
  for (int32_t i = 0; i >= 0; i = symbols[i].next) scratch.output.push_back(symbols[i].token);
}

void ByteLevelBpe::check_id(TokenId token) const { check_token_id(vocabulary_, token); }

TokenType ByteLevelBpe::type_of(size_t token) const {
  return vocabulary_.types.empty() ? TokenType::kNormal : vocabulary_.types[token];
}

TokenType ByteLevelBpe::type(TokenId token) const {
  check_id(token);
  return type_of(token);
}

std::string_view ByteLevelBpe::bytes(TokenId token, Special special) const {
  check_id(token);
  const TokenType type = type_of(token);
  const bool is_special = type == TokenType::kControl || type == TokenType::kUnknown || type == TokenType::kUnused;
  if (is_special && special == Special::kOmit) return {};
  return std::string_view(token_bytes_).substr(bytes_begin_[token], bytes_begin_[token + 1] - bytes_begin_[token]);
}

std::optional<TokenId> ByteLevelBpe::find(std::string_view text) const {
  const TokenId token = index_.find(vocabulary_.tokens, text);
  return token < 0 ? std::nullopt : std::optional(token);
}

bool ByteLevelBpe::ends_generation(TokenId token) const {
  check_id(token);
  return ends_generation_[token];
}

}  // namespace megalith
