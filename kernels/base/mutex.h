#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// Clang's thread-safety annotations; nothing under other compilers.
#if defined(__clang__)
#define FORGE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define FORGE_THREAD_ANNOTATION(x)
#endif
#define FORGE_GUARDED_BY(x) FORGE_THREAD_ANNOTATION(guarded_by(x))
#define FORGE_REQUIRES(...) FORGE_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define FORGE_EXCLUDES(...) FORGE_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace forge {

// Excludes other threads; std::mutex with the annotations that libstdc++'s lacks.
class FORGE_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() FORGE_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() FORGE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

// Holds a Mutex for a scope.
class FORGE_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) FORGE_THREAD_ANNOTATION(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() FORGE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits on a Mutex that the caller holds. Waits can wake without cause: test the condition in a
// loop.
class CondVar {
 public:
  void Wait(Mutex& mutex) FORGE_REQUIRES(mutex) { cv_.wait(mutex); }
  template <typename Clock, typename Duration>
  std::cv_status WaitUntil(Mutex& mutex, const std::chrono::time_point<Clock, Duration>& deadline)
      FORGE_REQUIRES(mutex) {
    return cv_.wait_until(mutex, deadline);
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable_any cv_;
};

}  // namespace forge
