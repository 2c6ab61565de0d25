#include "text/word_pattern.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "base/error.h"

namespace megalith {
namespace {

using Kind = WordExpression::Kind;
using Greed = WordExpression::Greed;
using Look = WordExpression::Look;

constexpr size_t kMaxNodes = 4000;
constexpr size_t kNoMatch = std::numeric_limits<size_t>::max();

/// What the texts that an expression matches may begin with.
struct Beginning {
  CodePointSet first;
  bool may_be_empty = false;  // or depends on more than the first code point
};

Beginning beginning_of(const WordExpression& expression) {
  switch (expression.kind) {
    case Kind::kSet:
      return {expression.set, false};
    case Kind::kRepeat: {
      if (expression.maximum == 0) return {{}, true};
      Beginning whole = beginning_of(expression.children.front());
      whole.may_be_empty |= expression.minimum == 0;
      return whole;
    }
    case Kind::kSequence: {
      Beginning whole{{}, true};
      for (const WordExpression& child : expression.children) {
        if (!whole.may_be_empty) break;
        const Beginning part = beginning_of(child);
        whole = {whole.first.united(part.first), part.may_be_empty};
      }
      return whole;
    }
    case Kind::kAlternatives: {
      Beginning whole;
      for (const WordExpression& child : expression.children) {
        const Beginning part = beginning_of(child);
        whole = {whole.first.united(part.first), whole.may_be_empty || part.may_be_empty};
      }
      return whole;
    }
    default:
      return {{}, true};
  }
}

}  // namespace

class WordPatternCompiler {
 public:
  WordPatternCompiler(WordPattern& pattern, std::string_view expression, const std::string& source)
      : pattern_(pattern), expression_(expression), source_(source) {}

  void compile(WordExpression expression) {
    std::vector<WordExpression> alternatives;
    if (expression.kind == Kind::kAlternatives) {
      alternatives = std::move(expression.children);
    } else {
      alternatives.push_back(std::move(expression));
    }
    if (alternatives.size() > WordPattern::kMaxRoots) {
      WordExpression rest;
      rest.kind = Kind::kAlternatives;
      const auto from = alternatives.begin() + (WordPattern::kMaxRoots - 1);
      rest.children.assign(std::make_move_iterator(from), std::make_move_iterator(alternatives.end()));
      alternatives.erase(from, alternatives.end());
      alternatives.push_back(std::move(rest));
    }
    std::vector<CodePointSet> firsts;
    for (const WordExpression& alternative : alternatives) {
      const Beginning beginning = beginning_of(alternative);
      if (beginning.may_be_empty) pattern_.roots_at_end_ |= 1U << pattern_.roots_.size();
      firsts.push_back(beginning.may_be_empty ? CodePointSet::all() : beginning.first);
      const Next match{add({}), {}, true, true};
      pattern_.roots_.push_back(entry_of(alternative, match).node);
    }
    make_table(firsts);
  }

 private:
  using Node = WordPattern::Node;
  using Operation = WordPattern::Operation;
  static constexpr uint32_t kNone = WordPattern::kNone;

  /// What follows an expression: a node, and what is known of it.
  struct Next {
    uint32_t node;
    CodePointSet first;           // what it may begin with
    bool may_be_empty;            // ... or it depends on more
    bool always_matches = false;  // whatever the text
  };

  uint32_t add(Node node) {
    if (pattern_.nodes_.size() == kMaxNodes) {
      fail("comes to more than " + std::to_string(kMaxNodes) + " steps when its repeats are written out");
    }
    node.inside_look = look_depth_ > 0;
    const bool remembered = node.operation == Operation::kBranch || node.operation == Operation::kLook ||
                            (node.operation == Operation::kLoop && node.maximum == WordExpression::kUnbounded);
    if (remembered) node.memo_slot = pattern_.n_memo_slots_++;
    pattern_.nodes_.push_back(node);
    return static_cast<uint32_t>(pattern_.nodes_.size() - 1);
  }

