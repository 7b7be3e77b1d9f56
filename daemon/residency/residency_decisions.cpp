#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/residency/device_choice.h"
#include "daemon/residency/memory_advice.h"
#include "daemon/residency/on_strand.h"
#include "daemon/residency/residency.h"

// What the controllers of the devices decide, and how it is carried out.
namespace forge {
namespace {

constexpr std::string_view kCpuDevice = "cpu";
// A GPU's driver counts what a process freed once its queues are done with it. Until then neither
// what was freed nor what was allocated is counted on.
constexpr std::chrono::milliseconds kGpuReadingLag{1000};

// What a refusal says, and for a model that is too large what can be done about it.
Status WithAdvice(const ResidencyAction& action, const ModelFileInfo& plan) {
  const DecisionRecord* const record = action.decision.get();
  using Cause = ResidencyDecision::RefusalCause;
  if (record == nullptr || record->decision.cause != Cause::kTooLarge) return action.status;
  Status status(action.status.code(),
                fmt::format("{}; {}", action.status.message(),
                            MemoryAdvice(plan, record->decision.available_alone_bytes)));
  for (const auto& [key, value] : action.status.details())
    status = status.WithDetail(key, std::string_view(value));
  return status.WithReason(action.status.reason())
      .WithDetail("weightsBytes", plan.weights_bytes)
      .WithDetail("kvCacheBytes", plan.kv_bytes)
      .WithDetail("scratchBytes", plan.scratch_bytes);
}

}  // namespace

void Residency::Decide(const std::string& device) {
  DeviceBooks& books = Books(device);
  const bool was_paused = books.controller.is_paused();
  const ResidencyActions actions =
      UntilMemory([&] { return books.controller.Decide(ReadDevice(device), Now()); });
  if (books.controller.is_paused() != was_paused) {
    using enum ResidencyEvent::Kind;
    Tell([&] {
      Publish({.kind = was_paused ? kResumed : kPaused,
               .device = device,
               .reason = was_paused ? "enough memory is free again"
                                    : "other programs left too little memory; nothing is loaded"});
    });
  }
  // The controller counts on all that it decided.
  for (const ResidencyAction& action : actions) UntilMemory([&] { Follow(device, action); });
  if (shutting_down_) return;
  const std::optional<ResidencyTime> next = books.controller.NextDecision(Now());
  if (!next) return;
  books.timer.expires_after(*next - Now());
  UntilMemory([&] {
    // As a pointer, for the reason that PostHandler has.
    const auto name = std::make_shared<const std::string>(device);
    books.timer.async_wait([this, name](const boost::system::error_code& error) {
      if (error || shutting_down_) return;
      StopWaiting();
      Decide(*name);
    });
  });
}

void Residency::Follow(const std::string& device, const ResidencyAction& action) {
  switch (action.kind) {
    case ResidencyAction::Kind::kStartLoad: {
      Entry& entry = entries_.at(action.model);
      RunLoad(entry);
      return Tell([&] {
        Publish({.kind = ResidencyEvent::Kind::kAdmitted,
                 .device = device,
                 .model = action.model,
                 .reason = action.reason,
                 .bytes = entry.snapshot.info.total_bytes(),
                 .decision = action.decision});
      });
    }
    case ResidencyAction::Kind::kStartUnload:
      return RunUnload(action);
    case ResidencyAction::Kind::kGrant:
      return Grant(action);
    case ResidencyAction::Kind::kRefuse:
      return Refuse(action);
    case ResidencyAction::Kind::kWait:
      return Tell([&] { TellWait(device, action); });
  }
}

void Residency::TellWait(const std::string& device, const ResidencyAction& action) {
  const auto found = entries_.find(action.model);
  if (found == entries_.end() || found->second.ticket != action.ticket) return;
  LoadProgress progress = found->second.progress;
  progress.queue_position = action.position;
  progress.wait_reason = action.reason;
  Publish({.kind = ResidencyEvent::Kind::kWaiting,
           .device = device,
           .model = action.model,
           .reason = action.reason,
           .queue_position = action.position,
           .bytes = found->second.snapshot.info.total_bytes(),
           .decision = action.decision});
  PublishProgress(*found->second.job, progress);
}

void Residency::Grant(const ResidencyAction& action) {
  const auto lease = leases_.find(action.ticket);
  if (lease == leases_.end()) return FinishLoad(action.model, Status());
  // From where there is a ModelLease, it gives the lease back.
  ModelSnapshot model = entries_.at(action.model).snapshot;
  const LeaseDone done = std::exchange(lease->second.done, nullptr);
  if (!done) return;
  ModelLease granted(this, action.ticket, std::move(model));
  Contain([&] { done(std::move(granted)); }, [&](const Status& status) { done(status); });
}

void Residency::Refuse(const ResidencyAction& action) {
  const auto lease = leases_.find(action.ticket);
  if (lease == leases_.end()) return RefuseLoad(action);
  if (lease->second.done) lease->second.done(action.status);
  leases_.erase(lease);
}

void Residency::RefuseLoad(const ResidencyAction& action) {
  Entry& entry = entries_.at(action.model);
  // A load that ran ended by itself, and is no refusal.
  entry.is_refused = !entry.is_running;
  const Status status = WithAdvice(action, entry.snapshot.info);
  Tell([&] {
    if (!entry.is_refused) return;
    Publish({.kind = ResidencyEvent::Kind::kRefused,
             .device = entry.snapshot.info.device,
             .model = action.model,
             .reason = std::string(status.message()),
             .error = std::string(status.reason()),
             .bytes = entry.snapshot.info.total_bytes(),
             .decision = action.decision});
  });
  FinishLoad(action.model, status);
}

DeviceState Residency::ReadDevice(const std::string& device) const {
  for (const DeviceMemory& memory : engine_.Memory())
    if (memory.device == device) return {memory.reading, memory.allocated_bytes};
  return {};
}

ResidencyTime Residency::Now() const {
  return std::chrono::duration_cast<ResidencyTime>(
      std::chrono::steady_clock::now().time_since_epoch());
}

ResidencyTime Residency::ReadingLag(const std::string& device) const {
  const ResidencyTime configured = options_.settings.reading_lag;
  return device == kCpuDevice ? configured : std::max<ResidencyTime>(configured, kGpuReadingLag);
}

Residency::DeviceBooks& Residency::Books(const std::string& device) {
  const auto found = books_.find(device);
  if (found != books_.end()) return found->second;
  ResidencySettings settings = options_.settings;
  settings.device_id = device;
  for (const DeviceMemory& memory : engine_.Memory())
    if (memory.device == device) settings.memory = memory.policy;
  settings.reading_lag = ReadingLag(device);
  return books_
      .emplace(std::piecewise_construct, std::forward_as_tuple(device),
               std::forward_as_tuple(std::move(settings), io_))
      .first->second;
}

// ---- Plans

Result<ResidencyPlan> Residency::Plan(const ModelFile& file, const LoadRequest& request) {
  FORGE_ASSIGN_OR_RETURN(const std::vector<ModelFileInfo> plans, InspectDevices(file, request));
  FORGE_ASSIGN_OR_RETURN(ResidencyPlan plan,
                         OnStrand([&] { return Preview(file, plans, request); }));
  LoadRequest on_device = request;
  on_device.device = plan.info.device;
  FORGE_TRY(FindLongestContexts(file, on_device, plan));
  return plan;
}

size_t Residency::ChooseDevice(const std::string& model, const std::vector<ModelFileInfo>& plans,
                               int priority) {
  if (plans.size() == 1) return 0;
  const auto resident = entries_.find(model);
  std::vector<DeviceCandidate> candidates;
  for (size_t i = 0; i < plans.size(); ++i) {
    const std::string& device = plans[i].device;
    if (resident != entries_.end() && resident->second.lifecycle.state() == ModelState::kReady &&
        resident->second.snapshot.info.device == device)
      return i;
    const ResidencyController& controller = Books(device).controller;
    const WantedModel wanted = {model, plans[i].total_bytes(), priority};
    candidates.push_back(
        {.is_cpu = device == kCpuDevice,
         .is_paused = controller.is_paused(),
         .decision = controller.Preview(ReadDevice(device), wanted, Now()).decision});
  }
  return forge::ChooseDevice(candidates);
}

Result<ResidencyPlan> Residency::Preview(const ModelFile& file,
                                         const std::vector<ModelFileInfo>& plans,
                                         const LoadRequest& request) {
  const auto found = entries_.find(file.name);
  if (found != entries_.end()) {
    const Entry& entry = found->second;
    const ModelState state = entry.lifecycle.state();
    // As Join does; what a load takes is known once its header is read.
    if (state == ModelState::kReady)
      FORGE_TRY(
          CheckSameOptions(file.name, "ready", request, OptionsInEffect(entry.snapshot.info)));
    if (state == ModelState::kLoading && entry.progress.plan)
      FORGE_TRY(
          CheckSameOptions(file.name, "loading", request, OptionsInEffect(*entry.progress.plan)));
  }
  const int priority = request.priority.value_or(0);
  ResidencyPlan plan;
  plan.info = plans[ChooseDevice(file.name, plans, priority)];
  plan.is_resident =
      found != entries_.end() && found->second.lifecycle.state() == ModelState::kReady;
  if (plan.is_resident) plan.info = found->second.snapshot.info;
  const std::string& device = plan.info.device;
  const WantedModel wanted = {file.name, plan.info.total_bytes(), priority};
  const ResidencyController& controller = Books(device).controller;
  plan.decision = controller.Preview(ReadDevice(device), wanted, Now()).decision;
  plan.reason = ExplainDecision(plan.decision, wanted);
  using Kind = ResidencyDecision::Kind;
  if (plan.decision.kind == Kind::kRefuse &&
      plan.decision.cause == ResidencyDecision::RefusalCause::kTooLarge)
    plan.reason += "; " + MemoryAdvice(plan.info, plan.decision.available_alone_bytes);
  if (!plan.is_resident && controller.is_paused() &&
      (plan.decision.kind == Kind::kAdmit || plan.decision.kind == Kind::kEvict)) {
    plan.decision.kind = Kind::kWait;
    plan.reason +=
        "; other programs left less memory than residency.low_water, and nothing is "
        "loaded before residency.high_water is free";
  }
  return plan;
}

// The bytes of a plan grow with the context in straight lines, one for every window that some
// layers have, so each step of the search aims where the line of the last two meets the bound.
Result<uint32_t> Residency::LongestContext(const ModelFile& file, const LoadRequest& request,
                                           uint32_t longest, uint64_t available_bytes) {
  constexpr uint32_t kStep = 32;  // positions of a KV block
  constexpr int kMaxInspections = 12;
  struct Point {
    uint32_t context;
    uint64_t bytes;
  };
  const auto inspect = [&](uint32_t context) -> Result<Point> {
    LoadRequest with_context = request;
    with_context.context_length = context;
    FORGE_ASSIGN_OR_RETURN(const ModelFileInfo info, Inspect(file, with_context));
    return Point{context, info.total_bytes()};
  };
  FORGE_ASSIGN_OR_RETURN(Point high, inspect(longest));
  if (high.bytes <= available_bytes) return longest;
  FORGE_ASSIGN_OR_RETURN(Point low, inspect(std::min(kStep, longest)));
  if (low.bytes > available_bytes) return 0;
  for (int i = 0; i < kMaxInspections && high.context - low.context > kStep; ++i) {
    const double share = static_cast<double>(available_bytes - low.bytes) /
                         static_cast<double>(high.bytes - low.bytes);
    const auto offset = static_cast<uint32_t>(share * (high.context - low.context));
    const uint32_t guess = std::clamp((low.context + offset) / kStep * kStep, low.context + kStep,
                                      (high.context - 1) / kStep * kStep);
    FORGE_ASSIGN_OR_RETURN(const Point point, inspect(guess));
    (point.bytes <= available_bytes ? low : high) = point;
    if (point.bytes > available_bytes || guess + kStep >= high.context) continue;
    // The guess fits: where the next block does not, it is the answer.
    FORGE_ASSIGN_OR_RETURN(const Point next, inspect(guess + kStep));
    (next.bytes <= available_bytes ? low : high) = next;
  }
  return low.context;
}

Status Residency::FindLongestContexts(const ModelFile& file, const LoadRequest& request,
                                      ResidencyPlan& plan) {
  const ResidencyDecision& decision = plan.decision;
  FORGE_ASSIGN_OR_RETURN(
      plan.longest_context,
      LongestContext(file, request, plan.info.longest_context, decision.admission.available_bytes));
  FORGE_ASSIGN_OR_RETURN(plan.longest_context_with_eviction,
                         LongestContext(file, request, plan.info.longest_context,
                                        decision.available_with_eviction_bytes));
  return Status();
}

}  // namespace forge
