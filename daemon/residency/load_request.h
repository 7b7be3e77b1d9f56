#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/runtime/engine.h"

namespace forge {

// What a caller wants of a load; what it leaves open is the server's choice.
struct LoadRequest {
  std::optional<std::string> device;
  std::optional<uint32_t> context_length;
  std::optional<uint32_t> max_sequences;
  std::optional<uint32_t> prefill_chunk;
  std::optional<KvDType> kv_dtype;
  // How the model is kept. They do not make a load another one: who joins a load, or asks for a
  // model that is resident, takes it as it is kept.
  std::optional<bool> pinned = {};
  std::optional<int> priority = {};
  std::optional<std::chrono::milliseconds> keep_alive = {};

  // No option is asked for that a loaded model may not have.
  bool empty() const {
    return !device && !context_length && !max_sequences && !prefill_chunk && !kv_dtype;
  }
};

// Options with every choice made. `device` may be empty: the engine's first.
struct ResolvedLoadOptions {
  std::string device;
  LoadOptions options;
};

// `request`, with `defaults` for what it leaves open.
ResolvedLoadOptions ResolveLoadOptions(const LoadRequest& request, const LoadOptions& defaults);

// The options that a loaded model really has.
ResolvedLoadOptions OptionsInEffect(const ModelFileInfo& info);

// kFailedPrecondition (reason MODEL_OPTIONS_DIFFER) naming every option that `request` sets to
// something else than `actual`; the sentence begins with "model 'NAME' is STATE".
Status CheckSameOptions(const std::string& name, std::string_view state, const LoadRequest& request,
                        const ResolvedLoadOptions& actual);

}  // namespace forge
