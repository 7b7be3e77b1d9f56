#include <algorithm>
#include <set>
#include <utility>

#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_file.h"
#include "engine/runtime/chat_prompt.h"
#include "engine/runtime/engine_impl.h"
#include "engine/runtime/host_memory.h"
#include "engine/runtime/model_info.h"
#include "engine/runtime/model_report.h"
#include "engine/runtime/request_checks.h"

namespace forge {
namespace {

constexpr std::string_view kToReadFile = "to read model file";
constexpr std::string_view kToReadText = "to turn the text and its tokens into each other";
constexpr std::string_view kToStartTurn = "to take the turn";

Status LoadCancelled() { return Cancelled("the load was cancelled").WithReason("LOAD_CANCELLED"); }

Status CheckPolicy(const AdmissionPolicy& policy) {
  if (policy.free_fraction > 0.0 && policy.free_fraction <= 1.0) return Status();
  return InvalidArgument("the fraction of free memory must be in (0, 1], not " +
                         std::to_string(policy.free_fraction));
}

uint32_t VocabularySize(const LoadedModel& model) {
  return static_cast<uint32_t>(model.model().tokenizer().n_tokens());  // below 2^31
}

Result<ChatPrompt> RenderPrompt(LoadedModel& model, const Conversation& conversation,
                                std::optional<ChatPlace> place) {
  const Tokenizer& tokenizer = model.model().tokenizer();
  FORGE_TRY(model.model().chat_template().status());
  const ChatTemplate& chat_template = model.model().chat_template().value();
  FORGE_ASSIGN_OR_RETURN(const jinja::Text text,
                         chat_template.Render(conversation, /*add_generation_prompt=*/true));
  ChatPrompt prompt;
  if (place && !place->appends) {
    FORGE_ASSIGN_OR_RETURN(const std::vector<TokenId> cached,
                           model.scheduler().Tokens(place->session));
    prompt = FitToCache(tokenizer, text, cached);
  } else {
    prompt.tokens = EncodeRendered(tokenizer, text);
    const bool repeats_bos =
        place && !prompt.tokens.empty() && tokenizer.special().bos == prompt.tokens[0];
    if (repeats_bos) prompt.tokens.erase(prompt.tokens.begin());
  }
  prompt.output = chat_template.OutputOptions(conversation, text.bytes);
  return prompt;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Create(EngineOptions options) {
  if (options.devices.empty()) return InvalidArgument("an engine needs at least one device");
  std::set<std::string> ids;
  for (const std::unique_ptr<Device>& device : options.devices)
    if (!ids.insert(device->info().id).second)
      return InvalidArgument("device named twice: " + device->info().id);
  FORGE_TRY(CheckPolicy(options.policy));
  for (const auto& [device, policy] : options.device_policies) FORGE_TRY(CheckPolicy(policy));
  return std::unique_ptr<Engine>(std::make_unique<EngineImpl>(std::move(options)));
}

EngineImpl::EngineImpl(EngineOptions options)
    : serving_{options.max_queued_turns, options.shares_prefixes} {
  for (std::unique_ptr<Device>& device : options.devices) {
    DeviceSlot slot;
    slot.device = std::move(device);
    slot.use = std::make_unique<DeviceUse>(*slot.device);
    const auto policy = options.device_policies.find(slot.device->info().id);
    slot.ledger = std::make_unique<Ledger>(
        *slot.device, policy != options.device_policies.end() ? policy->second : options.policy);
    slot.executor = std::make_unique<Executor>();
    devices_.push_back(std::move(slot));
  }
}

void EngineImpl::DeviceUse::Enter() {
  const MutexLock lock(mutex_);
  ++n_models_;
}

void EngineImpl::DeviceUse::Leave() {
  const MutexLock lock(mutex_);
  if (--n_models_ == 0) device_.ReleaseContext();
}

EngineImpl::~EngineImpl() {
  // Executors end the turns while the models still exist; then the models go, then the devices.
  for (DeviceSlot& slot : devices_) slot.executor.reset();
  MutexLock lock(mutex_);
  models_.clear();
  shares_.clear();
}

Result<const EngineImpl::DeviceSlot*> EngineImpl::FindDevice(const std::string& id) const {
  if (id.empty()) return &devices_.front();
  std::string known;
  for (const DeviceSlot& slot : devices_) {
    if (slot.device->info().id == id) return &slot;
    known += (known.empty() ? "" : ", ") + slot.device->info().id;
  }
  return NotFound("no such device: " + id + "; this server has " + known)
      .WithReason("DEVICE_NOT_FOUND")
      .WithDetail("device", id);
}

Result<std::shared_ptr<LoadedModel>> EngineImpl::FindModel(ModelId model) const {
  MutexLock lock(mutex_);
  const auto found = models_.find(model);
  if (found != models_.end()) return found->second;
  return NotFound("model is not loaded: " + std::to_string(model))
      .WithReason("MODEL_NOT_LOADED")
      .WithDetail("model", model);
}

Result<std::shared_ptr<LoadedModel>> EngineImpl::FindSession(SessionId session) const {
  MutexLock lock(mutex_);
  const auto found = sessions_.find(session);
  if (found != sessions_.end()) return models_.at(found->second);
  return NotFound("session not found: " + std::to_string(session) +
                  "; it was closed, or its model was unloaded")
      .WithReason("SESSION_NOT_FOUND")
      .WithDetail("session", session);
}

std::vector<std::shared_ptr<LoadedModel>> EngineImpl::Models() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<LoadedModel>> models;
  for (const auto& [id, model] : models_) models.push_back(model);
  return models;
}

ModelId EngineImpl::NextId() {
  MutexLock lock(mutex_);
  return ++last_id_;
}

// --- Models

Result<ModelFileInfo> EngineImpl::Inspect(const std::string& path, const std::string& device,
                                          const LoadOptions& options) {
  FORGE_ASSIGN_OR_RETURN(const DeviceSlot* slot, FindDevice(device));
  return WithHostMemory(kToReadFile, path, [&]() -> Result<ModelFileInfo> {
    FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::Open(path));
    return InspectModel(*file, options, *slot->device);
  });
}

Result<ModelReport> EngineImpl::Report(const std::string& path, const std::string& device,
                                       const LoadOptions& options) {
  FORGE_ASSIGN_OR_RETURN(const DeviceSlot* slot, FindDevice(device));
  return WithHostMemory(kToReadFile, path, [&]() -> Result<ModelReport> {
    FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::Open(path));
    return ReportModel(*file, options, *slot->device, MemoryOf(*slot).available_bytes);
  });
}

