#include "tests/daemon/fake_engine.h"

#include <filesystem>
#include <new>
#include <utility>

namespace forge::testing {
namespace {

constexpr uint64_t kKvBytes = 64 << 10;
constexpr uint64_t kScratchBytes = 16 << 10;
constexpr uint32_t kTrainedContext = 4096;
constexpr uint32_t kStepContext = 2048;  // of encoders
constexpr int kLoadSlices = 4;

}  // namespace

FakeEngine::FakeEngine() {
  executor_ = std::thread([this] { RunExecutor(); });
}

FakeEngine::~FakeEngine() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    loads_held_ = false;
    changed_.NotifyAll();
  }
  executor_.join();
}

Status FakeEngine::Find(const std::map<std::string, Status>& failures, const std::string& path) {
  const auto found = failures.find(std::filesystem::path(path).filename());
  return found != failures.end() ? found->second : Status();
}

Result<ModelFileInfo> FakeEngine::Inspect(const std::string& path, const std::string& device,
                                          const LoadOptions& options) {
  CallHook(&FakeEngine::before_inspect_);
  const MutexLock lock(mutex_);
  ++n_inspections_;
  FORGE_TRY(Find(inspect_failures_, path));
  if (!device.empty() && !budgets_.contains(device)) {
    return NotFound(std::string("there is no device ").append(device))
        .WithReason("DEVICE_NOT_FOUND");
  }
  const bool is_encoder = path.find("encoder") != std::string::npos;
  const uint32_t longest_context = is_encoder ? kStepContext : kTrainedContext;
  if (options.context_length > longest_context)
    return OutOfRange("the model was trained for less")
        .WithReason("CONTEXT_LENGTH_EXCEEDED")
        .WithDetail("field", "context_length");
  ModelFileInfo info;
  info.architecture = "fake";
  info.name = "Fake model";
  info.file_bytes = std::filesystem::file_size(path);
  info.n_parameters = info.file_bytes;
  info.n_layers = 2;
  info.n_embd = 64;
  info.n_heads = 4;
  info.n_kv_heads = 2;
  info.head_dim = 16;
  info.n_vocab = 26;
  info.n_context_train = kTrainedContext;
  info.longest_context = longest_context;
  info.format_bytes = {{"Q8_0", info.file_bytes}};
  info.chat_template = "chatml";
  info.chat_template_takes_tools = path.find("toolless") == std::string::npos;
  info.is_encoder = is_encoder;
  info.tokenizer = "gpt2";
  info.device = device.empty() ? "cpu" : device;
  info.context_length = options.context_length == 0 ? longest_context : options.context_length;
  info.max_sequences = options.max_sequences;
  info.prefill_chunk = options.prefill_chunk;
  info.kv_dtype = options.kv_dtype;
  info.weights_bytes = info.file_bytes;
  info.kv_bytes = kKvBytes;
  info.scratch_bytes = kScratchBytes;
  return info;
}

Result<ModelId> FakeEngine::Load(const std::string& path, const std::string& device,
                                 const LoadOptions& options, const LoadObserver& observer) {
  CallHook(&FakeEngine::before_load_);
  FORGE_ASSIGN_OR_RETURN(const ModelFileInfo info, Inspect(path, device, options));
  const Status stopped = Cancelled("the load was stopped");
  if (!observer({LoadPhase::kReadingHeader, 0, 0})) return stopped;
  const uint64_t reserved = reserved_bytes(info.device);
  {
    const MutexLock lock(mutex_);
    ++n_loads_;
    FORGE_TRY(Find(load_failures_, path));
    AdmissionPolicy policy;
    policy.free_fraction = 1.0;
    const uint64_t budget = budgets_.at(info.device);
    const MemoryReading reading{budget, budget - reserved, budget - reserved, budget - reserved};
    const AdmissionDecision decision =
        DecideAdmission(policy, reading, reserved, reserved, info.total_bytes());
    if (!decision.admitted) return RefusalStatus(decision, policy, info.device);
  }
  for (int slice = 0; slice <= kLoadSlices; ++slice) {
    const uint64_t done = info.file_bytes * static_cast<uint64_t>(slice) / kLoadSlices;
    if (!observer({LoadPhase::kLoadingWeights, done, info.file_bytes})) return stopped;
    for (bool held = slice == kLoadSlices / 2; held;) {
      {
        const MutexLock lock(mutex_);
        held = loads_held_;
        if (held) {
          changed_.WaitUntil(mutex_,
                             std::chrono::steady_clock::now() + std::chrono::milliseconds(2));
        }
      }
      if (held && !observer({LoadPhase::kLoadingWeights, done, info.file_bytes})) return stopped;
    }
  }
  const MutexLock lock(mutex_);
  const ModelId id = next_id_++;
  models_[id] = info;
  return id;
}

