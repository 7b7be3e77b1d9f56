#include "engine/model/arena_layout.h"

#include <string>

namespace forge {

ScratchSlot ArenaLayout::Add(const CheckedSum& bytes) {
  const std::optional<uint64_t> size = bytes.total();
  const std::optional<uint64_t> end = size && total_ ? CheckedAdd(*total_, *size) : std::nullopt;
  const std::optional<uint64_t> aligned = end ? CheckedAlignUp(*end, kAlignment) : std::nullopt;
  const ScratchSlot slot = {total_.value_or(0), size.value_or(0)};
  total_ = aligned && *aligned <= kMaxBytes ? aligned : std::nullopt;
  return slot;
}

Status TooLargeToPlan(std::string_view what) {
  return InvalidArgument(std::string(what) +
                         " would pass 2^63 bytes; ask for a shorter context or fewer sequences")
      .WithReason("INVALID_REQUEST");
}

}  // namespace forge
