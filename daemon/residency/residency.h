#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/residency/catalogue.h"
#include "daemon/residency/inspect_cache.h"
#include "daemon/residency/load_request.h"
#include "daemon/residency/model_state.h"
#include "engine/runtime/engine.h"

namespace forge {

// How far a load is.
struct LoadProgress {
  LoadPhase phase = LoadPhase::kReadingHeader;
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  double bytes_per_second = 0.0;      // since the first weights; 0 before them
  std::optional<ModelFileInfo> plan;  // once the header is read
};

// A model as residency knows it at one moment.
struct ModelSnapshot {
  ModelFile file;
  ModelState state = ModelState::kOnDisk;
  std::string error;  // of kFailed
  // While kReady or kUnloading:
  ModelId id = 0;
  ModelFileInfo info;
  std::chrono::system_clock::time_point load_time;
  std::chrono::nanoseconds load_duration{0};
};

// Waits for a load. Called on the strand, so it must not block nor call residency's blocking calls.
// Exactly one OnLoaded ends it.
class LoadListener {
 public:
  virtual ~LoadListener() = default;
  virtual void OnProgress(const LoadProgress& progress) = 0;
  virtual void OnLoaded(const Result<ModelSnapshot>& result) = 0;
};

// Decides which models are resident. Loads belong to it, not to who asked: several callers join one
// load, and none of them ends it by leaving.
//
// Thread-safe: all state is read and written on one strand. Calls that return a value wait for the
// strand, so they may not be made on it; the io_context must be running.
class Residency {
 public:
  struct Options {
    LoadOptions load_defaults;
    std::chrono::milliseconds load_deadline{15 * 60'000};
    // Called on the strand when a model's state changed; may be empty.
    std::function<void(const std::vector<ModelSnapshot>&)> on_change;
  };

  // Lifetime: `engine`, `catalogue`, `io` and `log` must outlive it.
  Residency(Engine& engine, const Catalogue& catalogue, Options options,
            boost::asio::io_context& io, spdlog::logger& log);
  // REQUIRES: Stop was called, and the io_context runs nothing of ours any more.
  ~Residency();

  // Loads `file`, joins its load, or answers at once if it is resident. Does not block. OnLoaded
  // gets kFailedPrecondition (reason MODEL_OPTIONS_DIFFER), kUnavailable (MODEL_BUSY while it is
  // being unloaded, SHUTTING_DOWN), kCancelled (LOAD_CANCELLED), kDeadlineExceeded (LOAD_TOO_SLOW),
  // or what the engine says.
  void Load(const ModelFile& file, const LoadRequest& request,
            std::shared_ptr<LoadListener> listener);
  // Stops the load of `name` for everybody who waits for it. Does not block.
  void CancelLoad(const std::string& name);

  // Unloads `name` and calls `done` on the strand with the bytes freed, with kFailedPrecondition
  // (reason MODEL_NOT_LOADED), or with kUnavailable (MODEL_BUSY) while it is being loaded.
  using UnloadDone = std::function<void(const Result<uint64_t>&)>;
  void Unload(const std::string& name, UnloadDone done);

  // The model of this very name, if it is or was to be resident. Blocks on the strand.
  std::optional<ModelSnapshot> Find(const std::string& name);
  // The resident model that `model`, a name or a path, means. Blocks on the strand, and on the disk
  // if it is not resident. kFailedPrecondition (reason MODEL_NOT_LOADED), kUnavailable
  // (MODEL_BUSY), or what Catalogue::Resolve says.
  Result<ModelSnapshot> FindReady(const std::string& model);
  // All models that are not merely on disk, by name. Blocks on the strand.
  std::vector<ModelSnapshot> List();

  // What loading `file` takes. Blocks on the disk unless it is known.
  Result<ModelFileInfo> Inspect(const ModelFile& file, const LoadRequest& request);

  const Catalogue& catalogue() const { return catalogue_; }

  // Calls `pong` on the strand; shows that the strand answers.
  void Ping(std::function<void()> pong);

  // Refuses new loads and stops those that run. Does not block.
  void BeginShutdown();
  // True while a load or unload runs.
  bool busy() const { return n_jobs_.load() > 0; }
  // BeginShutdown, then waits for all loads and unloads to end. The io_context must be running.
  void Stop();

 private:
  enum class StopCause { kNone, kCancelled, kDeadline, kShutdown };
  // What a loading thread shares with the strand.
  struct LoadJob {
    std::string name;
    ModelFile file;
    ResolvedLoadOptions options;
    std::chrono::steady_clock::time_point start, deadline;
    std::atomic<StopCause> stop_cause{StopCause::kNone};

    // The first cause counts.
    void Stop(StopCause cause);
    // True once the load is to end; notices the deadline.
    bool stopped();
    Status StopStatus() const;
  };
  struct Entry {
    ModelSnapshot snapshot;  // its state is that of the lifecycle
    ModelLifecycle lifecycle;
    std::shared_ptr<LoadJob> job;  // while kLoading
    LoadProgress progress;
    std::vector<std::shared_ptr<LoadListener>> listeners;
    // Callers whose options cannot be compared before the header is read.
    std::vector<std::pair<LoadRequest, std::shared_ptr<LoadListener>>> undecided;
    std::vector<UnloadDone> unload_callbacks;
  };

  // On the strand.
  void StartOrJoin(const ModelFile& file, const LoadRequest& request,
                   const std::shared_ptr<LoadListener>& listener);
  void Join(Entry& entry, const LoadRequest& request,
            const std::shared_ptr<LoadListener>& listener);
  void StartLoad(const ModelFile& file, const LoadRequest& request,
                 const std::shared_ptr<LoadListener>& listener);
  void DecideJoins(Entry& entry, std::string_view state, const ModelFileInfo& info);
  void PublishProgress(const LoadJob& job, const LoadProgress& progress);
  void FinishLoad(const LoadJob& job, const Result<ModelSnapshot>& result);
  void StartUnload(const std::string& name, UnloadDone done);
  void FinishUnload(const std::string& name, const Result<uint64_t>& freed_bytes);
  void SetState(Entry& entry, ModelState state);
  void PublishChange();
  std::vector<ModelSnapshot> Snapshots() const;

  // On a loading thread.
  void RunLoad(const std::shared_ptr<LoadJob>& job);
  Result<ModelSnapshot> LoadNow(const std::shared_ptr<LoadJob>& job);
  LoadObserver MakeObserver(const std::shared_ptr<LoadJob>& job, const ModelFileInfo& plan);
  void PostProgress(const std::shared_ptr<LoadJob>& job, LoadProgress progress);

  // Runs `call` on the strand and waits for its result.
  template <typename Call>
  auto OnStrand(Call call) -> decltype(call());

  // Constant after construction.
  Engine& engine_;
  const Catalogue& catalogue_;
  const Options options_;
  spdlog::logger& log_;
  boost::asio::strand<boost::asio::io_context::executor_type> strand_;

  InspectCache inspect_cache_;
  std::atomic<int> n_jobs_{0};

  // Touched on the strand only.
  std::map<std::string, Entry> entries_;
  bool shutting_down_ = false;

  boost::asio::thread_pool loaders_;
  // Of its own, so that freeing memory never waits for loads.
  boost::asio::thread_pool unloaders_{1};
};

}  // namespace forge
