#pragma once

#include <forge/v1/forge.pb.h>

#include <CLI/App.hpp>
#include <string>

namespace forge::client {

// The options of LoadOptions as flags; shared by `load` and `show`.
struct LoadFlags {
  std::string device;
  uint32_t context_length = 0;
  uint32_t max_sequences = 0;
  uint32_t prefill_chunk = 0;
  std::string kv_cache_type;

  bool operator==(const LoadFlags&) const = default;
};

void AddLoadFlags(CLI::App& command, LoadFlags& flags);
v1::LoadOptions ToLoadOptions(const LoadFlags& flags);

}  // namespace forge::client
