#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
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
#include "daemon/residency/cooldown.h"
#include "daemon/residency/event_journal.h"
#include "daemon/residency/inspect_cache.h"
#include "daemon/residency/load_job.h"
#include "daemon/residency/load_request.h"
#include "daemon/residency/model_state.h"
#include "daemon/residency/residency_controller.h"
#include "daemon/residency/state_store.h"
#include "engine/runtime/engine.h"

namespace forge {

// Waits for a load. Called on the strand, so it must not block nor call residency's blocking calls.
// Exactly one OnLoaded ends it; one that throws must have changed nothing, and is called again.
class LoadListener {
 public:
  virtual ~LoadListener() = default;
  virtual void OnProgress(const LoadProgress& progress) = 0;
  virtual void OnLoaded(const Result<ModelSnapshot>& result) = 0;
};

class Residency;

// Keeps a model resident: while a lease lives, the model is not evicted. Move-only. Must not
// outlive the Residency. Thread-compatible.
class ModelLease {
 public:
  ModelLease(ModelLease&& other) noexcept;
  ModelLease& operator=(ModelLease&& other) noexcept;
  ~ModelLease();

  const ModelSnapshot& model() const { return model_; }

 private:
  friend class Residency;
  ModelLease(Residency* residency, TicketId ticket, ModelSnapshot model)
      : residency_(residency), ticket_(ticket), model_(std::move(model)) {}
  Residency* residency_;
  TicketId ticket_;
  ModelSnapshot model_;
};

// What loading a model would do now.
struct ResidencyPlan {
  ModelFileInfo info;
  bool is_resident = false;  // then nothing would be done
  ResidencyDecision decision;
  std::string reason;
  // The longest context of every sequence that would fit; 0: none.
  uint32_t longest_context = 0;
  uint32_t longest_context_with_eviction = 0;
};

// Decides which models are resident. Loads belong to it, not to who asked: several callers join one
// load, and none of them ends it by leaving. Where memory is short, idle models are evicted, or
// the load waits; docs/residency.md has the rules, ResidencyController decides.
//
// Thread-safe: all state is read and written on one strand. Calls that return a value wait for the
// strand, so they may not be made on it; the io_context must be running.
//
// Where the host's memory ends on the strand, what was asked for fails and nothing else: what may
// throw comes before what changes the books, what must be carried out is begun anew until there is
// memory for it, and what is only told, as events are, is lost. Calls may throw what they did not
// do.
class Residency {
 public:
  struct Options {
    ResolvedLoadOptions load_defaults = {std::string(kAutoDevice), {}};
    std::chrono::milliseconds load_deadline{15 * 60'000};
    // Called on the strand when a model's state changed; may be empty.
    std::function<void(const std::vector<ModelSnapshot>&)> on_change = {};
    // Called on the strand with each event; may be empty.
    EventJournal::Listener on_event = {};
    // For each device; device_id and memory are the engine's.
    ResidencySettings settings = {};
    // Where loads are marked, so that one that ends the process is known afterwards; may be null.
    const StateStore* state = nullptr;
  };

  // Lifetime: `engine`, `catalogue`, `io` and `log` must outlive it. REQUIRES: one thread runs
  // `io`, which makes it the strand. A strand of asio's own stops for good where posting to it
  // throws.
  Residency(Engine& engine, const Catalogue& catalogue, Options options,
            boost::asio::io_context& io, spdlog::logger& log);
  // REQUIRES: Stop was called, and the io_context runs nothing of ours any more.
  ~Residency();

  // Loads `file`, joins its load, or answers at once if it is resident. Does not block. OnLoaded
  // What the request says of how the model is kept counts in each case. OnLoaded
  // gets kFailedPrecondition (reason MODEL_OPTIONS_DIFFER, or PINNED_MODELS_IN_THE_WAY),
  // kResourceExhausted (GPU_BUDGET_EXCEEDED), kUnavailable (MODEL_BUSY while it is being unloaded,
  // SHUTTING_DOWN), kCancelled (LOAD_CANCELLED), kDeadlineExceeded (LOAD_TOO_SLOW), or what the
  // engine says.
  void Load(const ModelFile& file, const LoadRequest& request,
            std::shared_ptr<LoadListener> listener);
  // Stops the load of `name` for everybody who waits for it. Does not block.
  void CancelLoad(const std::string& name);

