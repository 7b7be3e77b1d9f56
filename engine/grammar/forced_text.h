#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/grammar/stack_sets.h"

namespace forge {

// Foresees the text of an answer as far as its grammar leaves no choice: `{"name": "`.
//
// JSON leaves the blanks between its parts to the writer. Where but one other byte may come, those
// are expected that the answer had at such a place before, and at first a space behind `:` and `,`.
// So what it says is most likely, not certain.
//
// Reads the answer along with sets of its own, within narrow limits: what the Constraint makes of
// the answer, and where it gives up, is the same with and without. Past the limits it foresees
// nothing more. Not thread-safe. Lifetime: the automaton must outlive it.
class ForcedText {
 public:
  explicit ForcedText(const Automaton& automaton);

  // The answer goes on with `bytes`.
  void Follow(std::string_view bytes);
  // What comes next, at most `most` bytes, and whole characters; empty where there is a choice.
  std::string Next(size_t most);
  // How many of `bytes` may come next, one after the other.
  size_t CountPossible(std::string_view bytes);

 private:
  // What is written, as far as it tells what comes next.
  struct Place {
    StackSets::SetId set;
    uint8_t before = 0;       // the last byte that was no blank between parts; 0: none
    std::string blanks = {};  // those after it
  };

  // The bytes that may come; none where there are too many ways to read.
  std::bitset<256> BytesAt(const Place& place) const;
  void Step(Place& place, uint8_t byte);
  // The only byte that may come, or the one that is expected.
  std::optional<uint8_t> Expected(const Place& place) const;
  // What is expected between two bytes.
  std::string_view BlanksBetween(uint8_t before, uint8_t next) const;

  StackSets sets_;
  Place now_;
  // As last written, by the bytes around them: see PlaceOf.
  std::map<std::pair<uint8_t, uint8_t>, std::string> blanks_;
};

}  // namespace forge