Result<ModelId> EngineImpl::Load(const std::string& path, const std::string& device,
                                 const LoadOptions& options, const LoadObserver& observer) {
  FORGE_ASSIGN_OR_RETURN(const DeviceSlot* slot, FindDevice(device));
  return WithHostMemory(kToReadFile, path, [&] { return LoadOn(*slot, path, options, observer); });
}

Result<ModelId> EngineImpl::LoadOn(const DeviceSlot& slot, const std::string& path,
                                   const LoadOptions& options, const LoadObserver& observer) {
  const auto report = [&observer](LoadPhase phase, uint64_t done, uint64_t total) {
    return observer == nullptr || observer({phase, done, total});
  };
  const ModelId id = NextId();
  std::map<ModelId, DeviceUse::Share> share;  // before what it counts, so that it ends after that
  share.try_emplace(id, *slot.use);
  if (!report(LoadPhase::kReadingHeader, 0, 0)) return LoadCancelled();
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::Open(path));
  FORGE_ASSIGN_OR_RETURN(ModelFileInfo info, InspectModel(*file, options, *slot.device));
  if (!report(LoadPhase::kAdmission, 0, 0)) return LoadCancelled();
  uint64_t total_bytes = 0;
  const auto progress = [&](uint64_t done, uint64_t total) {
    total_bytes = total;
    return report(LoadPhase::kLoadingWeights, done, total);
  };
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<Model> model,
                         Model::Load(*file, options, *slot.ledger, progress));
  FORGE_ASSIGN_OR_RETURN(
      const std::shared_ptr<LoadedModel> loaded,
      LoadedModel::Create(id, std::move(info), std::move(model), serving_, *slot.executor));
  std::map<ModelId, std::shared_ptr<LoadedModel>> entry{{id, loaded}};
  if (!report(LoadPhase::kReady, total_bytes, total_bytes)) return LoadCancelled();
  slot.executor->Add(loaded->scheduler());
  // The executor knows the model, so nothing may fail from here on; merging allocates nothing.
  MutexLock lock(mutex_);
  models_.merge(entry);
  shares_.merge(share);
  return id;
}

