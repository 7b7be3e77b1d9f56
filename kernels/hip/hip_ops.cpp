#include "kernels/hip/hip_ops.h"

#include "kernels/hip/attention.h"
#include "kernels/hip/causal_conv.h"
#include "kernels/hip/combine_experts.h"
#include "kernels/hip/delta_rule.h"
#include "kernels/hip/embed.h"
#include "kernels/hip/expert_matmul.h"
#include "kernels/hip/gather_rows.h"
#include "kernels/hip/join_columns.h"
#include "kernels/hip/matmul.h"
#include "kernels/hip/multiply_columns.h"
#include "kernels/hip/rms_norm.h"
#include "kernels/hip/rope_append.h"
#include "kernels/hip/route_experts.h"
#include "kernels/hip/sigmoid_gate.h"
#include "kernels/hip/soft_cap.h"
#include "kernels/hip/state_space.h"
#include "kernels/hip/top_logits.h"

namespace forge {
namespace {

constexpr OpTable kOps = {
    .embed = HipEmbed,
    .rms_norm = HipRmsNorm,
    .matmul = HipMatmul,
    .rope_append = HipRopeAppend,
    .attention = HipAttention,
    .gather_rows = HipGatherRows,
    .join_columns = HipJoinColumns,
    .sigmoid_gate = HipSigmoidGate,
    .multiply_columns = HipMultiplyColumns,
    .causal_conv = HipCausalConv,
    .delta_rule = HipDeltaRule,
    .state_space = HipStateSpace,
    .soft_cap = HipSoftCap,
    .route_experts = HipRouteExperts,
    .expert_matmul = HipExpertMatmul,
    .combine_experts = HipCombineExperts,
    .top_logits = HipTopLogits,
};

}  // namespace

const OpTable& HipOps() { return kOps; }

}  // namespace forge
