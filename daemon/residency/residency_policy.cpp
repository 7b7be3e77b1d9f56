#include "daemon/residency/residency_policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "kernels/base/byte_text.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

using Candidates = std::vector<const Resident*>;

// Every set costs more than any of its subsets, also where nobody will want the models again.
constexpr double kLeastCost = 1e-9;

double CostOf(const Resident& resident) {
  return std::max(resident.reload_cost * resident.reuse_chance, kLeastCost);
}

uint64_t BytesOf(const Candidates& candidates) {
  uint64_t bytes = 0;
  for (const Resident* candidate : candidates) bytes += candidate->bytes;
  return bytes;
}

std::vector<std::string> NamesOf(const Candidates& candidates) {
  std::vector<std::string> names;
  for (const Resident* candidate : candidates) names.push_back(candidate->name);
  std::ranges::sort(names);
  return names;
}

// A search for the cheapest set of candidates that gives back `needed_bytes`: depth first, the
// dearest candidate first, cut where the rest cannot reach the need or comes to more than the best.
class CheapestSet {
 public:
  // REQUIRES: the candidates together have `needed_bytes`.
  CheapestSet(Candidates candidates, uint64_t needed_bytes)
      : candidates_(std::move(candidates)), needed_bytes_(needed_bytes) {
    // By falling cost, so that the sum of what is left is known to be cheap; names make the order,
    // and with it the answer among equals, the same whatever order they came in.
    std::ranges::sort(candidates_, [](const Resident* a, const Resident* b) {
      return std::tuple(-CostOf(*a), a->name) < std::tuple(-CostOf(*b), b->name);
    });
    remaining_bytes_.resize(candidates_.size() + 1, 0);
    for (size_t i = candidates_.size(); i-- > 0;)
      remaining_bytes_[i] = remaining_bytes_[i + 1] + candidates_[i]->bytes;
  }

  Candidates Find() {
    if (candidates_.size() <= kExactCandidates) {
      RankNames();
      Search(0, 0, 0.0, 0);
    } else {
      TakeByDensity();
    }
    return best_;
  }

 private:
  void RankNames() {
    Candidates by_name = candidates_;
    std::ranges::sort(by_name, {}, &Resident::name);
    for (const Resident* candidate : candidates_) {
      const auto rank = std::ranges::find(by_name, candidate) - by_name.begin();
      name_bits_.push_back(uint32_t{1} << (kExactCandidates - 1 - static_cast<size_t>(rank)));
    }
  }

  void Search(size_t next, uint64_t bytes, double cost, uint32_t names) {
    if (bytes >= needed_bytes_) return Offer(cost, names);
    if (next == candidates_.size() || bytes + remaining_bytes_[next] < needed_bytes_) return;
    // At least one more has to go, and none costs less than the last.
    const double least_cost = cost + CostOf(*candidates_.back());
    if (std::tuple(least_cost, chosen_.size() + 1) > std::tuple(best_cost_, best_.size())) return;
    Search(next + 1, bytes, cost, names);  // the dear one may stay
    chosen_.push_back(candidates_[next]);
    Search(next + 1, bytes + candidates_[next]->bytes, cost + CostOf(*candidates_[next]),
           names | name_bits_[next]);
    chosen_.pop_back();
  }

  void Offer(double cost, uint32_t names) {
    const auto key = std::tuple(cost, chosen_.size(), ~names);
    if (!best_.empty() && key >= std::tuple(best_cost_, best_.size(), ~best_names_)) return;
    best_ = chosen_;
    best_cost_ = cost;
    best_names_ = names;
  }

  // Cheapest per byte first, then without those that turn out superfluous, the dearest first.
  void TakeByDensity() {
    Candidates by_density = candidates_;
    std::ranges::stable_sort(by_density, [](const Resident* a, const Resident* b) {
      return CostOf(*a) * static_cast<double>(b->bytes) <
             CostOf(*b) * static_cast<double>(a->bytes);
    });
    uint64_t bytes = 0;
    for (const Resident* candidate : by_density) {
      if (bytes >= needed_bytes_) break;
      best_.push_back(candidate);
      bytes += candidate->bytes;
    }
    for (const Resident* candidate : candidates_) {  // by falling cost
      if (bytes - candidate->bytes < needed_bytes_ || std::erase(best_, candidate) == 0) continue;
      bytes -= candidate->bytes;
    }
  }

