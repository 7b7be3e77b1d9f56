#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/text/jinja/text.h"

namespace forge::jinja {

struct DictData;
struct ListData;
struct LoopState;
struct MacroData;
struct MethodData;
struct Native;
struct NamespaceData;

// What a name that has no value is: prints as nothing, is false and empty, and anything else done
// with it fails with `what`.
struct Undefined {
  std::shared_ptr<const std::string> what;  // "'foo' is undefined"
};

struct None {};

// A value of a template, as cheap to copy as a pointer. Everything but a namespace is immutable, as
// in the sandbox that published templates are rendered in; so values never form cycles.
class Value {
 public:
  // The order of Data.
  enum class Kind : uint8_t {
    kUndefined,
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kList,
    kDict,
    kNamespace,
    kLoop,
    kMacro,
    kMethod,
  };

  Value() : data_(None{}) {}
  explicit Value(bool value) : data_(value) {}
  explicit Value(int64_t value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(Text text) : data_(std::make_shared<const Text>(std::move(text))) {}
  // A string of the template's own.
  explicit Value(std::string_view text) : Value(Text{std::string(text), {}}) {}
  explicit Value(const char*) = delete;  // would become a bool
  explicit Value(std::shared_ptr<const ListData> list) : data_(std::move(list)) {}
  explicit Value(std::shared_ptr<const DictData> dict) : data_(std::move(dict)) {}
  explicit Value(NamespaceData* names) : data_(names) {}
  explicit Value(LoopState* loop) : data_(loop) {}
  explicit Value(const MacroData* macro) : data_(macro) {}
  explicit Value(std::shared_ptr<const MethodData> method) : data_(std::move(method)) {}
  static Value MakeUndefined(std::string what);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool Is(Kind kind) const { return this->kind() == kind; }
  bool IsNumber() const { return Is(Kind::kBool) || Is(Kind::kInt) || Is(Kind::kFloat); }
  bool IsInteger() const { return Is(Kind::kBool) || Is(Kind::kInt); }

  // REQUIRES of each: the kind that it names.
  const std::string& why_undefined() const { return *std::get<Undefined>(data_).what; }
  bool boolean() const { return std::get<bool>(data_); }
  int64_t integer() const;  // kInt or kBool
  double number() const;    // any number
  const Text& text() const { return *std::get<std::shared_ptr<const Text>>(data_); }
  const std::string& bytes() const { return text().bytes; }
  const ListData& list() const { return *std::get<std::shared_ptr<const ListData>>(data_); }
  const DictData& dict() const { return *std::get<std::shared_ptr<const DictData>>(data_); }
  NamespaceData& names() const { return *std::get<NamespaceData*>(data_); }
  LoopState& loop() const { return *std::get<LoopState*>(data_); }
  const MacroData& macro() const { return *std::get<const MacroData*>(data_); }
  const MethodData& method() const { return *std::get<std::shared_ptr<const MethodData>>(data_); }

  // As Python's bool().
  bool IsTrue() const;
  // Python's name of the type, for messages: "str".
  std::string_view TypeName() const;
  // How deep lists and dicts are in one another: 0 for what is neither.
  uint32_t depth() const;

 private:
  using Data =
      std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>,
                   std::shared_ptr<const ListData>, std::shared_ptr<const DictData>, NamespaceData*,
                   LoopState*, const MacroData*, std::shared_ptr<const MethodData>>;
  explicit Value(Undefined undefined) : data_(std::move(undefined)) {}

  Data data_;
};

// Python's kinds of sequences. A generator (what `map` and `select` make) is always true and has
// no length; views (of a dict) have no elements by number.
enum class Flavor : uint8_t { kList, kTuple, kGenerator, kItems, kKeys, kValues };

// A function or method of ours as a value; a method with the value it was taken from.
struct MethodData {
  const Native* native = nullptr;
  Value self;
};

struct ListData {
  std::vector<Value> items;
  Flavor flavor = Flavor::kList;
  uint32_t depth = 1;
  bool is_hashable = false;      // kept, since tuples may share theirs: walking them has no bound
  mutable bool is_used = false;  // a generator yields its items once
};

// Keeps the order of insertion. Invariant: keys are hashable and differ.
struct DictData {
  std::vector<std::pair<Value, Value>> entries;
  uint32_t depth = 1;

  // Null if absent. Claims the work of the search.
  const Value* Find(const Value& key, Budget& budget) const;
  const Value* Find(std::string_view key, Budget& budget) const;
};

// The one kind of value that a template can change. Owned by the rendering.
struct NamespaceData {
  std::vector<std::pair<std::string, Value>> entries;
  Value* Find(std::string_view name, Budget& budget);
};

// What `loop` stands for. Owned by the rendering.
struct LoopState {
  std::shared_ptr<const ListData> items;
  size_t index = 0;
  uint32_t depth = 0;              // of loops in one another, by recursion
  const void* node = nullptr;      // the statement, for recursion; owned by the template
  void* scope = nullptr;           // where the loop stands; outlives it
  std::vector<Value> last_change;  // of loop.changed
  bool has_changed = false;
};

// As Python's ==. Claims the work of the comparison.
bool Equals(const Value& a, const Value& b, Budget& budget);
// Whether a value can be a key of a dict.
bool IsHashable(const Value& value);

// Lists and dicts of at most the allowed depth. When the budget refuses, they are empty.
Value MakeList(std::vector<Value> items, Budget& budget, Flavor flavor = Flavor::kList);
Value MakeDict(std::vector<std::pair<Value, Value>> entries, Budget& budget);
// A one-sided constructor of strings of the template's own.
Value MakeString(std::string_view bytes, Budget& budget);

}  // namespace forge::jinja
