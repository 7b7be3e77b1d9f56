#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/grammar/output_constraint.h"
#include "engine/memory/admission.h"
#include "engine/model/load_options.h"
#include "engine/runtime/sampling_options.h"
#include "engine/text/chat_messages.h"
#include "engine/text/chat_output.h"
#include "engine/text/tokenizer.h"
#include "kernels/api/device.h"
#include "kernels/base/result.h"

// The engine's facade: the only header of engine/ that the daemon includes. It passes values, so
// that the engine could live in a process of its own behind the same calls.

namespace forge {

using ModelId = uint64_t;    // never reused
using SessionId = uint64_t;  // never reused

// How the hidden states of a text's tokens become one vector.
enum class Pooling {
  kMean,
  kCls,   // that of the first token
  kLast,  // that of the last token
};

// What a model file holds and what loading it would take.
struct ModelFileInfo {
  std::string architecture;
  std::string name;  // general.name; may be empty
  uint64_t file_bytes = 0;
  uint64_t n_parameters = 0;
  uint32_t n_layers = 0, n_embd = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0, n_vocab = 0;
  uint32_t n_context_train = 0;
  uint32_t longest_context = 0;                                // that a load may ask for
  std::vector<std::pair<std::string, uint64_t>> format_bytes;  // "Q4_K", bytes in the file
  std::string
      chat_template;  // what renders chats: ChatTemplate::description(); empty: nothing does
  std::string chat_template_error;         // why nothing does
  bool chat_template_is_fallback = false;  // the file has none, and a built-in one stands in
  bool chat_template_takes_tools = false;  // tools of a conversation reach the model
  std::string tokenizer;                   // "gpt2", "llama", "gemma4", "bert"
  bool is_encoder = false;                 // embeds texts and does nothing else
  Pooling pooling = Pooling::kMean;        // what <architecture>.pooling_type says, else the mean
  // The plan under the options asked for.
  std::string device;
  uint32_t context_length = 0;
  uint32_t max_sequences = 0;
  uint32_t prefill_chunk = 0;
  KvDType kv_dtype = KvDType::kF16;
  uint64_t weights_bytes = 0, kv_bytes = 0, scratch_bytes = 0;
  uint64_t total_bytes() const { return weights_bytes + kv_bytes + scratch_bytes; }
};

// What loading a file takes with a context of this length.
struct ContextPlan {
  uint32_t context_length = 0;
  uint64_t weights_bytes = 0, kv_bytes = 0, scratch_bytes = 0;
  bool fits = false;  // would be admitted now, with nothing unloaded
};

// What is worth knowing of a file beside ModelFileInfo, and takes longer to find out.
struct ModelReport {
  struct Special {
    std::string role;  // "bos", "eos", "eot", "pad", "unknown"
    TokenId id;
    std::string text;
    bool is_added;  // to the start or end of every text
  };
  std::vector<Special> special_tokens;
  std::string chat_template_source;        // the template's text; empty if the file has none
  std::vector<ContextPlan> context_plans;  // ascending, up to the trained context
  uint32_t largest_context_length = 0;     // that fits; 0: none
};

enum class LoadPhase { kReadingHeader, kAdmission, kLoadingWeights, kReady };

struct LoadProgressInfo {
  LoadPhase phase;
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;  // weights of the file; 0 before they are known
};
// Called on the loading thread, at most some 20 times a second. Returns false to cancel.
using LoadObserver = std::function<bool(const LoadProgressInfo&)>;

// Why an answer ended.
enum class FinishReason {
  kEndOfText,   // the model said so: eos, eot; or the constraint allows nothing more
  kStopString,  // a stop string or stop id was reached; it is not part of the text
  kMaxTokens,
  kContextFull,  // no room is left in the sequence
  kCancelled,
  kToolCalls,  // the model said so, and calls tools
};

struct TokenLogprob {
  TokenId token;
  float logprob;  // natural logarithm, of the model's own distribution before sampling options
};

// One generated token. `text` is what became certain with it; may be empty while a character or a
// possible stop string is incomplete.
struct TokenEvent {
  TokenId token;
  std::string text;
  TextKind kind = TextKind::kContent;  // of `text`
  float logprob = 0.0f;
  std::vector<TokenLogprob> top_logprobs;  // descending; as many as asked for
};

struct GenerateUsage {
  uint32_t prompt_tokens = 0;  // of this turn
  // Of the sequence, this turn's prompt included, that were in the cache: computed in turns before,
  // or in another session whose sequence begins alike.
  uint32_t cached_tokens = 0;
  uint32_t output_tokens = 0;
  // Guesses that were computed beside the next token, and those of them that were right.
  uint32_t drafted_tokens = 0, accepted_tokens = 0;
  uint32_t context_used = 0;  // tokens in the sequence at the end
  std::chrono::nanoseconds queue_time{0}, prefill_time{0}, decode_time{0};
};

// The prompt of a turn in a chat, and what it takes to run it.
struct ChatPrompt {
  std::vector<TokenId> tokens;
  std::optional<uint32_t> keep_tokens;  // see GenerateRequest
  ChatOutputOptions output;
};

// Where a rendered conversation goes.
struct ChatPlace {
  SessionId session = 0;
  // The session holds other things than the conversation, which goes behind them; otherwise it
  // holds the conversation's beginning.
  bool appends = false;
};

// A whole answer in a chat, told apart.
struct ChatAnswer {
  std::string content;
  std::string reasoning;
  std::vector<ToolCall> tool_calls;
};

// What to generate. The prompt is appended to what the session holds.
struct GenerateRequest {
  std::vector<TokenId> prompt;  // at least one token
  // The session's sequence first goes back to that many of its tokens; unset: it keeps all.
  std::optional<uint32_t> keep_tokens;
  std::optional<ChatOutputOptions> chat;  // how to tell the answer apart; unset: all is content
  SamplingOptions sampling;
  uint32_t max_tokens = 0;                // 0: until the context is full
  std::vector<std::string> stop_strings;  // at most 64, each 1..1024 bytes
  std::vector<TokenId> stop_tokens;
  uint32_t top_logprobs = 0;                   // at most 256
  bool ignore_end = false;                     // go on past eos
  std::optional<OutputConstraint> constraint;  // what the answer must look like
};

// Receives how far something is. All sinks are called on the engine's executor thread: they must
// not block and must not call the engine. Exactly one OnFinished ends what the engine accepted;
// nothing follows it. A call that throws is lost, and so is what would follow it but OnFinished,
// which says so (reason HOST_MEMORY_EXHAUSTED for std::bad_alloc). Where OnFinished throws it is
// called again: once, or for std::bad_alloc until it does not.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  virtual void OnQueued(uint32_t position) = 0;  // 0: next in line
  virtual void OnPromptProgress(uint32_t tokens_done, uint32_t tokens_total) = 0;
};

