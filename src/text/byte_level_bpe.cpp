#include "text/byte_level_bpe.h"

#include <algorithm>
#include <vector>

#include "text/byte_alphabet.h"

namespace megalith {
namespace {

// A word of up to this many symbols is merged by looking at all its pairs each time, which is faster than a heap there.
constexpr size_t kShortWord = 24;

/// Every way in which a token is two others, with the token's id as the rank: what tiktoken's merging looks at.
MergeTable merges_from_ids(const TokenTable& table) {
  struct Pair {
    TokenId left, right, result;
  };
  std::vector<Pair> pairs;
  for (size_t i = 0; i < table.size(); ++i) {
    const TokenId result = static_cast<TokenId>(i);
    if (table.type(result) != TokenType::kNormal) continue;
    const std::string_view text = table.text(result);
    // The alphabet's characters have one or two bytes.
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((static_cast<uint8_t>(text[cut]) & 0xC0) == 0x80) continue;
      const TokenId left = table.find(text.substr(0, cut));
      const TokenId right = left < 0 ? -1 : table.find(text.substr(cut));
      if (right >= 0) pairs.push_back({left, right, result});
    }
  }
  MergeTable merges(pairs.size());
  for (const Pair& pair : pairs) merges.insert(pair.left, pair.right, {pair.result, pair.result});
  return merges;
}

MergeTable make_merges(const TokenTable& table, ByteLevelBpe::Ranks ranks) {
  if (ranks == ByteLevelBpe::Ranks::kFromIds) return merges_from_ids(table);
  MergeTable merges(table.vocabulary().merges.size());
  index_merges(table, merges);
  return merges;
}

}  // namespace

ByteLevelBpe::ByteLevelBpe(const TokenTable& table, Ranks ranks, Pipeline::WholeWords whole_words)
    : table_(table), whole_words_(whole_words), merges_(make_merges(table, ranks)) {
  for (int byte = 0; byte < 256; ++byte) {
    const char bytes[] = {static_cast<char>(byte)};
    std::string stored;
    append_in_byte_alphabet(stored, {bytes, 1});
    byte_tokens_[byte] = table.find(stored);
  }
}

bool ByteLevelBpe::encode_bytes(std::string_view bytes, Scratch& scratch) const {
  if (!has_all_bytes(byte_tokens_, bytes)) return false;
  encode(bytes, scratch);
  return true;
}

void ByteLevelBpe::encode(std::string_view word, Scratch& scratch) const {
  if (whole_words_ == Pipeline::WholeWords::kTakeIfKnown) {
    scratch.text.clear();
    append_in_byte_alphabet(scratch.text, word);
    const TokenId token = table_.find(scratch.text);
    if (token >= 0 && table_.type(token) == TokenType::kNormal) {
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
  scratch.merging.clear();
  for (size_t i = 0; i < scratch.word.size(); ++i) scratch.merging.add(scratch.word[i], i, 1);
  merge_symbols(scratch.merging, [&](MergeSymbol& left, const MergeSymbol& right) {
    const MergeTable::Merge merge = merges_.find(left.token, right.token);
    left.rank = merge.rank;
    left.result = merge.result;
    return merge.rank != MergeTable::kNoMerge;
  });
  const std::vector<MergeSymbol>& symbols = scratch.merging.symbols;
  for (int32_t i = 0; i >= 0; i = symbols[i].next) scratch.output.push_back(symbols[i].token);
}

void ByteLevelBpe::append_bytes(std::string& out, TokenId token) const {
  if (table_.type(token) == TokenType::kUnused) {
    out += table_.text(token);
  } else {
    append_from_byte_alphabet(out, table_.text(token));
  }
}

}  // namespace megalith
