#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/residency/residency_controller.h"

namespace forge {

// Something that happened to the memory of a device, or was decided about it, with its numbers.
// docs/residency.md lists the kinds.
struct ResidencyEvent {
  enum class Kind {
    kAdmitted,     // a plan was admitted, and its load starts
    kWaiting,      // a load waits; once for each position that it gets
    kRefused,      // a load was refused, and nothing changed
    kLoaded,       // a load ended, and the model is ready
    kLoadFailed,   // a load ended with an error
    kLoadStopped,  // a load was cancelled, or the daemon shuts down
    kUnloading,    // a model goes, because of `cause`
    kReleased,     // its memory is back
    kPinned,
    kUnpinned,
    kPaused,  // other programs left too little: nothing is loaded
    kResumed,
    kNotRestored,  // a model that was to come back after a start does not
  };

  // Of `reason` and `error` where they are published: texts of a model's file may be of any length,
  // and a thousand events are kept.
  static constexpr size_t kMaxTextBytes = 800;

  uint64_t number = 0;  // counts from 1 since the daemon's start
  std::chrono::system_clock::time_point time = {};
  Kind kind = Kind::kAdmitted;
  std::string device = {};  // empty where none is concerned
  std::string model = {};   // empty where the whole device is concerned
  ModelId model_id = 0;     // the engine's, of kLoaded and kUnloading
  std::string reason = {};  // a sentence with its numbers
  std::string error =
      {};  // the error's reason for programs, of kRefused, kLoadFailed and kNotRestored
  std::optional<ResidencyAction::UnloadCause> cause = {};  // of kUnloading
  std::optional<uint32_t> queue_position = {};             // of kWaiting; 0: next
  std::optional<std::chrono::milliseconds> duration = {};  // of a load that ended
  uint64_t bytes = 0;  // of the model: its plan, or what came back; 0 where unknown
  // Of the device, right after the event.
  uint64_t free_bytes = 0;
  uint64_t reserved_bytes = 0;  // promised to models
  uint64_t allocated_bytes = 0;
  // What the policy was asked and said; null where something else decided.
  std::shared_ptr<const DecisionRecord> decision = nullptr;
};

std::string_view EventKindName(ResidencyEvent::Kind kind);             // "admitted"
std::string_view UnloadCauseName(ResidencyAction::UnloadCause cause);  // "evicted"

// The event as one line of the log, its fields as name=value, the sentence last.
std::string FormatEvent(const ResidencyEvent& event);

}  // namespace forge
