#include <fmt/core.h>

#include <array>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/checkpoint.h"

namespace megalith {

namespace {

constexpr std::array<std::string_view, 9> kKindNames = {"a boolean",          "an integer",        "an integer",
                                                        "a number",           "a string",          "a list of booleans",
                                                        "a list of integers", "a list of numbers", "a list of strings"};
static_assert(kKindNames.size() == std::variant_size_v<MetadataValue>);

[[noreturn]] void fail(const Metadata& metadata, std::string_view key, std::string_view cause) {
  throw Error(ErrorKind::kInvalidModel, fmt::format("{}: key {} {}", metadata.source(), in_quotes(key), cause));
}

[[noreturn]] void fail_kind(const Metadata& metadata, std::string_view key, const MetadataValue& value,
                            std::string_view wanted) {
  fail(metadata, key, fmt::format("is {}, expected {}", kKindNames[value.index()], wanted));
}

template <typename T>
T required(const Metadata& metadata, std::string_view key, std::optional<T> value) {
  if (!value) fail(metadata, key, "is missing");
  return *value;
}

template <typename T>
std::optional<T> find_as(const Metadata& metadata, std::string_view key, std::string_view wanted) {
  const MetadataValue* value = metadata.find(key);
  if (value == nullptr) return std::nullopt;
  if (const T* typed = std::get_if<T>(value)) return *typed;
  fail_kind(metadata, key, *value, wanted);
}

}  // namespace

void Metadata::add(std::string key, MetadataValue value) {
  if (!index_.emplace(key, entries_.size()).second) fail(*this, key, "appears twice");
  entries_.push_back({std::move(key), std::move(value)});
}

std::string_view Metadata::keep(std::string text) {
  if (!kept_) kept_ = std::make_shared<std::deque<std::string>>();  // a deque's strings stay where they are
  return kept_->emplace_back(std::move(text));
}

const MetadataValue* Metadata::find(std::string_view key) const {
  const auto found = index_.find(std::string(key));
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

int64_t Metadata::integer(std::string_view key) const { return required(*this, key, find_integer(key)); }
double Metadata::number(std::string_view key) const { return required(*this, key, find_number(key)); }
std::string_view Metadata::string(std::string_view key) const { return required(*this, key, find_string(key)); }
bool Metadata::boolean(std::string_view key) const { return required(*this, key, find_boolean(key)); }

std::optional<int64_t> Metadata::find_integer(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value != nullptr && std::holds_alternative<uint64_t>(*value)) {
    fail(*this, key, fmt::format("is {}, which is too large", std::get<uint64_t>(*value)));
  }
  return find_as<int64_t>(*this, key, "an integer");
}

std::optional<double> Metadata::find_number(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* integer = std::get_if<int64_t>(value)) return static_cast<double>(*integer);
  if (const auto* integer = std::get_if<uint64_t>(value)) return static_cast<double>(*integer);
  return find_as<double>(*this, key, "a number");
}

std::optional<std::string_view> Metadata::find_string(std::string_view key) const {
  return find_as<std::string_view>(*this, key, "a string");
}

std::optional<bool> Metadata::find_boolean(std::string_view key) const {
  return find_as<bool>(*this, key, "a boolean");
}

std::vector<int64_t> Metadata::integers(std::string_view key) const {
  return find_as<std::vector<int64_t>>(*this, key, "a list of integers").value_or(std::vector<int64_t>{});
}

std::vector<double> Metadata::numbers(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value != nullptr && std::holds_alternative<std::vector<int64_t>>(*value)) {
    const auto& list = std::get<std::vector<int64_t>>(*value);
    return {list.begin(), list.end()};
  }
  return find_as<std::vector<double>>(*this, key, "a list of numbers").value_or(std::vector<double>{});
}

std::vector<std::string_view> Metadata::strings(std::string_view key) const {
  return find_as<std::vector<std::string_view>>(*this, key, "a list of strings")
      .value_or(std::vector<std::string_view>{});
}

std::vector<bool> Metadata::booleans(std::string_view key) const {
  return find_as<std::vector<bool>>(*this, key, "a list of booleans").value_or(std::vector<bool>{});
}

}  // namespace megalith
