#include "text/token_tables.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"

namespace megalith {
namespace {

/// A power of two that leaves at least half of the slots empty.
size_t slot_count(size_t entries) { return std::bit_ceil(std::max<size_t>(entries, 8) * 2); }

constexpr size_t kPrefetchAhead = 16;

[[noreturn]] void fail_in(const Vocabulary& vocabulary, const std::string& what) {
  throw Error(ErrorKind::kInvalidModel, vocabulary.source + ": " + what);
}

struct MergeTexts {
  std::string_view left, right;
  uint32_t left_hash = 0, right_hash = 0;
};

MergeTexts merge_texts(const Vocabulary& vocabulary, size_t rank) {
  const std::string_view merge = vocabulary.merges[rank];
  const size_t space = merge.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == merge.size() ||
      merge.find(' ', space + 1) != std::string_view::npos) {
    fail_in(vocabulary, std::string(vocabulary.fields->merges) + ": entry " + std::to_string(rank) + ", " +
                            in_quotes(merge) + ", is not two tokens separated by one space");
  }
  const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
  return {left, right, TokenIndex::hash_of(left), TokenIndex::hash_of(right)};
}

/// The token of both texts together, or -1. Trainers number tokens as they make them, so `guess`, the token after the
/// previous merge's, is nearly always right and saves a search.
TokenId merge_result(const Vocabulary& vocabulary, const TokenIndex& index, const MergeTexts& texts, TokenId guess) {
  if (static_cast<size_t>(guess) < vocabulary.tokens.size()) {
    const std::string_view guessed = vocabulary.tokens[guess];
    if (guessed.size() == texts.left.size() + texts.right.size() && guessed.starts_with(texts.left) &&
        guessed.ends_with(texts.right)) {
      return guess;
    }
  }
  return index.find(vocabulary.tokens, std::string(texts.left).append(texts.right));
}

[[noreturn]] void fail_merge(const Vocabulary& vocabulary, size_t rank, std::string_view missing) {
  fail_in(vocabulary, std::string(vocabulary.fields->merges) + ": entry " + std::to_string(rank) + ", " +
                          in_quotes(vocabulary.merges[rank]) + ", needs the token " + in_quotes(missing) + ", which " +
                          std::string(vocabulary.fields->tokens) + " lacks");
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

TokenTable::TokenTable(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)), index_(vocabulary_.tokens.size()) {
  const std::vector<std::string>& tokens = vocabulary_.tokens;
  size_t total_bytes = 0;
  std::vector<uint32_t> hashes;
  hashes.reserve(tokens.size());
  for (const std::string& token : tokens) {
    total_bytes += token.size();
    hashes.push_back(TokenIndex::hash_of(token));
  }
  if (total_bytes > std::numeric_limits<uint32_t>::max()) {
    fail(std::string(vocabulary_.fields->tokens) + " holds more than 4 GiB of text");
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    index_.prefetch(hashes[std::min(i + kPrefetchAhead, hashes.size() - 1)]);
    const TokenId earlier = index_.insert(tokens, static_cast<TokenId>(i), hashes[i]);
    if (earlier >= 0) {
      fail(std::string(vocabulary_.fields->tokens) + ": token " + std::to_string(i) + " has the same text as token " +
           std::to_string(earlier) + ", " + in_quotes(tokens[i]) + "; the file is damaged or was converted wrongly");
    }
  }
}

void TokenTable::check_id(TokenId token) const {
  if (token >= 0 && static_cast<size_t>(token) < size()) return;
  throw Error(ErrorKind::kUsage, "there is no token " + std::to_string(token) + "; the vocabulary of " +
                                     vocabulary_.source + " has the ids 0 to " + std::to_string(size() - 1));
}

void TokenTable::fail(const std::string& what) const { fail_in(vocabulary_, what); }

void index_merges(const TokenTable& table, MergeTable& merges) {
  const Vocabulary& vocabulary = table.vocabulary();
  const TokenIndex& index = table.index();
  const std::vector<std::string>& tokens = vocabulary.tokens;
  const size_t count = vocabulary.merges.size();
  // In blocks: first the texts and hashes of all, then their ids, then the insertions, each with its memory on the way.
  constexpr size_t kBlock = 64;
  std::array<MergeTexts, kBlock> texts;
  std::array<TokenId, kBlock> left, right, result;
  TokenId guess = 0;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t in_block = std::min(kBlock, count - begin);
    for (size_t i = 0; i < in_block; ++i) {
      texts[i] = merge_texts(vocabulary, begin + i);
      index.prefetch(texts[i].left_hash);
      index.prefetch(texts[i].right_hash);
    }
    for (size_t i = 0; i < in_block; ++i) {
      left[i] = index.find(tokens, texts[i].left, texts[i].left_hash);
      if (left[i] < 0) fail_merge(vocabulary, begin + i, texts[i].left);
      right[i] = index.find(tokens, texts[i].right, texts[i].right_hash);
      if (right[i] < 0) fail_merge(vocabulary, begin + i, texts[i].right);
      merges.prefetch(left[i], right[i]);
      result[i] = merge_result(vocabulary, index, texts[i], guess);
      if (result[i] < 0) fail_merge(vocabulary, begin + i, std::string(texts[i].left).append(texts[i].right));
      guess = result[i] + 1;
    }
    for (size_t i = 0; i < in_block; ++i) {
      merges.insert(left[i], right[i], {static_cast<int32_t>(begin + i), result[i]});
    }
  }
}

int byte_named_by(std::string_view text) {
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

std::array<TokenId, 256> index_bytes(const TokenTable& table) {
  std::array<TokenId, 256> tokens;
  tokens.fill(-1);
  for (size_t i = 0; i < table.size(); ++i) {
    const TokenId token = static_cast<TokenId>(i);
    if (table.type(token) != TokenType::kByte) continue;
    const int byte = byte_named_by(table.text(token));
    if (byte < 0) {
      table.fail(std::string(table.vocabulary().fields->tokens) + ": token " + std::to_string(i) + ", " +
                 in_quotes(table.text(token)) + ", is marked as a byte but names none, as <0x0A> would");
    }
    tokens[byte] = token;
  }
  return tokens;
}

bool has_all_bytes(const std::array<TokenId, 256>& byte_tokens, std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [&](char byte) { return byte_tokens[static_cast<uint8_t>(byte)] >= 0; });
}

bool append_byte_tokens(std::vector<TokenId>& out, const std::array<TokenId, 256>& byte_tokens,
                        std::string_view bytes) {
  if (!has_all_bytes(byte_tokens, bytes)) return false;
  for (char byte : bytes) out.push_back(byte_tokens[static_cast<uint8_t>(byte)]);
  return true;
}

}  // namespace megalith