  [[noreturn]] void fail(const std::string& problem) const {
    std::string shown(expression_.substr(0, 200));
    shown.resize(find_invalid_utf8(shown, 0));
    throw Error(ErrorKind::kInvalidModel, source_ + "the regular expression \"" + shown + "\" " + problem +
                                              "; this pre-tokenizer cannot be used here");
  }

  uint32_t bit_of(const CodePointSet& set) {
    const auto found = std::find(sets_.begin(), sets_.end(), set);
    if (found == sets_.end()) {
      if (sets_.size() == WordPattern::kMaxSets) {
        fail("has more than " + std::to_string(WordPattern::kMaxSets) + " different classes of characters");
      }
      sets_.push_back(set);
      return 1U << (sets_.size() - 1);
    }
    return 1U << (found - sets_.begin());
  }

  Next entry_of(const WordExpression& expression, const Next& next) {
    switch (expression.kind) {
      case Kind::kSequence: {
        Next entry = next;
        for (auto child = expression.children.rbegin(); child != expression.children.rend(); ++child) {
          entry = entry_of(*child, entry);
        }
        return entry;
      }
      case Kind::kAlternatives: {
        Next whole = entry_of(expression.children.back(), next);
        for (size_t i = expression.children.size() - 1; i-- > 0;) {
          whole = branch(entry_of(expression.children[i], next), whole);
        }
        return whole;
      }
      case Kind::kSet:
        return entry_of_set(expression.set, next);
      case Kind::kRepeat:
        return entry_of_repeat(expression, next);
      case Kind::kLook:
        return entry_of_look(expression, next);
      default: {
        Node node;
        node.operation = Operation::kAnchor;
        node.anchor = expression.kind;
        node.next = next.node;
        return {add(node), {}, true};
      }
    }
  }

  Next branch(const Next& first, const Next& second) {
    Node node;
    node.operation = Operation::kBranch;
    node.next = first.node;
    node.other = second.node;
    return {add(node), first.first.united(second.first), first.may_be_empty || second.may_be_empty,
            first.always_matches || second.always_matches};
  }

  Next entry_of_set(const CodePointSet& set, const Next& next) {
    Node node;
    node.next = next.node;
    if (const std::optional<char32_t> single = set.single()) {
      node.operation = Operation::kCodePoint;
      node.code_point = *single;
    } else {
      node.operation = Operation::kSet;
      node.set_bit = bit_of(set);
    }
    return {add(node), set, false};
  }

  Next entry_of_repeat(const WordExpression& repeat, const Next& next) {
    const WordExpression& body = repeat.children.front();
    if (repeat.maximum == 0) return next;
    if (body.kind == Kind::kSet) return entry_of_loop(repeat, next);
    const Beginning beginning = beginning_of(body);
    Next entry = next;
    if (repeat.maximum == WordExpression::kUnbounded) {
      Node node;
      node.operation = Operation::kBranch;
      const uint32_t loop = add(node);
      entry = {loop, beginning.first.united(next.first), beginning.may_be_empty || next.may_be_empty,
               next.always_matches};
      const uint32_t body_entry = entry_of(body, entry).node;
      const bool lazy = repeat.greed == Greed::kLazy;
      pattern_.nodes_[loop].next = lazy ? next.node : body_entry;
      pattern_.nodes_[loop].other = lazy ? body_entry : next.node;
    } else {
      for (uint32_t i = repeat.minimum; i < repeat.maximum; ++i) {
        const Next taken = entry_of(body, entry);
        entry = repeat.greed == Greed::kLazy ? branch(next, taken) : branch(taken, next);
      }
    }
    for (uint32_t i = 0; i < repeat.minimum; ++i) entry = entry_of(body, entry);
    return entry;
  }

