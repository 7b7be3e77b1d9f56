#include "daemon/telemetry/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "kernels/base/exceptions.h"

namespace forge {

AuditFile::AuditFile(std::filesystem::path path, uint64_t max_bytes, spdlog::logger& log)
    : path_(std::move(path)),
      max_file_bytes_(max_bytes / 2),
      log_(log),
      thread_([this] { Run(); }) {}

AuditFile::~AuditFile() {
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
  Close();
}

void AuditFile::Append(std::function<std::string()> make_line) {
  const MutexLock lock(mutex_);
  if (waiting_.size() >= kMaxWaiting) {
    ++n_overflowed_;
    return;
  }
  waiting_.push_back(std::move(make_line));
  changed_.NotifyAll();
}

void AuditFile::Flush() {
  const MutexLock lock(mutex_);
  while (!waiting_.empty() || is_writing_) changed_.Wait(mutex_);
}

void AuditFile::Run() {
  for (;;) {
    std::function<std::string()> make_line;
    {
      const MutexLock lock(mutex_);
      is_writing_ = false;
      changed_.NotifyAll();
      while (waiting_.empty() && !is_ending_) changed_.Wait(mutex_);
      if (waiting_.empty()) return;
      make_line = std::move(waiting_.front());
      waiting_.pop_front();
      n_dropped_ += std::exchange(n_overflowed_, 0);
      is_writing_ = true;
    }
    Contain([&] { Write(make_line() + "\n"); }, [this](const Status&) { ++n_dropped_; });
  }
}

void AuditFile::Write(const std::string& line) {
  if (Prepare(line.size()) && WriteWhole(line)) {
    if (n_dropped_ > 0) log_.warn("{} lines of {} were dropped", n_dropped_, path_.string());
    n_dropped_ = 0;
    return;
  }
  const int error = errno;
  if (n_dropped_++ == 0)
    log_.warn("cannot write {}, and drop what belongs there: {}", path_.string(),
              std::strerror(error));
  Close();
}

bool AuditFile::Prepare(uint64_t bytes) {
  if (descriptor_ >= 0 && size_bytes_ > 0 && size_bytes_ + bytes > max_file_bytes_) Close();
  if (descriptor_ >= 0) return true;
  std::error_code ignored;  // then the file cannot be opened, which says why
  std::filesystem::create_directories(path_.parent_path(), ignored);
  struct stat info = {};
  const bool exists = ::stat(path_.c_str(), &info) == 0;
  if (exists && info.st_size > 0 && static_cast<uint64_t>(info.st_size) + bytes > max_file_bytes_ &&
      ::rename(path_.c_str(), (path_.string() + ".1").c_str()) != 0)
    return false;
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0) return false;
  size_bytes_ = static_cast<uint64_t>(info.st_size);
  return true;
}

bool AuditFile::WriteWhole(const std::string& line) {
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t written = ::write(descriptor_, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = errno;
      // What came before stays readable line by line.
      static_cast<void>(::ftruncate(descriptor_, static_cast<off_t>(size_bytes_)) == 0);
      errno = error;
      return false;
    }
    done += static_cast<size_t>(written);
  }
  size_bytes_ += line.size();
  return true;
}

void AuditFile::Close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace forge
