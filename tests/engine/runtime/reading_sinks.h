#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/runtime/engine.h"

namespace forge::testing {

// What the reading of a text gave.
struct ReadingResult {
  std::vector<TokenScore> scores;
  std::vector<size_t> parts;  // scores that came with each OnScores
  std::optional<std::vector<float>> embedding;
  std::vector<std::pair<uint32_t, uint32_t>> progress;
  std::vector<uint32_t> positions;
  Status status;
  GenerateUsage usage;
  int n_finished = 0;
};

// Collects a reading, of either kind. Thread-safe.
template <typename Sink>
class CollectingReading : public Sink {
 public:
  void OnQueued(uint32_t position) override {
    const std::lock_guard lock(mutex_);
    result_.positions.push_back(position);
  }
  void OnPromptProgress(uint32_t done, uint32_t total) override {
    const std::lock_guard lock(mutex_);
    result_.progress.emplace_back(done, total);
  }
  void OnFinished(const Status& status, const GenerateUsage& usage) override {
    {
      const std::lock_guard lock(mutex_);
      result_.status = status;
      result_.usage = usage;
      ++result_.n_finished;
    }
    finished_.notify_all();
  }

  ReadingResult Result() const {
    const std::lock_guard lock(mutex_);
    return result_;
  }
  // Blocks until the reading has ended.
  ReadingResult Wait() const {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return result_.n_finished > 0; });
    return result_;
  }

 protected:
  mutable std::mutex mutex_;
  mutable std::condition_variable finished_;
  ReadingResult result_;
};

class CollectingScores final : public CollectingReading<ScoreSink> {
 public:
  void OnScores(std::vector<TokenScore> scores) override {
    const std::lock_guard lock(mutex_);
    result_.parts.push_back(scores.size());
    for (TokenScore& score : scores) result_.scores.push_back(std::move(score));
  }
};

class CollectingEmbedding final : public CollectingReading<EmbeddingSink> {
 public:
  void OnEmbedding(std::vector<float> embedding) override {
    const std::lock_guard lock(mutex_);
    result_.embedding = std::move(embedding);
  }
};

}  // namespace forge::testing
