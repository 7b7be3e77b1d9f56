#include "engine/grammar/utf8_ranges.h"

#include <string>

#include "engine/text/utf8.h"

namespace forge {
namespace {

// The method of RE2 and Go's regexp/syntax: split a range until all of its encodings have the same
// length, and the bytes behind the first that differs are free.
void Split(char32_t first, char32_t last, std::vector<ByteRangeSequence>& sequences) {
  for (const char32_t longest : {U'\x7f', U'\u07ff', U'\uffff'}) {
    if (first <= longest && last > longest) {
      Split(first, longest, sequences);
      return Split(longest + 1, last, sequences);
    }
  }
  if (last > 0x7f) {
    for (int n_free = 1; n_free <= 3; ++n_free) {
      const char32_t free = (char32_t{1} << (6 * n_free)) - 1;
      if ((first & ~free) == (last & ~free)) continue;
      if ((first & free) != 0) {
        Split(first, first | free, sequences);
        return Split((first | free) + 1, last, sequences);
      }
      if ((last & free) != free) {
        Split(first, (last & ~free) - 1, sequences);
        return Split(last & ~free, last, sequences);
      }
    }
  }
  std::string low, high;
  AppendUtf8(first, low);
  AppendUtf8(last, high);
  ByteRangeSequence sequence;
  sequence.size = low.size();
  for (size_t i = 0; i < low.size(); ++i)
    sequence.bytes[i] = {static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i])};
  sequences.push_back(sequence);
}

}  // namespace

std::vector<ByteRangeSequence> Utf8Ranges(CodePointRange range) {
  std::vector<ByteRangeSequence> sequences;
  Split(range.first, range.last, sequences);
  return sequences;
}

}  // namespace forge
