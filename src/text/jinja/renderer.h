#pragma once
// Walks the tree of a template and writes its text.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/call.h"

namespace megalith::jinja {

/// The variables of a block of statements; lookup goes on in the parent.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> enclosing) : parent(std::move(enclosing)) {}
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<ast::NameId, Value>> variables;
  bool is_captured = false;  // by a macro, which may outlive the block
};

class Renderer {
 public:
  /// `variables[id]` is what the caller gives for the name of that id.
  Renderer(const ast::Template& what, std::vector<std::optional<Value>> variables, Environment& environment);
  ~Renderer();
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  std::string render();
  /// Of the template, where rendering is, or stopped.
  int line() const { return line_; }

 private:
  enum class Flow { kNext, kBreak, kContinue };
  class ScopeSwitch;
  class OutputSwitch;

  Flow execute(const ast::Body& body);
  Flow execute_in_new_scope(const ast::Body& body);
  Flow execute(const ast::Text& node);
  Flow execute(const ast::Print& node);
  Flow execute(const ast::If& node);
  Flow execute(const ast::For& node);
  Flow execute(const ast::Set& node);
  Flow execute(const ast::SetBlock& node);
  Flow execute(const ast::FilterBlock& node);
  Flow execute(const ast::With& node);
  Flow execute(const ast::ScopedBody& node);
  Flow execute(const ast::Macro& node);
  Flow execute(const ast::CallBlock& node);
  Flow execute(const ast::Break&) { return Flow::kBreak; }
  Flow execute(const ast::Continue&) { return Flow::kContinue; }
  Flow run_loop(const ast::For& node, const Value& iterable, std::int64_t depth0);

  Value evaluate(const ast::Expression& expression);
  Value evaluate(const ast::Constant& node) { return node.value; }
  Value evaluate(const ast::Name& node) { return look_up(node.id); }
  Value evaluate(const ast::ListLiteral& node) { return Value::list(budget_, evaluate(node.items)); }
  Value evaluate(const ast::TupleLiteral& node) { return Value::tuple(budget_, evaluate(node.items)); }
  Value evaluate(const ast::DictLiteral& node);
  Value evaluate(const ast::Attribute& node);
  Value evaluate(const ast::Subscript& node);
  Value evaluate(const ast::Slice& node);
  Value evaluate(const ast::CallExpression& node);
  Value evaluate(const ast::FilterExpression& node);
  Value evaluate(const ast::TestExpression& node);
  Value evaluate(const ast::Unary& node);
  Value evaluate(const ast::Binary& node);
  Value evaluate(const ast::Logical& node);
  Value evaluate(const ast::Comparison& node);
  Value evaluate(const ast::Concatenation& node);
  Value evaluate(const ast::Conditional& node);
  std::vector<Value> evaluate(const std::vector<ast::ExpressionPtr>& expressions);
  Value evaluate_or_none(const ast::ExpressionPtr& expression);
  Arguments evaluate(const ast::CallArguments& arguments);

  Value call(const Value& callee, Arguments arguments);
  Value call_function(const FunctionObject& function, Arguments arguments);
  Value call_macro(const MacroObject& macro, Arguments arguments);
  void bind_parameters(const ast::MacroBody& body, Arguments arguments);
  Value make_macro(const ast::MacroBody& body);

  Value look_up(ast::NameId id);
  void set(ast::NameId id, Value value);
  void assign(const ast::Target& target, const Value& value);

  const ast::Template& template_;
  std::vector<std::optional<Value>> variables_;
  Environment& environment_;
  Budget& budget_;
  std::shared_ptr<Scope> root_;
  std::shared_ptr<Scope> scope_;
  TextBuffer* output_ = nullptr;
  Value filter_input_;  // of the filter block or set block that is being finished
  int line_ = 1;

  // What may hold itself: emptied at the end, or it would never be freed.
  std::vector<std::shared_ptr<Scope>> captured_scopes_;
  std::vector<Value> namespaces_;
};

}  // namespace megalith::jinja
