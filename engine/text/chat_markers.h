#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace forge {

constexpr size_t kMaxCallBytes = size_t{256} << 10;

// The length of the longest end of `text` that is the start of `marker`, but not all of it.
inline size_t PartialMarker(std::string_view text, std::string_view marker) {
  for (size_t size = std::min(text.size(), marker.size() - 1); size > 0; --size)
    if (text.ends_with(marker.substr(0, size))) return size;
  return 0;
}

// True for the markers of messages in channels.
bool IsChannelMarker(std::string_view token);

}  // namespace forge