// Receives a turn.
class GenerationSink : public ProgressSink {
 public:
  virtual void OnToken(TokenEvent event) = 0;
  // Before OnFinished, of a request with `chat`. `trailing_kind`: of the trailing text.
  virtual void OnAnswer(ChatAnswer /*answer*/, TextKind /*trailing_kind*/) {}
  // Before OnFinished, where the answer ended before a stop string.
  virtual void OnStopString(std::string /*stop_string*/) {}
  // `trailing_text`: text held back that turned out to belong to the answer.
  virtual void OnFinished(const Status& status, FinishReason reason, std::string trailing_text,
                          const GenerateUsage& usage) = 0;
};

// Which tokens' log-probabilities to compute.
struct ScoreRequest {
  std::vector<TokenId> tokens;  // at least one, at most the context
  uint32_t top_logprobs = 0;    // at most 256
};

// How probable a token was after those before it.
struct TokenScore {
  TokenId token;
  float logprob;                           // natural logarithm, of the model's own distribution
  std::vector<TokenLogprob> top_logprobs;  // descending; as many as asked for
};

struct EmbedRequest {
  std::vector<TokenId> tokens;  // at least one, at most the context
  Pooling pooling = Pooling::kMean;
  bool normalize = true;  // to length 1
};

// Receives the reading of a text. `status` is kCancelled after Cancel or CloseSession; `usage`
// counts the text as prompt.
class ReadingSink : public ProgressSink {
 public:
  virtual void OnFinished(const Status& status, const GenerateUsage& usage) = 0;
};

class ScoreSink : public ReadingSink {
 public:
  // Of consecutive tokens, from the second on; every token but the first is scored once.
  virtual void OnScores(std::vector<TokenScore> scores) = 0;
};

class EmbeddingSink : public ReadingSink {
 public:
  virtual void OnEmbedding(std::vector<float> embedding) = 0;  // [n_embd], once
};

// A turn in a slot, or waiting for one.
struct SequenceStatus {
  SessionId session = 0;
  enum class State { kQueued, kPrefill, kDecode, kIdle } state = State::kQueued;
  uint32_t context_used = 0;
  uint32_t output_tokens = 0;
};

struct ModelStatus {
  ModelId id = 0;
  ModelFileInfo info;
  uint32_t slots_total = 0;
  uint32_t slots_busy = 0;  // sequences in prefill or decode
  uint32_t queued = 0;
  std::vector<SequenceStatus> sequences;
};

// How busy a model was at its last step, or when its queue last changed.
struct ModelActivity {
  ModelId id = 0;
  uint32_t running = 0;  // turns and readings in a slot
  uint32_t waiting = 0;  // for one
  // Share of the KV blocks that sequences hold, idle ones included, in the group of layers where it
  // is greatest.
  double kv_usage = 0.0;
};

struct ModelMemory {
  ModelId id = 0;
  uint64_t weights_bytes = 0, kv_bytes = 0, scratch_bytes = 0;
};

// A device's ledger at one moment, in bytes.
struct DeviceMemory {
  std::string device;
  std::string description;
  MemoryReading reading;
  AdmissionPolicy policy;
  uint64_t reserved_bytes = 0;   // promised to models
  uint64_t allocated_bytes = 0;  // by the device's own count
  uint64_t allocations = 0;
  uint64_t available_bytes = 0;  // the largest plan that would be admitted now
  AdmissionBound bound = AdmissionBound::kShare;
  std::vector<ModelMemory> models;
};

