#include "kernels/cpu/host_memory.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernels/cpu/cgroup.h"

namespace forge {
namespace {

constexpr uint64_t kNoLimit = UINT64_MAX;

std::optional<std::string> ReadText(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::string_view TrimEnd(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  text = TrimEnd(text);
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Status Unreadable(const std::filesystem::path& path, std::string_view says) {
  return Internal("cannot read a memory figure from " + path.string() + ": it says '" +
                  std::string(TrimEnd(says.substr(0, 80))) + "'");
}

// The number after `key` and blanks at the start of a line.
std::optional<uint64_t> FindFigure(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name, number;
    if (fields >> name >> number && name == key) return ParseNumber<uint64_t>(number);
  }
  return std::nullopt;
}

// A figure of <root>/proc/meminfo, in bytes.
Result<uint64_t> MemInfo(const std::filesystem::path& path, const std::string& text,
                         std::string_view key) {
  const std::optional<uint64_t> kib = FindFigure(text, key);
  if (!kib || *kib > UINT64_MAX / 1024)
    return Internal("cannot read the machine's memory: " + path.string() + " has no usable '" +
                    std::string(key) + "'");
  return *kib * 1024;
}

// Reads a limit or usage; kNoLimit for "max" and for a missing file.
Result<uint64_t> ReadFigure(const std::filesystem::path& path) {
  const std::optional<std::string> text = ReadText(path);
  if (!text || TrimEnd(*text) == "max") return kNoLimit;
  const std::optional<uint64_t> number = ParseNumber<uint64_t>(*text);
  if (!number) return Unreadable(path, *text);
  return *number;
}

// How much more a cgroup may use; kNoLimit without a limit.
Result<uint64_t> RoomInCgroup(const std::filesystem::path& folder, bool is_v2) {
  // Version 1 writes the largest multiple of the page size for "no limit".
  constexpr uint64_t kLargestV1Limit = uint64_t{1} << 62;
  FORGE_ASSIGN_OR_RETURN(uint64_t limit,
                         ReadFigure(folder / (is_v2 ? "memory.max" : "memory.limit_in_bytes")));
  if (is_v2) {
    // Above memory.high the kernel throttles the process instead of refusing: as bad for a model.
    FORGE_ASSIGN_OR_RETURN(const uint64_t high, ReadFigure(folder / "memory.high"));
    limit = std::min(limit, high);
  }
  if (limit >= kLargestV1Limit) return kNoLimit;
  const std::filesystem::path usage_path =
      folder / (is_v2 ? "memory.current" : "memory.usage_in_bytes");
  FORGE_ASSIGN_OR_RETURN(const uint64_t usage, ReadFigure(usage_path));
  if (usage == kNoLimit) return Unreadable(usage_path, "nothing");
  const std::string stat = ReadText(folder / "memory.stat").value_or("");
  const uint64_t reclaimable =
      FindFigure(stat, is_v2 ? "inactive_file" : "total_inactive_file").value_or(0);
  const uint64_t held = usage - std::min(usage, reclaimable);
  return limit - std::min(limit, held);
}

// Processors that a quota allows, rounded up; nullopt without a quota.
std::optional<int64_t> QuotaOfCgroup(const std::filesystem::path& folder, bool is_v2) {
  std::string quota_text, period_text;
  if (is_v2) {
    std::istringstream fields(ReadText(folder / "cpu.max").value_or(""));
    fields >> quota_text >> period_text;
  } else {
    quota_text = ReadText(folder / "cpu.cfs_quota_us").value_or("");
    period_text = ReadText(folder / "cpu.cfs_period_us").value_or("");
  }
  const std::optional<int64_t> quota = ParseNumber<int64_t>(quota_text);
  const std::optional<int64_t> period = ParseNumber<int64_t>(period_text);
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return (*quota - 1) / *period + 1;
}

int CountAffinity() {
  // The kernel refuses a set smaller than its own, whose size it does not tell.
  for (size_t n_cpus = 1024; n_cpus <= size_t{1} << 20; n_cpus *= 2) {
    std::vector<unsigned long> bits(n_cpus / (8 * sizeof(unsigned long)));
    auto* set = reinterpret_cast<cpu_set_t*>(bits.data());
    const size_t bytes = bits.size() * sizeof(unsigned long);
    if (sched_getaffinity(0, bytes, set) == 0) return CPU_COUNT_S(bytes, set);
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

Result<MemoryReading> ReadHostMemory(const std::filesystem::path& root) {
  const std::filesystem::path path = root / "proc/meminfo";
  const std::optional<std::string> text = ReadText(path);
  if (!text) return Internal("cannot read the machine's memory: no file " + path.string());
  MemoryReading reading;
  FORGE_ASSIGN_OR_RETURN(reading.total_bytes, MemInfo(path, *text, "MemTotal:"));
  FORGE_ASSIGN_OR_RETURN(reading.runtime_free_bytes, MemInfo(path, *text, "MemAvailable:"));
  uint64_t room = kNoLimit;
  for (const CgroupFolders& cgroup : FindCgroups(root, "memory")) {
    for (const std::filesystem::path& folder : cgroup.folders) {
      FORGE_ASSIGN_OR_RETURN(const uint64_t here, RoomInCgroup(folder, cgroup.is_v2));
      room = std::min(room, here);
    }
  }
  reading.driver_free_bytes = room == kNoLimit ? reading.runtime_free_bytes : room;
  reading.free_bytes = std::min(reading.runtime_free_bytes, reading.driver_free_bytes);
  const std::optional<std::string> status = ReadText(root / "proc/self/status");
  if (status) {
    const std::optional<uint64_t> kibibytes = FindFigure(*status, "RssAnon:");
    if (kibibytes) reading.process_bytes = *kibibytes << 10;
  }
  return reading;
}

int CountUsableCpus(const std::filesystem::path& root) {
  int64_t count = std::max(CountAffinity(), 1);
  for (const CgroupFolders& cgroup : FindCgroups(root, "cpu")) {
    for (const std::filesystem::path& folder : cgroup.folders) {
      const std::optional<int64_t> quota = QuotaOfCgroup(folder, cgroup.is_v2);
      if (quota) count = std::min(count, *quota);
    }
  }
  return static_cast<int>(count);
}

std::string ReadCpuName(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace forge
