#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>

#include "engine/runtime/engine.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/support/fake_device.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

// A life of load, generate, unload and reload in which every allocation of the device, and every
// read of the file, fails once, and then from that one on.
namespace forge {
namespace {

std::atomic<int64_t> reads{0};
std::atomic<int64_t> failing_read{0};  // counted from 1; 0: none
std::atomic<bool> reads_fail_for_ever{false};

}  // namespace
}  // namespace forge

// Takes the place of the C library's in this program.
extern "C" ssize_t pread(int descriptor, void* data, size_t bytes, off_t offset) {
  const int64_t number = ++forge::reads;
  const int64_t failing = forge::failing_read;
  if (failing > 0 && (number == failing || (number > failing && forge::reads_fail_for_ever))) {
    errno = EIO;
    return -1;
  }
  return ::syscall(SYS_pread64, descriptor, data, bytes, offset);
}

namespace forge {
namespace {

using testing::FakeDevice;
using testing::Greedy;
using testing::TempFile;
using testing::TestTokens;

constexpr uint64_t kDeviceBytes = uint64_t{256} << 20;

class EngineFaultsTest : public ::testing::Test {
 protected:
  EngineFaultsTest() {
    auto device = FakeDevice::Create(kDeviceBytes).value();
    device_ = device.get();
    EngineOptions options;
    options.devices.push_back(std::move(device));
    engine_ = Engine::Create(std::move(options)).value();
  }
  ~EngineFaultsTest() override {
    failing_read = 0;
    reads_fail_for_ever = false;
  }

  // The status of the first load that failed; OK if all of it worked.
  Status Live() {
    Status first;
    for (int round = 0; round < 2; ++round) {
      LoadOptions options;
      options.context_length = 64;
      const Result<ModelId> model = engine_->Load(file_.path().string(), "", options, nullptr);
      if (!model.ok()) {
        if (first.ok()) first = model.status();
        continue;
      }
      const auto answer = testing::Generate(*engine_, *model, Greedy(TestTokens("hello"), 3));
      EXPECT_TRUE(answer.status.ok()) << answer.status.ToString();
      EXPECT_FALSE(answer.tokens.empty());
      EXPECT_TRUE(engine_->Unload(*model).ok());
    }
    return first;
  }

  void ExpectBaseline() const {
    const DeviceMemory memory = engine_->Memory().front();
    EXPECT_EQ(memory.reserved_bytes, 0u);
    EXPECT_EQ(memory.allocated_bytes, 0u);
    EXPECT_EQ(memory.allocations, 0u);
    EXPECT_TRUE(memory.models.empty());
    EXPECT_TRUE(engine_->ListModels().empty());
  }

  const TempFile file_{testing::MakeTinyModel({}).Build()};
  FakeDevice* device_ = nullptr;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineFaultsTest, EveryAllocationMayFailOnceAndForEver) {
  ASSERT_TRUE(Live().ok());
  const auto n_allocations = static_cast<int>(device_->allocate_calls());
  ASSERT_GE(n_allocations, 6) << "two loads of three arenas";
  for (const bool for_ever : {false, true}) {
    for (int k = 1; k <= n_allocations; ++k) {
      SCOPED_TRACE((for_ever ? "for ever from " : "once at ") + std::to_string(k));
      device_->FailAllocation(k, for_ever);
      const Status failed = Live();
      EXPECT_EQ(failed.reason(), "GPU_MEMORY_TAKEN_BY_OTHERS") << failed.ToString();
      ExpectBaseline();
      device_->FailAllocation(0);
      EXPECT_TRUE(Live().ok());
    }
  }
}

TEST_F(EngineFaultsTest, EveryReadMayFailOnceAndForEver) {
  reads = 0;
  ASSERT_TRUE(Live().ok());
  const int64_t n_reads = reads;
  ASSERT_GE(n_reads, 4);
  for (const bool for_ever : {false, true}) {
    for (int64_t k = 1; k <= n_reads; ++k) {
      SCOPED_TRACE((for_ever ? "for ever from " : "once at ") + std::to_string(k));
      reads = 0;
      reads_fail_for_ever = for_ever;
      failing_read = k;
      const Status failed = Live();
      // How many reads a load takes depends on how its threads share the work.
      if (reads < k) {
        EXPECT_TRUE(failed.ok()) << failed.ToString();
      } else {
        EXPECT_EQ(failed.reason(), "MODEL_FILE_UNREADABLE") << failed.ToString();
      }
      ExpectBaseline();
      failing_read = 0;
      EXPECT_TRUE(Live().ok());
    }
  }
}

TEST_F(EngineFaultsTest, AContextGoesWithTheLastModelAndAfterALoadThatFailed) {
  const uint64_t before = device_->context_releases();
  LoadOptions options;
  options.context_length = 64;
  const std::string path = file_.path().string();
  const ModelId first = engine_->Load(path, "", options, nullptr).value();
  const ModelId second = engine_->Load(path, "", options, nullptr).value();
  ASSERT_TRUE(engine_->Unload(first).ok());
  EXPECT_EQ(device_->context_releases(), before);
  ASSERT_TRUE(engine_->Unload(second).ok());
  EXPECT_EQ(device_->context_releases(), before + 1);
  device_->FailAllocation(1);
  EXPECT_FALSE(engine_->Load(path, "", options, nullptr).ok());
  EXPECT_EQ(device_->context_releases(), before + 2);
}

TEST(EngineDevicesTest, EachDeviceHasALedgerAndAPolicyOfItsOwn) {
  EngineOptions options;
  for (const char* id : {"cpu", "hip:0", "hip:1"})
    options.devices.push_back(FakeDevice::Create(kDeviceBytes, 1, id).value());
  options.policy.free_fraction = 0.5;
  options.device_policies["hip:0"].cap_bytes = 1'000;
  options.device_policies["hip:1"].free_fraction = 1.0;
  const std::unique_ptr<Engine> engine = Engine::Create(std::move(options)).value();
  const TempFile file{testing::MakeTinyModel({}).Build()};
  LoadOptions load;
  load.context_length = 64;
  const std::string path = file.path().string();
  EXPECT_EQ(engine->Load(path, "hip:0", load, nullptr).status().reason(), "GPU_BUDGET_EXCEEDED");
  ASSERT_TRUE(engine->Load(path, "hip:1", load, nullptr).ok());
  const std::vector<DeviceMemory> memory = engine->Memory();
  EXPECT_EQ(memory[0].available_bytes, kDeviceBytes / 2);
  EXPECT_EQ(memory[0].reserved_bytes, 0u);
  EXPECT_EQ(memory[1].available_bytes, 1'000u);
  EXPECT_EQ(memory[2].available_bytes, kDeviceBytes - memory[2].reserved_bytes);
  EXPECT_GT(memory[2].reserved_bytes, 0u);
}

TEST(EngineDevicesTest, RefusesAPolicyOutOfRange) {
  EngineOptions options;
  options.devices.push_back(FakeDevice::Create(kDeviceBytes).value());
  options.device_policies["cpu"].free_fraction = 0.0;
  EXPECT_EQ(Engine::Create(std::move(options)).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace forge
