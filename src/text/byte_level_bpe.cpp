#include "text/byte_level_bpe.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/error.h"
#include "text/unicode.h"

namespace megalith {
namespace {

// A word of up to this many symbols is merged by looking at all its pairs each time, which is faster than a heap there.
constexpr size_t kShortWord = 24;
constexpr size_t kPrefetchAhead = 16;
// Positions inside a word are 32 bits.
constexpr size_t kMaxTextBytes = size_t{1} << 30;

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

/// A power of two that leaves at least half of the slots empty.
size_t slot_count(size_t entries) { return std::bit_ceil(std::max<size_t>(entries, 8) * 2); }

std::string quoted(std::string_view text) {
  constexpr size_t kShown = 60;
  return '"' + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "...\"" : "\"");
}

}  // namespace

TokenIndex::TokenIndex(size_t token_count) : slots_(slot_count(token_count)) {}

uint32_t TokenIndex::hash_of(std::string_view text) {
  const size_t hash = std::hash<std::string_view>{}(text);
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

TokenId TokenIndex::insert(const std::vector<std::string>& texts, TokenId token, uint32_t hash) {
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.token < 0) {
      slot = {hash, token};
      return -1;
    }
    if (slot.hash == hash && texts[slot.token] == texts[token]) return slot.token;
  }
}

TokenId TokenIndex::find(const std::vector<std::string>& texts, std::string_view text, uint32_t hash) const {
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask; slots_[i].token >= 0; i = (i + 1) & mask) {
    if (slots_[i].hash == hash && texts[slots_[i].token] == text) return slots_[i].token;
  }
  return -1;
}

MergeTable::MergeTable(size_t merge_count) : slots_(slot_count(merge_count)) {}

size_t MergeTable::first_slot(TokenId left, TokenId right) const {
  const uint64_t key = uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  // Fibonacci hashing: the golden ratio times 2^64 spreads neighbouring ids, and the high bits are the good ones.
  return (key * 0x9E3779B97F4A7C15u >> 32) & (slots_.size() - 1);
}

size_t MergeTable::slot_of(TokenId left, TokenId right) const {
  size_t i = first_slot(left, right);
  while (slots_[i].left >= 0 && (slots_[i].left != left || slots_[i].right != right)) i = (i + 1) & (slots_.size() - 1);
  return i;
}

void MergeTable::insert(TokenId left, TokenId right, Merge merge) {
  slots_[slot_of(left, right)] = {left, right, merge};
}

MergeTable::Merge MergeTable::find(TokenId left, TokenId right) const { return slots_[slot_of(left, right)].merge; }

SpecialTokens::SpecialTokens() : nodes_(1) { root_children_.fill(-1); }

int32_t SpecialTokens::child(int32_t node, uint8_t byte) const {
  if (node == 0) return root_children_[byte];
  int32_t next = nodes_[node].first_child;
  while (next >= 0 && nodes_[next].byte != byte) next = nodes_[next].next_sibling;
  return next;
}

void SpecialTokens::insert(std::string_view text, TokenId token, Match match) {
  if (text.empty()) return;
  int32_t node = 0;
  for (char character : text) {
    const uint8_t byte = static_cast<uint8_t>(character);
    int32_t next = child(node, byte);
    if (next < 0) {
      next = static_cast<int32_t>(nodes_.size());
      nodes_.push_back({byte, Match::kAlways, -1, -1, nodes_[node].first_child});
      nodes_[node].first_child = next;
      if (node == 0) root_children_[byte] = next;
    }
    node = next;
  }
  nodes_[node].token = token;
  nodes_[node].match = match;
}

SpecialTokens::Found SpecialTokens::find(std::string_view text, size_t position, bool parse_special) const {
  Found found;
  int32_t node = 0;
  for (size_t end = position; end < text.size();) {
    node = child(node, static_cast<uint8_t>(text[end]));
    if (node < 0) break;
    ++end;
    const Node& reached = nodes_[node];
    if (reached.token >= 0 && (parse_special || reached.match == Match::kAlways)) {
      found = {reached.token, end - position};
    }
  }
  return found;
}

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
};

ByteLevelBpe::ByteLevelBpe(Vocabulary vocabulary, const PreTokenizer& pre_tokenizer, std::vector<bool> ends_generation)
    : vocabulary_(std::move(vocabulary)),
      pre_tokenizer_(pre_tokenizer),
      ends_generation_(std::move(ends_generation)),
      index_(vocabulary_.tokens.size()),
      merges_(vocabulary_.merges.size()) {
  index_tokens();
  index_merges();
}

