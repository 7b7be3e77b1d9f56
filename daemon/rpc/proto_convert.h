#pragma once

#include <forge/v1/forge.pb.h>

#include <chrono>
#include <optional>

#include "daemon/residency/residency.h"
#include "engine/runtime/engine.h"

// Translates between the messages of the wire and the values of engine and residency. Texts from
// model files become valid UTF-8, as protobuf strings must be.

namespace forge {

// kInvalidArgument naming the field, as one of `field`, for a value that the message's type allows
// but its comment does not.
Result<LoadRequest> LoadRequestFromProto(const v1::LoadOptions& options,
                                         std::string_view field = "options");
// Adds what `residency` says. kInvalidArgument (reason INVALID_REQUEST) naming field and value.
Status AddResidencyOptions(const v1::ResidencyOptions& residency, LoadRequest& request);

// `fallback` for POOLING_UNSPECIFIED. kInvalidArgument for a number that is none of Pooling.
Result<Pooling> PoolingFromProto(v1::Pooling pooling, Pooling fallback);

// What is set replaces the default. The seed is left alone: see Generate.
SamplingOptions SamplingFromProto(const v1::SamplingOptions& options);

// Everything but prompt and seed.
GenerateRequest GenerateRequestFromProto(const v1::GenerateRequest::Turn& turn);

v1::Model ModelToProto(const ModelFile& file);
// `status`: of the engine, for a model that is ready.
v1::Model ModelToProto(const ModelSnapshot& snapshot, const std::optional<ModelStatus>& status);
v1::ModelDetails DetailsToProto(const ModelFileInfo& info);
// The fields of ModelDetails that GetModelRequest.full asks for.
void AddReport(const ModelReport& report, v1::ModelDetails& details);
v1::LoadModelResponse::Progress ProgressToProto(const LoadProgress& progress);
v1::DeviceMemory DeviceMemoryToProto(const DeviceMemory& memory,
                                     const std::vector<ModelSnapshot>& models);

// Without the texts of top_logprobs.
v1::GenerateResponse::Token TokenToProto(const TokenEvent& event);
v1::Usage UsageToProto(const GenerateUsage& usage);
v1::FinishReason FinishReasonToProto(FinishReason reason);
v1::TextKind TextKindToProto(TextKind kind);
v1::ToolCall ToolCallToProto(const ToolCall& call);

google::protobuf::Timestamp TimestampToProto(std::chrono::system_clock::time_point time);
google::protobuf::Duration DurationToProto(std::chrono::nanoseconds duration);

}  // namespace forge
