// Compiles any bytes as a grammar or as a JSON schema and follows a text along what comes of it.
//
// The first byte chooses the notation. What is behind a line "---" is the text; without one, the
// bytes of the constraint are read as text too.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/grammar/constraint.h"
#include "engine/grammar/mask_builder.h"
#include "engine/grammar/stack_sets.h"

namespace {

constexpr size_t kMaxText = 200;

void Expect(bool condition) {
  if (!condition) std::abort();
}

void Follow(const forge::Automaton& automaton, std::string_view text) {
  forge::StackSets sets(automaton);
  forge::StackSets::SetId set = sets.Start();
  Expect(!sets.status().ok() || sets.CanContinue(set));  // it would have been refused
  for (const char byte : text.substr(0, kMaxText)) {
    sets.BeginWork();
    const forge::StackSets::SetId next = sets.Next(set, static_cast<uint8_t>(byte));
    // The same byte leads to the same place, and a way to go on is not lost.
    Expect(!sets.status().ok() || sets.Next(set, static_cast<uint8_t>(byte)) == next);
    if (next == forge::StackSets::kNothing) {
      Expect(!sets.status().ok() || !sets.IsComplete(next));
      break;
    }
    Expect(sets.IsComplete(next) || sets.CanContinue(next));
    set = next;
  }
  set = sets.Compact(set);
  Expect(set == forge::StackSets::kNothing || sets.IsComplete(set) || sets.CanContinue(set) ||
         !sets.status().ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  constexpr std::string_view kSeparator = "\n---\n";
  const size_t separator = input.find(kSeparator);
  const std::string_view source = input.substr(0, separator);
  const std::string_view text =
      separator == std::string_view::npos ? source : input.substr(separator + kSeparator.size());
  const auto kind = data[0] % 2 == 0 ? forge::OutputConstraint::Kind::kGrammar
                                     : forge::OutputConstraint::Kind::kJsonSchema;
  const forge::Result<forge::Automaton> automaton =
      forge::CompileConstraint({kind, std::string(source)});
  if (!automaton.ok()) {
    Expect(automaton.status().code() == forge::StatusCode::kInvalidArgument);
    Expect(!automaton.status().reason().empty());
    return 0;
  }
  Follow(*automaton, text);
  return 0;
}
