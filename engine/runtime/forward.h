#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model/model.h"
#include "engine/runtime/output_reader.h"
#include "engine/runtime/step_context.h"
#include "engine/runtime/step_runner.h"
#include "kernels/api/device.h"

namespace forge {

// Runs the transformer of one model over ragged batches, in the model's scratch memory.
//
// Allocates no device memory. Lifetime: the model must outlive it.
class Forward final : public StepRunner {
 public:
  static Result<std::unique_ptr<Forward>> Create(const Model& model);

  // REQUIRES: at most plan().scratch.max_tokens tokens, prefill_chunk of them of one sequence, and
  // max_logit_rows of them wanted by kLastLogits and kTopLogits. Errors of the device as they
  // come: kUnavailable (reason DEVICE_LOST) when it is gone.
  Status Run(const StepBatch& batch, const RowReader& read_row) override;

 private:
  struct BlockTables {
    std::vector<int32_t> values;  // [n_sequences, max_blocks]
    int max_blocks = 0;
  };
  // The batch's index arrays on the host, as RaggedBatch lays them out.
  struct HostBatch {
    std::vector<int32_t> tokens, positions, token_sequence, first_token, logit_rows;
    std::vector<float> query_scales;   // of each token, if the model's queries grow
    std::vector<int32_t> last_seen;    // of each token of an encoder
    std::vector<int32_t> token_types;  // the same
    std::vector<float> ones;           // the same
    // Of each sequence of a model with recurrent layers:
    std::vector<int32_t> state_from, state_to, state_kept_after, state_kept_to;
    int n_decodes = 0;                      // as in RaggedBatch
    int n_prompt_tokens = 0;                // the same
    std::vector<BlockTables> block_tables;  // of each KvGroup
    std::vector<std::byte> placed;          // all of these one after the other, for one copy
  };

  Forward(const Model& model, std::unique_ptr<Stream> stream);

  void Flatten(const StepBatch& batch);
  void FlattenBlocks(const StepBatch& batch);
  void ScaleQueries();
  void FlattenTexts(const StepBatch& batch);
  void FlattenStates(const StepBatch& batch);
  Status ComputeStep(const StepBatch& batch, const RowReader& read_row);
  StepIndices PlaceIndices();
  template <typename T>
  const T* Place(const std::vector<T>& values);
  Status CopyIndicesIn();
  Status Embed(const StepContext& step);
  Status RunLayers(const StepContext& step, const StepBatch& batch);

  // Constant after construction.
  const Model& model_;
  const OpTable& ops_;
  std::unique_ptr<Stream> stream_;

  // Of the running step. The host arrays stay until the stream is synchronised.
  HostBatch host_;
  OutputReader outputs_;
};

}  // namespace forge