// Whether the executor makes progress; feeds the watchdog.
struct EngineProgress {
  uint64_t steps = 0;  // grows while there is work
  bool busy = false;
  std::chrono::nanoseconds since_progress{0};  // 0 while idle
};

struct EngineOptions {
  std::vector<std::unique_ptr<Device>> devices;  // at least one
  AdmissionPolicy policy;                        // of each device that has none of its own
  std::map<std::string, AdmissionPolicy> device_policies = {};  // by the device's id
  uint32_t max_queued_turns = 256;                              // per model; more are refused
  // Whether a turn reads what another session computed of the tokens that both begin with.
  bool shares_prefixes = true;
};

// Keeps whole models resident and generates with them.
//
// One executor thread per device runs the steps of all its models in turn: the decodes of all
// sequences of a model in one step, with a chunk of prompt tokens beside them, so that a long
// prompt never stalls running streams. Thread-safe.
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> Create(EngineOptions options);
  virtual ~Engine() = default;  // ends every turn with kUnavailable (reason SHUTTING_DOWN)

  // Reads a file's header and plans it; reserves nothing. Blocks on the disk.
  // `device` empty: the first device.
  virtual Result<ModelFileInfo> Inspect(const std::string& path, const std::string& device,
                                        const LoadOptions& options) = 0;
  // As Inspect; reads the vocabulary too.
  virtual Result<ModelReport> Report(const std::string& path, const std::string& device,
                                     const LoadOptions& options) = 0;
  // Inspects, admits and loads. Blocks; several loads may run at once. On failure nothing changes,
  // also where it is the host's memory that ends (kResourceExhausted, reason
  // HOST_MEMORY_EXHAUSTED).
  virtual Result<ModelId> Load(const std::string& path, const std::string& device,
                               const LoadOptions& options, const LoadObserver& observer) = 0;
  // Ends the model's turns with kCancelled, waits for the running step and frees every byte.
  // Returns the bytes freed. kNotFound (reason MODEL_NOT_LOADED) if there is no such model.
  virtual Result<uint64_t> Unload(ModelId model) = 0;

  virtual Result<ModelStatus> GetModel(ModelId model) const = 0;
  virtual std::vector<ModelStatus> ListModels() const = 0;
  // Of every model. Takes no lock that a step takes, so that it may be asked at any rate.
  virtual std::vector<ModelActivity> Activity() const = 0;
  virtual std::vector<DeviceMemory> Memory() const = 0;
  virtual EngineProgress Progress() const = 0;

  virtual Result<std::vector<TokenId>> Tokenize(ModelId model, std::string_view text,
                                                bool add_special, bool parse_special) const = 0;
  virtual Result<std::string> Detokenize(ModelId model, const std::vector<TokenId>& tokens,
                                         bool render_special) const = 0;
  // The text of one token, for display; may be part of a character.
  virtual Result<std::string> TokenText(ModelId model, TokenId token) const = 0;
  // Renders a conversation with the model's chat template as the prompt of its next turn. `place`:
  // the session it goes into, or nullopt for a new one. Fails as ChatTemplate does, and with
  // kNotFound (reason SESSION_NOT_FOUND).
  virtual Result<ChatPrompt> RenderChat(ModelId model, const Conversation& conversation,
                                        std::optional<ChatPlace> place) const = 0;

  // A session is one conversation: a sequence of tokens that turns are appended to. It takes a slot
  // while a turn runs and keeps its KV blocks between turns until another session needs them; then
  // its tokens are computed again at its next turn.
  virtual Result<SessionId> OpenSession(ModelId model) = 0;
  // Cancels a running turn (OnFinished follows) and forgets the session. Does not block on a step.
  virtual void CloseSession(SessionId session) = 0;
  // Starts a turn, or queues it until a slot is free. `sink` lives until OnFinished returned.
  // kInvalidArgument for options out of range (naming field and value) and for a constraint that
  // cannot be held to (see engine/grammar/constraint.h), kOutOfRange (reason
  // CONTEXT_LENGTH_EXCEEDED) if the prompt does not fit, kResourceExhausted (reason QUEUE_FULL),
  // kFailedPrecondition if a turn of the session is still running; then the sink is not called.
  virtual Status Submit(SessionId session, GenerateRequest request,
                        std::shared_ptr<GenerationSink> sink) = 0;
  // Reads a text instead: as Submit, and kFailedPrecondition unless the session is new. Nothing is
  // generated. The results do not depend on what else runs, nor on the size of chunks.
  virtual Status Score(SessionId session, ScoreRequest request,
                       std::shared_ptr<ScoreSink> sink) = 0;
  virtual Status Embed(SessionId session, EmbedRequest request,
                       std::shared_ptr<EmbeddingSink> sink) = 0;
  // Ends the session's turn with FinishReason::kCancelled at the next step. No effect if idle.
  virtual void Cancel(SessionId session) = 0;
};

}  // namespace forge