  // Unloads `name` and calls `done` on the strand with the bytes freed, with kFailedPrecondition
  // (reason MODEL_NOT_LOADED), or with kUnavailable (MODEL_BUSY) while it is being loaded. It is
  // called again where it throws, as is that of Acquire.
  using UnloadDone = std::function<void(const Result<uint64_t>&)>;
  void Unload(const std::string& name, UnloadDone done);
  // Starts to unload every model that is idle and not pinned, and names them. Blocks on the strand.
  std::vector<std::string> Yield();
  // Blocks on the strand. kFailedPrecondition (reason MODEL_NOT_LOADED).
  Status SetPinned(const std::string& name, bool pinned);

  // Takes a lease of a ready model, named as in Find, and calls `done` on the strand: at once, or
  // when a model that waited too long for this one's memory has had its turn. kFailedPrecondition
  // (reason MODEL_NOT_LOADED; also when this one had to go meanwhile: then load it again),
  // kCancelled (MODEL_NOT_LOADED) if somebody unloaded it by name meanwhile, kUnavailable
  // (MODEL_BUSY, SHUTTING_DOWN).
  using LeaseDone = std::function<void(Result<ModelLease>)>;
  void Acquire(const std::string& name, LeaseDone done);

  // The model of this very name, if it is or was to be resident. Blocks on the strand.
  std::optional<ModelSnapshot> Find(const std::string& name);
  // The resident model that `model`, a name or a path, means. Blocks on the strand, and on the disk
  // if it is not resident. kFailedPrecondition (reason MODEL_NOT_LOADED), kUnavailable
  // (MODEL_BUSY), or what Catalogue::Resolve says.
  Result<ModelSnapshot> FindReady(const std::string& model);
  // All models that are not merely on disk, by name. Blocks on the strand.
  std::vector<ModelSnapshot> List();

  // Loads these models in the background, one after the other, in this order. What does not fit
  // beside those before it is left out, and so is what a run before died of while loading it.
  // Does not block. REQUIRES: what an earlier call named was brought back or left out.
  void Restore(const std::vector<ResidentRecord>& models);
  // The ready models, and those that Restore has not come to yet, as it takes them. Blocks on the
  // strand.
  std::vector<ResidentRecord> Records();

  // What loading `file` takes on the device that the request names, or that would be chosen now.
  // Blocks on the disk unless it is known, and on the strand if there is a choice.
  Result<ModelFileInfo> Inspect(const ModelFile& file, const LoadRequest& request);
  // What loading `file` would do now. Changes nothing. Blocks as Inspect.
  Result<ResidencyPlan> Plan(const ModelFile& file, const LoadRequest& request);
  // What Engine::Report says of it. Blocks on the disk.
  Result<ModelReport> Report(const ModelFile& file, const LoadRequest& request);

  const Catalogue& catalogue() const { return catalogue_; }
  // What happened and was decided, as it happens.
  EventJournal& journal() { return journal_; }

  // Calls `pong` on the strand; shows that the strand answers.
  void Ping(std::function<void()> pong);

  // Refuses new loads and stops those that run. Does not block.
  void BeginShutdown();
  // True while a load or unload runs.
  bool busy() const { return n_jobs_.load() > 0; }
  // BeginShutdown, then waits for all loads and unloads to end. The io_context must be running.
  void Stop();

 private:
  friend class ModelLease;

