#include "daemon/residency/catalogue.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "daemon/text/utf8.h"
#include "engine/gguf/shard_name.h"

namespace forge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".gguf";
constexpr size_t kMaxNameBytes = 4096;
// Directories and files looked at in one listing, so that a misconfigured "/" ends.
constexpr size_t kMaxEntries = 200'000;

// The path without symbolic links; errno says why there is none.
std::optional<fs::path> RealPath(const fs::path& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr),
                                                             &std::free);
  if (resolved == nullptr) return std::nullopt;
  return fs::path(resolved.get());
}

// What follows `directory` in `path`, both lexically normal; nullopt if it does not lie below it.
std::optional<fs::path> PathBelow(const fs::path& directory, const fs::path& path) {
  const fs::path relative = path.lexically_relative(directory);
  if (relative.empty() || relative == "." || *relative.begin() == "..") return std::nullopt;
  return relative;
}

std::string NameOf(const fs::path& relative) {
  std::string name = relative.generic_string();
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  return name;
}

Status NameShared(const ModelFile& file, const std::string& other_path) {
  return FailedPrecondition(fmt::format("model file {} shares its name '{}' with {}; rename one",
                                        file.path, file.name, other_path))
      .WithReason("MODEL_NAME_AMBIGUOUS")
      .WithDetail("model", file.name)
      .WithDetail("path", file.path)
      .WithDetail("otherPath", other_path);
}

Status PathOutside(std::string_view model, std::string_view problem) {
  return InvalidArgument(
             fmt::format(
                 "model '{}' {}; name a file inside the model directories, which 'forgectl status' "
                 "shows",
                 SanitizeUtf8(model), problem))
      .WithReason("MODEL_PATH_OUTSIDE")
      .WithDetail("field", "model")
      .WithDetail("model", SanitizeUtf8(model));
}

std::chrono::system_clock::time_point ToTimePoint(const timespec& time) {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

Status CannotOpen(const fs::path& path, int error) {
  const std::string message =
      fmt::format("cannot reach model file {}: {}", path.string(), std::strerror(error));
  if (error == EACCES || error == EPERM) {
    return Status(StatusCode::kPermissionDenied, message).WithReason("MODEL_FILE_UNREADABLE");
  }
  return InvalidArgument(message).WithReason("MODEL_FILE_INVALID").WithDetail("field", "model");
}

// The file at `relative` below `directory`; nullopt if there is none.
Result<std::optional<ModelFile>> FileBelow(const fs::path& directory, const fs::path& relative) {
  const std::optional<fs::path> root = RealPath(directory);
  if (!root) return std::optional<ModelFile>();
  const fs::path full = directory / relative;
  const std::optional<fs::path> real = RealPath(full);
  if (!real) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<ModelFile>();
    return CannotOpen(full, errno);
  }
  if (!PathBelow(*root, *real)) {
    return PathOutside(relative.generic_string(), "is a link to outside the model directories");
  }
  struct stat info = {};
  if (::lstat(real->c_str(), &info) != 0) return CannotOpen(full, errno);
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument(fmt::format("model file {} is a {}, not a regular file", full.string(),
                                       S_ISDIR(info.st_mode) ? "directory" : "special file"))
        .WithReason("MODEL_FILE_INVALID")
        .WithDetail("field", "model")
        .WithDetail("path", full.string());
  }
  ModelFile file;
  file.name = NameOf(relative);
  file.path = real->string();
  file.size_bytes = static_cast<uint64_t>(info.st_size);
  file.modify_time = ToTimePoint(info.st_mtim);
  return std::optional<ModelFile>(std::move(file));
}

// The split model that the shard at `relative` below `directory` is one of. kNotFound if one of its
// shards is missing; nullopt if `relative` is no shard's name or there is no such file.
Result<std::optional<ModelFile>> ShardsBelow(const fs::path& directory, const fs::path& relative) {
  std::optional<ShardName> shard = ParseShardName(relative.filename().string());
  if (!shard) return std::optional<ModelFile>();
  FORGE_ASSIGN_OR_RETURN(const std::optional<ModelFile> asked, FileBelow(directory, relative));
  if (!asked) return std::optional<ModelFile>();
  ModelFile model;
  for (shard->number = 1; shard->number <= shard->count; ++shard->number) {
    const fs::path path = relative.parent_path() / shard->FileName();
    FORGE_ASSIGN_OR_RETURN(const std::optional<ModelFile> file, FileBelow(directory, path));
    if (!file) {
      return NotFound(fmt::format("model file {} is missing; {} is one of {} files that belong "
                                  "into one folder",
                                  (directory / path).string(), relative.string(), shard->count))
          .WithReason("MODEL_NOT_FOUND")
          .WithDetail("model", relative.string())
          .WithDetail("path", (directory / path).string());
    }
    model.size_bytes += file->size_bytes;
    model.modify_time = std::max(model.modify_time, file->modify_time);
  }
  shard->number = 1;
  const std::optional<fs::path> folder = RealPath(directory / relative.parent_path());
  if (!folder) return CannotOpen(directory / relative.parent_path(), errno);
  model.name = (relative.parent_path() / shard->prefix).generic_string();
  model.path = (*folder / shard->FileName()).string();
  return std::optional<ModelFile>(std::move(model));
}

