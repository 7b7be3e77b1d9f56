#include <utility>

#include "daemon/residency/residency.h"
#include "daemon/text/utf8.h"

// How events get their numbers.
namespace forge {

void Residency::Publish(ResidencyEvent event) {
  using enum ResidencyEvent::Kind;
  event.reason = TruncateUtf8(event.reason, ResidencyEvent::kMaxTextBytes);
  event.error = TruncateUtf8(event.error, ResidencyEvent::kMaxTextBytes);
  event.time = std::chrono::system_clock::now();
  if (!event.device.empty()) {
    for (const DeviceMemory& memory : engine_.Memory()) {
      if (memory.device != event.device) continue;
      event.free_bytes = memory.reading.free_bytes;
      event.reserved_bytes = memory.reserved_bytes;
      event.allocated_bytes = memory.allocated_bytes;
    }
  }
  const bool is_trouble = event.kind == kRefused || event.kind == kLoadFailed ||
                          event.kind == kNotRestored || event.kind == kPaused;
  log_.log(is_trouble ? spdlog::level::warn : spdlog::level::info, FormatEvent(event));
  journal_.Publish(std::move(event));
}

void Residency::PublishLoadEnd(const Entry& entry, const Status& status) {
  using enum ResidencyEvent::Kind;
  const ModelSnapshot& model = entry.snapshot;
  using std::chrono::milliseconds;
  std::optional<milliseconds> duration;
  if (status.ok()) duration = std::chrono::duration_cast<milliseconds>(model.load_duration);
  Publish({.kind = status.ok()                          ? kLoaded
                   : model.state == ModelState::kFailed ? kLoadFailed
                                                        : kLoadStopped,
           .device = model.info.device,
           .model = model.file.name,
           .model_id = model.id,
           .reason = std::string(status.message()),
           .error = std::string(status.reason()),
           .duration = duration,
           .bytes = model.info.total_bytes()});
}

}  // namespace forge