  struct Entry {
    ModelSnapshot snapshot;  // its state is that of the lifecycle
    ModelLifecycle lifecycle;
    std::shared_ptr<LoadJob> job;  // while kLoading
    TicketId ticket = 0;           // of the load, once it waits for memory or runs
    bool is_running = false;       // the engine has the load
    bool is_refused = false;       // the policy ended it
    LoadRequest request;           // of who started the load
    LoadProgress progress;
    std::vector<std::shared_ptr<LoadListener>> listeners;
    // Callers whose options cannot be compared before the header is read.
    std::vector<std::pair<LoadRequest, std::shared_ptr<LoadListener>>> undecided;
    std::vector<UnloadDone> unload_callbacks;
    // After the file was refused at its header; the device's controller keeps that of later ones.
    Cooldown header_cooldown;
    uint64_t header_version = 0;  // of the file that was refused
  };
  struct DeviceBooks {
    DeviceBooks(ResidencySettings settings, boost::asio::io_context& io)
        : controller(std::move(settings)), timer(io) {}
    ResidencyController controller;
    boost::asio::steady_timer timer;
  };
  // A lease that is asked for or given out.
  struct LeaseRecord {
    std::string model, device;
    LeaseDone done;  // empty once given out
  };

  // On the strand.
  void StartOrJoin(const ModelFile& file, const LoadRequest& request,
                   const std::shared_ptr<LoadListener>& listener);
  void Join(Entry& entry, const LoadRequest& request,
            const std::shared_ptr<LoadListener>& listener);
  void StartLoad(const ModelFile& file, const LoadRequest& request,
                 const std::shared_ptr<LoadListener>& listener);
  // kUnavailable (reason MODEL_COOLING_DOWN) if the header of this very file was refused a moment
  // ago.
  Status CheckHeaderCooldown(const Entry& entry, const ModelFile& file) const;
  void CoolDownHeader(Entry& entry, const Status& status);
  // What throws leaves those that are not decided yet undecided.
  void DecideJoins(Entry& entry, std::string_view state, const ModelFileInfo& info);
  void TellRefused(const std::string& name, const Status& status);
  void TakePlans(const std::shared_ptr<LoadJob>& job,
                 const Result<std::vector<ModelFileInfo>>& plans);
  // Where this throws the load has not been asked for.
  void RequestMemory(const std::shared_ptr<LoadJob>& job,
                     const Result<std::vector<ModelFileInfo>>& plans);
  // kResourceExhausted (reason GPU_BUDGET_EXCEEDED) if the load would have to evict or to wait.
  Status CheckFitsNow(const Entry& entry);
  void RunLoad(Entry& entry);
  void PublishProgress(const LoadJob& job, const LoadProgress& progress);
  void EndLoad(const std::shared_ptr<LoadJob>& job, const Result<ModelSnapshot>& result);
  // Ends a load that is stopped and does not run: it reads the header, or waits for memory. Does
  // not throw.
  void StopIfWaiting(Entry& entry);
  // Those of all models.
  void StopWaiting();
  // Where this throws nothing has changed.
  void FinishLoad(const std::string& name, const Status& status);
  void StartUnload(const std::string& name, const UnloadDone& done);
  void RunUnload(const ResidencyAction& action);
  void FinishUnload(const std::string& name, const Result<uint64_t>& freed_bytes);
  // Ends the leases of a model that is gone, and adds what those that wait for theirs are to be
  // told by. The controller would load it for them, and no caller of Load would own that load.
  // REQUIRES: room in `waiting` for that of each lease; then it does not throw.
  void DropLeases(const std::string& name, const std::string& device,
                  std::vector<LeaseDone>& waiting);
  void StartAcquire(const std::string& name, const LeaseDone& done);
  void Release(TicketId ticket);
  void SetState(Entry& entry, ModelState state);
  void PublishChange();
  // Changes of how the model is kept what `request` sets, and decides anew. kFailedPrecondition
  // (reason MODEL_NOT_LOADED) where it is on its way out.
  // `is_use`: the time of its keep_alive counts anew.
  Status Keep(Entry& entry, const LoadRequest& request, bool is_use = false);
  // The entry's snapshot with how the model is kept.
  ModelSnapshot SnapshotOf(const Entry& entry) const { return WithKeeping(entry.snapshot); }
  ModelSnapshot WithKeeping(ModelSnapshot snapshot) const;
  std::vector<ModelSnapshot> Snapshots() const;

