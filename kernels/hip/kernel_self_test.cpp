#include "kernels/hip/kernel_self_test.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace forge {
namespace {

constexpr int kNumbers = 1000;
constexpr float kCap = 30.0f;

// Runs an op over numbers of both signs and compares it with the host's.
Status RunKernel(Device& device, float* data) {
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Stream> stream, device.CreateStream());
  std::vector<float> numbers(kNumbers), got(kNumbers);
  for (int i = 0; i < kNumbers; ++i)
    numbers[static_cast<size_t>(i)] = 0.25f * static_cast<float>(i - 500);
  const uint64_t bytes = kNumbers * sizeof(float);
  FORGE_TRY(device.CopyIn(data, numbers.data(), bytes, *stream));
  FORGE_TRY(device.ops().soft_cap({.x = data, .y = data, .n = kNumbers, .cap = kCap}, *stream));
  FORGE_TRY(device.CopyOut(got.data(), data, bytes, *stream));
  FORGE_TRY(stream->Synchronize());
  for (size_t i = 0; i < got.size(); ++i) {
    const float want = kCap * std::tanh(numbers[i] / kCap);
    if (!(std::abs(got[i] - want) <= 1e-4f))
      return Internal("a kernel computed " + std::to_string(got[i]) + " where " +
                      std::to_string(want) +
                      " is right; the runtime or the kernels do not fit "
                      "this GPU");
  }
  return Status();
}

}  // namespace

Status TestKernel(Device& device, const std::string& target) {
  FORGE_ASSIGN_OR_RETURN(void* const data, device.Allocate(kNumbers * sizeof(float)));
  const Status status = RunKernel(device, static_cast<float*>(data));
  device.Free(data, kNumbers * sizeof(float));
  if (status.code() != StatusCode::kUnimplemented) return status;
  return status.WithContext(device.info().id + " is a " + target +
                            ", which the plug-in was not built for; build it with "
                            "-DFORGE_ROCM_TARGETS=" +
                            target);
}

}  // namespace forge
