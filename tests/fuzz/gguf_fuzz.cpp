// Reads any bytes as a model file, as far as a load does before it takes memory: header, family,
// vocabulary and plan. Bytes of an odd number get zeros behind them, so that a header alone, which
// is what matters here, can be a whole file.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_file.h"
#include "engine/model/model_plan.h"
#include "engine/text/tokenizer.h"
#include "kernels/base/check.h"
#include "kernels/cpu/cpu_device.h"

namespace forge {
namespace {

// A refusal is for somebody to read: it has a reason.
void CheckRefusal(const Status& status) {
  FORGE_CHECK(!status.reason().empty(), status.message());
  FORGE_CHECK(status.code() != StatusCode::kInternal, status.message());
}

Status Read(std::unique_ptr<GgufFile> file, const Device& device) {
  FORGE_ASSIGN_OR_RETURN(const ModelDescription description, DescribeModel(*file));
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer,
                         Tokenizer::Create(file->metadata()));
  FORGE_CHECK(tokenizer->n_tokens() > 0, "a vocabulary of nothing");
  FORGE_ASSIGN_OR_RETURN(const ModelPlan plan, PlanModel(description, *file, {}, device));
  FORGE_CHECK(plan.weights_bytes > 0 && plan.kv.total_bytes > 0 && plan.scratch.total_bytes > 0,
              "a part of the plan is empty");
  for (const WeightPlacement& weight : plan.weights) {
    FORGE_CHECK(weight.offset_bytes + weight.size_bytes <= plan.weights_bytes,
                "a weight beyond the arena");
    FORGE_CHECK(weight.file_offset + weight.file_bytes() <= file->size_bytes(),
                "a weight beyond the file");
  }
  return Status();
}

}  // namespace
}  // namespace forge

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<forge::Device> device = forge::CreateCpuDevice({1}).value();
  const int descriptor = ::memfd_create("gguf_fuzz", MFD_CLOEXEC);
  FORGE_CHECK(::write(descriptor, data, size) == static_cast<ssize_t>(size), "no memory");
  constexpr size_t kZeros = size_t{1} << 20;
  const size_t n_bytes = size + (size % 2 == 1 ? kZeros : 0);
  FORGE_CHECK(::ftruncate(descriptor, static_cast<off_t>(n_bytes)) == 0, "no memory");
  auto file = forge::GgufFile::FromDescriptor(descriptor, "fuzz.gguf");
  const forge::Status status = file.ok() ? forge::Read(*std::move(file), *device) : file.status();
  if (!status.ok()) forge::CheckRefusal(status);
  return 0;
}
