#include "text/jinja/renderer.h"

#include <algorithm>

#include "text/jinja/loop.h"
#include "text/jinja/operators.h"
#include "text/jinja/tables.h"

namespace megalith::jinja {

/// Makes another scope the current one, for as long as it lives.
class Renderer::ScopeSwitch {
 public:
  ScopeSwitch(Renderer& renderer, std::shared_ptr<Scope> scope) : renderer_(renderer), before_(std::move(scope)) {
    std::swap(renderer_.scope_, before_);
  }
  ~ScopeSwitch() { std::swap(renderer_.scope_, before_); }
  ScopeSwitch(const ScopeSwitch&) = delete;
  ScopeSwitch& operator=(const ScopeSwitch&) = delete;

 private:
  Renderer& renderer_;
  std::shared_ptr<Scope> before_;
};

/// Collects the output, for as long as it lives.
class Renderer::OutputSwitch {
 public:
  explicit OutputSwitch(Renderer& renderer)
      : buffer_(renderer.budget_), renderer_(renderer), before_(std::exchange(renderer.output_, &buffer_)) {}
  ~OutputSwitch() { renderer_.output_ = before_; }
  OutputSwitch(const OutputSwitch&) = delete;
  OutputSwitch& operator=(const OutputSwitch&) = delete;

  std::string take() { return buffer_.take(); }