  Next entry_of_loop(const WordExpression& repeat, const Next& next) {
    const CodePointSet& set = repeat.children.front().set;
    Node node;
    node.operation = Operation::kLoop;
    node.next = next.node;
    node.set_bit = bit_of(set);
    node.minimum = repeat.minimum;
    node.maximum = repeat.maximum;
    node.greed = repeat.greed;
    node.gives_back = !next.always_matches && (next.may_be_empty || set.intersects(next.first));
    const bool may_be_skipped = repeat.minimum == 0;
    return {add(node), may_be_skipped ? set.united(next.first) : set, may_be_skipped && next.may_be_empty,
            may_be_skipped && next.always_matches};
  }

  Next entry_of_look(const WordExpression& look, const Next& next) {
    const WordExpression& body = look.children.front();
    Node node;
    node.next = next.node;
    node.look = look.look;
    if (body.kind == Kind::kSet) {
      node.operation = Operation::kLookSet;
      node.set_bit = bit_of(body.set);
    } else {
      ++look_depth_;
      node.other = entry_of(body, {add({}), {}, true, true}).node;
      --look_depth_;
      node.operation = Operation::kLook;
    }
    return {add(node), {}, true};
  }

  /// The table of what each code point is to the pattern: its sets, and the alternatives that may begin with it.
  void make_table(const std::vector<CodePointSet>& firsts) {
    struct Toggle {
      char32_t code_point;
      WordPattern::Traits traits;
    };
    std::vector<Toggle> toggles{{0, {}}};
    const auto add_set = [&](const CodePointSet& set, WordPattern::Traits traits) {
      for (const CodePointSet::Range& range : set.ranges()) {
        toggles.push_back({range.first, traits});
        toggles.push_back({range.last + 1, traits});
      }
    };
    for (size_t i = 0; i < sets_.size(); ++i) add_set(sets_[i], {1U << i, 0});
    for (size_t i = 0; i < firsts.size(); ++i) add_set(firsts[i], {0, 1U << i});
    std::sort(toggles.begin(), toggles.end(),
              [](const Toggle& a, const Toggle& b) { return a.code_point < b.code_point; });
    constexpr char32_t kEnd = CodePointSet::kLast + 1;
    constexpr size_t kBlockSize = WordPattern::kBlockSize;
    std::array<uint16_t, kBlockSize> block{};
    WordPattern::Traits traits;
    size_t next_toggle = 0;
    for (char32_t begin = 0; begin < kEnd;) {
      while (next_toggle < toggles.size() && toggles[next_toggle].code_point <= begin) {
        traits.sets ^= toggles[next_toggle].traits.sets;
        traits.roots ^= toggles[next_toggle].traits.roots;
        ++next_toggle;
      }
      const char32_t end = next_toggle < toggles.size() ? std::min(toggles[next_toggle].code_point, kEnd) : kEnd;
      const uint16_t index = index_of(traits);
      while (begin < end) {
        const size_t offset = begin % kBlockSize;
        const size_t count = std::min<size_t>(kBlockSize - offset, end - begin);
        std::fill_n(block.begin() + offset, count, index);
        begin += static_cast<char32_t>(count);
        if (begin % kBlockSize != 0) continue;
        add_block(block);
        // Whole blocks of the same are one and the same.
        for (; begin + kBlockSize <= end && count == kBlockSize; begin += kBlockSize) {
          pattern_.block_begin_.push_back(pattern_.block_begin_.back());
        }
      }
    }
    for (char32_t c = 0; c < 128; ++c) pattern_.ascii_[c] = pattern_.traits_[pattern_.cells_[c]];
  }

  uint16_t index_of(const WordPattern::Traits& traits) {
    const uint64_t key = static_cast<uint64_t>(traits.roots) << 32 | traits.sets;
    const auto [found, is_new] = index_of_traits_.try_emplace(key, static_cast<uint16_t>(pattern_.traits_.size()));
    if (is_new) pattern_.traits_.push_back(traits);
    return found->second;
  }

