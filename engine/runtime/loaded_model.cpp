#include "engine/runtime/loaded_model.h"

#include <utility>

namespace forge {
namespace {

SchedulerOptions OptionsFor(const Model& model, const ServingOptions& options) {
  const ModelPlan& plan = model.plan();
  return {.limits = {.tokenizer = &model.tokenizer(),
                     .n_vocab = model.config().n_vocab,
                     .context_length = plan.kv.context_length},
          .max_sequences = plan.kv.max_sequences,
          .prefill_chunk = plan.options.prefill_chunk,
          .max_queued_turns = options.max_queued_turns,
          .kv_groups = plan.kv.groups,
          .block_tokens = kKvBlockTokens,
          .n_state_slots = plan.kv.state.n_slots,
          .shares_prefixes = options.shares_prefixes && !model.config().is_encoder,
          .is_encoder = model.config().is_encoder,
          .max_draft_tokens = plan.scratch.max_draft_tokens};
}

}  // namespace

Result<std::shared_ptr<LoadedModel>> LoadedModel::Create(ModelId id, ModelFileInfo info,
                                                         std::unique_ptr<Model> model,
                                                         const ServingOptions& options,
                                                         Executor& executor) {
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<Forward> forward, Forward::Create(*model));
  return std::shared_ptr<LoadedModel>(new LoadedModel(id, std::move(info), std::move(model),
                                                      std::move(forward), options, executor));
}

LoadedModel::LoadedModel(ModelId id, ModelFileInfo info, std::unique_ptr<Model> model,
                         std::unique_ptr<Forward> forward, const ServingOptions& options,
                         Executor& executor)
    : id_(id),
      info_(std::move(info)),
      executor_(executor),
      model_(std::move(model)),
      forward_(std::move(forward)),
      scheduler_(std::make_unique<Scheduler>(
          OptionsFor(*model_, options), *forward_, [&executor] { executor.Wake(); },
          [&executor] { executor.NoteProgress(); })) {}

ModelStatus LoadedModel::Snapshot() const {
  SchedulerStatus scheduled = scheduler_->Snapshot();
  ModelStatus status;
  status.id = id_;
  status.info = info_;
  status.slots_total = info_.max_sequences;
  status.slots_busy = scheduled.slots_busy;
  status.queued = scheduled.queued;
  status.sequences = std::move(scheduled.sequences);
  return status;
}

}  // namespace forge
