#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/runtime/engine.h"

namespace forge {

// The device of a load that leaves the choice to the daemon.
inline constexpr std::string_view kAutoDevice = "auto";

// What a caller wants of a load; what it leaves open is the server's choice.
struct LoadRequest {
  std::optional<std::string> device;  // may be kAutoDevice
  std::optional<uint32_t> context_length;
  std::optional<uint32_t> max_sequences;
  std::optional<uint32_t> prefill_chunk;
  std::optional<KvDType> kv_dtype;
  // How the model is kept. They do not make a load another one: who joins a load, or asks for a
  // model that is resident, changes what it sets.
  std::optional<bool> pinned = {};
  std::optional<int> priority = {};
  std::optional<std::chrono::milliseconds> keep_alive = {};
  // Nobody asked for the load by name, so that it is refused while the model cools down, and takes
  // a model that is there or on its way with whatever options that has.
  bool is_on_demand = false;
  // It is refused where it would have to evict or to wait, and changes nothing of how a model that
  // is there is kept.
  bool must_fit_now = false;

  // It is for a call that writes or scores: refused for an encoder, before anything is evicted.
  bool needs_logits = false;

  // No option is asked for that a loaded model may not have.
  bool empty() const {
    return (!device || *device == kAutoDevice) && !context_length && !max_sequences &&
           !prefill_chunk && !kv_dtype;
  }
};

// Options with every choice made, but for the device where that is kAutoDevice. An empty one is the
// engine's first.
struct ResolvedLoadOptions {
  std::string device;
  LoadOptions options;
};

// `status`; where it blames a field that `request` leaves open, it says that the value is a default
// of the configuration.
Status BlameDefaults(const Status& status, const LoadRequest& request);

// `request`, with `defaults` for what it leaves open.
ResolvedLoadOptions ResolveLoadOptions(const LoadRequest& request,
                                       const ResolvedLoadOptions& defaults);

// The options that a loaded model really has.
ResolvedLoadOptions OptionsInEffect(const ModelFileInfo& info);

// kFailedPrecondition (reason MODEL_OPTIONS_DIFFER) naming every option that `request` sets to
// something else than `actual`, where kAutoDevice is any; the sentence begins with "model 'NAME' is
// STATE".
Status CheckSameOptions(const std::string& name, std::string_view state, const LoadRequest& request,
                        const ResolvedLoadOptions& actual);

}  // namespace forge