  void add_block(const std::array<uint16_t, WordPattern::kBlockSize>& block) {
    uint64_t hash = 0;
    for (uint16_t cell : block) hash = (hash ^ cell) * 0x9E3779B97F4A7C15ULL;
    const auto [first, last] = blocks_.equal_range(hash);
    for (auto candidate = first; candidate != last; ++candidate) {
      if (std::equal(block.begin(), block.end(), pattern_.cells_.begin() + candidate->second)) {
        pattern_.block_begin_.push_back(candidate->second);
        return;
      }
    }
    const uint32_t begin = static_cast<uint32_t>(pattern_.cells_.size());
    blocks_.emplace(hash, begin);
    pattern_.cells_.insert(pattern_.cells_.end(), block.begin(), block.end());
    pattern_.block_begin_.push_back(begin);
  }

  WordPattern& pattern_;
  std::string_view expression_;
  const std::string& source_;
  size_t look_depth_ = 0;
  std::vector<CodePointSet> sets_;
  std::unordered_map<uint64_t, uint16_t> index_of_traits_;
  std::unordered_multimap<uint64_t, uint32_t> blocks_;  // hash -> position in cells_
};

/// Matches one pattern at places of one text.
class WordMatcher {
 public:
  WordMatcher(const WordPattern& pattern, WordPattern::Scratch& scratch)
      : pattern_(pattern), scratch_(scratch), text_(scratch.text_) {}

  bool find(size_t from, WordPattern::Match& match) {
    for (size_t position = from;;) {
      size_t length = 1;
      uint32_t roots = pattern_.roots_at_end_;
      if (position < text_.size()) roots = traits_at(position, length).roots;
      for (; roots != 0; roots &= roots - 1) {
        const size_t end = run(pattern_.roots_[std::countr_zero(roots)], position);
        if (end != kNoMatch) {
          match = {position, end};
          return true;
        }
      }
      if (position >= text_.size()) return false;
      step_back();
      position += length;
    }
  }

 private:
  using Node = WordPattern::Node;
  using Operation = WordPattern::Operation;
  using Frame = WordPattern::Scratch::Frame;
  using Resume = WordPattern::Scratch::Resume;

  const WordPattern::Traits& traits_at(size_t position, size_t& length) const {
    const uint8_t first = static_cast<uint8_t>(text_[position]);
    length = 1;
    if (first < 0x80) return pattern_.ascii_[first];
    const auto continuation = [&](size_t i) { return static_cast<char32_t>(text_[position + i] & 0x3F); };
    if (first < 0xE0) {
      length = 2;
      return pattern_.traits_of(static_cast<char32_t>(first & 0x1F) << 6 | continuation(1));
    }
    if (first < 0xF0) {
      length = 3;
      return pattern_.traits_of(static_cast<char32_t>(first & 0xF) << 12 | continuation(1) << 6 | continuation(2));
    }
    length = 4;
    return pattern_.traits_of(static_cast<char32_t>(first & 7) << 18 | continuation(1) << 12 | continuation(2) << 6 |
                              continuation(3));
  }

  size_t before(size_t position) const {
    do {
      --position;
    } while ((text_[position] & 0xC0) == 0x80);
    return position;
  }

  /// The end of up to `count` code points of a set.
  size_t take(uint32_t set_bit, size_t position, uint32_t count) const {
    for (; count > 0 && position < text_.size(); --count) {
      size_t length;
      if (!(traits_at(position, length).sets & set_bit)) break;
      position += length;
    }
    return position;
  }
  size_t take_all(uint32_t set_bit, size_t position) const {
    while (position < text_.size()) {
      size_t length;
      if (!(traits_at(position, length).sets & set_bit)) break;
      position += length;
    }
    return position;
  }

  /// The end of the match of what begins at a node; kNoMatch if there is none.
  size_t run(uint32_t node_index, size_t position) {
    const size_t base = scratch_.frames_.size();
    const size_t trail_base = scratch_.trail_.size();
    const size_t end = run_above(base, node_index, position);
    if (scratch_.trail_.size() != trail_base) end_trail(trail_base, end != kNoMatch);
    return end;
  }