  Candidates candidates_;
  std::vector<uint64_t> remaining_bytes_;  // [i]: of candidates_[i] and all after it
  // [i]: of candidates_[i], the higher the earlier its name comes: of two sets of one size, the one
  // that comes first by name is the larger number.
  std::vector<uint32_t> name_bits_;
  const uint64_t needed_bytes_;
  Candidates chosen_, best_;
  uint32_t best_names_ = 0;
  double best_cost_ = std::numeric_limits<double>::infinity();
};

// The residents of one device and what they leave.
class DeviceBalance {
 public:
  DeviceBalance(const AdmissionPolicy& memory, const DeviceState& device,
                std::span<const Resident> residents, uint64_t plan_bytes)
      : memory_(memory), device_(device), plan_bytes_(plan_bytes) {
    for (const Resident& resident : residents) own_bytes_ += resident.bytes;
  }

  // The decision if `freed_bytes` of the residents had come back. REQUIRES: freed_bytes <= own.
  AdmissionDecision After(uint64_t freed_bytes) const {
    MemoryReading reading = device_.reading;
    // What was promised but never allocated is in the reading's free memory already.
    const uint64_t allocated_freed = std::min(freed_bytes, device_.allocated_bytes);
    reading.free_bytes += allocated_freed;
    return DecideAdmission(memory_, reading, own_bytes_ - freed_bytes,
                           device_.allocated_bytes - allocated_freed, plan_bytes_);
  }
  bool FitsAfter(uint64_t freed_bytes) const { return After(freed_bytes).admitted; }

