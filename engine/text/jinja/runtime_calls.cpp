#include <algorithm>

#include "engine/text/jinja/native.h"
#include "engine/text/jinja/runtime.h"
#include "engine/text/jinja/runtime_scopes.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

// One loop may keep that many values of loop.changed.
constexpr size_t kMaxChanged = 64;

Value LoopAttribute(LoopState& loop, std::string_view name) {
  const auto size = static_cast<int64_t>(loop.items->items.size());
  const auto index = static_cast<int64_t>(loop.index);
  const auto neighbour = [&](int64_t i) {
    return i >= 0 && i < size ? loop.items->items[static_cast<size_t>(i)]
                              : Value::MakeUndefined("there is no such item");
  };
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(size - index);
  if (name == "revindex0") return Value(size - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index + 1 == size);
  if (name == "length") return Value(size);
  if (name == "depth") return Value(int64_t{loop.depth} + 1);
  if (name == "depth0") return Value(int64_t{loop.depth});
  if (name == "previtem") return neighbour(index - 1);
  if (name == "nextitem") return neighbour(index + 1);
  return Value::MakeUndefined("'loop' has no attribute '" + std::string(name) + "'");
}

Value NoAttribute(const Value& value, std::string_view name) {
  return Value::MakeUndefined("'" + std::string(value.TypeName()) + " object' has no attribute '" +
                              std::string(name.substr(0, 100)) + "'");
}

Value MethodOf(const Value& value, std::string_view name) {
  const Native* const native = FindMethod(value, name);
  if (native == nullptr) return NoAttribute(value, name);
  return Value(std::make_shared<const MethodData>(MethodData{native, value}));
}

// The element at a Python index; null if it is out of range.
template <typename Size>
bool ResolveIndex(int64_t index, Size size, size_t& resolved) {
  const auto n = static_cast<int64_t>(size);
  if (index < 0) index += n;
  if (index < 0 || index >= n) return false;
  resolved = static_cast<size_t>(index);
  return true;
}

Value ElementAt(const Value& value, int64_t index, Budget& budget) {
  size_t i = 0;
  if (value.Is(Kind::kList)) {
    const ListData& list = value.list();
    const bool has_order = list.flavor == Flavor::kList || list.flavor == Flavor::kTuple;
    if (has_order && ResolveIndex(index, list.items.size(), i)) return list.items[i];
  } else if (value.Is(Kind::kString)) {
    const std::string& bytes = value.bytes();
    budget.Spend(bytes.size());
    if (ResolveIndex(index, CountChars(bytes), i)) {
      const size_t begin = CharOffset(bytes, i);
      return Value(Part(value.text(), begin, CharSize(bytes, begin), budget));
    }
  }
  return Value::MakeUndefined("'" + std::string(value.TypeName()) + " object' has no element " +
                              std::to_string(index));
}

}  // namespace

// --- Attributes and items

Value Runtime::GetAttribute(const Value& value, std::string_view name) {
  budget_.Spend(name.size());
  switch (value.kind()) {
    case Kind::kLoop: {
      const Value attribute = LoopAttribute(value.loop(), name);
      return attribute.Is(Kind::kUndefined) && FindMethod(value, name) != nullptr
                 ? MethodOf(value, name)
                 : attribute;
    }
    case Kind::kNamespace: {
      const Value* const entry = value.names().Find(name, budget_);
      return entry != nullptr ? *entry : NoAttribute(value, name);
    }
    case Kind::kDict: {
      if (FindMethod(value, name) != nullptr) return MethodOf(value, name);
      const Value* const entry = value.dict().Find(name, budget_);
      return entry != nullptr ? *entry : NoAttribute(value, name);
    }
    default:
      return MethodOf(value, name);
  }
}