  // What the controllers say. Does not throw.
  void Decide(const std::string& device);
  // Where this throws it may be called again.
  void Follow(const std::string& device, const ResidencyAction& action);
  void TellWait(const std::string& device, const ResidencyAction& action);
  void Grant(const ResidencyAction& action);
  void Refuse(const ResidencyAction& action);
  void RefuseLoad(const ResidencyAction& action);
  DeviceState ReadDevice(const std::string& device) const;
  ResidencyTime Now() const;
  // How much later the device's readings show what was allocated and freed.
  ResidencyTime ReadingLag(const std::string& device) const;
  DeviceBooks& Books(const std::string& device);
  // Of a model's plans on several devices, the place of the one to load it by.
  size_t ChooseDevice(const std::string& model, const std::vector<ModelFileInfo>& plans,
                      int priority);
  // kFailedPrecondition (reason MODEL_OPTIONS_DIFFER) where Load would say so.
  Result<ResidencyPlan> Preview(const ModelFile& file, const std::vector<ModelFileInfo>& plans,
                                const LoadRequest& request);

  // Publishes the event with the time and the device's figures.
  void Publish(ResidencyEvent event);
  void PublishLoadEnd(const Entry& entry, const Status& status);
  void PublishNotRestored(const std::string& model, const Status& status);
  class RestoreChain;

  // Any thread.
  // Neither throws: what they do is no part of the load.
  void MarkLoad(const ModelFile& file);
  void PostProgress(const std::shared_ptr<LoadJob>& job, const LoadProgress& progress);
  // What loading `file` takes on each device that `request` allows, those left out that cannot run
  // it; at least one. Blocks on the disk unless it is known.
  Result<std::vector<ModelFileInfo>> InspectDevices(const ModelFile& file,
                                                    const LoadRequest& request);
  // What it takes on one device. A default context is no longer than what the model was trained
  // for.
  Result<ModelFileInfo> InspectDevice(const ModelFile& file, const std::string& device,
                                      const LoadRequest& request);
  // The longest context whose plan takes at most `available_bytes`; 0: none. Blocks as Inspect.
  Result<uint32_t> LongestContext(const ModelFile& file, const LoadRequest& request,
                                  uint32_t longest, uint64_t available_bytes);
  Status FindLongestContexts(const ModelFile& file, const LoadRequest& request,
                             ResidencyPlan& plan);

  // Runs `call` on the strand and waits for its result, or throws what it throws.
  template <typename Call>
  auto OnStrand(Call call) -> decltype(call());
  // Does `work` on the strand, and where it throws, `fail` with what it threw.
  template <typename Work, typename Fail>
  void Post(Work work, Fail fail);
  // Does `work` on a thread of `pool`, then `take` on the strand with the Result that it came to,
  // which is a failure where it threw. Where `take` throws it is called again.
  template <typename Work, typename Take>
  void RunOn(boost::asio::thread_pool& pool, Work work, Take take);
  // Does `work`, on which nothing depends: where it throws, it is left undone.
  template <typename Work>
  void Tell(const Work& work);

  // Constant after construction.
  Engine& engine_;
  const Catalogue& catalogue_;
  const Options options_;
  boost::asio::io_context& io_;
  spdlog::logger& log_;
  const boost::asio::io_context::executor_type strand_;

  InspectCache inspect_cache_;
  const std::vector<std::string> device_ids_;  // of the engine, in its order
  EventJournal journal_;
  EventJournal::Subscription on_event_;
  std::atomic<int> n_jobs_{0};

  // Touched on the strand only.
  std::map<std::string, Entry> entries_;
  std::map<std::string, DeviceBooks> books_;  // by device
  std::map<TicketId, LeaseRecord> leases_;
  TicketId last_ticket_ = 0;
  std::shared_ptr<RestoreChain> restore_;  // the last one; null before the first
  bool shutting_down_ = false;

  boost::asio::thread_pool loaders_;
  // Of its own, so that freeing memory never waits for loads.
  boost::asio::thread_pool unloaders_{1};
};

}  // namespace forge
