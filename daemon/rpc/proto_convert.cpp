#include "daemon/rpc/proto_convert.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/rpc/call_errors.h"
#include "daemon/text/utf8.h"

namespace forge {
namespace {

// Clients accept messages of 4 MiB.
constexpr size_t kMaxTemplateBytes = 1 << 20;
// Of a device that is asked for: events, log and audit file keep the name.
constexpr size_t kMaxDeviceBytes = 64;

int64_t Signed(uint64_t bytes) { return static_cast<int64_t>(bytes); }

v1::MemoryPlan PlanToProto(uint64_t weights, uint64_t kv, uint64_t scratch) {
  v1::MemoryPlan plan;
  plan.set_weights_bytes(Signed(weights));
  plan.set_kv_cache_bytes(Signed(kv));
  plan.set_scratch_bytes(Signed(scratch));
  plan.set_total_bytes(Signed(weights + kv + scratch));
  return plan;
}

v1::KvCacheType KvToProto(KvDType dtype) {
  switch (dtype) {
    case KvDType::kF16:
      return v1::KV_CACHE_TYPE_F16;
    case KvDType::kF32:
      return v1::KV_CACHE_TYPE_F32;
    case KvDType::kBf16:
      return v1::KV_CACHE_TYPE_BF16;
    case KvDType::kQ8_0:
      return v1::KV_CACHE_TYPE_Q8_0;
  }
  return v1::KV_CACHE_TYPE_UNSPECIFIED;
}

v1::ModelState StateToProto(ModelState state) {
  switch (state) {
    case ModelState::kOnDisk:
      return v1::MODEL_STATE_ON_DISK;
    case ModelState::kLoading:
      return v1::MODEL_STATE_LOADING;
    case ModelState::kReady:
      return v1::MODEL_STATE_READY;
    case ModelState::kUnloading:
      return v1::MODEL_STATE_UNLOADING;
    case ModelState::kFailed:
      break;
  }
  return v1::MODEL_STATE_FAILED;
}

v1::Pooling PoolingToProto(Pooling pooling) {
  switch (pooling) {
    case Pooling::kMean:
      return v1::POOLING_MEAN;
    case Pooling::kCls:
      return v1::POOLING_CLS;
    case Pooling::kLast:
      break;
  }
  return v1::POOLING_LAST;
}

v1::LoadPhase PhaseToProto(LoadPhase phase) {
  switch (phase) {
    case LoadPhase::kReadingHeader:
      return v1::LOAD_PHASE_READING_HEADER;
    case LoadPhase::kAdmission:
      return v1::LOAD_PHASE_ADMISSION;
    case LoadPhase::kLoadingWeights:
    case LoadPhase::kReady:
      break;
  }
  return v1::LOAD_PHASE_LOADING_WEIGHTS;
}

v1::SequenceState SequenceStateToProto(SequenceStatus::State state) {
  switch (state) {
    case SequenceStatus::State::kQueued:
      return v1::SEQUENCE_STATE_QUEUED;
    case SequenceStatus::State::kPrefill:
      return v1::SEQUENCE_STATE_PREFILL;
    case SequenceStatus::State::kDecode:
      return v1::SEQUENCE_STATE_DECODE;
    case SequenceStatus::State::kIdle:
      break;
  }
  return v1::SEQUENCE_STATE_IDLE;
}

v1::Residency ResidencyToProto(const ModelSnapshot& snapshot, const ModelStatus& status) {
  v1::Residency residency;
  residency.set_device(status.info.device);
  *residency.mutable_load_time() = TimestampToProto(snapshot.load_time);
  *residency.mutable_load_duration() = DurationToProto(snapshot.load_duration);
  *residency.mutable_memory() =
      PlanToProto(status.info.weights_bytes, status.info.kv_bytes, status.info.scratch_bytes);
  residency.set_pinned(snapshot.pinned);
  residency.set_priority(snapshot.priority);
  if (snapshot.keep_alive) *residency.mutable_keep_alive() = DurationToProto(*snapshot.keep_alive);
  if (snapshot.expire_time)
    *residency.mutable_expire_time() = TimestampToProto(*snapshot.expire_time);
  residency.set_slot_count(status.slots_total);
  residency.set_busy_slot_count(status.slots_busy);
  residency.set_queued_turn_count(status.queued);
  for (const SequenceStatus& sequence : status.sequences) {
    v1::Sequence* out = residency.add_sequences();
    out->set_session_id(Signed(sequence.session));
    out->set_state(SequenceStateToProto(sequence.state));
    out->set_context_used(sequence.context_used);
    out->set_output_tokens(sequence.output_tokens);
  }
  return residency;
}

template <typename T>
void SetIfGiven(std::optional<T>& target, const T& value) {
  if (value != T()) target = value;
}

}  // namespace

Result<LoadRequest> LoadRequestFromProto(const v1::LoadOptions& options, std::string_view field) {
  if (options.device().size() > kMaxDeviceBytes)
    return BadField(fmt::format("{}.device", field),
                    fmt::format("has {} bytes; the name of a device has at most {}",
                                options.device().size(), kMaxDeviceBytes));
  LoadRequest request;
  SetIfGiven(request.device, options.device());
  SetIfGiven(request.context_length, options.context_length());
  SetIfGiven(request.max_sequences, options.max_sequences());
  SetIfGiven(request.prefill_chunk, options.prefill_chunk());
  switch (options.kv_cache_type()) {
    case v1::KV_CACHE_TYPE_UNSPECIFIED:
      return request;
    case v1::KV_CACHE_TYPE_F16:
      request.kv_dtype = KvDType::kF16;
      return request;
    case v1::KV_CACHE_TYPE_F32:
      request.kv_dtype = KvDType::kF32;
      return request;
    case v1::KV_CACHE_TYPE_BF16:
      request.kv_dtype = KvDType::kBf16;
      return request;
    case v1::KV_CACHE_TYPE_Q8_0:
      request.kv_dtype = KvDType::kQ8_0;
      return request;
    default:
      break;
  }
  const int number = options.kv_cache_type();
  return BadField(fmt::format("{}.kv_cache_type", field),
                  fmt::format("is {}, which is none of KvCacheType", number))
      .WithDetail("value", std::to_string(number));
}

Status AddResidencyOptions(const v1::ResidencyOptions& residency, LoadRequest& request) {
  constexpr int64_t kMostSeconds = 365 * 86'400;
  if (residency.has_pin()) request.pinned = residency.pin();
  if (residency.has_priority()) request.priority = residency.priority();
  if (!residency.has_keep_alive()) return Status();
  const int64_t seconds = residency.keep_alive().seconds();
  const int32_t nanos = residency.keep_alive().nanos();
  if (seconds < 0 || seconds > kMostSeconds || nanos < 0 || nanos >= 1'000'000'000) {
    return InvalidArgument(fmt::format("residency.keep_alive is {} s and {} ns; it must be from 0 "
                                       "to 365 days",
                                       seconds, nanos))
        .WithReason("INVALID_REQUEST")
        .WithDetail("field", "residency.keep_alive");
  }
  request.keep_alive = std::chrono::milliseconds(seconds * 1000 + nanos / 1'000'000);
  return Status();
}

Result<Pooling> PoolingFromProto(v1::Pooling pooling, Pooling fallback) {
  switch (pooling) {
    case v1::POOLING_UNSPECIFIED:
      return fallback;
    case v1::POOLING_MEAN:
      return Pooling::kMean;
    case v1::POOLING_CLS:
      return Pooling::kCls;
    case v1::POOLING_LAST:
      return Pooling::kLast;
    default:
      break;
  }
  const int number = pooling;
  return InvalidArgument(fmt::format("pooling is {}, which is none of Pooling", number))
      .WithReason("INVALID_REQUEST")
      .WithDetail("field", "pooling")
      .WithDetail("value", std::to_string(number));
}

SamplingOptions SamplingFromProto(const v1::SamplingOptions& options) {
  SamplingOptions sampling;
  if (options.has_temperature()) sampling.temperature = options.temperature();
  if (options.has_top_k()) sampling.top_k = options.top_k();
  if (options.has_top_p()) sampling.top_p = options.top_p();
  if (options.has_min_p()) sampling.min_p = options.min_p();
  if (options.has_typical_p()) sampling.typical_p = options.typical_p();
  if (options.has_repetition_penalty()) sampling.repetition_penalty = options.repetition_penalty();
  if (options.has_presence_penalty()) sampling.presence_penalty = options.presence_penalty();
  if (options.has_frequency_penalty()) sampling.frequency_penalty = options.frequency_penalty();
  if (options.has_penalty_window()) sampling.penalty_window = options.penalty_window();
  for (const auto& [token, bias] : options.logit_bias()) {
    sampling.logit_bias.emplace_back(token, bias);
  }
  return sampling;
}

GenerateRequest GenerateRequestFromProto(const v1::GenerateRequest::Turn& turn) {
  GenerateRequest request;
  request.sampling = SamplingFromProto(turn.sampling());
  request.max_tokens = turn.max_tokens();
  request.stop_strings.assign(turn.stop_strings().begin(), turn.stop_strings().end());
  request.stop_tokens.assign(turn.stop_tokens().begin(), turn.stop_tokens().end());
  request.top_logprobs = turn.top_logprobs();
  request.ignore_end = turn.ignore_end_of_text();
  if (turn.has_json_schema())
    request.constraint = {OutputConstraint::Kind::kJsonSchema, turn.json_schema()};
  if (turn.has_grammar()) request.constraint = {OutputConstraint::Kind::kGrammar, turn.grammar()};
  return request;
}

v1::Model ModelToProto(const ModelFile& file) {
  v1::Model model;
  model.set_name(file.name);
  model.set_path(SanitizeUtf8(file.path));
  model.set_file_bytes(Signed(file.size_bytes));
  *model.mutable_modify_time() = TimestampToProto(file.modify_time);
  model.set_state(v1::MODEL_STATE_ON_DISK);
  return model;
}

v1::Model ModelToProto(const ModelSnapshot& snapshot, const std::optional<ModelStatus>& status) {
  v1::Model model = ModelToProto(snapshot.file);
  model.set_state(StateToProto(snapshot.state));
  model.set_error(SanitizeUtf8(snapshot.error));
  if (status) {
    *model.mutable_details() = DetailsToProto(status->info);
    *model.mutable_residency() = ResidencyToProto(snapshot, *status);
  }
  return model;
}

v1::ModelDetails DetailsToProto(const ModelFileInfo& info) {
  v1::ModelDetails details;
  details.set_architecture(SanitizeUtf8(info.architecture));
  details.set_title(SanitizeUtf8(info.name));
  details.set_parameter_count(Signed(info.n_parameters));
  details.set_layer_count(info.n_layers);
  details.set_embedding_length(info.n_embd);
  details.set_head_count(info.n_heads);
  details.set_kv_head_count(info.n_kv_heads);
  details.set_head_length(info.head_dim);
  details.set_vocabulary_size(info.n_vocab);
  details.set_trained_context_length(info.n_context_train);
  for (const auto& [format, bytes] : info.format_bytes) {
    v1::FormatShare* share = details.add_formats();
    share->set_format(format);
    share->set_file_bytes(Signed(bytes));
  }
  details.set_tokenizer(info.tokenizer);
  details.set_chat_template(info.chat_template);
  details.set_is_chat_template_fallback(info.chat_template_is_fallback);
  details.set_chat_template_takes_tools(info.chat_template_takes_tools);
  details.set_is_encoder(info.is_encoder);
  details.set_chat_template_error(SanitizeUtf8(info.chat_template_error));
  details.mutable_options()->set_device(info.device);
  details.mutable_options()->set_context_length(info.context_length);
  details.mutable_options()->set_max_sequences(info.max_sequences);
  details.mutable_options()->set_prefill_chunk(info.prefill_chunk);
  details.mutable_options()->set_kv_cache_type(KvToProto(info.kv_dtype));
  *details.mutable_plan() = PlanToProto(info.weights_bytes, info.kv_bytes, info.scratch_bytes);
  details.set_pooling(PoolingToProto(info.pooling));
  return details;
}

void AddReport(const ModelReport& report, v1::ModelDetails& details) {
  for (const ModelReport::Special& special : report.special_tokens) {
    v1::SpecialToken* token = details.add_special_tokens();
    token->set_role(special.role);
    token->set_id(special.id);
    token->set_text(SanitizeUtf8(special.text));
    token->set_is_added(special.is_added);
  }
  const std::string source = SanitizeUtf8(report.chat_template_source);
  details.set_chat_template_source(std::string(TruncateUtf8(source, kMaxTemplateBytes)));
  for (const ContextPlan& planned : report.context_plans) {
    v1::ContextPlan* plan = details.add_context_plans();
    plan->set_context_length(planned.context_length);
    *plan->mutable_plan() =
        PlanToProto(planned.weights_bytes, planned.kv_bytes, planned.scratch_bytes);
    plan->set_fits(planned.fits);
  }
  details.set_largest_context_length(report.largest_context_length);
}

v1::LoadModelResponse::Progress ProgressToProto(const LoadProgress& progress) {
  v1::LoadModelResponse::Progress out;
  out.set_phase(PhaseToProto(progress.phase));
  out.set_bytes_done(Signed(progress.bytes_done));
  out.set_bytes_total(Signed(progress.bytes_total));
  out.set_bytes_per_second(progress.bytes_per_second);
  if (progress.plan) {
    *out.mutable_plan() = PlanToProto(progress.plan->weights_bytes, progress.plan->kv_bytes,
                                      progress.plan->scratch_bytes);
  }
  if (progress.queue_position) out.set_queue_position(*progress.queue_position);
  out.set_wait_reason(progress.wait_reason);
  return out;
}

v1::DeviceMemory DeviceMemoryToProto(const DeviceMemory& memory,
                                     const std::vector<ModelSnapshot>& models) {
  v1::DeviceMemory out;
  out.set_device(memory.device);
  out.set_description(SanitizeUtf8(memory.description));
  out.set_total_bytes(Signed(memory.reading.total_bytes));
  out.set_free_bytes(Signed(memory.reading.free_bytes));
  out.set_runtime_free_bytes(Signed(memory.reading.runtime_free_bytes));
  out.set_driver_free_bytes(Signed(memory.reading.driver_free_bytes));
  out.set_reserved_bytes(Signed(memory.reserved_bytes));
  out.set_allocated_bytes(Signed(memory.allocated_bytes));
  out.set_allocation_count(Signed(memory.allocations));
  out.set_available_bytes(Signed(memory.available_bytes));
  out.set_binding_bound(std::string(AdmissionBoundName(memory.bound)));
  out.set_policy(memory.policy.kind == AdmissionPolicy::Kind::kShare ? "share" : "incremental");
  out.set_free_fraction(memory.policy.free_fraction);
  out.set_reserve_bytes(Signed(memory.policy.reserve_bytes));
  if (memory.policy.cap_bytes) out.set_cap_bytes(Signed(*memory.policy.cap_bytes));
  const uint64_t known = memory.reading.free_bytes + memory.allocated_bytes;
  out.set_others_bytes(
      Signed(memory.reading.total_bytes - std::min(memory.reading.total_bytes, known)));
  if (memory.reading.process_bytes)
    out.set_drift_bytes(Signed(*memory.reading.process_bytes) - Signed(memory.allocated_bytes));
  for (const ModelMemory& held : memory.models) {
    v1::ModelMemory* share = out.add_models();
    *share->mutable_memory() = PlanToProto(held.weights_bytes, held.kv_bytes, held.scratch_bytes);
    for (const ModelSnapshot& model : models) {
      if (model.id == held.id) share->set_model(model.file.name);
    }
  }
  return out;
}

v1::GenerateResponse::Token TokenToProto(const TokenEvent& event) {
  v1::GenerateResponse::Token token;
  token.set_id(event.token);
  token.set_text(SanitizeUtf8(event.text));
  token.set_kind(TextKindToProto(event.kind));
  token.set_logprob(event.logprob);
  for (const TokenLogprob& alternative : event.top_logprobs) {
    v1::TokenLogprob* out = token.add_top_logprobs();
    out->set_token(alternative.token);
    out->set_logprob(alternative.logprob);
  }
  return token;
}

v1::Usage UsageToProto(const GenerateUsage& usage) {
  v1::Usage out;
  out.set_prompt_tokens(usage.prompt_tokens);
  out.set_cached_tokens(usage.cached_tokens);
  out.set_output_tokens(usage.output_tokens);
  out.set_drafted_tokens(usage.drafted_tokens);
  out.set_accepted_tokens(usage.accepted_tokens);
  out.set_context_used(usage.context_used);
  *out.mutable_queue_duration() = DurationToProto(usage.queue_time);
  *out.mutable_prefill_duration() = DurationToProto(usage.prefill_time);
  *out.mutable_decode_duration() = DurationToProto(usage.decode_time);
  return out;
}

v1::FinishReason FinishReasonToProto(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfText:
      return v1::FINISH_REASON_END_OF_TEXT;
    case FinishReason::kStopString:
      return v1::FINISH_REASON_STOP;
    case FinishReason::kMaxTokens:
      return v1::FINISH_REASON_MAX_TOKENS;
    case FinishReason::kContextFull:
      return v1::FINISH_REASON_CONTEXT_FULL;
    case FinishReason::kToolCalls:
      return v1::FINISH_REASON_TOOL_CALLS;
    case FinishReason::kCancelled:
      break;
  }
  return v1::FINISH_REASON_CANCELLED;
}

v1::TextKind TextKindToProto(TextKind kind) {
  switch (kind) {
    case TextKind::kContent:
      return v1::TEXT_KIND_CONTENT;
    case TextKind::kReasoning:
      return v1::TEXT_KIND_REASONING;
    case TextKind::kToolCall:
      break;
  }
  return v1::TEXT_KIND_TOOL_CALL;
}

v1::ToolCall ToolCallToProto(const ToolCall& call) {
  v1::ToolCall out;
  out.set_id(SanitizeUtf8(call.id));
  out.set_name(SanitizeUtf8(call.name));
  out.set_arguments_json(SanitizeUtf8(call.arguments_json));
  return out;
}

google::protobuf::Timestamp TimestampToProto(std::chrono::system_clock::time_point time) {
  const auto since_epoch = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  google::protobuf::Timestamp out;
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<int32_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch - seconds).count()));
  return out;
}

google::protobuf::Duration DurationToProto(std::chrono::nanoseconds duration) {
  google::protobuf::Duration out;
  out.set_seconds(duration.count() / 1'000'000'000);
  out.set_nanos(static_cast<int32_t>(duration.count() % 1'000'000'000));
  return out;
}

}  // namespace forge
