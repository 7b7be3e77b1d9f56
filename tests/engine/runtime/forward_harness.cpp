#include "tests/engine/runtime/forward_harness.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/base/check.h"
#include "tests/support/test_device.h"

namespace forge::testing {

ForwardHarness::ForwardHarness(const std::filesystem::path& path, const LoadOptions& options)
    : device_(CreateTestDevice()), ledger_(std::make_unique<Ledger>(*device_, AdmissionPolicy())) {
  const std::unique_ptr<GgufFile> file = GgufFile::Open(path.string()).value();
  model_ = Model::Load(*file, options, *ledger_, nullptr).value();
  forward_ = Forward::Create(*model_).value();
  const KvPlan& kv = model_->plan().kv;
  blocks_.resize(kv.max_sequences);
  n_tokens_.assign(kv.max_sequences, 0);
  for (const KvGroup& group : kv.groups) {
    for (KvBlockTables& tables : blocks_) tables.emplace_back();
    for (uint32_t block = 0; block < group.n_blocks; ++block)
      blocks_[block % kv.max_sequences].back().push_back(static_cast<int32_t>(block));
  }
}

ForwardHarness::~ForwardHarness() = default;

std::vector<Logits> ForwardHarness::Step(const std::vector<Part>& parts) {
  StepBatch batch;
  for (const Part& part : parts) {
    const uint32_t end = n_tokens_[part.sequence] + static_cast<uint32_t>(part.tokens.size());
    const auto slot = static_cast<int32_t>(part.sequence);
    batch.sequences.push_back(
        {.tokens = part.tokens,
         .first_position = n_tokens_[part.sequence],
         .blocks = blocks_[part.sequence],
         .state = {.from = n_tokens_[part.sequence] == 0 ? -1 : slot, .to = slot},
         .wants = StepOutput::kLastLogits});
    n_tokens_[part.sequence] = end;
  }
  std::vector<Logits> rows;
  const Status status = forward_->Run(batch, [&](size_t sequence, size_t, const StepRow& row) {
    FORGE_CHECK(sequence == rows.size(), "rows come in order of the sequences");
    rows.emplace_back(row.values.begin(), row.values.end());
  });
  FORGE_CHECK(status.ok(), status.ToString());
  return rows;
}

Logits ForwardHarness::Feed(uint32_t sequence, std::span<const TokenId> tokens, size_t chunk) {
  Logits logits;
  while (!tokens.empty()) {
    const std::span<const TokenId> part = tokens.first(std::min(chunk, tokens.size()));
    logits = std::move(Step({{sequence, {part.begin(), part.end()}}}).front());
    tokens = tokens.subspan(part.size());
  }
  return logits;
}

void ForwardHarness::Reset() { std::fill(n_tokens_.begin(), n_tokens_.end(), 0); }

}  // namespace forge::testing
