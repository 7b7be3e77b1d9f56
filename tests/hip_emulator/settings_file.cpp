#include "tests/hip_emulator/settings_file.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <string>

namespace forge::emulator {
namespace {

using Settings = std::map<std::string, std::string>;

const char* Path() {
  static const char* const path = std::getenv("FORGE_HIP_EMULATOR");
  return path;
}

// Where the file stood when it was last read.
struct Version {
  int64_t seconds = 0;
  int64_t nanoseconds = 0;
  uint64_t inode = 0;
  bool operator==(const Version&) const = default;
};

Version CurrentVersion() {
  struct stat status = {};
  if (stat(Path(), &status) != 0) return {};
  return {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino};
}

Settings Read() {
  Settings settings;
  std::ifstream file(Path());
  std::string key, value;
  while (file >> key >> value) settings[key] = value;
  return settings;
}

uint64_t Number(const Settings& settings, const std::string& key, uint64_t otherwise) {
  const auto found = settings.find(key);
  return found == settings.end() ? otherwise : std::strtoull(found->second.c_str(), nullptr, 10);
}

struct State {
  std::mutex mutex;
  Version version;
  Settings applied;
};
State& GetState() {
  static State state;
  return state;
}

// Whether the file now has a key with a value that was not applied yet.
bool IsNew(const Settings& settings, const Settings& applied, const std::string& key) {
  const auto now = settings.find(key);
  if (now == settings.end()) return false;
  const auto before = applied.find(key);
  return before == applied.end() || before->second != now->second;
}

void ApplyChanges(const Settings& settings, const Settings& applied) {
  const auto value = [&](const std::string& key) {
    return static_cast<int>(Number(settings, key, 0));
  };
  if (IsNew(settings, applied, "foreign_bytes"))
    SetForeignBytes(0, Number(settings, "foreign_bytes", 0));
  if (IsNew(settings, applied, "free_lag")) SetFreeLag(0, value("free_lag"));
  if (IsNew(settings, applied, "copy_rate")) SetCopyRate(0, Number(settings, "copy_rate", 0));
  if (IsNew(settings, applied, "lose_at_launch")) LoseDeviceAtLaunch(0, value("lose_at_launch"));
  if (IsNew(settings, applied, "hang_at_launch")) HangAtLaunch(0, value("hang_at_launch"));
  if (IsNew(settings, applied, "fail_allocation"))
    FailCalls("hipMalloc", {.error = hipErrorOutOfMemory, .after = value("fail_allocation")});
}

}  // namespace

std::vector<DeviceSettings> SettingsFile::InitialDevices() {
  DeviceSettings device;
  if (Path() != nullptr) {
    const Settings settings = Read();
    device.memory_bytes = Number(settings, "memory_bytes", device.memory_bytes);
    device.wave_size = static_cast<int>(Number(settings, "wave_size", 32));
    device.foreign_bytes = Number(settings, "foreign_bytes", 0);
    device.integrated = Number(settings, "integrated", 0) != 0;
    device.host_free_bytes = Number(settings, "host_free_bytes", 0);
  }
  return {device};
}

void SettingsFile::Apply() {
  if (Path() == nullptr) return;
  State& state = GetState();
  Settings settings, applied;
  {
    const std::lock_guard lock(state.mutex);
    const Version version = CurrentVersion();
    if (version == state.version) return;
    state.version = version;
    settings = Read();
    applied = state.applied;
    state.applied = settings;
  }
  ApplyChanges(settings, applied);
}

}  // namespace forge::emulator
