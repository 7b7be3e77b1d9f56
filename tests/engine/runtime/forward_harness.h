#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "engine/memory/ledger.h"
#include "engine/model/model.h"
#include "engine/runtime/forward.h"

namespace forge::testing {

using Logits = std::vector<float>;  // [n_vocab]

// Runs a model's forward pass without an engine: each sequence has a cache of its own, and the test
// says what goes into a step. Aborts on any error.
class ForwardHarness {
 public:
  // A part of a step: tokens that follow what sequence `sequence` holds already.
  struct Part {
    uint32_t sequence = 0;
    std::vector<TokenId> tokens;
  };

  ForwardHarness(const std::filesystem::path& path, const LoadOptions& options);
  ~ForwardHarness();

  const Model& model() const { return *model_; }
  Device& device() const { return *device_; }
  Forward& forward() const { return *forward_; }
  const KvBlockTables& blocks(uint32_t sequence) const { return blocks_[sequence]; }

  // One step; the logits after the last token of each part.
  std::vector<Logits> Step(const std::vector<Part>& parts);
  // Appends tokens to a sequence in steps of at most `chunk`; the logits after the last.
  Logits Feed(uint32_t sequence, std::span<const TokenId> tokens, size_t chunk);
  // Forgets what the sequences hold.
  void Reset();

 private:
  std::unique_ptr<Device> device_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Forward> forward_;
  std::vector<KvBlockTables> blocks_;  // of each sequence, interleaved with the others'
  std::vector<uint32_t> n_tokens_;
};

}  // namespace forge::testing
