#pragma once

#include <spdlog/logger.h>

#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "daemon/config/config.h"
#include "daemon/residency/listing_cache.h"
#include "daemon/residency/residency.h"
#include "daemon/rpc/call_admission.h"
#include "daemon/rpc/call_registry.h"
#include "daemon/rpc/reasons.h"
#include "daemon/telemetry/metrics.h"
#include "engine/runtime/engine.h"

namespace forge {

// What every handler works with. Its members are thread-safe.
struct ServiceContext {
  // Unary calls at the same time; they are short, so more are a fault of the client.
  static constexpr uint32_t kMaxUnaryCalls = 256;
  // Of them, those whose answer may take 180 MiB until the client has read it.
  static constexpr uint32_t kMaxLargeTexts = 4;
  // Policies that are replayed at the same time: one takes a worker for seconds.
  static constexpr uint32_t kMaxReplays = 1;
  // Threads that read the disk and run tokenizers for handlers.
  static constexpr size_t kWorkers = 4;

  ServiceContext(Engine& the_engine, Residency& the_residency, const Config& the_config,
                 std::string the_version, spdlog::logger& the_log)
      : engine(the_engine),
        residency(the_residency),
        config(the_config),
        version(std::move(the_version)),
        log(the_log),
        stream_admission(the_config.limits.max_streams) {}

  // Waits for the work of handlers; to be called when gRPC is shut down.
  void Join() {
    workers.join();
    writers.join();
  }

  Engine& engine;
  Residency& residency;
  const Config& config;
  const std::string version;
  spdlog::logger& log;
  const std::chrono::system_clock::time_point start_time = std::chrono::system_clock::now();

  ListingCache listings;  // of ListModels
  // Shared with the calls: the engine may hold one, and tell it of its end, longer than this lives.
  const std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>(RejectionNames());
  const EventJournal::Subscription events_to_metrics = residency.journal().Subscribe(
      /*n_kept=*/0, [this](const ResidencyEvent& event) { metrics->Count(event); });

  CallAdmission stream_admission;
  CallAdmission unary_admission{kMaxUnaryCalls};
  CallAdmission large_text_admission{kMaxLargeTexts};  // for large calls of Tokenize
  CallAdmission replay_admission{kMaxReplays};
  CallRegistry running_calls;
  boost::asio::thread_pool workers{kWorkers};
  boost::asio::thread_pool writers{1};  // writes what the engine's executor hands over
};

}  // namespace forge
