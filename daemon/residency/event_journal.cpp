#include "daemon/residency/event_journal.h"

#include <algorithm>
#include <utility>

#include "kernels/base/exceptions.h"

namespace forge {

EventJournal::Subscription::Subscription(Subscription&& other) noexcept
    : journal_(std::exchange(other.journal_, nullptr)), id_(other.id_) {}

EventJournal::Subscription& EventJournal::Subscription::operator=(Subscription&& other) noexcept {
  std::swap(journal_, other.journal_);
  std::swap(id_, other.id_);
  return *this;
}

EventJournal::Subscription::~Subscription() {
  if (journal_ == nullptr) return;
  const MutexLock lock(journal_->mutex_);
  journal_->listeners_.erase(id_);
}

void EventJournal::Publish(ResidencyEvent event) {
  const MutexLock lock(mutex_);
  kept_.push_back(std::move(event));
  kept_.back().number = ++last_number_;
  if (kept_.size() > kMaxKept) kept_.pop_front();
  const ResidencyEvent& published = kept_.back();
  for (const auto& listener : listeners_)
    Contain([&] { listener.second(published); }, [](const Status&) {});  // the others are told
}

std::vector<ResidencyEvent> EventJournal::Newest(size_t n) const {
  const MutexLock lock(mutex_);
  return {kept_.end() - static_cast<std::ptrdiff_t>(std::min(n, kept_.size())), kept_.end()};
}

EventJournal::Subscription EventJournal::Subscribe(size_t n_kept, Listener listener) {
  const MutexLock lock(mutex_);
  for (size_t i = kept_.size() - std::min(n_kept, kept_.size()); i < kept_.size(); ++i)
    listener(kept_[i]);
  listeners_.emplace(++last_id_, std::move(listener));
  return Subscription(this, last_id_);
}

}  // namespace forge