Result<uint64_t> FakeEngine::Unload(ModelId model) {
  CallHook(&FakeEngine::before_unload_);
  const MutexLock lock(mutex_);
  const auto found = models_.find(model);
  if (found == models_.end()) return NotFound("no such model").WithReason("MODEL_NOT_LOADED");
  const uint64_t bytes = found->second.total_bytes();
  for (auto session = sessions_.begin(); session != sessions_.end();) {
    if (session->second.model != model) {
      ++session;
      continue;
    }
    Orphan(session->second, Cancelled("the model was unloaded").WithReason("MODEL_NOT_LOADED"));
    session = sessions_.erase(session);
  }
  models_.erase(found);
  changed_.NotifyAll();
  return bytes;
}

ModelStatus FakeEngine::StatusOf(ModelId id, const ModelFileInfo& info) const {
  ModelStatus status;
  status.id = id;
  status.info = info;
  status.slots_total = info.max_sequences;
  for (const auto& [session_id, session] : sessions_) {
    if (session.model != id) continue;
    SequenceStatus sequence;
    sequence.session = session_id;
    sequence.state = session.turn ? SequenceStatus::State::kDecode : SequenceStatus::State::kIdle;
    sequence.context_used = session.context_used;
    sequence.output_tokens = session.turn ? session.turn->n_done : 0;
    status.sequences.push_back(sequence);
    status.slots_busy += session.turn || session.reading ? 1 : 0;
  }
  return status;
}

Result<ModelStatus> FakeEngine::GetModel(ModelId model) const {
  const MutexLock lock(mutex_);
  if (memory_ends_) throw std::bad_alloc();
  const auto found = models_.find(model);
  if (found == models_.end()) return NotFound("no such model").WithReason("MODEL_NOT_LOADED");
  return StatusOf(model, found->second);
}

std::vector<ModelStatus> FakeEngine::ListModels() const {
  const MutexLock lock(mutex_);
  std::vector<ModelStatus> all;
  for (const auto& [id, info] : models_) all.push_back(StatusOf(id, info));
  return all;
}

std::vector<DeviceMemory> FakeEngine::Memory() const {
  const MutexLock lock(mutex_);
  ++n_memory_reads_;
  std::vector<DeviceMemory> all;
  for (const auto& [device, budget] : budgets_) {
    DeviceMemory& memory = all.emplace_back();
    memory.device = device;
    memory.description = "fake device";
    for (const auto& [id, info] : models_) {
      if (info.device != device) continue;
      memory.models.push_back({id, info.weights_bytes, info.kv_bytes, info.scratch_bytes});
      memory.reserved_bytes += info.total_bytes();
    }
    const uint64_t free = budget - memory.reserved_bytes;
    memory.reading = {budget, free, free, free};
    memory.allocated_bytes = memory.reserved_bytes;
    memory.allocations = 3 * memory.models.size();
    memory.available_bytes = free;
    memory.bound = AdmissionBound::kFree;
  }
  return all;
}

EngineProgress FakeEngine::Progress() const {
  const MutexLock lock(mutex_);
  return progress_;
}

Result<std::vector<TokenId>> FakeEngine::Tokenize(ModelId model, std::string_view text,
                                                  bool add_special, bool /*parse_special*/) const {
  FORGE_TRY(GetModel(model).status());
  std::vector<TokenId> tokens;
  if (add_special) tokens.push_back(kBos);
  for (const char letter : text) tokens.push_back((letter - 'a' + 26) % 26);
  return tokens;
}

