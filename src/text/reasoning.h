#pragma once
// What a model thinks aloud, split off from its answer while both stream: the marks that makers put around it, in the
// text of the answer or already at the end of the prompt.
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace megalith {

/// A row of the table of styles: how a family marks its reasoning.
struct ReasoningStyle {
  enum class Kind {
    kTags,      // one stretch at the beginning of the answer: marks[0] opens it, marks[1] closes it
    kChannels,  // OpenAI's Harmony: messages with headers that name a channel; `analysis` is reasoning
  };
  std::string_view name;
  Kind kind;
  std::span<const std::string_view> marks;
};

/// All styles; the last, `think`, is the one of a template that shows no other.
std::span<const ReasoningStyle> reasoning_styles();
/// The style whose marks a chat template writes or looks for.
const ReasoningStyle& reasoning_style_of_template(std::string_view template_source);
/// The style of this name; `think` for one that is not known.
const ReasoningStyle& reasoning_style(std::string_view name);

/// Takes the text of one answer in pieces of any length and gives it back in order, split. The marks themselves, and
/// white space between a mark and the text after it, belong to neither part. Holds back no more than what may be the
/// beginning of a mark; with channels, the header of a message too. How the text is cut does not matter.
class ReasoningSplitter {
 public:
  struct Piece {
    enum class Kind { kReasoning, kContent };
    Kind kind;
    std::string text;
    friend bool operator==(const Piece&, const Piece&) = default;
  };

  /// `prompt`: the text that the answer continues, or the end of it: a template may have opened the reasoning itself.
  ReasoningSplitter(const ReasoningStyle& style, std::string_view prompt);

  /// No two pieces of one kind follow each other, and none is empty.
  std::vector<Piece> push(std::string_view text);
  /// What is still held back, at the end of an answer. A stretch that was never closed is reasoning to its end.
  std::vector<Piece> finish();

 private:
  enum class Place {
    kStart,  // tags: nothing but white space so far
    kReasoning,
    kContent,
    kHeader,  // channels: between the messages
  };
  void split_tags(std::vector<Piece>& pieces);
  void split_channels(std::vector<Piece>& pieces);
  void take_channel_mark(std::string_view mark);
  void take_channel_text(std::string_view text, std::vector<Piece>& pieces);
  /// Drops the white space after a mark from what is pending.
  void drop_space();

  const ReasoningStyle& style_;
  Place place_;
  bool after_mark_ = false;  // white space is dropped until there is text
  std::string pending_;
  // kChannels
  std::string header_;
  bool names_channel_ = false;  // header_ began with a mark that says so
  bool any_mark_ = false;       // in the answer
};

}  // namespace megalith
