#include "engine/runtime/model_report.h"

#include <array>
#include <utility>

#include "engine/model/model_plan.h"

namespace forge {
namespace {

constexpr std::array<uint32_t, 4> kUsualContexts = {2048, 8192, 32768, 131072};

void AddSpecial(const char* role, std::optional<TokenId> id, bool is_added,
                const Tokenizer& tokenizer, ModelReport& report) {
  if (!id) return;
  report.special_tokens.push_back(
      {role, *id, tokenizer.TokenBytes(*id, /*render_special=*/true), is_added});
}

Status ReportText(const GgufFile& file, ModelReport& report) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> source,
                         file.metadata().String("tokenizer.chat_template"));
  report.chat_template_source = source.value_or(std::string_view());
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer,
                         Tokenizer::Create(file.metadata()));
  const SpecialTokens& special = tokenizer->special();
  AddSpecial("bos", special.bos, special.add_bos, *tokenizer, report);
  AddSpecial("eos", special.eos, special.add_eos, *tokenizer, report);
  AddSpecial("eot", special.eot, false, *tokenizer, report);
  AddSpecial("pad", special.pad, false, *tokenizer, report);
  AddSpecial("unknown", special.unknown, false, *tokenizer, report);
  return Status();
}

// Plans one model for any context. Lifetime: file and device must outlive it.
class ContextPlanner {
 public:
  static Result<ContextPlanner> Create(const GgufFile& file, const LoadOptions& options,
                                       const Device& device, uint64_t available_bytes) {
    FORGE_ASSIGN_OR_RETURN(ModelDescription description, DescribeModel(file));
    return ContextPlanner(std::move(description), file, options, device, available_bytes);
  }

  uint32_t longest_context() const { return LongestContext(description_.config); }

  // An error for a context too long to be planned.
  Result<ContextPlan> Plan(uint32_t context_length) const {
    LoadOptions options = options_;
    options.context_length = context_length;
    FORGE_ASSIGN_OR_RETURN(const ModelPlan plan,
                           PlanModel(description_, *file_, options, *device_));
    return ContextPlan{context_length, plan.weights_bytes, plan.kv.total_bytes,
                       plan.scratch.total_bytes, plan.total_bytes() <= available_bytes_};
  }
  // The longest context that fits; 0 if none does. Longer ones never take less.
  uint32_t Largest() const {
    uint32_t fits = 0, too_long = longest_context() + 1;
    while (too_long - fits > 1) {
      const uint32_t middle = fits + (too_long - fits) / 2;
      const Result<ContextPlan> plan = Plan(middle);
      (plan.ok() && plan->fits ? fits : too_long) = middle;
    }
    return fits;
  }

 private:
  ContextPlanner(ModelDescription description, const GgufFile& file, const LoadOptions& options,
                 const Device& device, uint64_t available_bytes)
      : description_(std::move(description)),
        file_(&file),
        options_(options),
        device_(&device),
        available_bytes_(available_bytes) {}

  ModelDescription description_;
  const GgufFile* file_;
  LoadOptions options_;
  const Device* device_;
  uint64_t available_bytes_;
};

}  // namespace

Result<ModelReport> ReportModel(const GgufFile& file, const LoadOptions& options,
                                const Device& device, uint64_t available_bytes) {
  ModelReport report;
  FORGE_TRY(ReportText(file, report));
  FORGE_ASSIGN_OR_RETURN(const ContextPlanner planner,
                         ContextPlanner::Create(file, options, device, available_bytes));
  std::vector<uint32_t> contexts;
  for (const uint32_t context : kUsualContexts)
    if (context < planner.longest_context()) contexts.push_back(context);
  contexts.push_back(planner.longest_context());
  for (const uint32_t context : contexts) {
    const Result<ContextPlan> plan = planner.Plan(context);
    if (plan.ok()) report.context_plans.push_back(*plan);
  }
  report.largest_context_length = planner.Largest();
  return report;
}

}  // namespace forge