Value Runtime::GetItem(const Value& value, const Value& key) {
  budget_.Spend(0);
  if (value.Is(Kind::kDict)) {
    const Value* const entry = value.dict().Find(key, budget_);
    if (entry != nullptr) return *entry;
  } else if (key.IsInteger() && (value.Is(Kind::kList) || value.Is(Kind::kString))) {
    return ElementAt(value, key.integer(), budget_);
  }
  if (!key.Is(Kind::kString)) {
    TextBuilder shown(budget_);
    AppendRepr(key, shown, budget_);
    return Value::MakeUndefined("'" + std::string(value.TypeName()) + " object' has no element " +
                                shown.Take().bytes.substr(0, 100));
  }
  if (value.Is(Kind::kDict))
    return FindMethod(value, key.bytes()) != nullptr ? MethodOf(value, key.bytes())
                                                     : NoAttribute(value, key.bytes());
  return GetAttribute(value, key.bytes());
}

Value Runtime::MakeNamespace(std::vector<std::pair<std::string, Value>> entries) {
  budget_.Allocate(sizeof(NamespaceData) + entries.size() * sizeof(entries[0]));
  NamespaceData& names = namespaces_.emplace_back();
  if (!budget_.exhausted()) names.entries = std::move(entries);
  return Value(&names);
}

// --- Calls

Result<Value> Runtime::Call(const Value& callee, const Arguments& arguments) {
  const Level level(*this);
  FORGE_TRY(CheckLevel());
  switch (callee.kind()) {
    case Kind::kMacro:
      return CallMacro(callee.macro(), arguments);
    case Kind::kMethod:
      return CallNative(*callee.method().native, *this, callee.method().self, arguments);
    case Kind::kLoop:
      return CallLoop(callee.loop(), arguments);
    case Kind::kUndefined:
      return Fail(callee.why_undefined());
    default:
      return Fail("a value of type " + std::string(callee.TypeName()) + " cannot be called");
  }
}

Result<Value> Runtime::ApplyFilter(std::string_view name, const Value& value,
                                   const Arguments& arguments) {
  const Native* const native = FindFilter(name);
  if (native == nullptr) return Fail("no filter is named '" + std::string(name) + "'");
  return CallNative(*native, *this, value, arguments);
}

Result<bool> Runtime::ApplyTest(std::string_view name, const Value& value,
                                const Arguments& arguments) {
  const Native* const native = FindTest(name);
  if (native == nullptr) return Fail("no test is named '" + std::string(name) + "'");
  FORGE_ASSIGN_OR_RETURN(const Value result, CallNative(*native, *this, value, arguments));
  return result.IsTrue();
}

Value Runtime::MakeMacro(const MacroNode& node) {
  budget_.Allocate(sizeof(MacroData));
  for (Scope* scope = scope_; scope != nullptr; scope = scope->parent) scope->is_kept = true;
  return Value(&macros_.emplace_back(MacroData{&node, scope_}));
}

Result<Value> Runtime::CallMacro(const MacroData& macro, const Arguments& arguments) {
  const uint32_t line = line_;
  const Value* const outer_value = std::exchange(block_value_, nullptr);
  const Block block(*this, macro.scope);
  FORGE_TRY(BindParameters(*macro.node, arguments));
  FORGE_TRY(BindExtras(*macro.node, arguments));
  FORGE_ASSIGN_OR_RETURN(Text text, Capture(macro.node->body));
  line_ = line;
  block_value_ = outer_value;
  return Value(std::move(text));
}

Status Runtime::BindParameters(const MacroNode& node, const Arguments& arguments) {
  for (size_t i = 0; i < node.parameters.size(); ++i) {
    const Parameter& parameter = node.parameters[i];
    const auto named =
        std::find_if(arguments.named.begin(), arguments.named.end(),
                     [&](const auto& argument) { return argument.first == parameter.name; });
    const bool is_named = named != arguments.named.end();
    Value value;
    if (i < arguments.positional.size()) {
      if (is_named)
        return Fail("macro '" + node.name + "' got two values for '" + parameter.name + "'");
      value = arguments.positional[i];
    } else if (is_named) {
      value = named->second;
    } else if (parameter.value != nullptr) {
      FORGE_ASSIGN_OR_RETURN(value, Evaluate(*parameter.value));
    } else {
      value = Value::MakeUndefined("parameter '" + parameter.name + "' was not provided");
    }
    if (!budget_.Allocate(sizeof(Value) + parameter.name.size())) return Fail(budget_.what());
    scope_->names.insert_or_assign(parameter.name, std::move(value));
  }
  return Status();
}

