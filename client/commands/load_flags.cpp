#include "client/commands/load_flags.h"

#include <CLI/Validators.hpp>

namespace forge::client {

void AddLoadFlags(CLI::App& command, LoadFlags& flags) {
  const auto group = "Loading (the daemon's defaults if absent)";
  command
      .add_option("--device", flags.device,
                  "Where to: auto, or a device as in cpu or hip:0 ('forgectl status' lists them)")
      ->group(group);
  command
      .add_option("--context", flags.context_length,
                  "Tokens of each sequence, prompt and answer together")
      ->group(group);
  command
      .add_option("--parallel", flags.max_sequences,
                  "Sequences that run at the same time; others wait")
      ->group(group);
  command.add_option("--prefill-chunk", flags.prefill_chunk, "Most prompt tokens in one step")
      ->group(group);
  command.add_option("--kv-cache-type", flags.kv_cache_type, "Number format of the KV cache")
      ->check(CLI::IsMember({"f16", "f32", "bf16", "q8_0"}))
      ->group(group);
}

v1::LoadOptions ToLoadOptions(const LoadFlags& flags) {
  v1::LoadOptions options;
  options.set_device(flags.device);
  options.set_context_length(flags.context_length);
  options.set_max_sequences(flags.max_sequences);
  options.set_prefill_chunk(flags.prefill_chunk);
  if (flags.kv_cache_type == "f16") options.set_kv_cache_type(v1::KV_CACHE_TYPE_F16);
  if (flags.kv_cache_type == "f32") options.set_kv_cache_type(v1::KV_CACHE_TYPE_F32);
  if (flags.kv_cache_type == "bf16") options.set_kv_cache_type(v1::KV_CACHE_TYPE_BF16);
  if (flags.kv_cache_type == "q8_0") options.set_kv_cache_type(v1::KV_CACHE_TYPE_Q8_0);
  return options;
}

}  // namespace forge::client
