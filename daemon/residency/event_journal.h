#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "daemon/residency/residency_event.h"
#include "kernels/base/mutex.h"

namespace forge {

// Numbers events, keeps the newest, and passes them on to whoever listens. Thread-safe.
class EventJournal {
 public:
  static constexpr size_t kMaxKept = 1024;

  // Called in the order of the events, with the journal locked: it must not block, nor call the
  // journal. One that throws has missed the event.
  using Listener = std::function<void(const ResidencyEvent&)>;

  // Ends when it is destroyed; the listener is not called afterwards. Move-only. Must not outlive
  // the journal.
  class [[nodiscard]] Subscription {
   public:
    Subscription() = default;  // to nothing
    Subscription(Subscription&& other) noexcept;
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription();

   private:
    friend class EventJournal;
    Subscription(EventJournal* journal, uint64_t id) : journal_(journal), id_(id) {}
    EventJournal* journal_ = nullptr;
    uint64_t id_ = 0;
  };

  // Gives `event` its number. Where this throws there was no such event.
  void Publish(ResidencyEvent event);
  // The newest events that are kept, at most `n`, oldest first.
  std::vector<ResidencyEvent> Newest(size_t n) const;
  // Calls `listener` with the newest `n_kept` events, then with each that is published. None is
  // left out between the two.
  Subscription Subscribe(size_t n_kept, Listener listener);

 private:
  mutable Mutex mutex_;
  uint64_t last_number_ FORGE_GUARDED_BY(mutex_) = 0;
  uint64_t last_id_ FORGE_GUARDED_BY(mutex_) = 0;
  std::deque<ResidencyEvent> kept_ FORGE_GUARDED_BY(mutex_);
  std::map<uint64_t, Listener> listeners_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace forge
