#include "files/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/file_kind.h"
#include "files/json_text.h"

namespace megalith {

namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are read in place");

constexpr uint64_t kSizeBytes = 8;  // of the header's size
// The bound of the format's own library.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxDtypeBytes = 32;
constexpr size_t kMaxDimensions = 16;

struct Dtype {
  std::string_view name;
  uint64_t bits;
};

// All that the format defines.
constexpr std::array kDtypes = {Dtype{"BOOL", 8},    Dtype{"U8", 8},      Dtype{"I8", 8},    Dtype{"F8_E5M2", 8},
                                Dtype{"F8_E4M3", 8}, Dtype{"F8_E8M0", 8}, Dtype{"F4", 4},    Dtype{"I16", 16},
                                Dtype{"U16", 16},    Dtype{"F16", 16},    Dtype{"BF16", 16}, Dtype{"F6_E2M3", 6},
                                Dtype{"F6_E3M2", 6}, Dtype{"I32", 32},    Dtype{"U32", 32},  Dtype{"F32", 32},
                                Dtype{"F64", 64},    Dtype{"I64", 64},    Dtype{"U64", 64},  Dtype{"C64", 64}};

uint64_t read_header_bytes(std::span<const std::byte> bytes) {
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  return header_bytes;
}

/// What the header says of one tensor.
struct Entry {
  SafetensorsTensor tensor;
  std::optional<uint64_t> begin;  // of its bytes, counted from the header's end
  std::optional<uint64_t> end;
};

/// The header's grammar, which is fixed: {name: {"dtype": text, "shape": [...], "data_offsets": [a, b]}, ...,
/// "__metadata__": {text: text}}.
class HeaderEvents final : public JsonEvents {
 public:
  explicit HeaderEvents(const std::string& source) : source_(source) {}
  std::vector<Entry> take() { return std::move(entries_); }

  void on_null() override { unexpected("null"); }
  void on_boolean(bool /*value*/) override { unexpected("a boolean"); }
  void on_number(double /*value*/) override { unexpected("a number that is no whole number"); }
  void on_large_integer(uint64_t value) override { unexpected(fmt::format("{}, which is too large", value)); }
  void on_integer(int64_t value) override {
    if (place_ != Place::kShape && place_ != Place::kOffsets) unexpected("a number");
    if (value < 0) unexpected(fmt::format("{}, which is negative", value));
    Entry& entry = entries_.back();
    if (place_ == Place::kShape) {
      if (entry.tensor.shape.size() == kMaxDimensions) fail(fmt::format("more than {} dimensions", kMaxDimensions));
      entry.tensor.shape.push_back(value);
    } else if (!entry.begin) {
      entry.begin = static_cast<uint64_t>(value);
    } else if (!entry.end) {
      entry.end = static_cast<uint64_t>(value);
    } else {
      fail("more than two offsets");
    }
  }
  void on_string(std::string value) override {
    if (place_ == Place::kMetadata) return;  // free text: nothing of it is needed
    if (place_ != Place::kTensor || field_ != "dtype") unexpected("a text");
    if (value.empty() || value.size() > kMaxDtypeBytes) fail(fmt::format("the dtype {}", in_quotes(value)));
    entries_.back().tensor.dtype = std::move(value);
  }
  void on_object() override {
    if (place_ == Place::kBegin) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop && name_ == "__metadata__") {
      place_ = Place::kMetadata;
    } else if (place_ == Place::kTop) {
      entries_.emplace_back();
      entries_.back().tensor.name = name_;
      place_ = Place::kTensor;
      seen_ = {};
      field_.clear();
    } else {
      unexpected("an object");
    }
  }
  void on_array() override {
    if (place_ != Place::kTensor || (field_ != "shape" && field_ != "data_offsets")) unexpected("a list");
    place_ = field_ == "shape" ? Place::kShape : Place::kOffsets;
  }
  void on_key(std::string key) override {
    if (place_ == Place::kTop) {
      name_ = std::move(key);
      field_.clear();
      if (name_.empty() || name_.size() > kMaxNameBytes) fail(fmt::format("a name of {} bytes", name_.size()));
      if (!names_.insert(name_).second) fail("appears twice");
    } else if (place_ == Place::kTensor) {
      constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};
      const auto field = std::find(kFields.begin(), kFields.end(), key);
      if (field == kFields.end()) fail(fmt::format("the unknown field {}", in_quotes(key)));
      bool& seen = seen_[static_cast<size_t>(field - kFields.begin())];
      field_ = *field;
      if (std::exchange(seen, true)) fail("appears twice");
    }
  }
  void on_end() override {
    switch (place_) {
      case Place::kShape:
        place_ = Place::kTensor;
        break;
      case Place::kOffsets:
        if (!entries_.back().end) fail("fewer than two offsets");
        place_ = Place::kTensor;
        break;
      case Place::kTensor:
        field_.clear();
        if (!std::all_of(seen_.begin(), seen_.end(), [](bool seen) { return seen; })) {
          fail("one of dtype, shape and data_offsets is missing");
        }
        place_ = Place::kTop;
        break;
      default:
        place_ = place_ == Place::kMetadata ? Place::kTop : Place::kEnd;
    }
  }

 private:
  enum class Place { kBegin, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  [[noreturn]] void fail(const std::string& cause) const {
    std::string where = "header";
    if (!name_.empty()) where = fmt::format("tensor {}", in_quotes(name_));
    if (!field_.empty()) where += fmt::format(": {}", field_);
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: {}: {}", source_, where, cause));
  }
  [[noreturn]] void unexpected(const std::string& what) const {
    fail(fmt::format("{} where the format has none", what));
  }

  const std::string& source_;
  Place place_ = Place::kBegin;
  std::string name_;   // of the tensor being read
  std::string field_;  // of it
  std::array<bool, 3> seen_{};
  std::vector<Entry> entries_;
  std::unordered_set<std::string> names_;
};

