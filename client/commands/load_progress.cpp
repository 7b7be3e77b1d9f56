#include "client/commands/load_progress.h"

#include <string>

#include "client/terminal/units.h"

namespace forge::client {

void ShowLoadProgress(const v1::LoadModelResponse::Progress& progress, ProgressBar& bar) {
  if (progress.has_queue_position()) {
    const std::string place = progress.queue_position() == 0
                                  ? "next in line"
                                  : std::to_string(progress.queue_position()) + " before it";
    return bar.Say("waiting, " + place + ": " + progress.wait_reason());
  }
  const double total = static_cast<double>(progress.bytes_total());
  const double fraction = total > 0 ? static_cast<double>(progress.bytes_done()) / total : 0.0;
  std::string detail =
      FormatBytes(progress.bytes_done()) + " of " + FormatBytes(progress.bytes_total());
  if (progress.bytes_per_second() > 0)
    detail += ", " + FormatBytes(static_cast<int64_t>(progress.bytes_per_second())) + "/s";
  bar.Show("loading", fraction, detail);
}

}  // namespace forge::client