Result<std::string> FakeEngine::Detokenize(ModelId model, const std::vector<TokenId>& tokens,
                                           bool render_special) const {
  std::string text;
  for (const TokenId token : tokens) {
    if (token >= 26 && !render_special) continue;
    FORGE_ASSIGN_OR_RETURN(const std::string piece, TokenText(model, token));
    text += piece;
  }
  return text;
}

Result<std::string> FakeEngine::TokenText(ModelId model, TokenId token) const {
  FORGE_TRY(GetModel(model).status());
  if (token == kBos) return std::string("<s>");
  if (token == 25) return std::string("\xc3");  // the first half of a character
  return std::string(1, static_cast<char>('a' + token % 26));
}

Result<ChatPrompt> FakeEngine::RenderChat(ModelId model, const Conversation& conversation,
                                          std::optional<ChatPlace> place) const {
  FORGE_TRY(GetModel(model).status());
  ChatPrompt prompt;
  prompt.tokens = {place ? kContinuation : kBos};
  for (const ChatMessage& message : conversation.messages) {
    if (message.role == "robot") {
      return InvalidArgument("role 'robot' is unknown").WithDetail("field", "chat.messages.role");
    }
    prompt.tokens.push_back(static_cast<TokenId>(message.content.size() % 26));
  }
  if (!conversation.tools.empty()) prompt.output.tool_format = ToolFormat::kQwen;
  prompt.output.open_thinking = "<think>";
  return prompt;
}

Result<SessionId> FakeEngine::OpenSession(ModelId model) {
  const MutexLock lock(mutex_);
  if (models_.count(model) == 0) {
    return NotFound("no such model").WithReason("MODEL_NOT_LOADED");
  }
  const SessionId id = next_id_++;
  sessions_[id] = Session{model, 0, std::nullopt, std::nullopt};
  changed_.NotifyAll();
  return id;
}

void FakeEngine::CloseSession(SessionId session) {
  const MutexLock lock(mutex_);
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  Orphan(found->second, Status());
  sessions_.erase(found);
  changed_.NotifyAll();
}

Status FakeEngine::Submit(SessionId session, GenerateRequest request,
                          std::shared_ptr<GenerationSink> sink) {
  CallHook(&FakeEngine::before_submit_);
  const MutexLock lock(mutex_);
  FORGE_TRY(submit_failure_);
  if (request.top_logprobs > kMaxTopLogprobs) {
    return InvalidArgument("top_logprobs is more than 256")
        .WithDetail("field", "top_logprobs")
        .WithDetail("value", request.top_logprobs);
  }
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return NotFound("no session").WithReason("SESSION_NOT_FOUND");
  if (found->second.turn) return FailedPrecondition("a turn is running");
  last_request_ = request;
  found->second.turn = Turn{std::move(request), std::move(sink)};
  changed_.NotifyAll();
  return Status();
}

void FakeEngine::Cancel(SessionId session) {
  CallHook(&FakeEngine::before_cancel_);
  const MutexLock lock(mutex_);
  const auto found = sessions_.find(session);
  if (found != sessions_.end() && found->second.turn) found->second.turn->cancelled = true;
  if (found != sessions_.end() && found->second.reading) found->second.reading->cancelled = true;
}

void FakeEngine::CallHook(std::function<void()> FakeEngine::*hook) const {
  std::function<void()> call;
  {
    const MutexLock lock(mutex_);
    call = this->*hook;
  }
  if (call) call();
}

