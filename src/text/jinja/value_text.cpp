// str() and repr() of values.
#include <charconv>

#include "text/jinja/ast.h"
#include "text/jinja/call.h"
#include "text/jinja/code_points.h"
#include "text/jinja/number_text.h"
#include "text/jinja/strings.h"
#include "text/jinja/value.h"

namespace megalith::jinja {
namespace {

void append_escape(TextBuffer& out, char32_t c) {
  const auto hex = [&](char kind, int width) {
    std::string digits(static_cast<std::size_t>(width), '0');
    for (int i = width - 1; i >= 0; --i, c >>= 4) digits[static_cast<std::size_t>(i)] = "0123456789abcdef"[c & 15];
    out.append(std::string{'\\', kind} + digits);
  };
  if (c < 0x100) {
    hex('x', 2);
  } else if (c < 0x10000) {
    hex('u', 4);
  } else {
    hex('U', 8);
  }
}

void append_quoted(TextBuffer& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out.append(1, quote);
  std::size_t run = 0;  // start of the text that needs no escape
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t c = decode_code_point(text, at);
    const bool plain = is_printable(c) && c != '\\' && c != static_cast<char32_t>(quote);
    if (plain) continue;
    out.append(text.substr(run, start - run));
    run = at;
    switch (c) {
      case '\n':
        out.append("\\n");
        break;
      case '\r':
        out.append("\\r");
        break;
      case '\t':
        out.append("\\t");
        break;
      case '\\':
        out.append("\\\\");
        break;
      case '\'':
        out.append("\\'");
        break;
      default:
        append_escape(out, c);
    }
  }
  out.append(text.substr(run));
  out.append(1, quote);
}

void append_items(TextBuffer& out, Budget& budget, const std::vector<Value>& items) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(out, budget, items[i]);
  }
}

void append_entries(TextBuffer& out, Budget& budget, const Value::Entries& entries) {
  out.append("{");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(out, budget, entries[i].first);
    out.append(": ");
    append_repr(out, budget, entries[i].second);
  }
  out.append("}");
}

std::string range_text(const RangeObject& range) {
  std::string text = "range(" + std::to_string(range.start) + ", " + std::to_string(range.stop);
  if (range.step != 1) text += ", " + std::to_string(range.step);
  return text + ")";
}

}  // namespace

void append_repr(TextBuffer& out, Budget& budget, const Value& value) {
  const Budget::Level level(budget);
  switch (value.type()) {
    case Type::kUndefined:
      out.append("Undefined");
      break;
    case Type::kNone:
      out.append("None");
      break;
    case Type::kBoolean:
      out.append(value.as_integer() != 0 ? "True" : "False");
      break;
    case Type::kInteger:
      out.append(std::to_string(value.as_integer()));
      break;
    case Type::kBigInteger:
      out.append(value.as_big_integer().text());
      break;
    case Type::kFloat:
      out.append(float_text(value.as_float()));
      break;
    case Type::kString:
      if (value.is_markup()) out.append("Markup(");
      append_quoted(out, value.text());
      if (value.is_markup()) out.append(")");
      break;
    case Type::kList:
      out.append("[");
      append_items(out, budget, value.items());
      out.append("]");
      break;
    case Type::kTuple:
      out.append("(");
      append_items(out, budget, value.items());
      out.append(value.items().size() == 1 ? ",)" : ")");
      break;
    case Type::kDict:
      append_entries(out, budget, value.entries());
      break;
    case Type::kRange:
      out.append(range_text(value.as<RangeObject>()));
      break;
    case Type::kView:
      out.append(type_name(value));
      out.append("([");
      append_items(out, budget, elements_of(budget, value)->items);
      out.append("])");
      break;
    case Type::kNamespace:
      out.append("<Namespace ");
      append_entries(out, budget, value.as<NamespaceObject>().attributes);
      out.append(">");
      break;
    case Type::kMacro: {
      const std::string& name = value.as<MacroObject>().body.name;
      out.append(name.empty() ? "<Macro anonymous>" : "<Macro '" + name + "'>");
      break;
    }
    case Type::kTemplateReference:
      out.append("<TemplateReference None>");
      break;
    case Type::kFunction:
      out.append("<function " + std::string(value.as<FunctionObject>().builtin.name) + ">");
      break;
    default:
      out.append(std::string("<").append(type_name(value)).append(" object>"));
  }
}

void append_text(TextBuffer& out, Budget& budget, const Value& value) {
  if (value.is_string()) {
    out.append(value.text());
  } else if (!value.is_undefined()) {
    append_repr(out, budget, value);
  }
}

std::string to_text(Budget& budget, const Value& value) {
  TextBuffer out(budget);
  append_text(out, budget, value);
  return out.take();
}

std::string to_escaped_text(Budget& budget, const Value& value) {
  return value.is_markup() ? value.text() : html_escape(budget, to_text(budget, value));
}

std::string repr(Budget& budget, const Value& value) {
  TextBuffer out(budget);
  append_repr(out, budget, value);
  return out.take();
}

}  // namespace megalith::jinja
