#include "text/unigram.h"

#include <algorithm>
#include <cmath>

#include "text/space_mark.h"
#include "text/unicode.h"

namespace megalith {
namespace {

// An unknown character costs this much more than the least likely piece (SentencePiece's kUnkPenalty).
constexpr double kUnknownPenalty = 10;

}  // namespace

Unigram::Unigram(const TokenTable& table) : table_(table), byte_tokens_(index_bytes(table)) {
  const std::vector<double>& scores = table.vocabulary().scores;
  double least = 0;
  for (size_t i = 0; i < table.size(); ++i) {
    const TokenId token = static_cast<TokenId>(i);
    if (!std::isfinite(scores[i])) {
      table.fail("the score of token " + std::to_string(i) + " is no finite number; the file is damaged");
    }
    least = i == 0 ? scores[i] : std::min(least, scores[i]);
    const TokenType type = table.type(token);
    const bool is_piece = type == TokenType::kNormal || type == TokenType::kUserDefined;
    if (is_piece && !table.text(token).empty()) sorted_.push_back(token);
  }
  unknown_score_ = least - kUnknownPenalty;
  std::sort(sorted_.begin(), sorted_.end(), [&](TokenId a, TokenId b) { return table.text(a) < table.text(b); });
  for (const TokenId token : sorted_) ++first_byte_[static_cast<uint8_t>(table.text(token)[0]) + 1];
  for (size_t byte = 0; byte < 256; ++byte) first_byte_[byte + 1] += first_byte_[byte];
}

/// Calls take(token, length) for each piece that `text` begins with, the shortest first.
template <typename Take>
void Unigram::for_each_piece_at(std::string_view text, Take take) const {
  const uint8_t first = static_cast<uint8_t>(text[0]);
  auto begin = sorted_.begin() + first_byte_[first], end = sorted_.begin() + first_byte_[first + 1];
  for (size_t length = 1; begin != end; ++length) {
    // Of all pieces that begin with text[0, length) the one that is just that comes first.
    if (table_.text(*begin).size() == length) take(*begin++, length);
    if (length == text.size()) return;
    const uint8_t next = static_cast<uint8_t>(text[length]);
    const auto byte_of = [&](TokenId token) { return static_cast<uint8_t>(table_.text(token)[length]); };
    begin = std::lower_bound(begin, end, next, [&](TokenId token, uint8_t byte) { return byte_of(token) < byte; });
    end = std::upper_bound(begin, end, next, [&](uint8_t byte, TokenId token) { return byte < byte_of(token); });
  }
}

/// Viterbi: lattice[i] is the best way to position i.
void Unigram::find_best_way(std::string_view text, Scratch& scratch) const {
  auto& lattice = scratch.lattice;
  lattice.assign(text.size() + 1, {});
  lattice[0].reached = true;
  for (size_t begin = 0; begin < text.size();) {
    const size_t character_length = decode_utf8(text, begin).length_bytes;
    const double score_here = lattice[begin].score;
    bool has_single = false;
    const auto offer = [&](TokenId token, size_t length, double score) {
      Scratch::LatticeNode& node = lattice[begin + length];
      if (node.reached && !(score > node.score)) return;
      node = {score, static_cast<uint32_t>(begin), token, true};
    };
    for_each_piece_at(text.substr(begin), [&](TokenId token, size_t length) {
      offer(token, length, score_here + table_.vocabulary().scores[token]);
      has_single = has_single || length == character_length;
    });
    if (!has_single) offer(-1, character_length, score_here + unknown_score_);
    begin += character_length;
  }
}

void Unigram::encode(std::string_view text, Scratch& scratch) const {
  find_best_way(text, scratch);
  // Backwards; each node keeps where its piece begins, so the way is turned round in place.
  auto& lattice = scratch.lattice;
  std::vector<TokenId>& ends = scratch.word;
  ends.clear();
  for (size_t end = text.size(); end > 0; end = lattice[end].begin) ends.push_back(static_cast<TokenId>(end));
  for (size_t i = ends.size(); i-- > 0;) {
    const size_t end = static_cast<size_t>(ends[i]);
    if (lattice[end].token >= 0) {
      scratch.output.push_back(lattice[end].token);
      continue;
    }
    size_t unknown_end = end;
    while (i > 0 && lattice[static_cast<size_t>(ends[i - 1])].token < 0) unknown_end = static_cast<size_t>(ends[--i]);
    put_unknown(text.substr(lattice[end].begin, unknown_end - lattice[end].begin), scratch);
  }
}

void Unigram::put_unknown(std::string_view text, Scratch& scratch) const {
  if (encode_bytes(text, scratch)) return;
  if (table_.vocabulary().unk) scratch.output.push_back(*table_.vocabulary().unk);
}

bool Unigram::encode_bytes(std::string_view bytes, Scratch& scratch) const {
  return append_byte_tokens(scratch.output, byte_tokens_, bytes);
}

void Unigram::append_bytes(std::string& out, TokenId token) const { append_piece_bytes(out, table_, token); }

void Unigram::append_added(std::string& out, std::string_view text) const {
  append_replaced(out, text, kSpaceMark, " ");
}

}  // namespace megalith
