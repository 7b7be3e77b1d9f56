#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/memory/ledger.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/executor.h"
#include "engine/runtime/loaded_model.h"
#include "kernels/base/mutex.h"

namespace forge {

// The engine in this process. Owns devices, their ledgers and executors, and the models.
class EngineImpl final : public Engine {
 public:
  explicit EngineImpl(EngineOptions options);
  ~EngineImpl() override;

  Result<ModelFileInfo> Inspect(const std::string& path, const std::string& device,
                                const LoadOptions& options) override;
  Result<ModelReport> Report(const std::string& path, const std::string& device,
                             const LoadOptions& options) override;
  Result<ModelId> Load(const std::string& path, const std::string& device,
                       const LoadOptions& options, const LoadObserver& observer) override;
  Result<uint64_t> Unload(ModelId model) override;
  Result<ModelStatus> GetModel(ModelId model) const override;
  std::vector<ModelStatus> ListModels() const override;
  std::vector<ModelActivity> Activity() const override;
  std::vector<DeviceMemory> Memory() const override;
  EngineProgress Progress() const override;
  Result<std::vector<TokenId>> Tokenize(ModelId model, std::string_view text, bool add_special,
                                        bool parse_special) const override;
  Result<std::string> Detokenize(ModelId model, const std::vector<TokenId>& tokens,
                                 bool render_special) const override;
  Result<std::string> TokenText(ModelId model, TokenId token) const override;
  Result<ChatPrompt> RenderChat(ModelId model, const Conversation& conversation,
                                std::optional<ChatPlace> place) const override;
  Result<SessionId> OpenSession(ModelId model) override;
  void CloseSession(SessionId session) override;
  Status Submit(SessionId session, GenerateRequest request,
                std::shared_ptr<GenerationSink> sink) override;
  Status Score(SessionId session, ScoreRequest request, std::shared_ptr<ScoreSink> sink) override;
  Status Embed(SessionId session, EmbedRequest request,
               std::shared_ptr<EmbeddingSink> sink) override;
  void Cancel(SessionId session) override;

 private:
  // Counts the models that a device has or is to have, and lets its context go after the last one.
  // Thread-safe.
  class DeviceUse {
   public:
    // One model; move-only.
    class [[nodiscard]] Share {
     public:
      explicit Share(DeviceUse& use) : use_(&use) { use.Enter(); }
      Share(Share&& other) noexcept : use_(std::exchange(other.use_, nullptr)) {}
      Share& operator=(Share&&) = delete;
      ~Share() {
        if (use_ != nullptr) use_->Leave();
      }

     private:
      DeviceUse* use_;
    };

    explicit DeviceUse(Device& device) : device_(device) {}

   private:
    void Enter();
    void Leave();

    Device& device_;
    Mutex mutex_;  // held while the context goes, so that no model comes meanwhile
    uint64_t n_models_ FORGE_GUARDED_BY(mutex_) = 0;
  };

  // A device and what belongs to it. The executor goes first: it runs models on the device.
  struct DeviceSlot {
    std::unique_ptr<Device> device;
    std::unique_ptr<DeviceUse> use;
    std::unique_ptr<Ledger> ledger;
    std::unique_ptr<Executor> executor;
  };

  // What Load does on the device it found. Throws std::bad_alloc, and then nothing has changed.
  Result<ModelId> LoadOn(const DeviceSlot& slot, const std::string& path,
                         const LoadOptions& options, const LoadObserver& observer);
  Result<const DeviceSlot*> FindDevice(const std::string& id) const;
  // kNotFound (reason MODEL_NOT_LOADED).
  Result<std::shared_ptr<LoadedModel>> FindModel(ModelId model) const;
  // The model of an open session. kNotFound (reason SESSION_NOT_FOUND).
  Result<std::shared_ptr<LoadedModel>> FindSession(SessionId session) const;
  std::vector<std::shared_ptr<LoadedModel>> Models() const;
  DeviceMemory MemoryOf(const DeviceSlot& slot) const;
  // The model left its device.
  void TakeShare(ModelId model);
  ModelId NextId();

  // Constant after construction.
  const ServingOptions serving_;
  std::vector<DeviceSlot> devices_;

  mutable Mutex mutex_;
  uint64_t last_id_ FORGE_GUARDED_BY(mutex_) = 0;  // of models and sessions
  std::map<ModelId, std::shared_ptr<LoadedModel>> models_ FORGE_GUARDED_BY(mutex_);
  std::map<ModelId, DeviceUse::Share> shares_ FORGE_GUARDED_BY(mutex_);  // of the same models
  std::map<SessionId, ModelId> sessions_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace forge
