#include "daemon/residency/state_store.h"

#include <gtest/gtest.h>

#include "tests/daemon/daemon_fixture.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {
namespace {

ModelFile File(const std::string& name, uint64_t size_bytes = 1'000) {
  ModelFile file;
  file.name = name;
  file.path = "/models/" + name + ".gguf";
  file.size_bytes = size_bytes;
  return file;
}

TEST(StateStoreTest, GivesBackWhatWasSavedOnce) {
  const TempDirectory directory;
  const StateStore store(directory.path() / "state");
  ResidentRecord plain{"a", {}}, full{"sub/b", {}};
  full.request.device = "hip:0";
  full.request.context_length = 2'048;
  full.request.max_sequences = 3;
  full.request.prefill_chunk = 64;
  full.request.kv_dtype = KvDType::kQ8_0;
  full.request.pinned = true;
  full.request.priority = -2;
  full.request.keep_alive = std::chrono::milliseconds(90'000);
  ASSERT_TRUE(store.SaveResidents({plain, full}).ok());
  const Result<std::vector<ResidentRecord>> taken = StateStore(store.directory()).TakeResidents();
  ASSERT_TRUE(taken.ok()) << taken.status().message();
  ASSERT_EQ(taken->size(), 2u);
  EXPECT_EQ((*taken)[0].model, "a");
  EXPECT_TRUE((*taken)[0].request.empty());
  EXPECT_FALSE((*taken)[0].request.keep_alive);
  const LoadRequest& request = (*taken)[1].request;
  EXPECT_EQ(request.device, "hip:0");
  EXPECT_EQ(request.context_length, 2'048u);
  EXPECT_EQ(request.max_sequences, 3u);
  EXPECT_EQ(request.prefill_chunk, 64u);
  EXPECT_EQ(request.kv_dtype, KvDType::kQ8_0);
  EXPECT_EQ(request.pinned, true);
  EXPECT_EQ(request.priority, -2);
  EXPECT_EQ(request.keep_alive, std::chrono::milliseconds(90'000));
  EXPECT_TRUE(store.TakeResidents()->empty()) << "a crash from here on brings nothing back";
}

TEST(StateStoreTest, WhatCannotBeReadIsAnErrorOnceAndThenForgotten) {
  const TempDirectory directory;
  directory.WriteFile("residents.json", "[{\"model\": 7");
  const StateStore store(directory.path());
  EXPECT_EQ(store.TakeResidents().status().code(), StatusCode::kDataLoss);
  EXPECT_TRUE(store.TakeResidents()->empty());
}

TEST(StateStoreTest, AMarkThatIsFoundAtAStartIsThatOfALoadThatKilled) {
  const TempDirectory directory;
  const StateStore first(directory.path());
  ASSERT_TRUE(first.MarkLoad(File("a")).ok());
  ASSERT_TRUE(first.MarkLoad(File("sub/b")).ok());
  EXPECT_FALSE(first.WasDeadly(File("a"))) << "its own load is not over";
  first.ClearMark("sub/b");

  const StateStore second(directory.path());
  EXPECT_TRUE(second.WasDeadly(File("a")));
  EXPECT_FALSE(second.WasDeadly(File("sub/b")));
  EXPECT_FALSE(second.WasDeadly(File("a", 1'001))) << "the file was replaced";
  ASSERT_TRUE(second.MarkLoad(File("a")).ok());
  second.ClearMark("a");
  EXPECT_FALSE(second.WasDeadly(File("a"))) << "it was loaded by hand";
}

TEST(StateStoreTest, SaysWhereItCannotWrite) {
  const TempDirectory directory;
  directory.WriteFile("no_directory", "");
  const StateStore store(directory.path() / "no_directory" / "state");
  EXPECT_EQ(store.SaveResidents({}).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store.MarkLoad(File("a")).code(), StatusCode::kUnavailable);
  EXPECT_TRUE(store.TakeResidents()->empty());
}

TEST(StateStoreTest, PreparesItsDirectoryOrSaysWhyNot) {
  const TempDirectory directory;
  const std::filesystem::path missing = directory.path() / "deep" / "state";
  EXPECT_TRUE(StateStore(missing).Prepare().ok());
  EXPECT_TRUE(std::filesystem::is_directory(missing));
  EXPECT_TRUE(StateStore(missing).Prepare().ok());
  directory.WriteFile("file", "");
  for (const char* unusable : {"file", "file/state"}) {
    const Status status = StateStore(directory.path() / unusable).Prepare();
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << unusable;
    EXPECT_NE(status.message().find((directory.path() / unusable).string()), std::string::npos)
        << status.message();
  }
}

TEST(StateStoreTest, TwoDaemonsDoNotShareOne) {
  const TempDirectory directory;
  {
    StateStore first(directory.path()), second(directory.path());
    ASSERT_TRUE(first.Prepare().ok());
    EXPECT_TRUE(first.Prepare().ok()) << "it is its own";
    const Status status = second.Prepare();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(status.message().find(directory.path().string()), std::string::npos)
        << status.message();
  }
  EXPECT_TRUE(StateStore(directory.path()).Prepare().ok()) << "both have ended";
}

}  // namespace
}  // namespace forge::testing