Status Runtime::BindExtras(const MacroNode& node, const Arguments& arguments) {
  const size_t n_parameters = node.parameters.size();
  std::vector<Value> varargs;
  if (arguments.positional.size() > n_parameters) {
    if (!node.takes_varargs)
      return Fail("macro '" + node.name + "' takes not more than " + std::to_string(n_parameters) +
                  " argument(s)");
    varargs.assign(arguments.positional.begin() + static_cast<int64_t>(n_parameters),
                   arguments.positional.end());
  }
  std::vector<std::pair<Value, Value>> kwargs;
  Value caller = Value::MakeUndefined("no caller is defined");
  for (const auto& [name, value] : arguments.named) {
    if (!budget_.Spend(node.parameters.size() * sizeof(Value))) return Fail(budget_.what());
    const bool is_parameter =
        std::any_of(node.parameters.begin(), node.parameters.end(),
                    [&name = name](const Parameter& parameter) { return parameter.name == name; });
    if (is_parameter) continue;
    if (name == "caller" && node.takes_caller) {
      caller = value;
    } else if (node.takes_kwargs) {
      kwargs.emplace_back(MakeString(name, budget_), value);
    } else {
      return Fail("macro '" + node.name + "' takes no keyword argument '" + name + "'");
    }
  }
  if (node.takes_caller) scope_->names.insert_or_assign("caller", std::move(caller));
  if (node.takes_varargs)
    scope_->names.insert_or_assign("varargs",
                                   MakeList(std::move(varargs), budget_, Flavor::kTuple));
  if (node.takes_kwargs)
    scope_->names.insert_or_assign("kwargs", MakeDict(std::move(kwargs), budget_));
  return Status();
}

Result<Value> Runtime::CallLoop(LoopState& loop, const Arguments& arguments) {
  if (loop.node == nullptr) return Fail("the loop is not recursive: write 'recursive' in its tag");
  if (arguments.positional.size() != 1 || !arguments.named.empty())
    return Fail("loop() takes one argument");
  const Block block(*this, static_cast<Scope*>(loop.scope));
  TextBuilder captured(budget_);
  TextBuilder* const outer = std::exchange(output_, &captured);
  const Status status =
      ExecuteFor(*static_cast<const Stmt*>(loop.node), arguments.positional[0], loop.depth + 1);
  output_ = outer;
  FORGE_TRY(status);
  return Value(captured.Take());
}

namespace {

Result<Value> LoopCycle(NativeCall& call) {
  const std::vector<Value>& items = call.rest.positional;
  if (items.empty()) return call.runtime.Fail("loop.cycle() needs a value");
  return items[call.self.loop().index % items.size()];
}

Result<Value> LoopChanged(NativeCall& call) {
  LoopState& loop = call.self.loop();
  const std::vector<Value>& now = call.rest.positional;
  bool is_same = loop.has_changed && now.size() == loop.last_change.size();
  for (size_t i = 0; is_same && i < now.size(); ++i)
    is_same = Equals(now[i], loop.last_change[i], call.budget());
  if (now.size() > kMaxChanged) return call.runtime.Fail("loop.changed() has too many values");
  loop.last_change = now;
  loop.has_changed = true;
  return Value(!is_same);
}

constexpr Native kLoopMethods[] = {
    {"cycle", &LoopCycle, {}, 0, true},
    {"changed", &LoopChanged, {}, 0, true},
};

}  // namespace

std::span<const Native> LoopMethods() { return kLoopMethods; }

}  // namespace forge::jinja
