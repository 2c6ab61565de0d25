#pragma once
#include <memory>
#include <string_view>

#include "text/jinja/ast.h"

namespace megalith::jinja {

/// Throws SyntaxFault. A template of more than kMaxSourceBytes, or nested deeper than kMaxNesting, is refused.
std::unique_ptr<const ast::Template> parse(std::string_view source);

inline constexpr std::size_t kMaxSourceBytes = 512 * 1024;
inline constexpr int kMaxNesting = 128;

}  // namespace megalith::jinja