  // The least that has to come back, given that `enough_bytes` would do.
  uint64_t NeededBytes(uint64_t enough_bytes) const {
    uint64_t low = 0, high = enough_bytes;  // high fits; below low nothing does
    while (low < high) {
      const uint64_t middle = low + (high - low) / 2;
      if (FitsAfter(middle)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return high;
  }

  uint64_t own_bytes() const { return own_bytes_; }

 private:
  const AdmissionPolicy& memory_;
  const DeviceState& device_;
  const uint64_t plan_bytes_;
  uint64_t own_bytes_ = 0;
};

// Residents by what may become of them for the sake of a wanted model.
struct Sorted {
  Candidates unloading;  // their memory comes back anyway
  Candidates evictable;  // may go now
  Candidates blocked;    // may go later: busy, loading or not settled
  Candidates outprioritised, pinned;
};

Sorted SortResidents(std::span<const Resident> residents, const WantedModel& wanted) {
  Sorted sorted;
  for (const Resident& resident : residents) {
    const bool is_idle = resident.phase == Resident::Phase::kReady && resident.n_leases == 0;
    Candidates& where = resident.phase == Resident::Phase::kUnloading ? sorted.unloading
                        : resident.pinned                             ? sorted.pinned
                        : resident.priority > wanted.priority         ? sorted.outprioritised
                        : is_idle && resident.is_settled              ? sorted.evictable
                                                                      : sorted.blocked;
    where.push_back(&resident);
  }
  return sorted;
}

// The cheapest set among the least important candidates that have `needed_bytes`.
Candidates ChooseSet(const Candidates& candidates, uint64_t needed_bytes) {
  std::vector<int> priorities;
  for (const Resident* candidate : candidates) priorities.push_back(candidate->priority);
  std::ranges::sort(priorities);
  for (const int limit : priorities) {
    Candidates allowed;
    for (const Resident* candidate : candidates)
      if (candidate->priority <= limit) allowed.push_back(candidate);
    if (BytesOf(allowed) >= needed_bytes) return CheapestSet(allowed, needed_bytes).Find();
  }
  return {};
}

Candidates Join(const Candidates& a, const Candidates& b) {
  Candidates joined = a;
  joined.insert(joined.end(), b.begin(), b.end());
  return joined;
}

// Fills in kind, cause and models.
void Choose(const DeviceBalance& balance, const Sorted& sorted, ResidencyDecision& decision) {
  using enum ResidencyDecision::Kind;
  const uint64_t returning = BytesOf(sorted.unloading);
  const auto decide = [&](ResidencyDecision::Kind kind, const Candidates& models) {
    decision.kind = kind;
    decision.models = NamesOf(models);
    if (kind != kRefuse)
      for (const Resident* model : models) decision.eviction_cost += CostOf(*model);
  };
  if (decision.admission.admitted) return decide(kAdmit, {});
  if (balance.FitsAfter(returning)) return decide(kWait, sorted.unloading);

  const uint64_t with_evictable = returning + BytesOf(sorted.evictable);
  if (balance.FitsAfter(with_evictable)) {
    const uint64_t needed = balance.NeededBytes(with_evictable) - returning;
    return decide(kEvict, ChooseSet(sorted.evictable, needed));
  }
  const Candidates movable = Join(sorted.evictable, sorted.blocked);
  const uint64_t with_movable = returning + BytesOf(movable);
  if (balance.FitsAfter(with_movable)) {
    const uint64_t needed = balance.NeededBytes(with_movable) - returning;
    return decide(kWait, ChooseSet(movable, needed));
  }
  using enum ResidencyDecision::RefusalCause;
  const Candidates lesser = Join(movable, sorted.outprioritised);
  decision.cause = balance.FitsAfter(returning + BytesOf(lesser)) ? kOutprioritised
                   : balance.FitsAfter(balance.own_bytes())       ? kPinned
                                                                  : kTooLarge;
  decide(kRefuse, decision.cause == kOutprioritised ? sorted.outprioritised
                  : decision.cause == kPinned       ? sorted.pinned
                                                    : Candidates());
}

std::string ListOf(const std::vector<std::string>& names) {
  return fmt::format("'{}'", fmt::join(names, "', '"));
}

// Where the most that a model alone may have comes from.
std::string LimitText(AdmissionBound bound, const AdmissionPolicy& memory) {
  const std::string reserve =
      memory.reserve_bytes == 0 ? "" : fmt::format(" less {}", ByteText(memory.reserve_bytes));
  switch (bound) {
    case AdmissionBound::kShare:
    case AdmissionBound::kIncremental:
      return fmt::format("{:g} % of the free memory{} (memory.free_fraction)",
                         100.0 * memory.free_fraction, reserve);
    case AdmissionBound::kCap:
      return fmt::format("memory.cap is {}", ByteText(memory.cap_bytes.value_or(0)));
    case AdmissionBound::kFree:
      break;
  }
  return fmt::format("all memory that is free{}", reserve);
}

// `status` with another message.
Status Reworded(const Status& status, std::string message) {
  Status reworded = Status(status.code(), std::move(message)).WithReason(status.reason());
  for (const auto& [key, value] : status.details())
    reworded = reworded.WithDetail(key, std::string_view(value));
  return reworded;
}

}  // namespace

std::string_view ResidencyDecisionName(ResidencyDecision::Kind kind) {
  constexpr std::string_view kNames[] = {"admit", "evict", "wait", "refuse"};
  return kNames[static_cast<int>(kind)];
}

ResidencyDecision DecideResidency(const AdmissionPolicy& memory, const DeviceState& device,
                                  std::span<const Resident> residents, const WantedModel& wanted) {
  const DeviceBalance balance(memory, device, residents, wanted.plan_bytes);
  const Sorted sorted = SortResidents(residents, wanted);
  ResidencyDecision decision;
  decision.admission = balance.After(0);
  decision.evictable_bytes = BytesOf(sorted.evictable);
  decision.available_with_eviction_bytes =
      balance.After(BytesOf(sorted.unloading) + decision.evictable_bytes).available_bytes;
  decision.available_alone_bytes = balance.After(balance.own_bytes()).available_bytes;
  Choose(balance, sorted, decision);
  return decision;
}

DecisionRecord RecordDecision(const AdmissionPolicy& memory, const DeviceState& device,
                              std::vector<Resident> residents, WantedModel wanted) {
  ResidencyDecision decision = DecideResidency(memory, device, residents, wanted);
  return {memory, device, std::move(residents), std::move(wanted), std::move(decision)};
}

std::vector<std::string> ChooseToFree(std::span<const Resident> residents, uint64_t needed_bytes) {
  Candidates idle;
  for (const Resident& resident : residents)
    if (resident.phase == Resident::Phase::kReady && resident.n_leases == 0 && !resident.pinned)
      idle.push_back(&resident);
  if (needed_bytes == 0) return {};
  return NamesOf(BytesOf(idle) < needed_bytes ? idle : ChooseSet(idle, needed_bytes));
}

std::string ExplainDecision(const ResidencyDecision& decision, const WantedModel& wanted) {
  const std::string need =
      fmt::format("model '{}' needs {}, {} are available under bound {}", wanted.name,
                  ByteText(wanted.plan_bytes), ByteText(decision.admission.available_bytes),
                  AdmissionBoundName(decision.admission.bound));
  switch (decision.kind) {
    case ResidencyDecision::Kind::kAdmit:
      return need;
    case ResidencyDecision::Kind::kEvict:
      return fmt::format("{}; the cheapest idle models that make room are {}", need,
                         ListOf(decision.models));
    case ResidencyDecision::Kind::kWait:
      return fmt::format("{}; it waits for {} to go", need, ListOf(decision.models));
    case ResidencyDecision::Kind::kRefuse:
      break;
  }
  switch (decision.cause) {
    case ResidencyDecision::RefusalCause::kPinned:
      return fmt::format("{}; pinned models are in its way: {}", need, ListOf(decision.models));
    case ResidencyDecision::RefusalCause::kOutprioritised:
      return fmt::format("{}; models of higher priority are in its way: {}", need,
                         ListOf(decision.models));
    case ResidencyDecision::RefusalCause::kTooLarge:
      break;
  }
  if (decision.available_alone_bytes == decision.admission.available_bytes) return need;
  return fmt::format("{}, and {} if no model were resident", need,
                     ByteText(decision.available_alone_bytes));
}

Status ResidencyRefusal(const ResidencyDecision& decision, const AdmissionPolicy& memory,
                        const WantedModel& wanted, std::string_view device_id) {
  FORGE_CHECK(decision.kind == ResidencyDecision::Kind::kRefuse, "only a refusal is an error");
  Status status = RefusalStatus(decision.admission, memory, device_id);
  if (decision.cause == ResidencyDecision::RefusalCause::kTooLarge)
    status = Reworded(
        status, fmt::format("model '{}' does not fit device {}: it needs {}, and at most {} are "
                            "there for it{}: {}",
                            wanted.name, device_id, ByteText(wanted.plan_bytes),
                            ByteText(decision.available_alone_bytes),
                            decision.admission.own_bytes == 0 ? "" : ", were no other resident",
                            LimitText(decision.admission.bound, memory)));
  if (decision.cause == ResidencyDecision::RefusalCause::kOutprioritised)
    status = Reworded(status, ExplainDecision(decision, wanted) +
                                  "; load it with as high a priority (forgectl load --priority), "
                                  "or unload one of them with: forgectl unload MODEL");
  if (decision.cause == ResidencyDecision::RefusalCause::kPinned) {
    status = FailedPrecondition(ExplainDecision(decision, wanted) +
                                "; unpin one of them with: forgectl pin --off MODEL")
                 .WithReason("PINNED_MODELS_IN_THE_WAY")
                 .WithDetail("device", device_id)
                 .WithDetail("requestedBytes", wanted.plan_bytes)
                 .WithDetail("availableBytes", decision.admission.available_bytes);
  }
  return status.WithDetail("model", wanted.name)
      .WithDetail("evictableBytes", decision.evictable_bytes)
      .WithDetail("availableWithEvictionBytes", decision.available_with_eviction_bytes)
      .WithDetail("availableAloneBytes", decision.available_alone_bytes)
      .WithDetail("holders", fmt::format("{}", fmt::join(decision.models, ",")));
}

}  // namespace forge