 private:
  TextBuffer buffer_;
  Renderer& renderer_;
  TextBuffer* before_;
};

Renderer::Renderer(const ast::Template& what, std::vector<std::optional<Value>> variables, Environment& environment)
    : template_(what),
      variables_(std::move(variables)),
      environment_(environment),
      budget_(environment.budget),
      root_(std::make_shared<Scope>(nullptr)),
      scope_(root_) {}

Renderer::~Renderer() {
  for (const auto& scope : captured_scopes_) scope->variables.clear();
  for (const Value& value : namespaces_) value.as<NamespaceObject>().attributes.clear();
}

std::string Renderer::render() {
  OutputSwitch output(*this);
  execute(template_.body);
  return output.take();
}

// ---- statements

Renderer::Flow Renderer::execute(const ast::Body& body) {
  const Budget::Level level(budget_);
  for (const ast::Statement& statement : body) {
    budget_.spend(1);
    line_ = statement.line;
    const Flow flow = std::visit([this](const auto& node) { return execute(node); }, statement.node);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Renderer::Flow Renderer::execute_in_new_scope(const ast::Body& body) {
  const ScopeSwitch inside(*this, std::make_shared<Scope>(scope_));
  return execute(body);
}

Renderer::Flow Renderer::execute(const ast::Text& node) {
  output_->append(node.text);
  return Flow::kNext;
}

Renderer::Flow Renderer::execute(const ast::Print& node) {
  append_text(*output_, budget_, evaluate(*node.value));
  return Flow::kNext;
}

Renderer::Flow Renderer::execute(const ast::If& node) {
  for (const auto& [test, body] : node.branches) {
    if (is_true(evaluate(*test))) return execute(body);
  }
  return execute(node.otherwise);
}

Renderer::Flow Renderer::execute(const ast::For& node) {
  // A break or continue ends at its loop; the else branch may still hold one for the loop outside.
  return run_loop(node, evaluate(*node.iterable), 0);
}

Renderer::Flow Renderer::run_loop(const ast::For& node, const Value& iterable, std::int64_t depth0) {
  const std::shared_ptr<Scope> outside = scope_;
  const std::shared_ptr<const SequenceObject> elements = elements_of(budget_, iterable);
  std::size_t next = 0;
  const auto next_element = [&]() -> std::optional<Value> {
    while (next < elements->items.size()) {
      const Value& element = elements->items[next++];
      budget_.spend(1);
      if (!node.filter) return element;
      const ScopeSwitch inside(*this, std::make_shared<Scope>(outside));
      assign(node.target, element);
      if (is_true(evaluate(*node.filter))) return element;
    }
    return std::nullopt;
  };
  std::optional<std::int64_t> known_length;
  if (!node.filter) known_length = static_cast<std::int64_t>(elements->items.size());
  const auto loop = std::make_shared<LoopObject>(budget_, elements->depth(), next_element, known_length);
  const std::unique_ptr<const LoopObject, void (*)(const LoopObject*)> finish(loop.get(), [](auto* l) { l->finish(); });
  loop->depth0 = depth0;
  if (node.is_recursive) {
    loop->recurse = [&](const Value& inner) {
      const Budget::Level level(budget_);
      const ScopeSwitch at_definition(*this, outside);
      OutputSwitch output(*this);
      run_loop(node, inner, depth0 + 1);
      return Value::string(budget_, output.take());
    };
  }
  bool any_completed = false;  // Jinja2 takes the else branch also if every iteration broke off or continued
  while (loop->advance()) {
    const ScopeSwitch inside(*this, std::make_shared<Scope>(outside));
    set(ast::kLoopName, Value::object(Type::kLoop, loop));
    assign(node.target, loop->current);
    const Flow flow = execute(node.body);
    if (flow == Flow::kBreak) break;
    any_completed = any_completed || flow == Flow::kNext;
  }
  return any_completed ? Flow::kNext : execute_in_new_scope(node.otherwise);
}

Renderer::Flow Renderer::execute(const ast::Set& node) {
  assign(node.target, evaluate(*node.value));
  return Flow::kNext;
}

Renderer::Flow Renderer::execute(const ast::SetBlock& node) {
  OutputSwitch output(*this);
  const Flow flow = execute_in_new_scope(node.body);
  if (flow != Flow::kNext) return flow;
  Value value = Value::string(budget_, output.take());
  if (node.filter) {
    filter_input_ = std::move(value);
    value = evaluate(*node.filter);
  }
  assign(node.target, value);
  return Flow::kNext;
}

Renderer::Flow Renderer::execute(const ast::FilterBlock& node) {
  Value text;
  {
    OutputSwitch output(*this);
    const Flow flow = execute_in_new_scope(node.body);
    if (flow != Flow::kNext) return flow;
    text = Value::string(budget_, output.take());
  }
  filter_input_ = std::move(text);
  const Value filtered = evaluate(*node.filter);
  if (!filtered.is_string()) throw Fault("expected str instance, " + std::string(type_name(filtered)) + " found");
  output_->append(filtered.text());
  return Flow::kNext;
}

Renderer::Flow Renderer::execute(const ast::With& node) {
  const auto inner = std::make_shared<Scope>(scope_);
  for (const auto& [target, expression] : node.assignments) {
    const Value value = evaluate(*expression);  // outside: an assignment does not see the ones before it
    const ScopeSwitch inside(*this, inner);
    assign(target, value);
  }
  const ScopeSwitch inside(*this, inner);
  return execute(node.body);
}

Renderer::Flow Renderer::execute(const ast::ScopedBody& node) {
  const bool is_block = node.kind == ast::ScopedBody::Kind::kBlock;
  const ScopeSwitch inside(*this, std::make_shared<Scope>(is_block ? root_ : scope_));
  return execute(node.body);
}

Renderer::Flow Renderer::execute(const ast::Macro& node) {
  set(node.name, make_macro(node.macro));
  return Flow::kNext;
}

Renderer::Flow Renderer::execute(const ast::CallBlock& node) {
  const auto& expression = std::get<ast::CallExpression>(node.call->node);
  const Value callee = evaluate(*expression.callee);
  Arguments arguments = evaluate(expression.arguments);
  arguments.named.emplace_back("caller", make_macro(node.caller));
  append_text(*output_, budget_, call(callee, std::move(arguments)));
  return Flow::kNext;
}

// ---- expressions

Value Renderer::evaluate(const ast::Expression& expression) {
  const Budget::Level level(budget_);
  budget_.spend(1);
  line_ = expression.line;
  return std::visit([this](const auto& node) { return evaluate(node); }, expression.node);
}

std::vector<Value> Renderer::evaluate(const std::vector<ast::ExpressionPtr>& expressions) {
  std::vector<Value> values;
  values.reserve(expressions.size());
  for (const auto& expression : expressions) values.push_back(evaluate(*expression));
  return values;
}

Value Renderer::evaluate_or_none(const ast::ExpressionPtr& expression) {
  return expression ? evaluate(*expression) : Value::none();
}

Value Renderer::evaluate(const ast::DictLiteral& node) {
  DictBuilder builder(budget_);
  for (const auto& [key, value] : node.entries) {
    const Value evaluated_key = evaluate(*key);
    builder.set(evaluated_key, evaluate(*value));
  }
  return Value::dict(budget_, builder.take());
}

Value Renderer::evaluate(const ast::Attribute& node) {
  return get_attribute(budget_, evaluate(*node.object), node.name);
}

Value Renderer::evaluate(const ast::Subscript& node) {
  const Value object = evaluate(*node.object);
  return get_item(budget_, object, evaluate(*node.key));
}

Value Renderer::evaluate(const ast::Slice& node) {
  const Value object = evaluate(*node.object);
  const Value start = evaluate_or_none(node.start);
  const Value stop = evaluate_or_none(node.stop);
  return get_slice(budget_, object, start, stop, evaluate_or_none(node.step));
}

Value Renderer::evaluate(const ast::CallExpression& node) {
  const Value callee = evaluate(*node.callee);
  const int line = line_;
  Arguments arguments = evaluate(node.arguments);
  line_ = line;
  return call(callee, std::move(arguments));
}

namespace {

[[noreturn]] void fail_unknown_filter(const std::string& name) {
  static constexpr std::string_view kOthers[] = {"filesizeformat", "pprint",   "random", "striptags",
                                                 "urlize",         "wordwrap", "xmlattr"};
  if (std::find(std::begin(kOthers), std::end(kOthers), name) != std::end(kOthers)) {
    throw Fault("the filter '" + name + "' of Jinja2 is not supported");
  }
  throw Fault("No filter named '" + name + "'.");
}

}  // namespace

Value Renderer::evaluate(const ast::FilterExpression& node) {
  const int line = line_;
  if (node.filter == nullptr) fail_unknown_filter(node.name);
  Value subject = node.value ? evaluate(*node.value) : std::exchange(filter_input_, Value());
  Arguments arguments = evaluate(node.arguments);
  arguments.positional.insert(arguments.positional.begin(), std::move(subject));
  line_ = line;
  return invoke(environment_, *node.filter, std::move(arguments));
}

Value Renderer::evaluate(const ast::TestExpression& node) {
  if (node.test == nullptr) throw Fault("No test named '" + node.name + "'.");
  Value subject = evaluate(*node.value);
  Arguments arguments = evaluate(node.arguments);
  arguments.positional.insert(arguments.positional.begin(), std::move(subject));
  return invoke(environment_, *node.test, std::move(arguments));
}

Value Renderer::evaluate(const ast::Unary& node) { return apply_unary(budget_, node.op, evaluate(*node.operand)); }

Value Renderer::evaluate(const ast::Binary& node) {
  const Value left = evaluate(*node.left);
  return apply_binary(budget_, node.op, left, evaluate(*node.right));
}

Value Renderer::evaluate(const ast::Logical& node) {
  Value left = evaluate(*node.left);
  const bool is_decided = is_true(left) == (node.op == ast::Logical::Operator::kOr);
  return is_decided ? left : evaluate(*node.right);
}

Value Renderer::evaluate(const ast::Comparison& node) {
  Value left = evaluate(*node.first);
  for (const auto& [op, expression] : node.rest) {
    Value right = evaluate(*expression);
    if (!apply_comparison(budget_, op, left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Renderer::evaluate(const ast::Concatenation& node) {
  TextBuffer text(budget_);
  for (const auto& part : node.parts) append_text(text, budget_, evaluate(*part));
  return Value::string(budget_, text.take());
}

Value Renderer::evaluate(const ast::Conditional& node) {
  const int line = line_;
  if (is_true(evaluate(*node.test))) return evaluate(*node.then);
  if (node.otherwise) return evaluate(*node.otherwise);
  return Value::undefined(budget_, "the inline if-expression on line " + std::to_string(line) +
                                       " evaluated to false and no else section was defined.");
}

Arguments Renderer::evaluate(const ast::CallArguments& arguments) {
  Arguments result;
  result.positional = evaluate(arguments.positional);
  if (arguments.unpacked_list) {
    const auto elements = elements_of(budget_, evaluate(*arguments.unpacked_list));
    budget_.spend(elements->items.size());
    result.positional.insert(result.positional.end(), elements->items.begin(), elements->items.end());
  }
  for (const auto& [name, expression] : arguments.named) result.named.emplace_back(name, evaluate(*expression));
  if (arguments.unpacked_dict) {
    const Value dict = evaluate(*arguments.unpacked_dict);
    if (!dict.is(Type::kDict)) throw Fault("argument after ** must be a mapping, not " + std::string(type_name(dict)));
    for (const auto& [key, value] : dict.entries()) {
      budget_.spend(1);
      if (!key.is_string()) throw Fault("keywords must be strings");
      result.named.emplace_back(key.text(), value);
    }
  }
  return result;
}

// ---- calls

Value Renderer::call(const Value& callee, Arguments arguments) {
  const Budget::Level level(budget_);
  switch (callee.type()) {
    case Type::kUndefined:
      fail_undefined(callee);
    case Type::kFunction:
      return call_function(callee.as<FunctionObject>(), std::move(arguments));
    case Type::kMacro:
      return call_macro(callee.as<MacroObject>(), std::move(arguments));
    case Type::kJoiner: {
      const auto& joiner = callee.as<JoinerObject>();
      return std::exchange(joiner.used, true) ? joiner.separator : Value::string(budget_, {});
    }
    case Type::kLoop: {
      const auto recurse = callee.as<LoopObject>().recurse;
      if (!recurse) throw Fault("The loop must have the 'recursive' marker to be called recursively.");
      if (arguments.positional.size() != 1) throw Fault("loop() needs one argument");
      return recurse(arguments.positional.front());
    }
    default:
      throw Fault("'" + std::string(type_name(callee)) + "' object is not callable");
  }
}

Value Renderer::call_function(const FunctionObject& function, Arguments arguments) {
  if (!function.self.is_none()) arguments.positional.insert(arguments.positional.begin(), function.self);
  Value result = invoke(environment_, function.builtin, std::move(arguments));
  const bool is_new_namespace = result.is(Type::kNamespace) && function.self.is_none();
  if (is_new_namespace) namespaces_.push_back(result);
  return result;
}

Value Renderer::call_macro(const MacroObject& macro, Arguments arguments) {
  const int line = line_;
  const ScopeSwitch inside(*this, std::make_shared<Scope>(macro.scope));
  bind_parameters(macro.body, std::move(arguments));
  OutputSwitch output(*this);
  execute(macro.body.body);
  line_ = line;
  return Value::string(budget_, output.take());
}

/// Sets the parameters, and caller, varargs and kwargs where the body mentions them, in the macro's new scope.
void Renderer::bind_parameters(const ast::MacroBody& body, Arguments arguments) {
  auto& [positional, named] = arguments;
  const auto take_named = [&named = named](std::string_view name) -> std::optional<Value> {
    const auto found = std::find_if(named.begin(), named.end(), [&](const auto& entry) { return entry.first == name; });
    if (found == named.end()) return std::nullopt;
    Value value = std::move(found->second);
    named.erase(found);
    return value;
  };
  const std::string name = body.name.empty() ? "None" : "'" + body.name + "'";
  std::vector<const ast::MacroBody::Parameter*> missing;
  for (std::size_t i = 0; i < body.parameters.size(); ++i) {
    const auto& parameter = body.parameters[i];
    if (i < positional.size()) {
      set(parameter.id, positional[i]);
    } else if (std::optional<Value> value = take_named(parameter.name)) {
      set(parameter.id, *value);
    } else {
      set(parameter.id, Value::undefined(budget_, "parameter '" + parameter.name + "' was not provided"));
      missing.push_back(&parameter);
    }
  }
  for (const auto* parameter : missing) {  // a default sees the parameters, not what they hide
    if (parameter->otherwise) set(parameter->id, evaluate(*parameter->otherwise));
  }
  const bool has_caller_parameter = std::any_of(body.parameters.begin(), body.parameters.end(),
                                                [](const auto& parameter) { return parameter.id == ast::kCallerName; });
  if (body.uses_caller && !has_caller_parameter) {
    std::optional<Value> caller = take_named("caller");
    set(ast::kCallerName, caller ? *caller : Value::undefined(budget_, "No caller defined"));
  }
  if (body.uses_kwargs) {
    DictBuilder rest(budget_);
    for (auto& [key, value] : named) rest.set(Value::string(budget_, key), std::move(value));
    set(ast::kKwargsName, Value::dict(budget_, rest.take()));
  } else if (take_named("caller")) {
    throw Fault("macro " + name +
                " was invoked with two values for the special caller argument. This is most likely a bug.");
  } else if (!named.empty()) {
    throw Fault("macro " + name + " takes no keyword argument '" + named.front().first + "'");
  }
  const auto first_extra = static_cast<std::ptrdiff_t>(std::min(body.parameters.size(), positional.size()));
  if (body.uses_varargs) {
    std::vector<Value> rest(positional.begin() + first_extra, positional.end());
    set(ast::kVarargsName, Value::tuple(budget_, std::move(rest)));
  } else if (positional.size() > body.parameters.size()) {
    throw Fault("macro " + name + " takes not more than " + std::to_string(body.parameters.size()) + " argument(s)");
  }
}

Value Renderer::make_macro(const ast::MacroBody& body) {
  for (std::shared_ptr<Scope> scope = scope_; scope && !scope->is_captured; scope = scope->parent) {
    constexpr std::size_t kScopeBytes = 256;
    budget_.reserve(kScopeBytes);  // until the end of the rendering, and of its budget
    scope->is_captured = true;
    captured_scopes_.push_back(scope);
  }
  return Value::object(Type::kMacro, std::make_shared<MacroObject>(budget_, body, scope_));
}

// ---- variables

Value Renderer::look_up(ast::NameId id) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    budget_.spend(scope->variables.size() / 16);
    for (const auto& [name, value] : scope->variables) {
      if (name == id) return value;
    }
  }
  std::optional<Value>& given = variables_[id];
  if (!given) {
    const std::string& name = template_.names[id];
    const Builtin* global = find_builtin(globals(), name);
    if (name == "self") {
      given = Value::object(Type::kTemplateReference, std::make_shared<TemplateReferenceObject>(budget_));
    } else {
      given = global ? Value::function(budget_, *global) : Value::undefined_name(budget_, name);
    }
  }
  return *given;
}

void Renderer::set(ast::NameId id, Value value) {
  auto& variables = scope_->variables;
  budget_.spend(variables.size() / 16);
  const auto found =
      std::find_if(variables.begin(), variables.end(), [id](const auto& entry) { return entry.first == id; });
  if (found != variables.end()) {
    found->second = std::move(value);
  } else {
    variables.emplace_back(id, std::move(value));
  }
}

void Renderer::assign(const ast::Target& target, const Value& value) {
  if (!target.is_tuple && target.attribute.empty()) return set(target.name, value);
  if (!target.is_tuple) {
    const Value owner = look_up(target.name);
    if (!owner.is(Type::kNamespace)) throw Fault("cannot assign attribute on non-namespace object");
    return owner.as<NamespaceObject>().set(budget_, Value::string(budget_, target.attribute), value);
  }
  if (!is_iterable(value)) throw Fault("cannot unpack non-iterable " + std::string(type_name(value)) + " object");
  const auto elements = elements_of(budget_, value);
  const std::size_t wanted = target.targets.size(), given = elements->items.size();
  if (given > wanted) throw Fault("too many values to unpack (expected " + std::to_string(wanted) + ")");
  if (given < wanted) {
    throw Fault("not enough values to unpack (expected " + std::to_string(wanted) + ", got " + std::to_string(given) +
                ")");
  }
  for (std::size_t i = 0; i < wanted; ++i) assign(target.targets[i], elements->items[i]);
}

}  // namespace megalith::jinja
