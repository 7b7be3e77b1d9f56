#pragma once

#include <spdlog/logger.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "kernels/base/mutex.h"

namespace forge {

// Appends lines to a file of bounded size, on a thread of its own: whoever appends never waits for
// the disk. When the file would pass half the bound it takes the place of the one before it, which
// is "<path>.1". Holds whole lines only, also after a disk ran full: lines that cannot be written
// are dropped, counted, and named in the log when there is room again; so are those that the memory
// ends for. Thread-safe.
class AuditFile {
 public:
  // Lines that wait for the disk; further ones are dropped.
  static constexpr size_t kMaxWaiting = 4096;

  // Lifetime: `log` must outlive it. A file that cannot be written is tried anew with each line.
  AuditFile(std::filesystem::path path, uint64_t max_bytes, spdlog::logger& log);
  // Writes what waits.
  ~AuditFile();

  // `make_line` is called on the file's thread; the line has no end.
  void Append(std::function<std::string()> make_line);
  // Waits until what was appended before is written or dropped.
  void Flush();

 private:
  void Run();
  void Write(const std::string& line);
  // Opens the file and moves it out of the way if `bytes` more do not fit. False: it cannot be.
  bool Prepare(uint64_t bytes);
  // A whole line, or nothing.
  bool WriteWhole(const std::string& line);
  void Close();

  // Constant after construction.
  const std::filesystem::path path_;
  const uint64_t max_file_bytes_;
  spdlog::logger& log_;

  // Touched by the file's thread only.
  int descriptor_ = -1;
  uint64_t size_bytes_ = 0;
  uint64_t n_dropped_ = 0;  // since the last line that was written

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<std::string()>> waiting_ FORGE_GUARDED_BY(mutex_);
  uint64_t n_overflowed_ FORGE_GUARDED_BY(mutex_) = 0;  // dropped before they came to the thread
  bool is_writing_ FORGE_GUARDED_BY(mutex_) = false;
  bool is_ending_ FORGE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace forge
