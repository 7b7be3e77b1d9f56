#include "engine/gguf/gguf_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/gguf/file_cursor.h"
#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_parser.h"
#include "kernels/base/checked_math.h"

namespace forge {
namespace {

// What statfs calls /proc, whose files claim to be regular and read as something else each time.
constexpr auto kProcFileSystem = 0x9fa0;

std::string Named(std::string_view path) { return std::string("model file ") + QuoteText(path); }

Status OpenFailure(const std::string& path, int error) {
  const std::string what = std::string("cannot be opened: ") + std::strerror(error);
  const auto status = [&](StatusCode code, std::string_view reason) {
    return Status(code, Named(path) + " " + what)
        .WithReason(reason)
        .WithDetail("path", EscapeText(path));
  };
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return status(StatusCode::kNotFound, kModelNotFound);
    case EACCES:
    case EPERM:
      return status(StatusCode::kPermissionDenied, kModelFileUnreadable);
    case ENXIO:  // a socket, or a device without a driver
    case ENODEV:
      return status(StatusCode::kInvalidArgument, kModelFileInvalid);
    default:
      return status(StatusCode::kUnavailable, kModelFileUnreadable);
  }
}

std::string_view FileKind(mode_t mode) {
  if (S_ISDIR(mode)) return "directory";
  if (S_ISFIFO(mode)) return "FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "device";
  if (S_ISSOCK(mode)) return "socket";
  return "special file";
}

Status CheckRegular(int descriptor, const struct stat& facts) {
  struct statfs file_system = {};
  std::string_view kind;
  if (!S_ISREG(facts.st_mode)) {
    kind = FileKind(facts.st_mode);
  } else if (fstatfs(descriptor, &file_system) == 0 && file_system.f_type == kProcFileSystem) {
    kind = "file of /proc";
  } else {
    return Status();
  }
  return InvalidField("a model is a regular file", {"file kind", std::string(kind), 0});
}

int64_t ModifiedNs(const struct stat& facts) {
  // Unsigned, since a file system may hold times that overflow; only equality matters.
  return static_cast<int64_t>(static_cast<uint64_t>(facts.st_mtim.tv_sec) * 1'000'000'000u +
                              static_cast<uint64_t>(facts.st_mtim.tv_nsec));
}

}  // namespace

GgufFile::GgufFile(int descriptor, std::string path, Identity identity)
    : descriptor_(descriptor),
      path_(std::move(path)),
      identity_(identity),
      size_bytes_(identity.size_bytes) {}

GgufFile::~GgufFile() { close(descriptor_); }

Result<std::unique_ptr<GgufFile>> GgufFile::Open(const std::string& path) {
  if (path.find('\0') != std::string::npos)
    return InvalidField("a path has no NUL byte", {"path", QuoteText(path), 0});
  // O_NONBLOCK: opening a FIFO must not wait for a writer. It has no effect on regular files.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return OpenFailure(path, errno);
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<GgufFile> file, FromDescriptor(descriptor, path));
  file->path_is_checked_ = true;
  return file;
}

Result<std::unique_ptr<GgufFile>> GgufFile::FromDescriptor(int descriptor, std::string path) {
  struct stat facts = {};
  if (fstat(descriptor, &facts) != 0) {
    const Status status = OpenFailure(path, errno);
    close(descriptor);
    return status;
  }
  const Identity identity = {.device = facts.st_dev,
                             .inode = facts.st_ino,
                             .size_bytes = static_cast<uint64_t>(facts.st_size),
                             .modified_ns = ModifiedNs(facts)};
  std::unique_ptr<GgufFile> file(new GgufFile(descriptor, std::move(path), identity));
  const auto load = [&]() -> Status {
    FORGE_TRY(CheckRegular(descriptor, facts));
    FileCursor cursor(descriptor, identity.size_bytes);
    FORGE_ASSIGN_OR_RETURN(GgufHeader header, ParseGguf(cursor));
    file->version_ = header.version;
    file->metadata_ = std::move(header.metadata);
    file->tensors_ = std::move(header.tensors);
    return Status();
  };
  if (Status status = load(); !status.ok()) {
    // A fault found while the file was being written to is the writing's.
    FORGE_TRY(file->CheckUnchanged());
    return status.WithContext(Named(file->path_));
  }
  FORGE_TRY(file->CheckUnchanged());
  for (size_t i = 0; i < file->tensors_.size(); ++i)
    file->tensor_by_name_.emplace(file->tensors_[i].name, i);
  return file;
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = tensor_by_name_.find(name);
  return found != tensor_by_name_.end() ? &tensors_[found->second] : nullptr;
}

Status GgufFile::ReadAt(uint64_t offset_bytes, std::span<std::byte> destination) const {
  const std::optional<uint64_t> end = CheckedAdd(offset_bytes, destination.size());
  if (!end || *end > size_bytes_)
    return OutOfRange("a read of " + std::to_string(destination.size()) + " bytes at byte " +
                      std::to_string(offset_bytes) + " passes the end of " + Named(path_));
  const Status status = ReadFully(descriptor_, offset_bytes, destination);
  if (!status.ok()) return status.WithContext(Named(path_));
  // After the read: what was written before it has been noticed by then.
  return CheckUnchanged();
}

Status GgufFile::CheckUnchanged() const {
  const auto changed = [&](std::string_view what) {
    return Status(StatusCode::kAborted, Named(path_) + " was " + std::string(what) +
                                            " while it was in use; load it again")
        .WithReason(kModelFileChanged)
        .WithDetail("path", EscapeText(path_));
  };
  struct stat facts = {};
  if (fstat(descriptor_, &facts) != 0) return OpenFailure(path_, errno);
  if (static_cast<uint64_t>(facts.st_size) != identity_.size_bytes ||
      ModifiedNs(facts) != identity_.modified_ns)
    return changed("written to");
  struct stat named = {};
  if (path_is_checked_ && stat(path_.c_str(), &named) == 0 &&
      (named.st_dev != identity_.device || named.st_ino != identity_.inode))
    return changed("replaced");
  return Status();
}

}  // namespace forge
