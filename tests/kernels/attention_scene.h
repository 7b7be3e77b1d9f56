#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/kernels/paged_cache.h"

namespace forge::testing {

// What AttentionArgs has beside shapes.
struct AttentionOptions {
  float soft_cap = 0.0f;
  int window = 0;
  bool has_sinks = false;
  float q_deviation = 1.0f;
  bool sees_all = false;     // of its sequence in the step, and all before that
  bool are_prompts = false;  // all pieces of more than one token
};

// A batch over sequences whose earlier positions are in the cache already.
class AttentionScene {
 public:
  AttentionScene(OpRig& rig, const CacheShape& shape, int n_heads, const std::vector<Piece>& pieces,
                 uint32_t seed, const AttentionOptions& options = {})
      : shape_(shape),
        n_heads_(n_heads),
        options_(options),
        random_(seed),
        pieces_(pieces),
        cache_(shape, CountSequences(pieces), CountPositions(pieces), random_) {
    std::vector<Piece> history;
    for (const Piece& piece : pieces)
      history.push_back({piece.sequence, 0, piece.first_position + piece.n_tokens});
    Batch batch(cache_, shape_, history);
    EXPECT_TRUE(rig.Run(batch.append_args(cache_)).ok());
    int n_tokens = 0;
    for (const Piece& piece : pieces) n_tokens += piece.n_tokens;
    q_ = testing::NormalFloats(static_cast<size_t>(n_tokens) * q_stride(), random_,
                               options.q_deviation);
    sinks_ = testing::NormalFloats(static_cast<size_t>(n_heads), random_, 2.0f);
  }

  size_t q_stride() const { return static_cast<size_t>(n_heads_ * shape_.head_dim); }
  size_t y_stride() const { return static_cast<size_t>(n_heads_ * shape_.value_dim); }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.head_dim)); }
  PagedCache& cache() { return cache_; }
  // What the cache holds stays: to fill it takes an emulated GPU longer than to read it.
  void SetOptions(const AttentionOptions& options) { options_ = options; }

  const float* sinks() const { return options_.has_sinks ? sinks_.data() : nullptr; }

  // Runs the tokens of `pieces`, whose queries start at token `first_token` of the scene.
  std::vector<float> Run(OpRig& rig, const std::vector<Piece>& pieces, size_t first_token = 0) {
    Batch batch(cache_, shape_, pieces);
    const auto n_tokens = static_cast<size_t>(batch.n_tokens());
    const std::vector<int32_t> last_seen = LastSeen(pieces);
    GuardedArray<float> y(n_tokens * y_stride());
    const uint64_t bytes =
        rig.AttentionWorkspaceBytes(batch.n_tokens(), n_heads_, shape_.value_dim);
    GuardedArray<std::byte> workspace(bytes + 64);
    void* aligned = workspace.data();
    size_t space = bytes + 64;
    std::align(64, bytes, aligned, space);
    RaggedBatch view = batch.view();
    if (options_.are_prompts) view.n_prompt_tokens = view.n_tokens - view.n_decodes;
    const Status status =
        rig.Run(AttentionArgs{.batch = view,
                              .cache = cache_.view(),
                              .q = q_.data() + first_token * q_stride(),
                              .y = y.data(),
                              .n_heads = n_heads_,
                              .scale = scale(),
                              .soft_cap = options_.soft_cap,
                              .window = options_.window,
                              .last_seen = options_.sees_all ? last_seen.data() : nullptr,
                              .sinks = sinks(),
                              .workspace = {.data = aligned, .bytes = bytes}});
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(workspace.GuardsIntact());
    EXPECT_TRUE(cache_.GuardsIntact());
    return {y.span().begin(), y.span().end()};
  }
  std::vector<float> Run(OpRig& rig) { return Run(rig, pieces_); }

  std::vector<double> Reference() const {
    std::vector<double> y;
    const float* q = q_.data();
    for (const Piece& piece : pieces_) {
      const int end = piece.first_position + piece.n_tokens;
      const std::vector<double> keys = Held(cache_.keys_of(piece.sequence), end, shape_.head_dim);
      const std::vector<double> values =
          Held(cache_.values_of(piece.sequence), end, shape_.value_dim);
      for (int position = piece.first_position; position < end; ++position, q += q_stride()) {
        std::vector<double> row(y_stride());
        ReferenceAttention(q, keys.data(), values.data(), static_cast<double>(scale()), row.data(),
                           {.n_positions = options_.sees_all ? end : position + 1,
                            .n_heads = n_heads_,
                            .n_kv_heads = shape_.n_kv_heads,
                            .head_dim = shape_.head_dim,
                            .value_dim = shape_.value_dim,
                            .soft_cap = options_.soft_cap,
                            .window = options_.window,
                            .sinks = sinks()});
        y.insert(y.end(), row.begin(), row.end());
      }
    }
    return y;
  }

 private:
  static int CountSequences(const std::vector<Piece>& pieces) {
    int n = 0;
    for (const Piece& piece : pieces) n = std::max(n, piece.sequence + 1);
    return n;
  }
  static int CountPositions(const std::vector<Piece>& pieces) {
    int n = 0;
    for (const Piece& piece : pieces) n = std::max(n, piece.first_position + piece.n_tokens);
    return n;
  }
  static std::vector<int32_t> LastSeen(const std::vector<Piece>& pieces) {
    std::vector<int32_t> last_seen;
    for (const Piece& piece : pieces)
      last_seen.insert(last_seen.end(), static_cast<size_t>(piece.n_tokens),
                       piece.first_position + piece.n_tokens - 1);
    return last_seen;
  }
  std::vector<double> Held(const float* from, int n_positions, int dim) const {
    const auto n = static_cast<size_t>(n_positions) * static_cast<size_t>(shape_.n_kv_heads * dim);
    std::vector<double> held(n);
    ReferenceKvElements(from, static_cast<int64_t>(n), shape_.dtype, held.data());
    return held;
  }

  CacheShape shape_;
  int n_heads_;
  AttentionOptions options_;
  std::mt19937 random_;
  std::vector<Piece> pieces_;
  PagedCache cache_;
  std::vector<float> q_;
  std::vector<float> sinks_;
};

}  // namespace forge::testing