// The split model of this name; nullopt if there is none.
Result<std::optional<ModelFile>> ShardsNamed(const fs::path& directory, const fs::path& relative) {
  std::optional<ModelFile> found;
  std::error_code error;
  fs::directory_iterator entries(directory / relative.parent_path(),
                                 fs::directory_options::skip_permission_denied, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::optional<ShardName> shard = ParseShardName(entries->path().filename().string());
    if (!shard || shard->number != 1 || shard->prefix != relative.filename()) continue;
    FORGE_ASSIGN_OR_RETURN(
        std::optional<ModelFile> model,
        ShardsBelow(directory, relative.parent_path() / entries->path().filename()));
    if (!model) continue;
    if (found) return NameShared(*found, model->path);
    found = std::move(model);
  }
  return found;
}

// The file that `relative` names below `directory`, with or without its suffix.
Result<std::optional<ModelFile>> FileNamed(const fs::path& directory, const fs::path& relative) {
  FORGE_ASSIGN_OR_RETURN(std::optional<ModelFile> model, ShardsBelow(directory, relative));
  if (model) return model;
  if (relative.extension() != kSuffix) {
    fs::path with_suffix = relative;
    with_suffix += kSuffix;
    FORGE_ASSIGN_OR_RETURN(model, ShardsBelow(directory, with_suffix));
    if (model) return model;
    FORGE_ASSIGN_OR_RETURN(model, FileBelow(directory, with_suffix));
    if (model) return model;
  }
  FORGE_ASSIGN_OR_RETURN(model, FileBelow(directory, relative));
  if (model) return model;
  return ShardsNamed(directory, relative);
}

// Why the regular file at `path` cannot be a model by its first bytes; empty if it may be one. What
// follows the start of a header is for a load to judge.
std::string WhyNoModel(const std::string& path) {
  constexpr std::string_view kMagic = "GGUF";
  constexpr std::string_view kPointer = "version https://git-lfs";
  char bytes[24];  // a header's least
  const int file = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  const ssize_t n_bytes = file < 0 ? -1 : ::pread(file, bytes, sizeof(bytes), 0);
  const int error = errno;
  if (file >= 0) ::close(file);
  if (n_bytes < 0) return fmt::format("the daemon cannot read it: {}", std::strerror(error));
  if (n_bytes == 0) return "is empty";
  const std::string_view start(bytes, static_cast<size_t>(n_bytes));
  if (start.starts_with(kPointer))
    return "is a pointer of Git LFS in place of the model; 'git lfs pull' fetches the model";
  if (!start.starts_with(kMagic.substr(0, start.size())))
    return "is no GGUF file, which starts with \"GGUF\"";
  if (start.size() < sizeof(bytes))
    return fmt::format("is cut off: it has {} bytes, and a header alone {}", n_bytes,
                       sizeof(bytes));
  return "";
}

// Collects the models below one directory.
class Walk {
 public:
  Walk(const fs::path& directory, std::map<std::string, ModelFile>& models,
       Catalogue::Listing& listing)
      : directory_(directory), models_(models), listing_(listing) {}

  void Run() {
    Visit({}, 0);
    // After the files, whose names go before theirs.
    for (const auto& [first_shard, shard] : shards_) {
      if (models_.size() >= Catalogue::kMaxModels) listing_.truncated = true;
      if (listing_.truncated) return;
      Add(shard, ShardsBelow(directory_, shard));
    }
  }

 private:
  void Visit(const fs::path& relative, int depth) {
    std::error_code error;
    fs::directory_iterator entries(directory_ / relative, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      if (++n_entries_ > kMaxEntries || models_.size() >= Catalogue::kMaxModels) {
        listing_.truncated = true;
        return;
      }
      VisitEntry(*entries, relative / entries->path().filename(), depth);
    }
    const bool is_absent = relative.empty() && error == std::errc::no_such_file_or_directory;
    if (error && !is_absent)
      LeaveOut(relative, fmt::format("the directory cannot be read: {}", error.message()));
  }

  void VisitEntry(const fs::directory_entry& entry, const fs::path& relative, int depth) {
    std::error_code error;
    if (entry.is_directory(error) && !entry.is_symlink(error)) {
      if (depth < Catalogue::kMaxDepth) return Visit(relative, depth + 1);
      return LeaveOut(
          relative, fmt::format("directories are searched to a depth of {}", Catalogue::kMaxDepth));
    }
    if (relative.extension() != kSuffix) return;
    const std::string name = NameOf(relative);
    // Such a name could not be sent in a message, or would break a terminal.
    if (!IsValidUtf8(name) || HasControlCharacter(name))
      return LeaveOut(relative, "its name is not UTF-8, or holds a control character");
    if (auto shard = ParseShardName(relative.filename().string())) {
      shard->number = 1;
      shards_.emplace(relative.parent_path() / shard->FileName(), relative);
      return;
    }
    Add(relative, FileBelow(directory_, relative));
  }

