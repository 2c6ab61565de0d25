#include "text/jinja/json.h"

#include <cmath>

#include "text/jinja/code_points.h"
#include "text/jinja/number_text.h"
#include "text/jinja/stable_sort.h"

namespace megalith::jinja {
namespace {

class Reader {
 public:
  explicit Reader(Budget& budget) : budget_(budget) {}

  Value read(const nlohmann::ordered_json& json) {
    switch (json.type()) {
      case nlohmann::json::value_t::boolean:
        return Value::boolean(json.get<bool>());
      case nlohmann::json::value_t::number_integer:
        return Value::integer(json.get<std::int64_t>());
      case nlohmann::json::value_t::number_unsigned:
        return read_unsigned(json.get<std::uint64_t>());
      case nlohmann::json::value_t::number_float:
        return Value::number(json.get<double>());
      case nlohmann::json::value_t::string:
        return Value::string(budget_, json.get_ref<const std::string&>());
      case nlohmann::json::value_t::array:
        return read_array(json);
      case nlohmann::json::value_t::object:
        return read_object(json);
      default:
        return Value::none();
    }
  }

 private:
  Value read_unsigned(std::uint64_t value) {
    return Value::integer(budget_, BigInteger::from_decimal(std::to_string(value)));
  }

  Value read_array(const nlohmann::ordered_json& json) {
    enter();
    std::vector<Value> items;
    items.reserve(json.size());
    for (const auto& item : json) items.push_back(read(item));
    --depth_;
    return Value::list(budget_, std::move(items));
  }

  Value read_object(const nlohmann::ordered_json& json) {
    enter();
    Value::Entries entries;
    entries.reserve(json.size());
    for (const auto& [key, item] : json.items()) entries.emplace_back(Value::string(budget_, key), read(item));
    --depth_;
    return Value::dict(budget_, std::move(entries));
  }

  void enter() {
    if (++depth_ > kMaxValueDepth) {
      throw Fault("the conversation is nested more than " + std::to_string(kMaxValueDepth) + " levels deep",
                  Fault::Origin::kConversation);
    }
  }

  Budget& budget_;
  std::uint32_t depth_ = 0;
};

class Writer {
 public:
  Writer(Budget& budget, const JsonStyle& style) : budget_(budget), style_(style), out_(budget) {}

  void write(const Value& value) {
    budget_.spend(1);
    switch (value.type()) {
      case Type::kNone:
        out_.append("null");
        break;
      case Type::kBoolean:
        out_.append(value.as_integer() != 0 ? "true" : "false");
        break;
      case Type::kInteger:
        out_.append(std::to_string(value.as_integer()));
        break;
      case Type::kBigInteger:
        out_.append(value.as_big_integer().text());
        break;
      case Type::kFloat:
        out_.append(number(value.as_float()));
        break;
      case Type::kString:
        write_string(value.text());
        break;
      case Type::kList:
      case Type::kTuple:
        write_array(value.items());
        break;
      case Type::kDict:
        write_object(value.entries());
        break;
      default:
        throw Fault("Object of type " + std::string(type_name(value)) + " is not JSON serializable");
    }
  }

  std::string take() { return out_.take(); }

 private:
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_text(value);
  }

  void write_array(const std::vector<Value>& items) {
    if (items.empty()) return out_.append("[]");
    out_.append("[");
    ++depth_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i);
      write(items[i]);
    }
    --depth_;
    new_line();
    out_.append("]");
  }

  void write_object(const Value::Entries& entries) {
    if (entries.empty()) return out_.append("{}");
    std::vector<const std::pair<Value, Value>*> order;
    order.reserve(entries.size());
    for (const auto& entry : entries) order.push_back(&entry);
    if (style_.sort_keys) {
      stable_sort(order, [this](const auto* left, const auto* right) {
        return compare(budget_, left->first, right->first, "<") < 0;
      });
    }
    out_.append("{");
    ++depth_;
    for (std::size_t i = 0; i < order.size(); ++i) {
      separate(i);
      write_key(order[i]->first);
      out_.append(style_.key_separator);
      write(order[i]->second);
    }
    --depth_;
    new_line();
    out_.append("}");
  }

  void write_key(const Value& key) {
    switch (key.type()) {
      case Type::kString:
        write_string(key.text());
        break;
      case Type::kNone:
        out_.append("\"null\"");
        break;
      case Type::kBoolean:
        out_.append(key.as_integer() != 0 ? "\"true\"" : "\"false\"");
        break;
      case Type::kInteger:
      case Type::kBigInteger:
        write_string(key.as_big_integer().text());
        break;
      case Type::kFloat:
        write_string(number(key.as_float()));
        break;
      default:
        throw Fault("keys must be str, int, float, bool or None, not " + std::string(type_name(key)));
    }
  }

  void write_string(std::string_view text) {
    out_.append("\"");
    std::size_t run = 0;  // start of the text that needs no escape
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t start = at;
      const char32_t c = decode_code_point(text, at);
      const bool plain = c >= 0x20 && c != '"' && c != '\\' && (c < 0x7F || !style_.ensure_ascii);
      if (plain) continue;
      out_.append(text.substr(run, start - run));
      run = at;
      write_escape(c);
    }
    out_.append(text.substr(run));
    out_.append("\"");
  }

  void write_escape(char32_t c) {
    switch (c) {
      case '"':
        return out_.append("\\\"");
      case '\\':
        return out_.append("\\\\");
      case '\n':
        return out_.append("\\n");
      case '\r':
        return out_.append("\\r");
      case '\t':
        return out_.append("\\t");
      case '\f':
        return out_.append("\\f");
      case '\b':
        return out_.append("\\b");
      default:
        break;
    }
    if (c >= 0x10000) {  // a pair of surrogates
      write_unit(0xD7C0 + (c >> 10));
      write_unit(0xDC00 + (c & 0x3FF));
    } else {
      write_unit(c);
    }
  }

  void write_unit(char32_t unit) {
    std::string escape = "\\u0000";
    for (std::size_t i = 5; i >= 2; --i, unit >>= 4) escape[i] = "0123456789abcdef"[unit & 15];
    out_.append(escape);
  }

  void separate(std::size_t index) {
    if (index > 0) out_.append(style_.item_separator);
    new_line();
  }

  void new_line() {
    if (!style_.is_indented) return;
    out_.append("\n");
    for (int i = 0; i < depth_; ++i) out_.append(style_.indent);
  }

  Budget& budget_;
  const JsonStyle& style_;
  TextBuffer out_;
  int depth_ = 0;
};

}  // namespace

Value from_json(Budget& budget, const nlohmann::ordered_json& json) { return Reader(budget).read(json); }

std::string to_json(Budget& budget, const Value& value, const JsonStyle& style) {
  Writer writer(budget, style);
  writer.write(value);
  return writer.take();
}

}  // namespace megalith::jinja
