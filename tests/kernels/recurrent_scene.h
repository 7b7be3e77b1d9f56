#pragma once

#include <algorithm>
#include <vector>

#include "kernels/api/ragged_batch.h"
#include "kernels/api/recurrent_state.h"
#include "tests/kernels/op_test.h"

// Sequences that go step by step through an op with a state in slots.
namespace forge::testing {

inline std::vector<float> UniformFloats(int n, float low, float high, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = uniform(random);
  return values;
}

// What a step does with one sequence: its tokens [first, first + n_tokens), and RecurrentState's.
struct StepPiece {
  int sequence = 0;
  int first = 0;
  int n_tokens = 0;
  int32_t from = -1;
  int32_t to = 0;
  int32_t kept_after = 0;
  int32_t kept_to = INT32_MIN;  // not to be read where kept_after is 0
};

inline int CountTokens(const std::vector<StepPiece>& pieces) {
  int n = 0;
  for (const StepPiece& piece : pieces) n += piece.n_tokens;
  return n;
}

// The arrays of a step.
class RecurrentStep {
 public:
  explicit RecurrentStep(const std::vector<StepPiece>& pieces) {
    for (const StepPiece& piece : pieces) {
      first_token.push_back(first_token.back() + piece.n_tokens);
      from.push_back(piece.from);
      to.push_back(piece.to);
      kept_after.push_back(piece.kept_after);
      kept_to.push_back(piece.kept_to);
    }
  }
  // Without what ops with a state do not read.
  RaggedBatch batch() const {
    return {.n_tokens = n_tokens >= 0 ? n_tokens : first_token.back(),
            .n_sequences = static_cast<int>(from.size()),
            .first_token = first_token.data()};
  }
  RecurrentState state() const {
    return {.from = from.data(),
            .to = to.data(),
            .kept_after = kept_after.data(),
            .kept_to = kept_to.data()};
  }

  std::vector<int32_t> first_token = {0}, from, to, kept_after, kept_to;
  int n_tokens = -1;  // the last of first_token
};

// Slots of states, with some elements between them, none of which anybody may write unasked.
class StateSlots {
 public:
  StateSlots(int n_slots, int64_t n_elements)
      : n_slots_(n_slots),
        n_elements_(n_elements),
        array_(static_cast<size_t>(n_slots * stride())),
        before_(array_.span().begin(), array_.span().end()) {}

  int64_t stride() const { return n_elements_ + 5; }
  // `arrays` of a step, with these slots.
  RecurrentState View(RecurrentState arrays) {
    arrays.data = array_.data();
    arrays.slot_stride = stride();
    arrays.n_slots = n_slots_;
    return arrays;
  }
  std::span<const float> Slot(int32_t slot) const {
    return array_.span().subspan(static_cast<size_t>(slot * stride()),
                                 static_cast<size_t>(n_elements_));
  }
  // Whether since the last call nothing was written but these slots.
  bool WroteOnly(const std::vector<int32_t>& slots) {
    const bool guards_intact = array_.GuardsIntact();
    for (const int32_t slot : slots)
      std::copy_n(Slot(slot).begin(), n_elements_, before_.begin() + slot * stride());
    const bool is_same =
        std::memcmp(before_.data(), array_.data(), before_.size() * sizeof(float)) == 0;
    before_.assign(array_.span().begin(), array_.span().end());
    return guards_intact && is_same;
  }
  bool WroteOnly(const std::vector<StepPiece>& pieces) {
    std::vector<int32_t> slots;
    for (const StepPiece& piece : pieces) {
      slots.push_back(piece.to);
      if (piece.kept_after != 0) slots.push_back(piece.kept_to);
    }
    return WroteOnly(slots);
  }

 private:
  const int n_slots_;
  const int64_t n_elements_;
  GuardedArray<float> array_;
  std::vector<float> before_;
};

// Rows of several sequences, one for each token.
class SequenceRows {
 public:
  SequenceRows(const std::vector<int>& lengths, int row_elements)
      : row_elements_(static_cast<size_t>(row_elements)) {
    for (const int length : lengths)
      rows_.emplace_back(static_cast<size_t>(length) * row_elements_);
  }
  SequenceRows(const std::vector<int>& lengths, int row_elements, std::mt19937& random,
               float deviation = 1.0f)
      : SequenceRows(lengths, row_elements) {
    for (std::vector<float>& rows : rows_) rows = NormalFloats(rows.size(), random, deviation);
  }

  const float* data(int sequence) const { return rows_[static_cast<size_t>(sequence)].data(); }
  std::span<const float> of(int sequence) const { return rows_[static_cast<size_t>(sequence)]; }
  float& At(int sequence, int token, int element) {
    return rows_[static_cast<size_t>(sequence)]
                [static_cast<size_t>(token) * row_elements_ + static_cast<size_t>(element)];
  }
  // [tokens of the step, row_elements]
  std::vector<float> Gather(const std::vector<StepPiece>& pieces) const {
    std::vector<float> step;
    for (const StepPiece& piece : pieces) {
      const float* begin = data(piece.sequence) + static_cast<size_t>(piece.first) * row_elements_;
      step.insert(step.end(), begin, begin + static_cast<size_t>(piece.n_tokens) * row_elements_);
    }
    return step;
  }
  void Scatter(const float* step, const std::vector<StepPiece>& pieces) {
    for (const StepPiece& piece : pieces) {
      const size_t n = static_cast<size_t>(piece.n_tokens) * row_elements_;
      std::copy_n(step, n, &At(piece.sequence, piece.first, 0));
      step += n;
    }
  }

 private:
  size_t row_elements_;
  std::vector<std::vector<float>> rows_;
};

inline ::testing::AssertionResult SameBits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << "sizes differ";
  for (size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0)
      return ::testing::AssertionFailure() << "element " << i << ": " << a[i] << " and " << b[i];
  return ::testing::AssertionSuccess();
}

}  // namespace forge::testing
