#include "files/gguf.h"

#include <fmt/core.h>

#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/file_kind.h"

namespace megalith {

namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place");

// Value types of docs/gguf.md.
enum class ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

constexpr uint64_t kMaxKeyBytes = 65535;  // docs/gguf.md
constexpr uint64_t kMaxTensorNameBytes = 1024;
// No model is near these; they bound what a hostile header can make us allocate.
constexpr uint64_t kMaxArrayElements = uint64_t{1} << 24;  // of the whole header
constexpr uint64_t kMaxEntries = uint64_t{1} << 20;
constexpr uint64_t kMaxAlignmentBytes = uint64_t{1} << 30;
// The least that one entry takes in a file: its fixed fields and one byte of name.
constexpr uint64_t kLeastKeyValueBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

/// a * b, or nullopt if that is more than an int64_t holds.
std::optional<uint64_t> multiply(uint64_t a, uint64_t b) {
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (a != 0 && b > kMax / a) return std::nullopt;
  return a * b;
}

/// Reads little-endian fields one after the other; every read is checked against the end.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  /// What is being read, for the messages.
  void set_field(std::string field) { field_ = std::move(field); }
  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  [[noreturn]] void fail(const std::string& cause) const {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: {}: {}", source_, field_, cause));
  }

  void require(uint64_t n_bytes) const {
    if (n_bytes > remaining()) {
      fail(fmt::format("needs {} bytes at byte {}, but the file ends at byte {}; fetch it again", n_bytes, position_,
                       bytes_.size()));
    }
  }

  template <typename T>
  T read() {
    require(sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  std::string_view read_string() {
    const auto length = read<uint64_t>();
    require(length);
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + position_), length);
    position_ += length;
    return text;
  }

  /// A key or tensor name: short, not empty, UTF-8.
  std::string_view read_name(uint64_t max_bytes) {
    const std::string_view name = read_string();
    if (name.empty()) fail("its name is empty");
    if (name.size() > max_bytes) fail(fmt::format("its name has {} bytes, more than {}", name.size(), max_bytes));
    if (!is_valid_utf8(name)) fail(fmt::format("its name {} is not valid UTF-8", in_quotes(name)));
    return name;
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::string field_ = "header";
  uint64_t position_ = 0;
};

bool read_bool(Reader& reader) {
  const auto value = reader.read<uint8_t>();
  if (value > 1) reader.fail(fmt::format("a boolean is 0 or 1, not {}", value));
  return value == 1;
}

class HeaderParser {
 public:
  HeaderParser(std::span<const std::byte> bytes, const std::string& source)
      : bytes_(bytes), source_(source), reader_(bytes, source) {
    file_.metadata = Metadata(source);
  }

  GgufFile parse() {
    read_magic();
    const uint64_t n_tensors = read_count("number of tensors", kLeastTensorBytes);
    const uint64_t n_keys = read_count("number of keys", kLeastKeyValueBytes);
    for (uint64_t i = 0; i < n_keys; ++i) read_key_value(i);
    const uint64_t alignment_bytes = read_alignment();
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < n_tensors; ++i) offsets.push_back(read_tensor(i, alignment_bytes));
    // position <= file size, so this cannot overflow.
    file_.data_offset_bytes = (reader_.position() + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
    for (size_t i = 0; i < offsets.size(); ++i) place_tensor(file_.weights[i], offsets[i]);
    return std::move(file_);
  }

 private:
  void read_magic() {
    if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0) {
      throw Error(ErrorKind::kInvalidModel,
                  fmt::format("{} is not a GGUF file; it looks like {}", source_, describe_foreign_file(bytes_)));
    }
    reader_.set_field("header");
    reader_.read<uint32_t>();
    file_.version = reader_.read<uint32_t>();
    if (file_.version != 0 && (file_.version & 0xffff) == 0) {
      reader_.fail("this GGUF file is big-endian; get or convert a little-endian one");
    }
    if (file_.version != 2 && file_.version != 3) {
      reader_.fail(
          fmt::format("GGUF version {} is not supported, only 2 and 3; convert the model again", file_.version));
    }
  }

