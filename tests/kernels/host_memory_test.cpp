#include "kernels/cpu/host_memory.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "tests/support/temporary_files.h"

namespace forge {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A folder with a /proc and /sys of the test's own.
class HostMemoryTest : public ::testing::Test {
 protected:
  HostMemoryTest() {
    Write(
        "proc/meminfo",
        "MemTotal:        1048576 kB\nMemFree:          102400 kB\nMemAvailable:     512000 kB\n");
  }

  void Write(const std::string& path, const std::string& text) { directory_.WriteFile(path, text); }
  // A cgroup v2 hierarchy with this process in `path`.
  void MountV2(const std::string& path, const std::string& mounted_root = "/") {
    Write("proc/self/cgroup", "0::" + path + "\n");
    Write("proc/self/mountinfo", "24 30 0:22 / /sys rw - sysfs sysfs rw\n31 24 0:27 " +
                                     mounted_root +
                                     " /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
  }
  // A version 1 hierarchy per controller, and an empty version 2 one beside them.
  void MountV1(const std::string& memory_path) {
    Write("proc/self/cgroup", "9:name=systemd:/\n4:memory:" + memory_path +
                                  "\n2:cpu,cpuacct:" + memory_path + "\n0::/\n");
    Write("proc/self/mountinfo",
          "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
          "32 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
          "33 24 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
          "34 24 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  }
  // Limits in a version 2 folder below the mount point.
  void WriteV2(const std::string& folder, const std::string& max, const std::string& high,
               const std::string& current, const std::string& inactive_file) {
    const std::string base = "sys/fs/cgroup/" + folder;
    Write(base + "/memory.max", max + "\n");
    Write(base + "/memory.high", high + "\n");
    Write(base + "/memory.current", current + "\n");
    Write(base + "/memory.stat", "anon 1\nfile 2\ninactive_file " + inactive_file + "\n");
  }
  MemoryReading Read() {
    const Result<MemoryReading> reading = ReadHostMemory(root_);
    EXPECT_TRUE(reading.ok()) << reading.status().ToString();
    return reading.ok() ? *reading : MemoryReading{};
  }
  // The message of the refusal; fails the test if there is none.
  std::string Refusal() {
    const Result<MemoryReading> reading = ReadHostMemory(root_);
    EXPECT_EQ(reading.status().code(), StatusCode::kInternal);
    return std::string(reading.status().message());
  }

  const testing::TempDirectory directory_;
  const std::filesystem::path root_ = directory_.path();
};

TEST_F(HostMemoryTest, IsMemAvailableWithoutACgroup) {
  const MemoryReading reading = Read();
  EXPECT_EQ(reading.total_bytes, 1024 * kMiB);
  EXPECT_EQ(reading.runtime_free_bytes, 500 * kMiB);
  EXPECT_EQ(reading.driver_free_bytes, 500 * kMiB);
  EXPECT_EQ(reading.free_bytes, 500 * kMiB);
}

TEST_F(HostMemoryTest, TellsWhatTheProcessHoldsWhereTheSystemDoes) {
  EXPECT_FALSE(ReadHostMemory(root_)->process_bytes);
  Write("proc/self/status", "Name:\tforged\nVmRSS:\t  9000 kB\nRssAnon:\t  7000 kB\n");
  EXPECT_EQ(ReadHostMemory(root_)->process_bytes, 7000u << 10);
}

TEST_F(HostMemoryTest, TakesMaxForNoLimit) {
  MountV2("/user.slice");
  WriteV2("user.slice", "max", "max", "1000", "0");
  EXPECT_EQ(Read().driver_free_bytes, 500 * kMiB);
}

TEST_F(HostMemoryTest, IsTheRoomUnderTheLimitWithReclaimableCache) {
  MountV2("/system.slice/forged.service");
  WriteV2("system.slice/forged.service", std::to_string(300 * kMiB), "max",
          std::to_string(120 * kMiB), std::to_string(20 * kMiB));
  const MemoryReading reading = Read();
  EXPECT_EQ(reading.runtime_free_bytes, 500 * kMiB);
  EXPECT_EQ(reading.driver_free_bytes, 200 * kMiB);
  EXPECT_EQ(reading.free_bytes, 200 * kMiB);
}

TEST_F(HostMemoryTest, CountsTheHighWatermarkAsALimit) {
  MountV2("/a");
  WriteV2("a", std::to_string(300 * kMiB), std::to_string(90 * kMiB), std::to_string(40 * kMiB),
          "0");
  EXPECT_EQ(Read().free_bytes, 50 * kMiB);
}

TEST_F(HostMemoryTest, ObeysTheTightestAncestor) {
  MountV2("/outer/inner");
  WriteV2("outer/inner", std::to_string(400 * kMiB), "max", std::to_string(10 * kMiB), "0");
  WriteV2("outer", std::to_string(200 * kMiB), "max", std::to_string(130 * kMiB), "0");
  EXPECT_EQ(Read().free_bytes, 70 * kMiB);
}

TEST_F(HostMemoryTest, IsNothingWhenUsageIsPastTheLimit) {
  MountV2("/a");
  WriteV2("a", std::to_string(10 * kMiB), "max", std::to_string(30 * kMiB), "0");
  EXPECT_EQ(Read().free_bytes, 0u);
}

TEST_F(HostMemoryTest, IsNeverMoreThanTheMachineHas) {
  MountV2("/a");
  WriteV2("a", std::to_string(9000 * kMiB), "max", "0", "0");
  const MemoryReading reading = Read();
  EXPECT_EQ(reading.driver_free_bytes, 9000 * kMiB);
  EXPECT_EQ(reading.free_bytes, 500 * kMiB);
}

TEST_F(HostMemoryTest, FindsItsFolderInAContainer) {
  MountV2("/docker/abc", "/docker/abc");  // the host's path, while the container's is mounted
  WriteV2(".", std::to_string(100 * kMiB), "max", std::to_string(1 * kMiB), "0");
  EXPECT_EQ(Read().free_bytes, 99 * kMiB);
}

TEST_F(HostMemoryTest, UsesTheMountPointForAPathOutsideOfIt) {
  MountV2("/../elsewhere", "/docker/abc");
  WriteV2(".", std::to_string(100 * kMiB), "max", "0", "0");
  EXPECT_EQ(Read().free_bytes, 100 * kMiB);
}

TEST_F(HostMemoryTest, ReadsVersionOneLimits) {
  MountV1("/jobs/7");
  const std::string base = "sys/fs/cgroup/memory/jobs/7/";
  Write(base + "memory.limit_in_bytes", std::to_string(250 * kMiB) + "\n");
  Write(base + "memory.usage_in_bytes", std::to_string(60 * kMiB) + "\n");
  Write(base + "memory.stat", "inactive_file 5\ntotal_inactive_file 10485760\n");
  EXPECT_EQ(Read().free_bytes, 200 * kMiB);
  Write(base + "memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Read().free_bytes, 500 * kMiB);
}

TEST_F(HostMemoryTest, RefusesUnreadableFiguresNamingFileAndText) {
  MountV2("/a");
  WriteV2("a", "lots", "max", "0", "0");
  EXPECT_NE(Refusal().find("memory.max: it says 'lots'"), std::string::npos) << Refusal();
  WriteV2("a", "1000", "max", "-5", "0");
  EXPECT_NE(Refusal().find("memory.current: it says '-5'"), std::string::npos) << Refusal();
  WriteV2("a", "", "max", "0", "0");
  EXPECT_NE(Refusal().find("memory.max: it says ''"), std::string::npos) << Refusal();
}

TEST_F(HostMemoryTest, RefusesAMissingOrBrokenMeminfo) {
  Write("proc/meminfo", "MemTotal: 100 kB\n");
  EXPECT_NE(Refusal().find("'MemAvailable:'"), std::string::npos) << Refusal();
  Write("proc/meminfo", "MemTotal: x kB\nMemAvailable: 10 kB\n");
  EXPECT_NE(Refusal().find("'MemTotal:'"), std::string::npos) << Refusal();
  Write("proc/meminfo", "MemTotal: 99999999999999999999 kB\nMemAvailable: 10 kB\n");
  EXPECT_NE(Refusal().find("'MemTotal:'"), std::string::npos) << Refusal();
  std::filesystem::remove(root_ / "proc/meminfo");
  EXPECT_NE(Refusal().find("no file"), std::string::npos) << Refusal();
}

TEST_F(HostMemoryTest, IgnoresLinesItDoesNotUnderstand) {
  Write("proc/self/cgroup", "garbage\n::\n:\n0:/nocolon\n");
  Write("proc/self/mountinfo", "\n1 2\nno separator at all in this line\n1 2 3 / / rw - cgroup2\n");
  EXPECT_EQ(Read().free_bytes, 500 * kMiB);
}

TEST_F(HostMemoryTest, ReadsThisMachine) {
  const Result<MemoryReading> reading = ReadHostMemory();
  ASSERT_TRUE(reading.ok()) << reading.status().ToString();
  EXPECT_GT(reading->total_bytes, 0u);
  EXPECT_GT(reading->free_bytes, 0u);
  EXPECT_LE(reading->free_bytes, reading->total_bytes);
  EXPECT_GE(CountUsableCpus(), 1);
}

TEST_F(HostMemoryTest, CountsNoMoreCpusThanTheQuotaRoundedUp) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  const int n_allowed = CPU_COUNT(&allowed);
  EXPECT_EQ(CountUsableCpus(root_), n_allowed);
  MountV2("/a/b");
  Write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(CountUsableCpus(root_), n_allowed);
  Write("sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(CountUsableCpus(root_), 1);
  Write("sys/fs/cgroup/a/b/cpu.max", "100001 100000\n");
  EXPECT_EQ(CountUsableCpus(root_), std::min(n_allowed, 2));
  Write("sys/fs/cgroup/a/cpu.max", "10000 100000\n");  // an ancestor binds too
  EXPECT_EQ(CountUsableCpus(root_), 1);
  Write("sys/fs/cgroup/a/cpu.max", "nonsense\n");
  Write("sys/fs/cgroup/a/b/cpu.max", "100000 0\n");
  EXPECT_EQ(CountUsableCpus(root_), n_allowed);
}

TEST_F(HostMemoryTest, CountsCpusUnderAVersionOneQuota) {
  MountV1("/jobs/7");
  Write("sys/fs/cgroup/cpu/jobs/7/cpu.cfs_period_us", "100000\n");
  Write("sys/fs/cgroup/cpu/jobs/7/cpu.cfs_quota_us", "-1\n");
  const int n_allowed = CountUsableCpus(root_);
  EXPECT_GE(n_allowed, 1);
  Write("sys/fs/cgroup/cpu/jobs/7/cpu.cfs_quota_us", "70000\n");
  EXPECT_EQ(CountUsableCpus(root_), 1);
}

TEST_F(HostMemoryTest, NamesTheProcessor) {
  EXPECT_EQ(ReadCpuName(root_), "unknown processor");
  Write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Acme 9000\nflags\t\t: fpu\n");
  EXPECT_EQ(ReadCpuName(root_), "Acme 9000");
}

}  // namespace
}  // namespace forge
