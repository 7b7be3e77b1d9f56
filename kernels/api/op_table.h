#pragma once

#include "kernels/api/attention.h"
#include "kernels/api/causal_conv.h"
#include "kernels/api/combine_experts.h"
#include "kernels/api/delta_rule.h"
#include "kernels/api/embed.h"
#include "kernels/api/expert_matmul.h"
#include "kernels/api/gather_rows.h"
#include "kernels/api/join_columns.h"
#include "kernels/api/matmul.h"
#include "kernels/api/multiply_columns.h"
#include "kernels/api/rms_norm.h"
#include "kernels/api/rope_append.h"
#include "kernels/api/route_experts.h"
#include "kernels/api/sigmoid_gate.h"
#include "kernels/api/soft_cap.h"
#include "kernels/api/state_space.h"
#include "kernels/api/stream.h"
#include "kernels/api/top_logits.h"

namespace forge {

// The ops of a device. Each validates its arguments, gives the work to the stream and may return
// before it is done; a batch of zero tokens is no work and no error.
struct OpTable {
  Status (*embed)(const EmbedArgs&, Stream&);
  Status (*rms_norm)(const RmsNormArgs&, Stream&);
  Status (*matmul)(const MatmulArgs&, Stream&);
  Status (*rope_append)(const RopeAppendArgs&, Stream&);
  Status (*attention)(const AttentionArgs&, Stream&);
  Status (*gather_rows)(const GatherRowsArgs&, Stream&);
  Status (*join_columns)(const JoinColumnsArgs&, Stream&);
  Status (*sigmoid_gate)(const SigmoidGateArgs&, Stream&);
  Status (*multiply_columns)(const MultiplyColumnsArgs&, Stream&);
  Status (*causal_conv)(const CausalConvArgs&, Stream&);
  Status (*delta_rule)(const DeltaRuleArgs&, Stream&);
  Status (*state_space)(const StateSpaceArgs&, Stream&);
  Status (*soft_cap)(const SoftCapArgs&, Stream&);
  Status (*route_experts)(const RouteExpertsArgs&, Stream&);
  Status (*expert_matmul)(const ExpertMatmulArgs&, Stream&);
  Status (*combine_experts)(const CombineExpertsArgs&, Stream&);
  Status (*top_logits)(const TopLogitsArgs&, Stream&);
};

}  // namespace forge
