#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <span>
#include <utility>

#include "daemon/residency/on_strand.h"
#include "daemon/residency/residency.h"

// How models come back after a start.
namespace forge {

// Loads one model after the other, so that clients always find a loading thread. On the strand, but
// for what it posts to the loading threads.
class Residency::RestoreChain final : public LoadListener,
                                      public std::enable_shared_from_this<RestoreChain> {
 public:
  RestoreChain(Residency& residency, std::vector<ResidentRecord> models)
      : residency_(residency), models_(std::move(models)), timer_(residency.io_) {}

  void Next() {
    if (residency_.shutting_down_ || next_ == models_.size()) return;
    UntilMemory([this] {
      residency_.RunOn(
          residency_.loaders_, [self = shared_from_this()] { return self->FindFile(); },
          [self = shared_from_this()](const Result<ModelFile>& file) { self->Load(file); });
    });
  }

  void OnProgress(const LoadProgress&) override {}
  void OnLoaded(const Result<ModelSnapshot>& result) override {
    // A stop is no answer about this model: it stays among those that are left.
    if (result.status().reason() == "SHUTTING_DOWN") return;
    // What a failed load gives back shows late, and what has no room at once is left out. A timer
    // also without a wait, because a load that ends at once would otherwise go ever deeper.
    timer_.expires_after(result.ok() ? ResidencyTime(0) : LagOfFailedLoad());
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->Next();
    });
    const std::string& model = models_[next_++].model;
    residency_.Tell([&] {
      if (!result.ok()) residency_.PublishNotRestored(model, result.status());
    });
  }

  // Those that were neither brought back nor left out yet.
  std::span<const ResidentRecord> left() const { return std::span(models_).subspan(next_); }

 private:
  const ResidentRecord& current() const { return models_[next_]; }

  ResidencyTime LagOfFailedLoad() const {
    const auto found = residency_.entries_.find(current().model);
    if (found == residency_.entries_.end() || found->second.is_refused) return ResidencyTime(0);
    const std::string& device = found->second.snapshot.info.device;
    return device.empty() ? ResidencyTime(0) : residency_.ReadingLag(device);
  }

  Result<ModelFile> FindFile() const {
    FORGE_ASSIGN_OR_RETURN(ModelFile file, residency_.catalogue_.Resolve(current().model));
    const StateStore* const state = residency_.options_.state;
    if (state != nullptr && state->WasDeadly(file)) return LoadCrashedStatus(file.name);
    return file;
  }

  // Where this throws it is called again.
  void Load(const Result<ModelFile>& file) {
    if (!file.ok()) return OnLoaded(file.status());
    LoadRequest request = current().request;
    request.must_fit_now = true;
    residency_.StartOrJoin(*file, request, shared_from_this());
  }

  Residency& residency_;
  const std::vector<ResidentRecord> models_;
  size_t next_ = 0;
  boost::asio::steady_timer timer_;
};

void Residency::Restore(const std::vector<ResidentRecord>& models) {
  PostHandler(strand_, [this, chain = std::make_shared<RestoreChain>(*this, models)] {
    restore_ = chain;
    restore_->Next();
  });
}

std::vector<ResidentRecord> Residency::Records() {
  return OnStrand([this] {
    std::vector<ResidentRecord> records;
    for (const auto& [name, entry] : entries_) {
      if (entry.lifecycle.state() != ModelState::kReady) continue;
      const ResolvedLoadOptions actual = OptionsInEffect(entry.snapshot.info);
      ResidentRecord record{name, entry.request};
      record.request.device = actual.device;
      record.request.context_length = actual.options.context_length;
      record.request.max_sequences = actual.options.max_sequences;
      record.request.prefill_chunk = actual.options.prefill_chunk;
      record.request.kv_dtype = actual.options.kv_dtype;
      records.push_back(std::move(record));
    }
    if (!restore_) return records;
    for (const ResidentRecord& record : restore_->left())
      if (std::ranges::find(records, record.model, &ResidentRecord::model) == records.end())
        records.push_back(record);
    return records;
  });
}

void Residency::PublishNotRestored(const std::string& model, const Status& status) {
  Publish({.kind = ResidencyEvent::Kind::kNotRestored,
           .model = model,
           .reason = std::string(status.message()),
           .error = std::string(status.reason())});
}

}  // namespace forge