  void Add(const fs::path& relative, Result<std::optional<ModelFile>> model) {
    if (!model.ok()) return LeaveOut(relative, std::string(model.status().message()));
    if (!*model) return LeaveOut(relative, "is a link to what does not exist");
    const std::string path = (*model)->path;
    if (std::string reason = WhyNoModel(path); !reason.empty())
      return LeaveOut(relative, std::move(reason));
    const std::string name = (*model)->name;
    const auto [other, is_new] = models_.emplace(name, std::move(**model));
    if (!is_new && other->second.path != path)
      LeaveOut(relative, fmt::format("its name '{}' is that of {}", name, other->second.path));
  }

  void LeaveOut(const fs::path& relative, std::string reason) {
    ++listing_.n_left_out;
    if (listing_.left_out.size() < Catalogue::kMaxLeftOut)
      listing_.left_out.push_back({(directory_ / relative).string(), std::move(reason)});
  }

  const fs::path& directory_;
  std::map<std::string, ModelFile>& models_;
  Catalogue::Listing& listing_;
  // Of each split model, by the name that its first shard has: a shard that there is.
  std::map<fs::path, fs::path> shards_;
  size_t n_entries_ = 0;
};

}  // namespace

Catalogue::Catalogue(std::vector<std::string> directories) : directories_(std::move(directories)) {}

Result<ModelFile> Catalogue::Resolve(std::string_view model) const {
  if (model.empty()) {
    return InvalidArgument("model is empty; name one as ListModels gives it")
        .WithReason("INVALID_REQUEST")
        .WithDetail("field", "model");
  }
  if (HasControlCharacter(model)) return PathOutside(model, "holds a control character");
  if (model.size() > kMaxNameBytes) {
    return InvalidArgument(fmt::format("model has {} bytes, but a path has at most {}",
                                       model.size(), kMaxNameBytes))
        .WithReason("INVALID_REQUEST")
        .WithDetail("field", "model")
        .WithDetail("lengthBytes", model.size());
  }
  const fs::path path(model);
  if (std::find(path.begin(), path.end(), fs::path("..")) != path.end()) {
    return PathOutside(model, "holds '..'");
  }
  const fs::path normal = path.lexically_normal();
  return normal.is_absolute() ? ResolveAbsolute(normal) : ResolveName(normal);
}

Result<ModelFile> Catalogue::ResolveAbsolute(const fs::path& path) const {
  for (const std::string& directory : directories_) {
    std::optional<fs::path> relative = PathBelow(directory, path);
    if (const std::optional<fs::path> root = RealPath(directory); !relative && root) {
      relative = PathBelow(*root, path);
    }
    if (!relative) continue;
    FORGE_ASSIGN_OR_RETURN(const std::optional<ModelFile> file, FileNamed(directory, *relative));
    if (!file) continue;
    FORGE_ASSIGN_OR_RETURN(const ModelFile meant, ResolveName(file->name));
    if (meant.path == file->path) return *file;
    return NameShared(*file, meant.path);
  }
  const bool is_inside = std::any_of(
      directories_.begin(), directories_.end(),
      [&path](const std::string& directory) { return PathBelow(directory, path).has_value(); });
  if (!is_inside) return PathOutside(path.string(), "lies outside the model directories");
  return ResolveName(path);  // names the directories in its error
}

Result<ModelFile> Catalogue::ResolveName(const fs::path& relative) const {
  if (relative.is_relative()) {
    for (const std::string& directory : directories_) {
      FORGE_ASSIGN_OR_RETURN(const std::optional<ModelFile> file, FileNamed(directory, relative));
      if (file) return *file;
    }
  }
  const std::string searched = fmt::format("{}", fmt::join(directories_, ", "));
  return NotFound(fmt::format("there is no model '{}' in {}; forgectl list shows what there is",
                              relative.string(), searched))
      .WithReason("MODEL_NOT_FOUND")
      .WithDetail("model", relative.string())
      .WithDetail("modelDirectories", searched);
}

Catalogue::Listing Catalogue::List() const {
  Listing listing;
  std::map<std::string, ModelFile> models;
  for (const std::string& directory : directories_) {
    const fs::path root(directory);
    Walk(root, models, listing).Run();
  }
  std::ranges::sort(listing.left_out, {}, &LeftOut::path);
  listing.models.reserve(models.size());
  for (auto& [name, file] : models) listing.models.push_back(std::move(file));
  return listing;
}

}  // namespace forge