  size_t run_above(size_t base, uint32_t node_index, size_t position) {
    for (;;) {
      const Node& node = pattern_.nodes_[node_index];
      Step step = Step::kFailed;
      switch (node.operation) {
        case Operation::kCodePoint:
          step = code_point(node, position);
          break;
        case Operation::kSet:
          if (size_t length; position < text_.size() && traits_at(position, length).sets & node.set_bit) {
            position += length;
            step = Step::kNext;
          }
          break;
        case Operation::kLoop:
          step = loop(node_index, position);
          break;
        case Operation::kBranch:
          step = branch(node_index, position);
          break;
        case Operation::kLook:
          step = look(node, position);
          break;
        case Operation::kLookSet:
          step = look_set(node, position);
          break;
        case Operation::kAnchor:
          step = anchor(node.anchor, position) ? Step::kNext : Step::kFailed;
          break;
        case Operation::kMatch:
          step = Step::kMatched;
          break;
      }
      if (step == Step::kNext) {
        node_index = node.next;
        continue;
      }
      if (step == Step::kMatched) {
        scratch_.frames_.resize(base);
        return position;
      }
      if (!resume(base, node_index, position)) return kNoMatch;
    }
  }

  enum class Step : uint8_t { kNext, kFailed, kMatched };

  Step code_point(const Node& node, size_t& position) const {
    if (position == text_.size()) return Step::kFailed;
    if (node.code_point < 0x80) {
      if (static_cast<uint8_t>(text_[position]) != node.code_point) return Step::kFailed;
      ++position;
      return Step::kNext;
    }
    const Utf8Step step = decode_utf8(text_, position);
    if (step.code_point != node.code_point) return Step::kFailed;
    position += step.length_bytes;
    return Step::kNext;
  }

  /// Goes on at the place that was left for later last; false if there is none above `base`.
  bool resume(size_t base, uint32_t& node_index, size_t& position) {
    std::vector<Frame>& frames = scratch_.frames_;
    while (frames.size() > base) {
      step_back();
      Frame& frame = frames.back();
      const Node& node = pattern_.nodes_[frame.node];
      switch (frame.resume) {
        case Resume::kNode:
          node_index = frame.node;
          position = frame.position;
          frames.pop_back();
          return true;
        case Resume::kLoop:
          if (give_back(frame, node)) {
            node_index = node.next;
            position = frame.position;
            if (position == frame.low && !(scratch_.remembers_ && node.memo_slot != WordPattern::kNone)) {
              frames.pop_back();
            }
            return true;
          }
          frames.pop_back();
          break;
        case Resume::kLazyLoop: {
          const Frame lazy = frame;
          frames.pop_back();
          size_t length;
          if (lazy.position == text_.size() || !(traits_at(lazy.position, length).sets & node.set_bit)) break;
          position = lazy.position + length;
          if (enter_lazy(lazy.node, position, lazy.low + 1) == Step::kFailed) break;
          node_index = node.next;
          return true;
        }
        case Resume::kMark:
          for (size_t i = frame.low; i <= frame.position; ++i) set_failed(node.memo_slot, i);
          frames.pop_back();
          break;
      }
    }
    return false;
  }

  /// What follows a greedy loop has failed at the frame's place: one code point less.
  bool give_back(Frame& frame, const Node& node) {
    if (scratch_.remembers_ && node.memo_slot != WordPattern::kNone) set_failed(node.memo_slot, frame.position);
    if (frame.position == frame.low) return false;
    frame.position = before(frame.position);
    return true;
  }

