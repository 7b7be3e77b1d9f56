#include "engine/model/load_progress.h"

namespace forge {

bool ProgressReporter::Report(uint64_t bytes_done) {
  if (last_ && Clock::now() - *last_ < kInterval) return !cancelled_;
  return ReportNow(bytes_done);
}

bool ProgressReporter::ReportNow(uint64_t bytes_done) {
  if (cancelled_) return false;
  last_ = Clock::now();
  if (progress_) cancelled_ = !progress_(bytes_done, bytes_total_);
  return !cancelled_;
}

}  // namespace forge
