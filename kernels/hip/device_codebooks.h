#pragma once

#include "kernels/formats/codebook_tables.h"
#include "kernels/formats/formats.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {

// A format's codebook as kernels reach it: DeviceCodebook<Format>::Get().
template <typename Format>
struct DeviceCodebook;

// A copy for each source that reads it, in the device's constant data.
namespace device_codebooks {

static __device__ const Codebook<8, 256> kIq2Xxs = codebook_tables::Iq2Xxs();
static __device__ const Codebook<8, 512> kIq2Xs = codebook_tables::Iq2Xs();
static __device__ const Codebook<8, 1024> kIq2S = codebook_tables::Iq2S();
static __device__ const Codebook<4, 256> kIq3Xxs = codebook_tables::Iq3Xxs();
static __device__ const Codebook<4, 512> kIq3S = codebook_tables::Iq3S();
static __device__ const Codebook<8, 2048> kIq1 = codebook_tables::Iq1();

}  // namespace device_codebooks

template <>
struct DeviceCodebook<IQ2_XXS> {
  static FORGE_DEVICE const Codebook<8, 256>& Get() { return device_codebooks::kIq2Xxs; }
};
template <>
struct DeviceCodebook<IQ2_XS> {
  static FORGE_DEVICE const Codebook<8, 512>& Get() { return device_codebooks::kIq2Xs; }
};
template <>
struct DeviceCodebook<IQ2_S> {
  static FORGE_DEVICE const Codebook<8, 1024>& Get() { return device_codebooks::kIq2S; }
};
template <>
struct DeviceCodebook<IQ3_XXS> {
  static FORGE_DEVICE const Codebook<4, 256>& Get() { return device_codebooks::kIq3Xxs; }
};
template <>
struct DeviceCodebook<IQ3_S> {
  static FORGE_DEVICE const Codebook<4, 512>& Get() { return device_codebooks::kIq3S; }
};
template <>
struct DeviceCodebook<IQ1_S> {
  static FORGE_DEVICE const Codebook<8, 2048>& Get() { return device_codebooks::kIq1; }
};
template <>
struct DeviceCodebook<IQ1_M> {
  static FORGE_DEVICE const Codebook<8, 2048>& Get() { return device_codebooks::kIq1; }
};

}  // namespace forge
