#include "tests/daemon/failing_allocations.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace forge::testing {
namespace {

constexpr int kMaxFrames = 96;

std::atomic<int64_t> n_left{0};  // allocations until one fails; 0: none does
std::atomic<bool> is_armed{false};
std::atomic<bool> has_failed_one{false};
thread_local bool is_exempt_thread = false;

struct Stack {
  std::array<void*, kMaxFrames> frames;
  int size = 0;
};
Stack failed_stack;  // written before has_failed_one

enum class Owner { kUnknown, kDaemon, kOther };

// Names are found where symbols are exported. A function of an unnamed namespace has none, and all
// in this program are ours.
Owner OwnerOf(void* frame) {
  Dl_info info = {};
  if (::dladdr(frame, &info) == 0 || info.dli_fname == nullptr) return Owner::kUnknown;
  const std::string_view file(info.dli_fname);
  for (const char* library : {"libgrpc", "libprotobuf"})
    if (file.find(library) != std::string_view::npos) return Owner::kOther;
  const bool is_library = file.find(".so") != std::string_view::npos;
  if (info.dli_sname == nullptr) return is_library ? Owner::kUnknown : Owner::kDaemon;
  const std::string_view name(info.dli_sname);
  if (name.starts_with("_ZNSt10filesystem")) return Owner::kOther;
  if (is_library) return Owner::kUnknown;
  const size_t ours = name.find("N5forge");
  const size_t others = std::min(name.find("N4grpc"), name.find("N6google8protobuf"));
  if (ours == others) return Owner::kUnknown;  // neither
  const bool is_generated = ours < others && name.substr(ours).starts_with("N5forge2v1");
  return ours < others && !is_generated ? Owner::kDaemon : Owner::kOther;
}

bool IsBelowFakeEngine(const Stack& stack) {
  return std::any_of(stack.frames.begin(), stack.frames.begin() + stack.size, [](void* frame) {
    Dl_info info = {};
    return ::dladdr(frame, &info) != 0 && info.dli_sname != nullptr &&
           std::strstr(info.dli_sname, "10FakeEngine") != nullptr;
  });
}

bool IsOfDaemon(const Stack& stack) {
  constexpr int kOfThisFile = 3;  // at least: two of operator new and this
  for (int i = kOfThisFile; i < stack.size; ++i) {
    const Owner owner = OwnerOf(stack.frames[static_cast<size_t>(i)]);
    if (owner == Owner::kOther) return false;
    if (owner == Owner::kDaemon) return !IsBelowFakeEngine(stack);
  }
  return false;
}

[[gnu::noinline]] bool MayAllocate() {
  if (is_exempt_thread || n_left.load(std::memory_order_relaxed) == 0) return true;
  int64_t left = n_left.load();
  while (left > 0 && !n_left.compare_exchange_weak(left, left - 1)) continue;
  if (left != 1) return true;
  is_exempt_thread = true;  // while it looks around
  Stack stack;
  stack.size = ::backtrace(stack.frames.data(), kMaxFrames);
  const bool fails = IsOfDaemon(stack);
  is_exempt_thread = false;
  if (!fails) {
    n_left = 1;  // the next one, then
    int64_t next = 1;
    if (!is_armed) n_left.compare_exchange_strong(next, 0);  // meanwhile it ended
    return true;
  }
  failed_stack = stack;
  has_failed_one = true;
  return false;
}

std::string PlaceOf() {
  if (!has_failed_one) return "nothing failed";
  std::string place;
  for (int i = 0; i < failed_stack.size; ++i) {
    Dl_info info = {};
    void* const frame = failed_stack.frames[static_cast<size_t>(i)];
    if (::dladdr(frame, &info) == 0 || info.dli_fname == nullptr) continue;
    const auto offset = static_cast<char*>(frame) - static_cast<char*>(info.dli_fbase);
    char line[64];
    std::snprintf(line, sizeof(line), " +%#tx ", offset);
    int error = 0;
    char* const name = info.dli_sname == nullptr
                           ? nullptr
                           : abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &error);
    place.append(info.dli_fname).append(line);
    place.append(name != nullptr ? name : "").append("\n");
    std::free(name);
  }
  return place;
}

// Of a process that ends. It may not be able to, and then ends without.
void TellPlace(int signal_number) {
  std::signal(signal_number, SIG_DFL);
  n_left = 0;
  std::fprintf(stderr, "the process ends after an allocation failed in\n%s", PlaceOf().c_str());
  std::raise(signal_number);
}

}  // namespace

FailingAllocation::FailingAllocation(int64_t n) {
  Stack stack;
  ::backtrace(stack.frames.data(), kMaxFrames);  // the first one allocates
  std::signal(SIGABRT, TellPlace);
  std::signal(SIGSEGV, TellPlace);
  has_failed_one = false;
  is_armed = true;
  n_left = n;
}

FailingAllocation::~FailingAllocation() {
  is_armed = false;
  n_left = 0;
}

bool FailingAllocation::has_failed() const { return has_failed_one; }

std::string FailingAllocation::Place() const { return PlaceOf(); }

void ExemptThread(bool is_exempt) { is_exempt_thread = is_exempt; }

}  // namespace forge::testing

// They take the place of the C++ library's in this program. Not inlined: g++ 12 would see free() of
// what it does not see to be malloc()'s.
[[gnu::noinline]] void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  if (!forge::testing::MayAllocate()) return nullptr;
  return std::malloc(std::max<size_t>(bytes, 1));
}
void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  return operator new(bytes, tag);
}
[[gnu::noinline]] void* operator new(size_t bytes) {
  void* const data = operator new(bytes, std::nothrow);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
[[gnu::noinline]] void operator delete(void* data) noexcept { std::free(data); }
[[gnu::noinline]] void operator delete(void* data, size_t) noexcept { operator delete(data); }
[[gnu::noinline]] void operator delete[](void* data) noexcept { operator delete(data); }
[[gnu::noinline]] void operator delete[](void* data, size_t) noexcept { operator delete(data); }
