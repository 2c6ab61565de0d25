#include "files/config_json.h"

#include <fmt/core.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "files/json_text.h"

namespace megalith {

namespace {

constexpr size_t kMaxTextBytes = 4 << 20;
constexpr size_t kMaxDepth = 32;
// Each value repeats the keys above it, so that a short text could ask for much.
constexpr size_t kMaxKeyBytes = 1024;
constexpr size_t kMaxKeyBytesInAll = 8 << 20;

/// A list of one type, if all of `values` are of type T.
template <typename T>
std::optional<MetadataValue> list_of(const std::vector<MetadataValue>& values) {
  std::vector<T> list;
  list.reserve(values.size());
  for (const MetadataValue& value : values) {
    if (!std::holds_alternative<T>(value)) return std::nullopt;
    list.push_back(std::get<T>(value));
  }
  return list;
}

std::optional<MetadataValue> list_of_numbers(const std::vector<MetadataValue>& values) {
  std::vector<double> list;
  list.reserve(values.size());
  for (const MetadataValue& value : values) {
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      list.push_back(static_cast<double>(*integer));
    } else if (const auto* number = std::get_if<double>(&value)) {
      list.push_back(*number);
    } else {
      return std::nullopt;
    }
  }
  return list;
}

class Flattener final : public JsonEvents {
 public:
  Flattener(Metadata& metadata, const std::string& prefix, const std::string& source)
      : metadata_(metadata), source_(source), path_(prefix) {}

  void on_null() override {
    require_inside();
    if (in_list()) spread_list();
    next();
  }
  void on_boolean(bool value) override { on_scalar(value); }
  void on_integer(int64_t value) override { on_scalar(value); }
  void on_large_integer(uint64_t value) override { on_scalar(value); }
  void on_number(double value) override { on_scalar(value); }
  void on_string(std::string value) override { on_scalar(metadata_.keep(std::move(value))); }
  void on_object() override {
    if (!frames_.empty()) enter();
    push(Kind::kObject);
  }
  void on_array() override {
    require_inside();
    enter();
    push(Kind::kList);
  }
  void on_key(std::string key) override { frames_.back().key = std::move(key); }
  void on_end() override {
    if (in_list() && !frames_.back().is_spread && !frames_.back().values.empty()) add_list();
    path_.resize(frames_.back().outer_path_bytes);
    frames_.pop_back();
    if (!frames_.empty()) next();
  }

 private:
  enum class Kind { kObject, kList };
  struct Frame {
    Kind kind;
    size_t outer_path_bytes;  // of path_ without what this frame added to it
    std::string key;          // objects: of the value being read
    size_t position = 0;      // lists: of the value being read
    bool is_spread = false;   // lists: values go by their position
    std::vector<MetadataValue> values;
  };

  [[noreturn]] void fail(const std::string& cause) const {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: {}", source_, cause));
  }
  bool in_list() const { return !frames_.empty() && frames_.back().kind == Kind::kList; }
  void require_inside() const {
    if (frames_.empty()) fail("is no JSON object");
  }
  void next() {
    if (in_list()) ++frames_.back().position;
  }

  /// The whole key of the value being read.
  std::string key_here() const {
    const Frame& frame = frames_.back();
    return path_ + "." + (frame.kind == Kind::kList ? std::to_string(frame.position) : frame.key);
  }
  void enter() {
    if (in_list()) spread_list();
    outer_path_bytes_ = path_.size();
    path_ = key_here();
    if (path_.size() > kMaxKeyBytes) fail(fmt::format("a key of more than {} bytes", kMaxKeyBytes));
  }
  void push(Kind kind) {
    if (frames_.size() == kMaxDepth) fail(fmt::format("nests more than {} deep", kMaxDepth));
    const size_t outer = frames_.empty() ? path_.size() : outer_path_bytes_;
    frames_.push_back({.kind = kind, .outer_path_bytes = outer, .key = {}, .values = {}});
  }

  void add(std::string key, MetadataValue value) {
    if (key.size() > kMaxKeyBytes) fail(fmt::format("a key of more than {} bytes", kMaxKeyBytes));
    key_bytes_ += key.size();
    if (key_bytes_ > kMaxKeyBytesInAll) fail("holds more keys than any model's");
    if (metadata_.has(key)) fail(fmt::format("key {} appears twice", in_quotes(key)));
    metadata_.add(std::move(key), std::move(value));
  }
  void on_scalar(MetadataValue value) {
    require_inside();
    if (in_list() && !frames_.back().is_spread) {
      frames_.back().values.push_back(std::move(value));
    } else {
      add(key_here(), std::move(value));
    }
    next();
  }

  /// The list turns out to hold more than values of one type: those so far go by their position, as will the rest.
  void spread_list() {
    Frame& frame = frames_.back();
    if (frame.is_spread) return;
    frame.is_spread = true;
    for (size_t i = 0; i < frame.values.size(); ++i) add(path_ + "." + std::to_string(i), std::move(frame.values[i]));
    frame.values.clear();
  }
  void add_list() {
    const std::vector<MetadataValue>& values = frames_.back().values;
    std::optional<MetadataValue> list = list_of<int64_t>(values);
    if (!list) list = list_of_numbers(values);
    if (!list) list = list_of<bool>(values);
    if (!list) list = list_of<std::string_view>(values);
    if (!list) return spread_list();
    add(path_, std::move(*list));
  }

  Metadata& metadata_;
  const std::string& source_;
  std::string path_;  // of the innermost object or list
  size_t outer_path_bytes_ = 0;
  size_t key_bytes_ = 0;
  std::vector<Frame> frames_;
};

}  // namespace

void add_json_object(Metadata& metadata, const std::string& prefix, std::string_view text, const std::string& source) {
  if (text.size() > kMaxTextBytes) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: has {} bytes, more than the {} that megalith reads", source,
                                                      text.size(), kMaxTextBytes));
  }
  Flattener flattener(metadata, prefix, source);
  read_json(text, source, flattener);
}

}  // namespace megalith