class FileParser {
 public:
  FileParser(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  std::vector<SafetensorsTensor> parse() {
    read_header();
    std::vector<size_t> order(entries_.size());  // by offset, as the bytes lie in the file
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [this](size_t a, size_t b) {
      return std::tuple(entries_[a].begin, entries_[a].end, a) < std::tuple(entries_[b].begin, entries_[b].end, b);
    });
    uint64_t position = 0;
    for (const size_t index : order) position = place(entries_[index], position);
    if (position != data_.size()) {
      fail(fmt::format("its tensors take {} bytes, but {} follow the header; fetch it again", position, data_.size()));
    }
    std::vector<SafetensorsTensor> tensors;
    tensors.reserve(entries_.size());
    for (Entry& entry : entries_) tensors.push_back(std::move(entry.tensor));
    return tensors;
  }

 private:
  [[noreturn]] void fail(const std::string& cause) const {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: {}", source_, cause));
  }
  [[noreturn]] void fail(const SafetensorsTensor& tensor, const std::string& cause) const {
    fail(fmt::format("tensor {} {}", in_quotes(tensor.name), cause));
  }

  void read_header() {
    // 2: the shortest JSON object.
    if (bytes_.size() < kSizeBytes + 2 || bytes_[kSizeBytes] != std::byte{'{'}) {
      fail(fmt::format("is not a safetensors file; it looks like {}", describe_foreign_file(bytes_)));
    }
    const uint64_t header_bytes = read_header_bytes(bytes_);
    if (header_bytes > kMaxHeaderBytes) {
      fail(fmt::format("a header of {} bytes; the format allows {}", header_bytes, kMaxHeaderBytes));
    }
    if (header_bytes > bytes_.size() - kSizeBytes) {
      fail(fmt::format("its header has {} bytes, but the file ends after {}; fetch it again", header_bytes,
                       bytes_.size() - kSizeBytes));
    }
    HeaderEvents events(source_);
    const std::span<const std::byte> header = bytes_.subspan(kSizeBytes, header_bytes);
    read_json({reinterpret_cast<const char*>(header.data()), header.size()}, source_, events);
    entries_ = events.take();
    data_ = bytes_.subspan(kSizeBytes + header_bytes);
  }

  /// Gives the tensor its bytes, which begin at `position`; returns where they end.
  uint64_t place(Entry& entry, uint64_t position) const {
    SafetensorsTensor& tensor = entry.tensor;
    const uint64_t begin = entry.begin.value_or(0);  // the header's grammar has asked for both
    const uint64_t end = entry.end.value_or(0);
    if (end < begin) fail(tensor, fmt::format("ends at byte {} before it begins at {}", end, begin));
    if (begin != position) {
      fail(tensor,
           fmt::format("begins at byte {}, but the one before it ends at {}: the format allows neither overlaps "
                       "nor holes",
                       begin, position));
    }
    if (end > data_.size()) {
      fail(tensor,
           fmt::format("ends at byte {}, but only {} follow the header; the file is not complete: fetch it again", end,
                       data_.size()));
    }
    check_size(tensor, end - begin);
    tensor.bytes = data_.subspan(begin, end - begin);
    return end;
  }

  void check_size(const SafetensorsTensor& tensor, uint64_t size_bytes) const {
    uint64_t elements = 1;
    for (const int64_t dimension : tensor.shape) {
      if (__builtin_mul_overflow(elements, static_cast<uint64_t>(dimension), &elements) ||
          elements > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        fail(tensor, "has a shape of too many elements");
      }
    }
    const auto dtype =
        std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& known) { return known.name == tensor.dtype; });
    if (dtype == kDtypes.end()) return;
    uint64_t bits = 0;
    if (__builtin_mul_overflow(elements, dtype->bits, &bits) || bits % 8 != 0 || bits / 8 != size_bytes) {
      fail(tensor, fmt::format("has {} elements of {}, but {} bytes", elements, tensor.dtype, size_bytes));
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::vector<Entry> entries_;
  std::span<const std::byte> data_;
};

}  // namespace

std::vector<SafetensorsTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& source) {
  return FileParser(bytes, source).parse();
}

bool looks_like_safetensors(std::span<const std::byte> bytes) {
  if (bytes.size() < kSizeBytes + 2 || bytes[kSizeBytes] != std::byte{'{'}) return false;
  const uint64_t header_bytes = read_header_bytes(bytes);
  return header_bytes >= 2 && header_bytes <= bytes.size() - kSizeBytes;
}

}  // namespace megalith