  uint64_t read_count(const char* what, uint64_t least_bytes) {
    reader_.set_field(what);
    const auto count = reader_.read<uint64_t>();
    if (count > kMaxEntries || count > reader_.remaining() / least_bytes) {
      reader_.fail(fmt::format("{} cannot be true of a file of {} bytes", count, bytes_.size()));
    }
    return count;
  }

  void read_key_value(uint64_t index) {
    reader_.set_field(fmt::format("key {}", index));
    const std::string_view key = reader_.read_name(kMaxKeyBytes);
    reader_.set_field(fmt::format("key {}", in_quotes(key)));
    const auto type = reader_.read<uint32_t>();
    file_.metadata.add(std::string(key), read_value(type));
  }

  MetadataValue read_value(uint32_t type) {
    switch (static_cast<ValueType>(type)) {
      case ValueType::kUint8:
        return int64_t{reader_.read<uint8_t>()};
      case ValueType::kInt8:
        return int64_t{reader_.read<int8_t>()};
      case ValueType::kUint16:
        return int64_t{reader_.read<uint16_t>()};
      case ValueType::kInt16:
        return int64_t{reader_.read<int16_t>()};
      case ValueType::kUint32:
        return int64_t{reader_.read<uint32_t>()};
      case ValueType::kInt32:
        return int64_t{reader_.read<int32_t>()};
      case ValueType::kInt64:
        return reader_.read<int64_t>();
      case ValueType::kFloat32:
        return double{reader_.read<float>()};
      case ValueType::kFloat64:
        return reader_.read<double>();
      case ValueType::kBool:
        return read_bool(reader_);
      case ValueType::kString:
        return reader_.read_string();
      case ValueType::kArray:
        return read_array();
      case ValueType::kUint64: {
        const auto value = reader_.read<uint64_t>();
        if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return value;
        return static_cast<int64_t>(value);
      }
    }
    reader_.fail(fmt::format("unknown value type {}", type));
  }

  MetadataValue read_array() {
    const auto type = reader_.read<uint32_t>();
    const auto count = reader_.read<uint64_t>();
    if (count > kMaxArrayElements - n_array_elements_) {
      reader_.fail(fmt::format("a list of {} values; megalith reads at most {} in all lists of a file", count,
                               kMaxArrayElements));
    }
    n_array_elements_ += count;
    switch (static_cast<ValueType>(type)) {
      case ValueType::kUint8:
        return read_numbers<uint8_t, int64_t>(count);
      case ValueType::kInt8:
        return read_numbers<int8_t, int64_t>(count);
      case ValueType::kUint16:
        return read_numbers<uint16_t, int64_t>(count);
      case ValueType::kInt16:
        return read_numbers<int16_t, int64_t>(count);
      case ValueType::kUint32:
        return read_numbers<uint32_t, int64_t>(count);
      case ValueType::kInt32:
        return read_numbers<int32_t, int64_t>(count);
      case ValueType::kUint64:
        return read_numbers<uint64_t, int64_t>(count);
      case ValueType::kInt64:
        return read_numbers<int64_t, int64_t>(count);
      case ValueType::kFloat32:
        return read_numbers<float, double>(count);
      case ValueType::kFloat64:
        return read_numbers<double, double>(count);
      case ValueType::kBool: {
        reader_.require(count);
        std::vector<bool> values(count);
        for (uint64_t i = 0; i < count; ++i) values[i] = read_bool(reader_);
        return values;
      }
      case ValueType::kString: {
        reader_.require(count * sizeof(uint64_t));  // each string has at least its length
        std::vector<std::string_view> values(count);
        for (std::string_view& value : values) value = reader_.read_string();
        return values;
      }
      case ValueType::kArray:
        reader_.fail("a list of lists is not supported");
    }
    reader_.fail(fmt::format("a list of the unknown value type {}", type));
  }

  /// `count` is at most kMaxArrayElements, so the products cannot overflow.
  template <typename Stored, typename Value>
  std::vector<Value> read_numbers(uint64_t count) {
    reader_.require(count * sizeof(Stored));
    std::vector<Value> values(count);
    for (Value& value : values) {
      const auto stored = reader_.template read<Stored>();
      if constexpr (std::is_same_v<Stored, uint64_t>) {
        if (stored > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
          reader_.fail(fmt::format("the value {} is too large", stored));
        }
      }
      value = static_cast<Value>(stored);
    }
    return values;
  }