Result<uint64_t> EngineImpl::Unload(ModelId id) {
  FORGE_ASSIGN_OR_RETURN(std::shared_ptr<LoadedModel> model, FindModel(id));
  // Before the model is gone from the map: from there on nothing may fail.
  const Status unloaded =
      Cancelled("the model was unloaded while it generated").WithReason("MODEL_NOT_LOADED");
  {
    MutexLock lock(mutex_);
    if (models_.erase(id) == 0)  // another thread unloads it at the same time
      return NotFound("model is not loaded: " + std::to_string(id))
          .WithReason("MODEL_NOT_LOADED")
          .WithDetail("model", id);
    std::erase_if(sessions_, [id](const auto& entry) { return entry.second == id; });
  }
  model->executor().Remove(model->scheduler(), unloaded);
  const uint64_t bytes = model->info().total_bytes();
  std::future<void> freed = model->Freed();
  model.reset();
  freed.wait();
  TakeShare(id);
  return bytes;
}

void EngineImpl::TakeShare(ModelId model) {
  std::optional<DeviceUse::Share> share;  // ends without the lock: a driver takes its time
  const MutexLock lock(mutex_);
  const auto found = shares_.find(model);
  if (found == shares_.end()) return;
  share.emplace(std::move(found->second));
  shares_.erase(found);
}

Result<ModelStatus> EngineImpl::GetModel(ModelId id) const {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindModel(id));
  return model->Snapshot();
}

std::vector<ModelStatus> EngineImpl::ListModels() const {
  std::vector<ModelStatus> statuses;
  for (const std::shared_ptr<LoadedModel>& model : Models()) statuses.push_back(model->Snapshot());
  return statuses;
}

std::vector<ModelActivity> EngineImpl::Activity() const {
  std::vector<ModelActivity> all;
  for (const std::shared_ptr<LoadedModel>& model : Models()) {
    all.push_back(model->scheduler().activity());
    all.back().id = model->id();
  }
  return all;
}

// --- Memory and progress

std::vector<DeviceMemory> EngineImpl::Memory() const {
  std::vector<DeviceMemory> memory;
  for (const DeviceSlot& slot : devices_) memory.push_back(MemoryOf(slot));
  const std::vector<std::shared_ptr<LoadedModel>> models = Models();
  for (const std::shared_ptr<LoadedModel>& model : models)
    for (DeviceMemory& device : memory)
      if (device.device == model->info().device)
        device.models.push_back({model->id(), model->info().weights_bytes, model->info().kv_bytes,
                                 model->info().scratch_bytes});
  return memory;
}

DeviceMemory EngineImpl::MemoryOf(const DeviceSlot& slot) const {
  DeviceMemory memory;
  memory.device = slot.device->info().id;
  memory.description = slot.device->info().description;
  memory.policy = slot.ledger->policy();
  memory.reserved_bytes = slot.ledger->reserved_bytes();
  const AllocationCount allocated = slot.device->allocation_count();
  memory.allocated_bytes = allocated.bytes;
  memory.allocations = allocated.allocations;
  // A device that cannot be read shows no memory, and takes no models.
  const Result<MemoryReading> reading = slot.device->ReadMemory();
  if (reading.ok()) memory.reading = *reading;
  const Result<AdmissionDecision> decision = slot.ledger->Preview(/*plan_bytes=*/1);
  if (decision.ok()) {
    memory.available_bytes = decision->available_bytes;
    memory.bound = decision->bound;
  }
  return memory;
}