  Step loop(uint32_t node_index, size_t& position) {
    const Node& node = pattern_.nodes_[node_index];
    size_t low = position;
    if (node.minimum > 0) {
      for (uint32_t i = 0; i < node.minimum; ++i) {
        size_t length;
        if (low == text_.size() || !(traits_at(low, length).sets & node.set_bit)) return Step::kFailed;
        low += length;
      }
    }
    if (node.greed == Greed::kLazy) {
      position = low;
      return enter_lazy(node_index, position, node.minimum);
    }
    if (scratch_.remembers_ && node.memo_slot != WordPattern::kNone) return remembering_loop(node_index, low, position);
    const size_t high = node.maximum == WordExpression::kUnbounded
                            ? take_all(node.set_bit, low)
                            : take(node.set_bit, low, node.maximum - node.minimum);
    scratch_.work_ += high - position;
    if (node.gives_back && high != low && node.greed == Greed::kGreedy) {
      scratch_.frames_.push_back({Resume::kLoop, node_index, high, low});
    }
    position = high;
    return Step::kNext;
  }

  /// A loop without end that takes nothing where it is known what comes of it.
  Step remembering_loop(uint32_t node_index, size_t low, size_t& position) {
    const Node& node = pattern_.nodes_[node_index];
    size_t high = low;
    for (;;) {
      if (has_failed(node.memo_slot, high)) {
        if (node.greed == Greed::kPossessive) {
          for (size_t i = low; i < high; ++i) set_failed(node.memo_slot, i);
          return Step::kFailed;
        }
        if (high == low) return Step::kFailed;
        high = before(high);
        break;
      }
      if (node.inside_look && has_succeeded(node.memo_slot, high)) {
        scratch_.trail_.push_back({node.memo_slot, low, high});
        return Step::kMatched;
      }
      size_t length;
      if (high == text_.size() || !(traits_at(high, length).sets & node.set_bit)) break;
      high += length;
    }
    if (node.inside_look) scratch_.trail_.push_back({node.memo_slot, low, high});
    const Resume resume = node.greed == Greed::kPossessive ? Resume::kMark : Resume::kLoop;
    scratch_.frames_.push_back({resume, node_index, high, low});
    position = high;
    return Step::kNext;
  }

  /// A lazy loop that has taken `count` code points: what follows comes first, one more later.
  Step enter_lazy(uint32_t node_index, size_t position, size_t count) {
    const Node& node = pattern_.nodes_[node_index];
    const Step step = enter_place(node_index, position);
    if (step == Step::kNext && count < node.maximum) {
      scratch_.frames_.push_back({Resume::kLazyLoop, node_index, position, count});
    }
    return step;
  }

  Step branch(uint32_t node_index, size_t position) {
    const Step step = enter_place(node_index, position);
    if (step == Step::kNext) {
      scratch_.frames_.push_back({Resume::kNode, pattern_.nodes_[node_index].other, position, 0});
    }
    return step;
  }

  /// Looks up what is known of a node at a place; if nothing is, sees to it that a failure will be.
  Step enter_place(uint32_t node_index, size_t position) {
    const Node& node = pattern_.nodes_[node_index];
    if (!scratch_.remembers_ || node.memo_slot == WordPattern::kNone) return Step::kNext;
    if (has_failed(node.memo_slot, position)) return Step::kFailed;
    if (node.inside_look) {
      if (has_succeeded(node.memo_slot, position)) return Step::kMatched;
      scratch_.trail_.push_back({node.memo_slot, position, position});
    }
    scratch_.frames_.push_back({Resume::kMark, node_index, position, position});
    return Step::kNext;
  }

  Step look(const Node& node, size_t position) {
    bool found;
    if (scratch_.remembers_ && has_failed(node.memo_slot, position)) {
      found = false;
    } else if (scratch_.remembers_ && has_succeeded(node.memo_slot, position)) {
      found = true;
    } else {
      found = run(node.other, position) != kNoMatch;
      if (scratch_.remembers_) (found ? set_succeeded(node.memo_slot, position) : set_failed(node.memo_slot, position));
    }
    return found == (node.look == Look::kAhead) ? Step::kNext : Step::kFailed;
  }

