#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace forge {

// Tells how far a load is, in bytes of the file's weights. Called on the thread that loads, at the
// start, at most 20 times a second, and at the end. Returns false to cancel the load.
using LoadProgress = std::function<bool(uint64_t bytes_done, uint64_t bytes_total)>;

// Passes reports on to a LoadProgress no more often than it wants them.
// Not thread-safe. Lifetime: `progress` must outlive it; an empty one never cancels.
class ProgressReporter {
 public:
  static constexpr std::chrono::milliseconds kInterval{50};

  ProgressReporter(const LoadProgress& progress, uint64_t bytes_total)
      : progress_(progress), bytes_total_(bytes_total) {}

  // False: the load is to be cancelled. May be called as often as one likes.
  [[nodiscard]] bool Report(uint64_t bytes_done);
  // The same, whenever the last report was. Reports the end.
  [[nodiscard]] bool ReportNow(uint64_t bytes_done);

  uint64_t bytes_total() const { return bytes_total_; }

 private:
  using Clock = std::chrono::steady_clock;
  const LoadProgress& progress_;
  const uint64_t bytes_total_;
  std::optional<Clock::time_point> last_;
  bool cancelled_ = false;
};

}  // namespace forge