EngineProgress EngineImpl::Progress() const {
  EngineProgress all;
  for (const DeviceSlot& slot : devices_) {
    const EngineProgress one = slot.executor->Progress();
    all.steps += one.steps;
    all.busy = all.busy || one.busy;
    all.since_progress = std::max(all.since_progress, one.since_progress);
  }
  return all;
}

// --- Text

Result<std::vector<TokenId>> EngineImpl::Tokenize(ModelId id, std::string_view text,
                                                  bool add_special, bool parse_special) const {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindModel(id));
  return WithHostMemory(kToReadText, {}, [&]() -> Result<std::vector<TokenId>> {
    return model->model().tokenizer().Encode(
        text, {.add_special = add_special, .parse_special = parse_special});
  });
}

Result<std::string> EngineImpl::Detokenize(ModelId id, const std::vector<TokenId>& tokens,
                                           bool render_special) const {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindModel(id));
  FORGE_TRY(CheckTokens("tokens", tokens, VocabularySize(*model)));
  return WithHostMemory(kToReadText, {}, [&]() -> Result<std::string> {
    return model->model().tokenizer().Decode(tokens, render_special);
  });
}

Result<std::string> EngineImpl::TokenText(ModelId id, TokenId token) const {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindModel(id));
  FORGE_TRY(CheckTokens("tokens", {token}, VocabularySize(*model)));
  return model->model().tokenizer().TokenBytes(token, /*render_special=*/true);
}

Result<ChatPrompt> EngineImpl::RenderChat(ModelId id, const Conversation& conversation,
                                          std::optional<ChatPlace> place) const {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindModel(id));
  return WithHostMemory("to write the prompt of the conversation", {},
                        [&] { return RenderPrompt(*model, conversation, place); });
}

// --- Sessions

Result<SessionId> EngineImpl::OpenSession(ModelId id) {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindModel(id));
  const SessionId session = NextId();
  return WithHostMemory(kToStartTurn, {}, [&]() -> Result<SessionId> {
    std::map<SessionId, ModelId> entry{{session, id}};
    FORGE_TRY(model->scheduler().Open(session));
    MutexLock lock(mutex_);
    // An unload may have come in between; then the session is gone with its model.
    if (models_.contains(id)) sessions_.merge(entry);
    return session;
  });
}

void EngineImpl::CloseSession(SessionId session) {
  const Result<std::shared_ptr<LoadedModel>> model = FindSession(session);
  if (!model.ok()) return;
  model.value()->scheduler().Close(session);
  MutexLock lock(mutex_);
  sessions_.erase(session);
}

Status EngineImpl::Submit(SessionId session, GenerateRequest request,
                          std::shared_ptr<GenerationSink> sink) {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindSession(session));
  return WithHostMemory(kToStartTurn, {}, [&] {
    return model->scheduler().Submit(session, std::move(request), std::move(sink));
  });
}

Status EngineImpl::Score(SessionId session, ScoreRequest request, std::shared_ptr<ScoreSink> sink) {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindSession(session));
  return WithHostMemory(kToStartTurn, {}, [&] {
    return model->scheduler().Score(session, std::move(request), std::move(sink));
  });
}

Status EngineImpl::Embed(SessionId session, EmbedRequest request,
                         std::shared_ptr<EmbeddingSink> sink) {
  FORGE_ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model, FindSession(session));
  return WithHostMemory(kToStartTurn, {}, [&] {
    return model->scheduler().Embed(session, std::move(request), std::move(sink));
  });
}

void EngineImpl::Cancel(SessionId session) {
  const Result<std::shared_ptr<LoadedModel>> model = FindSession(session);
  if (model.ok()) model.value()->scheduler().Cancel(session);
}

}  // namespace forge
