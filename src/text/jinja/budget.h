#pragma once
// What a template may consume. A chat template comes with a model file, so it is hostile until shown otherwise: every
// step, byte and level of nesting is paid for here, before it is taken.
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace megalith::jinja {

/// Anything that stops a template. The chat template adds the line and turns it into megalith::Error.
class Fault : public std::runtime_error {
 public:
  enum class Origin { kTemplate, kConversation };  // kConversation: the template called raise_exception
  explicit Fault(const std::string& message, Origin origin = Origin::kTemplate)
      : std::runtime_error(without_nul(message)), origin_(origin) {}
  Origin origin() const { return origin_; }

 private:
  /// what() would end at a NUL, and the line of the template with it.
  static std::string without_nul(std::string message) {
    for (std::size_t at = message.find('\0'); at != std::string::npos; at = message.find('\0', at)) {
      message.replace(at, 1, "\\0");
    }
    return message;
  }

  Origin origin_;
};

class Budget {
 public:
  struct Limits {
    std::uint64_t steps = UINT64_MAX;  // a node evaluated, an element visited or kBytesPerStep bytes handled
    std::size_t bytes = SIZE_MAX;      // alive at one time: values, buffers, output
    std::uint32_t depth = UINT32_MAX;  // nested evaluations
  };
  static constexpr std::size_t kBytesPerStep = 16;

  Budget() = default;
  explicit Budget(const Limits& limits) : limits_(limits) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  void spend(std::uint64_t steps) {
    if (steps > limits_.steps - steps_) throw Fault("the template takes too many steps to render");
    steps_ += steps;
  }
  void spend_bytes(std::size_t bytes) { spend(1 + bytes / kBytesPerStep); }

  void reserve(std::size_t bytes) {
    if (bytes > limits_.bytes - live_bytes_) throw Fault("the template needs too much memory to render");
    live_bytes_ += bytes;
  }
  void release(std::size_t bytes) noexcept { live_bytes_ -= bytes; }
  /// Faults if so many bytes could not be reserved: before building something whose owner will reserve them.
  void require(std::size_t bytes) {
    reserve(bytes);
    release(bytes);
  }
  std::size_t live_bytes() const { return live_bytes_; }

  /// One level of nested evaluation, for as long as it lives.
  class Level {
   public:
    explicit Level(Budget& budget) : budget_(budget) {
      if (budget.depth_ >= budget.limits_.depth) throw Fault("the template is nested too deeply to render");
      ++budget.depth_;
    }
    ~Level() { --budget_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Budget& budget_;
  };

 private:
  Limits limits_;
  std::uint64_t steps_ = 0;
  std::size_t live_bytes_ = 0;
  std::uint32_t depth_ = 0;
};

/// Text that grows under a budget.
class TextBuffer {
 public:
  explicit TextBuffer(Budget& budget) : budget_(budget) {}
  ~TextBuffer() { budget_.release(reserved_); }
  TextBuffer(const TextBuffer&) = delete;
  TextBuffer& operator=(const TextBuffer&) = delete;

  void append(std::string_view text) {
    reserve(text.size());
    text_.append(text);
  }
  void append(std::size_t count, char character) {
    reserve(count);
    text_.append(count, character);
  }
  std::string_view view() const { return text_; }
  /// Leaves the buffer empty; its bytes are free again, for the value that is made of the text to claim.
  std::string take() {
    budget_.release(reserved_);
    reserved_ = 0;
    return std::move(text_);
  }

 private:
  void reserve(std::size_t bytes) {
    budget_.spend_bytes(bytes);
    budget_.reserve(bytes);
    reserved_ += bytes;
  }

  Budget& budget_;
  std::string text_;
  std::size_t reserved_ = 0;
};

}  // namespace megalith::jinja