  Step look_set(const Node& node, size_t position) const {
    const bool behind = node.look == Look::kBehind || node.look == Look::kNotBehind;
    bool found = false;
    size_t length;
    if (behind && position > 0) found = traits_at(before(position), length).sets & node.set_bit;
    if (!behind && position < text_.size()) found = traits_at(position, length).sets & node.set_bit;
    const bool wanted = node.look == Look::kAhead || node.look == Look::kBehind;
    return found == wanted ? Step::kNext : Step::kFailed;
  }

  bool anchor(Kind kind, size_t position) const {
    const size_t size = text_.size();
    switch (kind) {
      case Kind::kBeginOfText:
        return position == 0;
      case Kind::kEndOfText:
        return position == size;
      case Kind::kEndOfTextOrLastLine:
        return position == size || (position + 1 == size && text_[position] == '\n');
      case Kind::kBeginOfLine:
        return position == 0 || (position < size && text_[position - 1] == '\n');
      case Kind::kEndOfLine:
        return position == size || text_[position] == '\n';
      default:
        break;
    }
    const auto is_word = [&](size_t at) { return properties_of(decode_utf8(text_, at).code_point).is_word(); };
    const bool word_before = position > 0 && is_word(before(position));
    const bool word_after = position < size && is_word(position);
    return (word_before != word_after) == (kind == Kind::kWordBorder);
  }

  /// What was tried has failed: one more step, and perhaps one too many.
  void step_back() {
    if (++scratch_.work_ > scratch_.work_limit_ && !scratch_.remembers_) start_to_remember();
  }

  void start_to_remember() {
    const size_t bits = pattern_.n_memo_slots_ * (text_.size() + 1);
    scratch_.failed_.assign(bits / 64 + 1, 0);
    scratch_.succeeded_.assign(bits / 64 + 1, 0);
    scratch_.remembers_ = true;
  }
  size_t bit_index(uint32_t slot, size_t position) const { return slot * (text_.size() + 1) + position; }
  static bool test(const std::vector<uint64_t>& bits, size_t index) { return bits[index / 64] >> (index % 64) & 1; }
  bool has_failed(uint32_t slot, size_t position) const { return test(scratch_.failed_, bit_index(slot, position)); }
  bool has_succeeded(uint32_t slot, size_t position) const {
    return test(scratch_.succeeded_, bit_index(slot, position));
  }
  void set_failed(uint32_t slot, size_t position) {
    const size_t index = bit_index(slot, position);
    scratch_.failed_[index / 64] |= uint64_t{1} << (index % 64);
  }
  void set_succeeded(uint32_t slot, size_t position) {
    const size_t index = bit_index(slot, position);
    scratch_.succeeded_[index / 64] |= uint64_t{1} << (index % 64);
  }

  /// A look-ahead is over. If it has matched, so would it from all places on its way that have not failed.
  void end_trail(size_t trail_base, bool matched) {
    for (size_t i = trail_base; i < scratch_.trail_.size() && matched; ++i) {
      const WordPattern::Scratch::Trail& trail = scratch_.trail_[i];
      for (size_t position = trail.first; position <= trail.last; ++position) {
        if (!has_failed(trail.slot, position)) set_succeeded(trail.slot, position);
      }
    }
    scratch_.trail_.resize(trail_base);
  }

  const WordPattern& pattern_;
  WordPattern::Scratch& scratch_;
  const std::string_view text_;
};

WordPattern::WordPattern(std::string_view expression, const std::string& source) {
  WordPatternCompiler(*this, expression, source).compile(parse_word_expression(expression, source));
}

void WordPattern::begin_text(std::string_view text, Scratch& scratch) const {
  scratch.text_ = text;
  scratch.work_ = 0;
  scratch.work_limit_ = 1024 + 16 * text.size();
  scratch.remembers_ = false;
}

bool WordPattern::find(Scratch& scratch, size_t from, Match& match) const {
  return WordMatcher(*this, scratch).find(from, match);
}

}  // namespace megalith