void FakeEngine::RunExecutor() {
  for (;;) {
    std::chrono::microseconds delay{0};
    {
      const MutexLock lock(mutex_);
      delay = token_delay_;
      bool idle = orphans_.empty() && orphan_readings_.empty();
      if (stopping_ && idle) break;
      for (const auto& [id, session] : sessions_) idle = idle && !session.turn && !session.reading;
      if (idle) {
        changed_.WaitUntil(mutex_,
                           std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
        continue;
      }
    }
    Step();
    StepReadings();
    std::this_thread::sleep_for(delay);
  }
  std::vector<SessionId> ids;
  {
    const MutexLock lock(mutex_);
    for (const auto& [id, session] : sessions_) ids.push_back(id);
  }
  const Status ends = Unavailable("the engine ends").WithReason("SHUTTING_DOWN");
  for (const SessionId id : ids) {
    EndTurn(id, FinishReason::kCancelled, ends);
    EndReading(id, ends);
  }
}

void FakeEngine::Step() {
  std::deque<std::pair<Turn, Status>> orphans;
  std::vector<std::pair<SessionId, Turn>> turns;
  uint32_t answer_length = 0;
  Status turn_failure;
  {
    const MutexLock lock(mutex_);
    orphans.swap(orphans_);
    answer_length = answer_length_;
    turn_failure = turn_failure_;
    for (const auto& [id, session] : sessions_) {
      if (session.turn) turns.emplace_back(id, *session.turn);
    }
  }
  for (const auto& [turn, status] : orphans) {
    turn.sink->OnFinished(status, FinishReason::kCancelled, "", {});
  }
  for (const auto& [id, turn] : turns) {
    const uint32_t max_tokens = turn.request.max_tokens;
    if (turn.cancelled) {
      EndTurn(id, FinishReason::kCancelled, Status());
    } else if (max_tokens > 0 && turn.n_done >= max_tokens) {
      EndTurn(id, FinishReason::kMaxTokens, turn_failure);
    } else if (turn.n_done >= answer_length) {
      EndTurn(id, FinishReason::kEndOfText, turn_failure);
    } else {
      Emit(id, turn);
    }
  }
}

void FakeEngine::Emit(SessionId id, const Turn& turn) {
  if (turn.n_done == 0) {
    const uint32_t n_prompt = static_cast<uint32_t>(turn.request.prompt.size());
    turn.sink->OnQueued(0);
    turn.sink->OnPromptProgress(n_prompt, n_prompt);
  }
  TokenEvent event;
  event.token = static_cast<TokenId>(turn.n_done % 26);
  {
    const MutexLock lock(mutex_);
    event.text =
        token_text_.empty() ? std::string(1, static_cast<char>('a' + event.token)) : token_text_;
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || !found->second.turn) return;  // closed meanwhile
    ++found->second.turn->n_done;
    ++found->second.context_used;
    ++progress_.steps;
  }
  event.logprob = -0.5f;
  for (uint32_t i = 0; i < turn.request.top_logprobs; ++i) {
    event.top_logprobs.push_back({static_cast<TokenId>(i % 26), -0.5f - static_cast<float>(i)});
  }
  turn.sink->OnToken(std::move(event));
}

void FakeEngine::EndTurn(SessionId id, FinishReason reason, const Status& status) {
  std::optional<Turn> turn;
  GenerateUsage usage;
  {
    const MutexLock lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    turn = std::move(found->second.turn);
    found->second.turn.reset();
    usage.context_used = found->second.context_used;
  }
  if (!turn) return;
  usage.prompt_tokens = static_cast<uint32_t>(turn->request.prompt.size());
  usage.output_tokens = turn->n_done;
  usage.queue_time = std::chrono::milliseconds(250);
  usage.prefill_time = std::chrono::milliseconds(500);
  usage.decode_time = std::chrono::milliseconds(1500);
  if (turn->request.chat) {
    ChatAnswer answer{"yes", "hm", {}};
    if (turn->request.chat->tool_format == ToolFormat::kQwen) {
      answer.tool_calls = {{"call00001", "get_weather", R"({"city": "Paris"})"}};
      reason = FinishReason::kToolCalls;
    }
    turn->sink->OnAnswer(answer, TextKind::kContent);
  }
  Finish([&] { turn->sink->OnFinished(status, reason, "", usage); });
}

void FakeEngine::Finish(const std::function<void()>& finish) {
  std::function<void(const std::function<void()>&)> around;
  {
    const MutexLock lock(mutex_);
    around = around_finish_;
  }
  if (around) return around(finish);
  finish();
}

}  // namespace forge::testing
