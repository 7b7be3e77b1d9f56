#include "engine/gguf/checked_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/gguf/file_cursor.h"
#include "engine/gguf/gguf_fault.h"
#include "kernels/base/checked_math.h"

namespace forge {
namespace {

// What statfs calls /proc, whose files claim to be regular and read as something else each time.
constexpr auto kProcFileSystem = 0x9fa0;

Status OpenFailure(const std::string& path, int error) {
  const std::string what = std::string("cannot be opened: ") + std::strerror(error);
  const auto status = [&](StatusCode code, std::string_view reason) {
    return Status(code, NameOfModelFile(path) + " " + what)
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

std::string NameOfModelFile(std::string_view path) { return "model file " + QuoteText(path); }

CheckedFile::CheckedFile(int descriptor, std::string path, Identity identity)
    : descriptor_(descriptor), path_(std::move(path)), identity_(identity) {}

CheckedFile::CheckedFile(CheckedFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      identity_(other.identity_),
      path_is_checked_(other.path_is_checked_) {}

CheckedFile::~CheckedFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<CheckedFile> CheckedFile::Open(const std::string& path) {
  if (path.find('\0') != std::string::npos)
    return InvalidField("a path has no NUL byte", {"path", QuoteText(path), 0});
  // O_NONBLOCK: opening a FIFO must not wait for a writer. It has no effect on regular files.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return OpenFailure(path, errno);
  FORGE_ASSIGN_OR_RETURN(CheckedFile file, FromDescriptor(descriptor, path));
  file.path_is_checked_ = true;
  return file;
}

Result<CheckedFile> CheckedFile::FromDescriptor(int descriptor, std::string path) {
  struct stat facts = {};
  if (fstat(descriptor, &facts) != 0) {
    const Status status = OpenFailure(path, errno);
    close(descriptor);
    return status;
  }
  CheckedFile file(descriptor, std::move(path),
                   {.device = facts.st_dev,
                    .inode = facts.st_ino,
                    .size_bytes = static_cast<uint64_t>(facts.st_size),
                    .modified_ns = ModifiedNs(facts)});
  if (const Status status = CheckRegular(descriptor, facts); !status.ok())
    return status.WithContext(NameOfModelFile(file.path_));
  return file;
}

Status CheckedFile::ReadAt(uint64_t offset_bytes, std::span<std::byte> destination) const {
  const std::optional<uint64_t> end = CheckedAdd(offset_bytes, destination.size());
  if (!end || *end > size_bytes())
    return OutOfRange("a read of " + std::to_string(destination.size()) + " bytes at byte " +
                      std::to_string(offset_bytes) + " passes the end of " +
                      NameOfModelFile(path_));
  const Status status = ReadFully(descriptor_, offset_bytes, destination);
  if (!status.ok()) return status.WithContext(NameOfModelFile(path_));
  // After the read: what was written before it has been noticed by then.
  return CheckUnchanged();
}

Status CheckedFile::CheckUnchanged() const {
  const auto changed = [&](std::string_view what) {
    return Status(StatusCode::kAborted, NameOfModelFile(path_) + " was " + std::string(what) +
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