void ByteLevelBpe::index_tokens() {
  size_t total_bytes = 0;
  for (const std::string& token : vocabulary_.tokens) total_bytes += token.size();
  if (total_bytes > std::numeric_limits<uint32_t>::max()) {
    throw Error(ErrorKind::kInvalidModel, vocabulary_.source + ": tokenizer.ggml.tokens holds more than 4 GiB of text");
  }
  std::vector<uint32_t> hashes;
  hashes.reserve(vocabulary_.tokens.size());
  for (const std::string& token : vocabulary_.tokens) hashes.push_back(TokenIndex::hash_of(token));
  token_bytes_.reserve(total_bytes);
  bytes_begin_.reserve(vocabulary_.tokens.size() + 1);
  for (size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
    const std::string& text = vocabulary_.tokens[i];
    const TokenId token = static_cast<TokenId>(i);
    index_.prefetch(hashes[std::min(i + kPrefetchAhead, hashes.size() - 1)]);
    const TokenId earlier = index_.insert(vocabulary_.tokens, token, hashes[i]);
    if (earlier >= 0) {
      throw Error(ErrorKind::kInvalidModel, vocabulary_.source + ": tokenizer.ggml.tokens: token " + std::to_string(i) +
                                                " has the same text as token " + std::to_string(earlier) + ", " +
                                                quoted(text) + "; the file is damaged or was converted wrongly");
    }
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

struct ByteLevelBpe::MergeTexts {
  std::string_view left, right;
  uint32_t left_hash = 0, right_hash = 0;
};

void ByteLevelBpe::index_merges() {
  const size_t count = vocabulary_.merges.size();
  // In blocks: first the texts and hashes of all, then their ids, then the insertions, each with its memory on the way.
  constexpr size_t kBlock = 64;
  std::array<MergeTexts, kBlock> texts;
  std::array<TokenId, kBlock> left, right, result;
  TokenId guess = 0;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t in_block = std::min(kBlock, count - begin);
    for (size_t i = 0; i < in_block; ++i) {
      texts[i] = merge_texts(begin + i);
      index_.prefetch(texts[i].left_hash);
      index_.prefetch(texts[i].right_hash);
    }
    for (size_t i = 0; i < in_block; ++i) {
      left[i] = index_.find(vocabulary_.tokens, texts[i].left, texts[i].left_hash);
      if (left[i] < 0) fail_merge(begin + i, texts[i].left);
      right[i] = index_.find(vocabulary_.tokens, texts[i].right, texts[i].right_hash);
      if (right[i] < 0) fail_merge(begin + i, texts[i].right);
      merges_.prefetch(left[i], right[i]);
      result[i] = merge_result(texts[i], guess);
      if (result[i] < 0) fail_merge(begin + i, std::string(texts[i].left).append(texts[i].right));
      guess = result[i] + 1;
    }
    for (size_t i = 0; i < in_block; ++i) {
      merges_.insert(left[i], right[i], {static_cast<int32_t>(begin + i), result[i]});
    }
  }
}

ByteLevelBpe::MergeTexts ByteLevelBpe::merge_texts(size_t rank) const {
  const std::string_view merge = vocabulary_.merges[rank];
  const size_t space = merge.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == merge.size() ||
      merge.find(' ', space + 1) != std::string_view::npos) {
    throw Error(ErrorKind::kInvalidModel, vocabulary_.source + ": tokenizer.ggml.merges: entry " +
                                              std::to_string(rank) + ", " + quoted(merge) +
                                              ", is not two tokens separated by one space");
  }
  const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
  return {left, right, TokenIndex::hash_of(left), TokenIndex::hash_of(right)};
}

/// The token of both texts together, or -1. Trainers number tokens as they make them, so `guess`, the token after the
/// previous merge's, is nearly always right and saves a search.
TokenId ByteLevelBpe::merge_result(const MergeTexts& texts, TokenId guess) const {
  if (guess < size()) {
    const std::string_view guessed = vocabulary_.tokens[guess];
    if (guessed.size() == texts.left.size() + texts.right.size() && guessed.starts_with(texts.left) &&
        guessed.ends_with(texts.right)) {
      return guess;
    }
  }
  return index_.find(vocabulary_.tokens, std::string(texts.left).append(texts.right));
}

void ByteLevelBpe::fail_merge(size_t rank, std::string_view missing) const {
  throw Error(ErrorKind::kInvalidModel, vocabulary_.source + ": tokenizer.ggml.merges: entry " + std::to_string(rank) +
                                            ", " + quoted(vocabulary_.merges[rank]) + ", needs the token " +
                                            quoted(missing) + ", which tokenizer.ggml.tokens lacks");
}

std::vector<TokenId> ByteLevelBpe::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxTextBytes) {
    throw Error(ErrorKind::kUsage, "a text of " + std::to_string(text.size()) +
                                       " bytes cannot be tokenised at once; the most is 1 GiB: split it");
  }
  Scratch scratch;
  const auto add_if_wanted = [&](std::optional<bool> wanted, std::optional<TokenId> token) {
    if (options.add_special && wanted.value_or(false) && token) scratch.output.push_back(*token);
  };
  add_if_wanted(vocabulary_.add_bos, vocabulary_.bos);
  size_t text_begin = 0;
  for (size_t position = 0; position < text.size();) {
    const SpecialTokens::Found found = special_tokens_.find(text, position, options.parse_special);
    if (found.token < 0) {
      ++position;
      continue;
    }
    encode_text(text.substr(text_begin, position - text_begin), scratch);
    scratch.output.push_back(found.token);
    position += found.length_bytes;
    text_begin = position;
  }
  encode_text(text.substr(text_begin), scratch);
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
  split_words(pre_tokenizer_, text, [&](std::string_view word) { encode_word(word, scratch); });
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

void ByteLevelBpe::check_id(TokenId token) const {
  if (token < 0 || token >= size()) {
    throw Error(ErrorKind::kUsage, "there is no token " + std::to_string(token) + "; the vocabulary of " +
                                       vocabulary_.source + " has the ids 0 to " + std::to_string(size() - 1));
  }
}

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
