#include <gtest/gtest.h>

#include "bench/gpu.h"
#include "tests/hip_emulator/control.h"

namespace forge {
namespace {

TEST(GpuRatesTest, MeasuresCopiesAndMatrixUnitsAtBothWaveSizes) {
  emulator::Reset({{.wave_size = 32, .in_sysfs = false}, {.wave_size = 64, .in_sysfs = false}});
  for (const int index : {0, 1}) {
    const Result<double> copies = MeasureGpuCopyRate(index);
    ASSERT_TRUE(copies.ok()) << copies.status().ToString();
    EXPECT_GT(*copies, 0.0);
    const Result<double> products = MeasureGpuMatrixRate(index);
    ASSERT_TRUE(products.ok()) << products.status().ToString();
    EXPECT_GT(*products, 0.0);
  }
  EXPECT_EQ(emulator::TakeFaults().size(), 0u);
}

TEST(GpuRatesTest, KnowNoMatrixUnitsWhereThereAreNone) {
  emulator::Reset({{.wave_size = 64, .target = "gfx906", .in_sysfs = false}});
  EXPECT_EQ(MeasureGpuMatrixRate(0).value(), 0.0);
}

TEST(GpuRatesTest, SayWhenThereIsNoSuchGpu) {
  emulator::Reset({{.in_sysfs = false}});
  EXPECT_FALSE(MeasureGpuCopyRate(7).ok());
  EXPECT_FALSE(MeasureGpuMatrixRate(7).ok());
}

}  // namespace
}  // namespace forge