  uint64_t read_alignment() {
    constexpr int64_t kDefaultAlignmentBytes = 32;
    const int64_t alignment_bytes = file_.metadata.find_integer("general.alignment").value_or(kDefaultAlignmentBytes);
    reader_.set_field("key 'general.alignment'");
    const auto value = static_cast<uint64_t>(alignment_bytes);
    if (alignment_bytes < 8 || value > kMaxAlignmentBytes || !std::has_single_bit(value)) {
      reader_.fail(fmt::format("{} is not a power of two of at least 8", alignment_bytes));
    }
    return value;
  }

  /// Adds a weight without planes and returns the offset of its data.
  uint64_t read_tensor(uint64_t index, uint64_t alignment_bytes) {
    reader_.set_field(fmt::format("tensor {}", index));
    const std::string_view name = reader_.read_name(kMaxTensorNameBytes);
    reader_.set_field(fmt::format("tensor {}", in_quotes(name)));
    if (!tensor_names_.insert(name).second) reader_.fail("appears twice");
    NamedWeight weight;
    weight.name = name;
    const auto n_dimensions = reader_.read<uint32_t>();
    if (n_dimensions < 1 || n_dimensions > 4) reader_.fail(fmt::format("{} dimensions, not 1 to 4", n_dimensions));
    weight.shape.resize(n_dimensions);
    uint64_t n_weights = 1;
    for (uint32_t d = 0; d < n_dimensions; ++d) {
      const auto size = reader_.read<uint64_t>();
      const auto product = multiply(n_weights, size);
      if (size == 0 || !product) reader_.fail(fmt::format("dimension {} is {}", d, size));
      n_weights = *product;
      weight.shape[n_dimensions - 1 - d] = static_cast<int64_t>(size);
    }
    const auto type = reader_.read<uint32_t>();
    const FormatInfo* info = format_by_gguf_type(type);
    if (info == nullptr) {
      reader_.fail(fmt::format("has the type {}, which megalith does not know", gguf_type_name(type)));
    }
    weight.view.format = info->format;
    weight.view.columns = weight.shape.back();
    weight.view.rows = static_cast<int64_t>(n_weights) / weight.view.columns;
    if (weight.view.columns % info->block_weights != 0) {
      reader_.fail(fmt::format("has rows of {} values, not a multiple of {} as {} needs", weight.view.columns,
                               info->block_weights, info->name));
    }
    const auto offset = reader_.read<uint64_t>();
    if (offset % alignment_bytes != 0) {
      reader_.fail(fmt::format("its data offset {} is not a multiple of {}", offset, alignment_bytes));
    }
    file_.weights.push_back(std::move(weight));
    return offset;
  }

  void place_tensor(NamedWeight& weight, uint64_t offset) const {
    const FormatInfo& info = format_info(weight.view.format);
    const auto n_blocks = static_cast<uint64_t>(weight.view.rows * (weight.view.columns / info.block_weights));
    const auto size_bytes = multiply(n_blocks, static_cast<uint64_t>(info.block_bytes));
    const uint64_t available = bytes_.size() - std::min<uint64_t>(bytes_.size(), file_.data_offset_bytes);
    if (!size_bytes || offset > available || *size_bytes > available - offset) {
      throw Error(ErrorKind::kInvalidModel,
                  fmt::format("{}: tensor {}: {} blocks of {} bytes at byte {} + {} lie past the end of the file, {} "
                              "bytes; the file is not complete: fetch it again",
                              source_, in_quotes(weight.name), n_blocks, info.block_bytes, file_.data_offset_bytes,
                              offset, bytes_.size()));
    }
    weight.view.planes[0] = bytes_.subspan(file_.data_offset_bytes + offset, *size_bytes);
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
  Reader reader_;
  GgufFile file_;
  uint64_t n_array_elements_ = 0;
  std::unordered_set<std::string_view> tensor_names_;
};

}  // namespace

GgufFile parse_gguf(std::span<const std::byte> bytes, const std::string& source) {
  return HeaderParser(bytes, source).parse();
}

}  // namespace megalith
