#include "daemon/residency/residency_event.h"

#include <fmt/format.h>

namespace forge {

std::string_view EventKindName(ResidencyEvent::Kind kind) {
  constexpr std::string_view kNames[] = {
      "admitted", "waiting", "refused",  "loaded", "load_failed", "load_stopped", "unloading",
      "released", "pinned",  "unpinned", "paused", "resumed",     "not_restored"};
  static_assert(std::size(kNames) == static_cast<size_t>(ResidencyEvent::Kind::kNotRestored) + 1);
  return kNames[static_cast<int>(kind)];
}

std::string_view UnloadCauseName(ResidencyAction::UnloadCause cause) {
  constexpr std::string_view kNames[] = {"evicted", "keep_alive", "pressure", "yield", "asked"};
  static_assert(std::size(kNames) == static_cast<size_t>(ResidencyAction::UnloadCause::kAsked) + 1);
  return kNames[static_cast<int>(cause)];
}

std::string FormatEvent(const ResidencyEvent& event) {
  std::string line = fmt::format("event={}", EventKindName(event.kind));
  const auto add = [&line](std::string_view name, const auto& value) {
    line += fmt::format(" {}={}", name, value);
  };
  if (!event.model.empty()) add("model", fmt::format("'{}'", event.model));
  if (!event.device.empty()) add("device", event.device);
  if (event.cause) add("cause", UnloadCauseName(*event.cause));
  if (!event.error.empty()) add("error", event.error);
  if (event.queue_position) add("position", *event.queue_position);
  if (event.bytes > 0) add("bytes", event.bytes);
  if (event.duration) add("ms", event.duration->count());
  if (!event.device.empty()) {
    add("free_bytes", event.free_bytes);
    add("reserved_bytes", event.reserved_bytes);
    add("allocated_bytes", event.allocated_bytes);
  }
  if (!event.reason.empty()) line += ": " + event.reason;
  return line;
}

}  // namespace forge
