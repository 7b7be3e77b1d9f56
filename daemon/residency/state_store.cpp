#include "daemon/residency/state_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

namespace forge {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::string_view kResidentsName = "residents.json";
constexpr std::string_view kMarksName = "loading";

Status CannotWrite(const fs::path& path, int error) {
  return Unavailable(fmt::format("cannot write {}: {}", path.string(), std::strerror(error)));
}

// An open file; closes it.
class File {
 public:
  File(const fs::path& path, int flags) : descriptor_(::open(path.c_str(), flags, 0640)) {}
  ~File() {
    if (is_open()) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  bool Write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      text.remove_prefix(static_cast<size_t>(written));
    }
    return true;
  }
  bool Sync() const { return ::fsync(descriptor_) == 0; }

 private:
  const int descriptor_;
};

// The names of the directory itself are on the disk.
void SyncDirectory(const fs::path& path) {
  const File directory(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory.is_open()) static_cast<void>(directory.Sync());  // some file systems refuse it
}

Status WriteWhole(const fs::path& path, const std::string& text) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return CannotWrite(path.parent_path(), error.value());
  fs::path temporary = path;
  temporary += ".new";
  const File file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  if (!file.is_open() || !file.Write(text) || !file.Sync() ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    const Status status = CannotWrite(path, errno);
    ::unlink(temporary.c_str());
    return status;
  }
  SyncDirectory(path.parent_path());
  return Status();
}

// Empty if there is no such file.
std::string ReadWhole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Json ToJson(const ResidentRecord& resident) {
  Json json = {{"model", resident.model}};
  const LoadRequest& request = resident.request;
  const auto set = [&json](const char* name, const auto& value) {
    if (value) json[name] = *value;
  };
  set("device", request.device);
  set("contextLength", request.context_length);
  set("maxSequences", request.max_sequences);
  set("prefillChunk", request.prefill_chunk);
  if (request.kv_dtype) json["kvCacheType"] = static_cast<int>(*request.kv_dtype);
  set("pinned", request.pinned);
  set("priority", request.priority);
  if (request.keep_alive) json["keepAliveMs"] = request.keep_alive->count();
  return json;
}

// Throws what nlohmann throws.
ResidentRecord FromJson(const Json& json) {
  ResidentRecord resident;
  json.at("model").get_to(resident.model);
  LoadRequest& request = resident.request;
  const auto get = [&json]<typename T>(const char* name, std::optional<T>& value) {
    if (json.contains(name)) value = json.at(name).get<T>();
  };
  get("device", request.device);
  get("contextLength", request.context_length);
  get("maxSequences", request.max_sequences);
  get("prefillChunk", request.prefill_chunk);
  if (const int kv = json.value("kvCacheType", -1); kv >= 0 && kv < static_cast<int>(kKvDTypes))
    request.kv_dtype = static_cast<KvDType>(kv);
  get("pinned", request.pinned);
  get("priority", request.priority);
  if (json.contains("keepAliveMs"))
    request.keep_alive = std::chrono::milliseconds(json.at("keepAliveMs").get<int64_t>());
  return resident;
}

// What tells this file from another one of the same name.
std::string VersionOf(const ModelFile& file) {
  return fmt::format("{} {} {}", file.path, file.size_bytes,
                     file.modify_time.time_since_epoch().count());
}

// FNV-1a, as a name for a file: those of models hold slashes and are longer than names may be.
std::string HashOf(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return fmt::format("{:016x}", hash);
}

std::map<std::string, std::string> ReadMarks(const fs::path& directory) {
  std::map<std::string, std::string> marks;
  std::error_code error;  // unreadable counts as empty
  fs::directory_iterator entries(directory, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error))
    marks.emplace(entries->path().filename().string(), ReadWhole(entries->path()));
  return marks;
}

}  // namespace

StateStore::StateStore(fs::path directory)
    : directory_(std::move(directory)), marks_at_start_(ReadMarks(directory_ / kMarksName)) {}

StateStore::~StateStore() {
  if (claim_ >= 0) ::close(claim_);
}

Status StateStore::Prepare() {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (!error && ::access(directory_.c_str(), W_OK | X_OK) != 0)
    error = std::error_code(errno, std::generic_category());
  if (error)
    return Unavailable(fmt::format("the state directory {} cannot be used: {}", directory_.string(),
                                   error.message()));
  if (claim_ < 0) claim_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (claim_ < 0 || ::flock(claim_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
    return Status();
  return FailedPrecondition(fmt::format(
      "another forged uses the state directory {}; stop it, or name another with state_directory",
      directory_.string()));
}

Status StateStore::SaveResidents(const std::vector<ResidentRecord>& residents) const {
  Json json = Json::array();
  for (const ResidentRecord& resident : residents) json.push_back(ToJson(resident));
  return WriteWhole(directory_ / kResidentsName,
                    json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<std::vector<ResidentRecord>> StateStore::TakeResidents() const {
  const fs::path path = directory_ / kResidentsName;
  const std::string text = ReadWhole(path);
  std::vector<ResidentRecord> residents;
  if (text.empty()) return residents;
  ::unlink(path.c_str());
  SyncDirectory(directory_);
  try {
    for (const Json& json : Json::parse(text)) residents.push_back(FromJson(json));
  } catch (const Json::exception& error) {
    return DataLoss(fmt::format("cannot read {}: {}", path.string(), error.what()));
  }
  return residents;
}

Status StateStore::MarkLoad(const ModelFile& file) const {
  return WriteWhole(MarkPath(file.name), VersionOf(file));
}

void StateStore::ClearMark(const std::string& model) const { ::unlink(MarkPath(model).c_str()); }

bool StateStore::WasDeadly(const ModelFile& file) const {
  const auto mark = marks_at_start_.find(HashOf(file.name));
  return mark != marks_at_start_.end() && mark->second == VersionOf(file) &&
         ReadWhole(MarkPath(file.name)) == mark->second;
}

fs::path StateStore::MarkPath(const std::string& model) const {
  return directory_ / kMarksName / HashOf(model);
}

}  // namespace forge
