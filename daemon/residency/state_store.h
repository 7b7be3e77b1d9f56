#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "daemon/residency/catalogue.h"
#include "daemon/residency/load_request.h"
#include "kernels/base/result.h"

namespace forge {

// A model that is to come back after a start, and how it was kept.
struct ResidentRecord {
  std::string model;
  LoadRequest request;
};

// Keeps in a directory what a start has to know of the run before it: the models that were resident
// at a clean stop, and a mark for each load that runs. A mark that is found at a start is that of a
// load during which the daemon died.
//
// Files are written beside their place, flushed and renamed, so that there is a whole one or none.
// Every call blocks on the disk. Thread-safe, but for Prepare and for two calls about one model at
// a time.
class StateStore {
 public:
  // Looks for the marks of the run before. `directory` is created by Prepare, or when something is
  // first written to it.
  explicit StateStore(std::filesystem::path directory);
  ~StateStore();
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // Creates the directory where it is missing, and claims it until the store is destroyed: two
  // daemons would take each other's residents, and each other's loads for deadly ones. kUnavailable
  // if it cannot be created, or not be written to; kFailedPrecondition if another process has it.
  // A file system without locks is taken unclaimed.
  Status Prepare();

  // Replaces what was saved before. kUnavailable if it cannot be written.
  Status SaveResidents(const std::vector<ResidentRecord>& residents) const;
  // What was saved, which is then forgotten: a run that ends in a crash leaves nothing. Empty if
  // nothing was saved; kDataLoss if it cannot be understood.
  Result<std::vector<ResidentRecord>> TakeResidents() const;

  // kUnavailable if it cannot be written.
  Status MarkLoad(const ModelFile& file) const;
  void ClearMark(const std::string& model) const;
  // True if the run before died while it loaded this file, which was not written to since, and was
  // not loaded in this run.
  bool WasDeadly(const ModelFile& file) const;

  const std::filesystem::path& directory() const { return directory_; }

 private:
  std::filesystem::path MarkPath(const std::string& model) const;

  // Constant after construction.
  const std::filesystem::path directory_;
  const std::map<std::string, std::string> marks_at_start_;  // version by the name of the mark

  int claim_ = -1;  // descriptor of the directory, whose lock the system gives back with it
};

}  // namespace forge
